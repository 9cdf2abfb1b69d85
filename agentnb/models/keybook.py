"""What is known of stored credentials beside their secrets: credentials.json, which several processes may change."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from agentnb.errors import CredentialError
from agentnb.messages import JSON
from agentnb.models.credentials import KINDS, Kind
from agentnb.models.private_files import locked, read_private, write_private
from agentnb.models.vault import Place


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored credential without its secrets; `stamp` changes with them, `hint` shows a little of them."""

    provider: str
    type: Kind
    enabled: bool = True
    place: Place = "file"
    hint: str = ""
    stamp: str = ""


@dataclass(slots=True)
class Book:
    """The stored credentials, in the order they were added, and the providers that are disabled."""

    entries: dict[str, Kept] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)


class BookFile:
    """The book of one folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "credentials.json"
        self._lock = folder / "credentials.lock"
        self._read: tuple[object, Book] = (None, Book())

    def read(self) -> Book:
        """What it says, not to be changed. Read again only after a change: this is asked at each request."""
        try:
            found = self._file.stat()
        except OSError:
            return Book()
        version = found.st_mtime_ns, found.st_size, found.st_ino
        if self._read[0] != version:
            self._read = version, _parse(self._file, read_private(self._file))
        return self._read[1]

    @contextlib.contextmanager
    def changed(self) -> Iterator[Book]:
        """What it says now, to be changed and then written, while nobody else changes it."""
        with locked(self._lock):
            book = _parse(self._file, read_private(self._file))
            yield book
            entries: dict[str, JSON] = {name: asdict(kept) for name, kept in book.entries.items()}
            write_private(self._file, {"credentials": entries, "disabled": [*sorted(book.disabled)]})


def _parse(file: Path, value: Mapping[str, JSON]) -> Book:
    stored, disabled = value.get("credentials", {}), value.get("disabled", [])
    if not isinstance(stored, dict) or not isinstance(disabled, list):
        raise CredentialError(f"{file} holds no credentials. Delete it, and add the credentials again.")
    entries = {}
    for name, each in stored.items():
        if not isinstance(each, dict) or (kept := _kept(each)) is None:
            raise CredentialError(f"{file} is damaged at {name!r}. Take that out, and add the credential again.")
        entries[name] = kept
    return Book(entries, {each for each in disabled if isinstance(each, str)})


def _kept(value: Mapping[str, JSON]) -> Kept | None:
    match value:
        case {
            "provider": str(provider),
            "type": str(said),
            "enabled": bool(enabled),
            "place": "keyring" | "file" as place,
        }:
            kind = next((known for known in KINDS if known == said), None)
            if kind is not None:
                return Kept(provider, kind, enabled, place, str(value.get("hint", "")), str(value.get("stamp", "")))
    return None
