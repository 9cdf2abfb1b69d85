"""Which credential a provider gets, stored here or in a variable; and to list, switch off and forget them."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from agentnb import config
from agentnb.errors import CredentialError, nearest
from agentnb.masking import Mask
from agentnb.models.credentials import Credential, Kind, from_environment
from agentnb.models.keybook import BookFile, Kept
from agentnb.models.providers import Provider, load_providers
from agentnb.models.vault import Keyring, Vault

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
#: A hint shows seven characters of a secret: about half of it at most.
_HINT_FROM = 13


@dataclass(frozen=True, slots=True)
class Entry:
    """A credential as lists show it: `where` is what keeps it, `hint` a little of its secret."""

    name: str
    provider: str
    type: Kind
    enabled: bool
    where: str
    hint: str = ""


class Credentials:
    """The credentials of one person: those stored here, and those in environment variables.

    `home` is the folder of the files (by default config.home), `backend` a keyring (by default the system's; a file
    with mode 0600 where there is none, or with AGENTNB_KEYRING=off). `providers` are those whose variables are looked
    at. Every secret that is read is added to `mask`.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        home: Path | None = None,
        backend: Keyring | None = None,
        *,
        providers: Iterable[Provider] | None = None,
        mask: Mask | None = None,
    ) -> None:
        self._environ = environ
        self._home = home
        self._backend = backend
        self._providers = providers
        self._mask = mask or Mask()
        #: Read before, with the stamp they were read at.
        self._opened: dict[str, tuple[str, Credential]] = {}

    def find(self, provider: Provider, key_name: str | None = None) -> Credential | None:
        """The credential for a provider; None where it asks for none.

        The one called `key_name` (a stored one, or a variable) where one is named; else the newest that is stored and
        enabled; else what the provider's variables hold. Raises CredentialError where there is none, or it is disabled.
        """
        book = self._book.read()
        if provider.name in book.disabled:
            raise _disabled(provider.name, provider.name)
        if key_name == provider.name and key_name not in book.entries:
            # As the list calls what is in the provider's own variable.
            key_name = None
        if key_name is not None and key_name not in book.entries:
            return self._from_environment(replace(provider, key=key_name, key_names=(), key_required=True))
        own = (
            [key_name] if key_name is not None else [n for n, k in book.entries.items() if k.provider == provider.name]
        )
        for name in reversed(own):
            if book.entries[name].enabled:
                return self._open(name, book.entries[name])
        if own:
            raise _disabled(book.entries[own[-1]].provider, own[-1])
        return self._from_environment(provider)

    def key(self, name: str) -> str | None:
        """The key that is stored under a name, whosever it is; None where there is none, or it cannot be had."""
        kept = self._book.read().entries.get(name)
        if kept is None or not kept.enabled:
            return None
        with contextlib.suppress(CredentialError):
            return self._open(name, kept).secrets.get("key")
        return None

    def add(self, name: str, provider: str, type: Kind, secrets: Mapping[str, str]) -> Entry:  # noqa: A002
        """Store a credential, in the place of one of this name. Raises CredentialError for what cannot be one."""
        if not _NAME.fullmatch(name):
            raise CredentialError(f"{name[:80]!r} cannot name a credential: use letters, digits, '.', '_' and '-'.")
        credential = Credential(secrets, type, where=_named(name))
        self._mask.add(*credential.hidden)
        place = self._vault.offer(name, credential.secrets)
        kept = Kept(provider, type, place=place, hint=_hint(credential), stamp=uuid.uuid4().hex)
        with self._book.changed() as book:
            self._vault.write(name, credential.secrets if place == "file" else None)
            # Put last: the newest is the one that is used.
            book.entries.pop(name, None)
            book.entries[name] = kept
        return self._entry(name, kept)

    def remove(self, name: str) -> None:
        """Forget a stored credential. Raises CredentialError for a name that there is not."""
        kept = self._book.read().entries.get(name)
        if kept is None:
            raise self._unknown(name)
        if kept.place == "keyring":
            self._vault.withdraw(name)
        with self._book.changed() as book:
            self._vault.write(name, None)
            book.entries.pop(name, None)
        self._opened.pop(name, None)

    def enable(self, name: str, on: bool = True) -> None:
        """Enable or disable a stored credential, or a provider. Raises CredentialError for a name that there is not."""
        with self._book.changed() as book:
            kept = book.entries.get(name)
            if kept is None and name not in book.disabled and name not in {row.name for row in self._rows}:
                raise self._unknown(name)
            if kept is not None:
                book.entries[name] = replace(kept, enabled=on)
            if on:
                book.disabled.discard(name)
            elif kept is None:
                book.disabled.add(name)

    def list(self) -> tuple[Entry, ...]:
        """The stored credentials, and the variables of providers for which none is stored."""
        disabled, entries = self._book.read().disabled, self._book.read().entries
        stored = {kept.provider for kept in entries.values()}
        return (
            *(self._entry(name, kept, disabled=kept.provider in disabled) for name, kept in entries.items()),
            *(
                Entry(row.name, row.name, "api_key", row.name not in disabled, variable, _short(value))
                for row, variable, value in self._variables()
                if row.name not in stored
            ),
        )

    def secrets(self) -> tuple[str, ...]:
        """What must never be shown, as far as it is known without asking the keyring."""
        names = {name for row in self._rows for name in (row.key, *row.key_names) if name}
        found = {value for name in names if (value := self._environ.get(name, "").strip())}
        with contextlib.suppress(CredentialError):
            book, in_file = self._book.read(), self._vault.in_file()
            for name in in_file.keys() & book.entries.keys():
                # One that is damaged keeps no other from being masked.
                with contextlib.suppress(CredentialError):
                    self._open(name, book.entries[name])
        for _, credential in list(self._opened.values()):
            found.update(credential.hidden)
        return tuple(sorted(found))

    @cached_property
    def _folder(self) -> Path:
        return config.home(self._environ) if self._home is None else self._home

    @cached_property
    def _book(self) -> BookFile:
        return BookFile(self._folder)

    @cached_property
    def _vault(self) -> Vault:
        return Vault(self._folder, self._environ, self._backend)

    @cached_property
    def _rows(self) -> tuple[Provider, ...]:
        return tuple(load_providers().values() if self._providers is None else self._providers)

    def _variables(self) -> Iterator[tuple[Provider, str, str]]:
        """Providers whose variable is set, its name, and what it holds."""
        for row in self._rows:
            for name in (row.key, *row.key_names):
                if name and (value := self._environ.get(name, "").strip()):
                    yield row, name, value
                    break

    def _from_environment(self, provider: Provider) -> Credential | None:
        credential = from_environment(provider, self._environ)
        if credential is not None:
            self._mask.add(*credential.hidden)
        return credential

    def _open(self, name: str, kept: Kept) -> Credential:
        known = self._opened.get(name)
        if known is not None and known[0] == kept.stamp:
            return known[1]
        secrets = self._vault.get(name, kept.place)
        if secrets is None:
            where = self._vault.place(kept.place)
            raise CredentialError(
                f"The credential {name!r} is not in {where} any more. Store it: %credential add {name}"
            )
        credential = Credential(secrets, kept.type, where=_named(name))
        self._mask.add(*credential.hidden)
        self._opened[name] = kept.stamp, credential
        return credential

    def _entry(self, name: str, kept: Kept, *, disabled: bool = False) -> Entry:
        enabled = kept.enabled and not disabled
        return Entry(name, kept.provider, kept.type, enabled, self._vault.place(kept.place), kept.hint)

    def _unknown(self, name: str) -> CredentialError:
        variable = next((variable for row, variable, _ in self._variables() if row.name == name), None)
        if variable is not None:
            return CredentialError(
                f"The key of {name!r} is in {variable}, not here. Unset that, or run %credential disable {name}"
            )
        known = nearest(name, self._book.read().entries)
        return CredentialError(f"There is no credential {name!r}.{known} %credential lists them.")


def _named(name: str) -> str:
    return f"the credential {name!r}"


def _disabled(provider: str, name: str) -> CredentialError:
    return CredentialError(f"The credential for {provider!r} is disabled. Enable it: %credential enable {name}")


def _hint(credential: Credential) -> str:
    """A little of a credential, by which a person knows it again."""
    match credential.type:
        case "basic":
            return credential.secrets["user"]
        case "ak_sk":
            return _short(credential.secrets["access_key"])
    return _short(max(credential.secrets.values(), key=len))


def _short(secret: str) -> str:
    return f"{secret[:3]}…{secret[-4:]}" if len(secret) >= _HINT_FROM and secret.isprintable() else ""
