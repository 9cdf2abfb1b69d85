"""A remote model at a test's own server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from agentnb.models.dialect import Dialect, Quirks
from agentnb.models.http import Http
from agentnb.models.providers import Provider
from agentnb.models.remote import RemoteModel


def remote(
    model: str,
    *,
    http: Http,
    base_url: str,
    key_name: str | None = None,
    dialect: str | Dialect = "openai_chat",
    quirks: Quirks | None = None,
    environ: Mapping[str, str] = os.environ,
    **options: Any,
) -> RemoteModel:
    """A model in some dialect; without a key where none is named."""
    quirks = quirks or Quirks()
    row = Provider(quirks.provider, base_url, key=key_name, dialect=dialect, quirks=quirks)
    return RemoteModel(model, provider=row, http=http, environ=environ, **options)
