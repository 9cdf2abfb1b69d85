"""Who we are to a provider: keys and how they are shown to it, never to anybody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from agentnb.errors import CredentialError
from agentnb.models.http import host_of
from agentnb.models.providers import Provider

Kind: TypeAlias = Literal["api_key", "basic", "jwt", "ak_sk", "custom_header"]


@dataclass(frozen=True, slots=True)
class Credential:
    """Secrets of one type, and `where` they come from, as errors name it ("OPENAI_API_KEY", "the keyring")."""

    secrets: Mapping[str, str] = field(repr=False)
    type: Kind = "api_key"
    where: str = "the argument"

    @property
    def hidden(self) -> tuple[str, ...]:
        """The texts that must never be shown."""
        return tuple(self.secrets.values())

    def headers(self, *, key_header: str, method: str, url: str, body: bytes) -> dict[str, str]:
        """The headers that show it to the provider."""
        key = self.secrets["key"]
        return {key_header: f"Bearer {key}" if key_header == "authorization" else key}


def from_environment(provider: Provider, environ: Mapping[str, str]) -> Credential | None:
    """The credential in the variable that the provider's row names; None where it asks for none.

    Raises CredentialError where there is none, or where what there is cannot be one.
    """
    if provider.key is None:
        return None
    for name in (provider.key, *provider.key_names):
        key = environ.get(name, "").strip()
        if not key:
            continue
        if not (key.isascii() and key.isprintable()):
            raise CredentialError(f"{name} does not hold a key: it has characters that no key has. Set it.")
        return Credential({"key": key}, where=name)
    if not provider.key_required:
        return None
    host = host_of(provider.base_url)
    raise CredentialError(f"No key for {provider.name!r}: {provider.key} is not set. Set it to a key for {host}.")
