"""Who we are to a service: which of its security schemes a credential fits, and where its secret goes at each call."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from agentnb.errors import CredentialError, UsageError, nearest
from agentnb.models.credentials import Credential
from agentnb.models.keys import Credentials
from agentnb.models.providers import Provider
from agentnb.openapi.operations import Operation
from agentnb.openapi.refs import References

Kind: TypeAlias = Literal["apiKey", "basic", "bearer"]
#: The name under which the credential stands that is shown whatever a scheme is called.
ANY = ""


@dataclass(frozen=True, slots=True)
class Scheme:
    """One way to say who asks: `place` and `wire` are where an apiKey goes."""

    name: str
    kind: Kind
    place: Literal["header", "query", "cookie"] = "header"
    wire: str = "authorization"

    def __str__(self) -> str:
        return f"apiKey in {self.place} {self.wire!r}" if self.kind == "apiKey" else self.kind


#: Whoever declares nothing and still gets a credential is shown it as most services want it.
_UNDECLARED = ((Scheme("", "bearer"),),)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a request carries of secrets; `hidden` must never be seen."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    cookies: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)

    def __add__(self, other: Shown) -> Shown:
        return Shown(
            {**self.headers, **other.headers},
            self.query + other.query,
            self.cookies + other.cookies,
            self.hidden + other.hidden,
        )


@dataclass(frozen=True, slots=True)
class Sent:
    """What a signature is made of."""

    method: str
    url: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Guard:
    """What an operation asks for: any one of the alternatives, each of schemes that go together.

    `schemes` None: nothing is declared. `open` says that it may also be asked without.
    """

    schemes: tuple[tuple[Scheme, ...], ...] | None = None
    open: bool = True
    unknown: tuple[str, ...] = ()

    def named(self, auth: Mapping[str, str]) -> tuple[tuple[tuple[Scheme, str], ...], ...]:
        """The alternatives that the named credentials can serve: a scheme's own, or the one for any."""
        found = []
        alternatives = _UNDECLARED if self.schemes is None else self.schemes
        for alternative in alternatives:
            names = [auth.get(each.name) or (auth.get(ANY) if len(alternative) == 1 else None) for each in alternative]
            if alternative and all(names):
                found.append(tuple((scheme, name) for scheme, name in zip(alternative, names, strict=True) if name))
        return tuple(found)

    def show(self, auth: Mapping[str, str], credentials: Keys, sent: Sent) -> Shown:
        """The secrets for one request; nothing where none is named. Raises CredentialError."""
        named = self.named(auth)
        misfit: CredentialError | None = None
        for alternative in named:
            shown = Shown()
            for scheme, name in alternative:
                credential = credentials.find(name)
                if not _fits(scheme, credential):
                    misfit = CredentialError(
                        f"The credential {name!r} is of type {credential.type}, but what is asked for is {scheme}."
                    )
                    break
                shown = shown + _shown(scheme, credential, sent)
            else:
                return shown
        if misfit is not None and not self.open:
            raise misfit
        return Shown()


class Keys:
    """The credentials of a person by name: those stored, and variables of the environment."""

    def __init__(self, credentials: Credentials, environ: Mapping[str, str]) -> None:
        self._credentials = credentials
        self._environ = environ

    def find(self, name: str) -> Credential:
        """The one of this name, as it is now. Raises CredentialError where there is none, or it is disabled."""
        stored = [entry.name for entry in self._credentials.list()]
        if name not in stored and not self._environ.get(name, "").strip():
            raise CredentialError(
                f"There is no credential and no variable {name[:80]!r}.{nearest(name, stored)} "
                "%credential lists those that are stored."
            )
        # A row of its own, so that no provider's variable is taken for it.
        found = self._credentials.find(Provider(f"openapi {name}"), name)
        if found is None:
            raise CredentialError(f"The credential {name!r} holds nothing. Store it anew.")
        return found


def guard(references: References, operation: Operation) -> Guard:
    """What an operation asks for, of what its document declares."""
    if not isinstance(operation.security.value, list):
        return Guard()
    declared = references.root.get("components").get("securitySchemes")
    alternatives, unknown, is_open = [], [], not operation.security.value
    for requirement in operation.security.elements():
        schemes = []
        for name in requirement.fields:
            try:
                scheme = _scheme(name, references.follow(declared.get(name)).fields)
            except UsageError:
                scheme = None
            if scheme is None:
                unknown.append(name)
            schemes.append(scheme)
        is_open = is_open or not schemes
        if schemes and None not in schemes:
            alternatives.append(tuple(each for each in schemes if each is not None))
    return Guard(tuple(alternatives), is_open, tuple(unknown))


def _scheme(name: str, written: Mapping[str, object]) -> Scheme | None:
    match written:
        case {"type": "apiKey", "in": "header" | "query" | "cookie" as place, "name": str(wire)} if wire:
            return Scheme(name, "apiKey", place, wire)
        case {"type": "http", "scheme": str(kind)} if kind.lower() == "basic":
            return Scheme(name, "basic")
        case {"type": "http", "scheme": str(kind)} if kind.lower() == "bearer":
            return Scheme(name, "bearer")
        case {"type": "oauth2" | "openIdConnect"}:
            return Scheme(name, "bearer")
    return None


def _fits(scheme: Scheme, credential: Credential) -> bool:
    match credential.type:
        case "custom_header" | "ak_sk":
            return True
        case "basic":
            return scheme.kind == "basic"
        case "jwt":
            return scheme.kind == "bearer"
    # USER:PASSWORD in a variable is a key by its type.
    return scheme.kind != "basic" or ":" in credential.secrets["key"]


def _shown(scheme: Scheme, credential: Credential, sent: Sent) -> Shown:
    hidden = credential.hidden
    if credential.type == "api_key" and scheme.kind != "bearer":
        key = credential.secrets["key"]
        if scheme.kind == "basic":
            pair = base64.b64encode(key.encode()).decode()
            return Shown({"authorization": f"Basic {pair}"}, hidden=(*hidden, pair, key.partition(":")[2]))
        match scheme.place:
            case "query":
                return Shown(query=((scheme.wire, key),), hidden=hidden)
            case "cookie":
                return Shown(cookies=((scheme.wire, key),), hidden=hidden)
        return Shown({scheme.wire.lower(): key}, hidden=hidden)
    headers = credential.headers(key_header="authorization", method=sent.method, url=sent.url, body=sent.body)
    return Shown(headers, hidden=hidden)
