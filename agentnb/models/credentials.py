"""Who we are to a provider: secrets of several types and how they are shown to it, never to anybody else."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, NoReturn, TypeAlias, get_args

from agentnb.errors import CredentialError, nearest
from agentnb.models.http import host_of
from agentnb.models.providers import Provider
from agentnb.models.signing import AccessKey, expiry_of, minted_token, sign_request

Kind: TypeAlias = Literal["api_key", "basic", "jwt", "ak_sk", "custom_header"]
KINDS: tuple[Kind, ...] = get_args(Kind)

#: What each type is made of: any one of the sets, and what may be added. A custom header's names are the headers'.
_FORMS: dict[Kind, tuple[tuple[set[str], ...], set[str]]] = {
    "api_key": (({"key"},), set()),
    "basic": (({"user", "password"},), set()),
    "jwt": (({"token"}, {"id", "secret"}), set()),
    "ak_sk": (({"access_key", "secret_key"},), {"session_token", "region", "service"}),
}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
#: Parts that are no secrets: to mask "us-east-1" everywhere would help nobody.
_PUBLIC = {"user", "region", "service"}


class Secrets(Mapping[str, str]):
    """Named secrets that are read one by one, and show themselves to nobody: not printed, not pickled."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {name: value.strip() for name, value in values.items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self._values)})"

    def __copy__(self) -> Secrets:
        return self

    def __deepcopy__(self, memo: object) -> Secrets:
        return self

    def __reduce__(self) -> NoReturn:
        raise CredentialError("A credential is not pickled: its secrets would be readable. Open the model there anew.")


@dataclass(frozen=True, slots=True)
class Credential:
    """Secrets of one type, and `where` they come from, as errors name it ("OPENAI_API_KEY", "the credential 'work'").

    api_key: key. basic: user, password. jwt: token, or id and secret, of which a short-lived token is made for each
    request. ak_sk: access_key, secret_key, and session_token, region, service (AWS signatures). custom_header: the
    headers' names and values, or one as name and value. Raises CredentialError for what cannot be a credential.
    """

    secrets: Mapping[str, str] = field(repr=False, hash=False)
    type: Kind = "api_key"
    where: str = "the argument"

    def __post_init__(self) -> None:
        given = self.secrets
        if self.type == "custom_header" and set(given) == {"name", "value"}:
            given = {given["name"]: given["value"]}
        object.__setattr__(self, "secrets", Secrets(given))
        self._check_names()
        for name, value in self.secrets.items():
            part = "" if self.type == "api_key" else f" in {name!r}"
            if not value:
                raise CredentialError(f"{self.where} does not hold a key: there is nothing{part}. Set it.")
            if not (value.isascii() and value.isprintable()):
                raise CredentialError(
                    f"{self.where} does not hold a key: it has characters that no key has{part}. Set it."
                )

    def _check_names(self) -> None:
        if self.type not in KINDS:
            raise CredentialError(
                f"There is no credential type {str(self.type)!r}.{nearest(str(self.type), KINDS)} "
                f"There are: {', '.join(KINDS)}."
            )
        given = set(self.secrets)
        if self.type == "custom_header":
            # What is none is not repeated: it may be the key, in the wrong place.
            if not given or not all(map(_HEADER_NAME.fullmatch, given)):
                raise CredentialError("A credential of type custom_header is made of headers' names and their values.")
            return
        needed, more = _FORMS[self.type]
        if not any(form <= given <= form | more for form in needed):
            forms = ", or ".join(" and ".join(sorted(form)) for form in needed)
            also = f" (and {', '.join(sorted(more))})" if more else ""
            names = ", ".join(sorted(given)) or "nothing"
            raise CredentialError(f"A credential of type {self.type} is made of {forms}{also}, not of {names}.")

    @property
    def hidden(self) -> tuple[str, ...]:
        """The texts that must never be shown."""
        texts = [value for name, value in self.secrets.items() if self.type == "custom_header" or name not in _PUBLIC]
        if self.type == "basic":
            texts.append(self._basic())
        if self.type == "custom_header":
            # "Bearer sk-…": the key alone must not be shown either.
            texts += [value.partition(" ")[2].strip() for value in texts if " " in value]
        return tuple(texts)

    def headers(self, *, key_header: str, method: str, url: str, body: bytes) -> dict[str, str]:
        """The headers that show it to the provider (`key_header`: the one of an api_key). Raises CredentialError."""
        match self.type:
            case "api_key":
                key = self.secrets["key"]
                return {key_header: f"Bearer {key}" if key_header.lower() == "authorization" else key}
            case "basic":
                return {"authorization": f"Basic {self._basic()}"}
            case "jwt":
                return {"authorization": f"Bearer {self._token()}"}
            case "ak_sk":
                return self._signed(method, url, body)
        return {name.lower(): value for name, value in self.secrets.items()}

    def _basic(self) -> str:
        return base64.b64encode("{user}:{password}".format_map(self.secrets).encode()).decode()

    def _token(self) -> str:
        if "id" in self.secrets:
            return minted_token(self.secrets["id"], self.secrets["secret"], now=time.time())
        token = self.secrets["token"]
        end = expiry_of(token)
        if end is not None and end <= time.time():
            raise CredentialError(f"The token in {self.where} expired {_day(end)}. Get a new one, and set it.")
        return token

    def _signed(self, method: str, url: str, body: bytes) -> dict[str, str]:
        part = self.secrets.get
        host = host_of(url).partition(":")[0]
        service, region = _of_host(host)
        region, service = part("region") or region, part("service") or service
        if not (region and service):
            raise CredentialError(f"{self.where} says no region and service, and {host} does not either. Add them.")
        key = AccessKey(self.secrets["access_key"], self.secrets["secret_key"], region, service, part("session_token"))
        return sign_request(key, method=method, url=url, body=body, now=datetime.now(UTC))


def _of_host(host: str) -> tuple[str, str]:
    """Service and region of an AWS host: bedrock-runtime.eu-west-1.amazonaws.com; empty for any other."""
    match host.split("."):
        case [service, region, "amazonaws", "com", *_]:
            # The signature names the service as a whole.
            return "bedrock" if service.startswith("bedrock") else service, region
    return "", ""


def _day(seconds: float) -> str:
    try:
        return f"on {datetime.fromtimestamp(seconds, UTC):%Y-%m-%d at %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return "long ago"


def from_environment(provider: Provider, environ: Mapping[str, str]) -> Credential | None:
    """The credential in the variable that the provider's row names; None where it asks for none.

    Raises CredentialError where there is none, or where what there is cannot be one.
    """
    if provider.key is None:
        return None
    for name in (provider.key, *provider.key_names):
        if key := environ.get(name, "").strip():
            return Credential({"key": key}, where=name)
    if not provider.key_required:
        return None
    host = host_of(provider.base_url) or provider.name
    raise CredentialError(
        f"No key for {provider.name!r}: {provider.key} is not set. Set it to a key for {host}, or store one: "
        f"%credential add {provider.name}"
    )
