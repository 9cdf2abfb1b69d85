"""A key and what it opens: the models of a provider, asked for with one credential."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial

from agentnb.errors import UsageError
from agentnb.models import credentials, listing
from agentnb.models.base import Model
from agentnb.models.cards import Card
from agentnb.models.credentials import Kind
from agentnb.models.http import Http
from agentnb.models.resolve import Models

_OURS = "the argument"


class Credential:
    """A credential of a provider: `Credential("openai")` takes the key from the environment.

    `key` is an API key (or the token of a jwt); other types name their parts, such as `user=` and `password=` of
    "basic", `access_key=` and `secret_key=` of "ak_sk". `base_url` is another server of the provider's dialect. Nothing
    of it is ever shown. Raises UsageError for an unknown provider, CredentialError where there is no key.
    """

    def __init__(
        self,
        provider: str,
        key: str | None = None,
        *,
        type: Kind = "api_key",  # noqa: A002  # the word that providers use
        base_url: str | None = None,
        environ: Mapping[str, str] = os.environ,
        **parts: str,
    ) -> None:
        self._models = Models(http=Http(), environ=environ, credentials=lambda *_: self._secret)
        self._row = self._models.provider(provider)
        self._base_url = base_url
        self._environ = environ
        if key is not None:
            parts["token" if type == "jwt" else "key"] = key
        if parts:
            self._secret: credentials.Credential | None = credentials.Credential(parts, type)
        elif type != "api_key":
            raise UsageError(f"A credential of type {type!r} needs its parts: see %credential add --help.")
        else:
            self._secret = credentials.from_environment(self._row, environ)

    def __repr__(self) -> str:
        return f"Credential({self._row.name!r})"

    async def list_models(self) -> tuple[Card, ...]:
        """What the provider has: asked once, with what is known of each model here. Raises a ModelError."""
        ask = partial(listing.list_models, self._row, http=self._models.http, cards=self._models.cards)
        return await ask(credential=self._secret, environ=self._environ, base_url=self._base_url)

    def model(self, name: str) -> Model:
        """One of its models."""
        # By name: a server on this machine is otherwise sent no key.
        return self._models.open(f"{self._row.name}:{name}", api_base=self._base_url, api_key_name=_OURS)
