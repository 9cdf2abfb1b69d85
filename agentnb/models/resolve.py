"""From a model's name, as a person writes it, to the model."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from agentnb.errors import UsageError, nearest
from agentnb.models.base import Model
from agentnb.models.fake import FakeModel
from agentnb.models.http import Http
from agentnb.models.local import LocalModel
from agentnb.models.providers import Provider, load_providers
from agentnb.models.remote import RemoteModel
from agentnb.models.retry import RetryModel

_OWN = ("fake", "local")


def open_model(
    name: str,
    *,
    http: Http,
    api_base: str | None = None,
    api_key_name: str | None = None,
    environ: Mapping[str, str] = os.environ,
    base_dir: Path | None = None,
) -> Model:
    """The model called `provider:name` or `provider/name`; connects to nothing yet.

    `fake:FILE.json` is a scripted model, `local:ID` or `local:FILE.gguf` runs here; their relative paths are taken from
    `base_dir`. `api_base` is another server that speaks the provider's dialect, with its `/v1` or without;
    `api_key_name` the variable that holds its key, read from `environ` at each call. Raises UsageError for a name that
    means nothing.
    """
    provider, rest = _split(name)
    if provider == "fake":
        return FakeModel.load((base_dir or Path()) / rest, name=f"fake:{rest}")
    if provider == "local":
        path = (base_dir or Path()) / rest
        return LocalModel(str(path) if rest.endswith(".gguf") else rest)
    rows = load_providers()
    if provider not in rows:
        known = sorted([*rows, *_OWN])
        raise UsageError(f"Unknown provider {provider!r}.{nearest(provider, known)} There are: {', '.join(known)}.")
    return RetryModel(_remote(rows[provider], rest, http, api_base, api_key_name, environ))


def _split(name: str) -> tuple[str, str]:
    """Provider and model: whatever separates them first; the model's own name may hold both separators."""
    provider, *rest = re.split("[:/]", name.strip(), maxsplit=1)
    if not rest or not provider or not rest[0]:
        raise UsageError(f"{name!r} does not name a model. Write it as provider:model, for example openai:gpt-5-mini.")
    return provider.lower(), rest[0]


def _remote(
    row: Provider,
    model: str,
    http: Http,
    api_base: str | None,
    api_key_name: str | None,
    environ: Mapping[str, str],
) -> RemoteModel:
    # A server on this machine rarely asks for a key, and must not be sent one that was meant for a provider.
    own_server = api_base is not None and _hostname(api_base) in ("127.0.0.1", "localhost", "::1")
    key = api_key_name or (None if own_server else row.key)
    row = replace(row, key=key, key_names=() if api_key_name else row.key_names)
    return RemoteModel(model, provider=row, http=http, base_url=api_base, environ=environ)


def _hostname(base: str) -> str:
    try:
        parts = urlsplit(base)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{base!r} is not a base URL. Write it as http://HOST:PORT/v1.")
    return parts.hostname
