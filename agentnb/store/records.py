"""What a person keeps under a name (templates, agents, models, servers, …), with all its earlier versions."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentnb.errors import UsageError, nearest
from agentnb.messages import JSON
from agentnb.store.database import Database

Kind: TypeAlias = Literal["template", "agent", "model", "mcp_server", "tool", "setting", "env"]


@dataclass(frozen=True, slots=True)
class Record:
    """One version of a thing. `body` is None where that version says that it was removed; `created` is in seconds
    since 1970."""

    kind: Kind
    name: str
    version: int
    body: JSON
    created: float


class Records:
    """Things by kind and name. Nothing is overwritten: a change is a new version, a removal a version without body."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, kind: Kind, name: str, body: JSON, *, created: float | None = None) -> Record:
        """Keep a new version (made now, or when it is said); one that says what the last one says is that one.

        Raises StoreError.
        """
        text = None if body is None else json.dumps(body, ensure_ascii=False, sort_keys=True)
        with self._database.writing() as db:
            last = db.execute(
                "SELECT version, body, created FROM records WHERE kind = ? AND name = ? ORDER BY version DESC LIMIT 1",
                (kind, name),
            ).fetchone()
            if last and last[1] == text:
                return Record(kind, name, last[0], body, last[2])
            made = Record(kind, name, last[0] + 1 if last else 1, body, time.time() if created is None else created)
            db.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?)", (kind, name, made.version, text, made.created))
        return made

    def get(self, kind: Kind, name: str, version: int | None = None) -> Record:
        """The newest version, or the one of that number. Raises UsageError for a name or version there is not."""
        versions = self.history(kind, name)
        for each in reversed(versions):
            if each.version == (version or versions[-1].version) and each.body is not None:
                return each
        what = kind.replace("_", " ")
        if version is not None and versions:
            raise UsageError(f"The {what} {name!r} has no version {version}. It has 1 to {versions[-1].version}.")
        raise UsageError(f"There is no {what} {name!r}.{nearest(name, self.names(kind))}")

    def find(self, kind: Kind, name: str) -> Record | None:
        """The newest version; None where there is none."""
        return next((each for each in self.all(kind) if each.name == name), None)

    def all(self, kind: Kind) -> Sequence[Record]:
        """The newest version of each, by name; what was removed is left out."""
        with self._database.reading() as db:
            rows = db.execute(
                """SELECT name, version, body, created FROM records AS r WHERE kind = ? AND body IS NOT NULL
                   AND version = (SELECT max(version) FROM records WHERE kind = r.kind AND name = r.name)
                   ORDER BY name""",
                (kind,),
            ).fetchall()
        return [Record(kind, name, version, json.loads(body), created) for name, version, body, created in rows]

    def names(self, kind: Kind) -> Sequence[str]:
        """The names there are."""
        return [each.name for each in self.all(kind)]

    def history(self, kind: Kind, name: str) -> Sequence[Record]:
        """All versions, the oldest first, removals among them."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT version, body, created FROM records WHERE kind = ? AND name = ? ORDER BY version", (kind, name)
            ).fetchall()
        return [
            Record(kind, name, version, None if body is None else json.loads(body), created)
            for version, body, created in rows
        ]

    def versions(self, kind: Kind) -> Sequence[Record]:
        """All versions of all things of a kind, those that were removed as well."""
        with self._database.reading() as db:
            names = db.execute("SELECT DISTINCT name FROM records WHERE kind = ? ORDER BY name", (kind,)).fetchall()
        return [each for (name,) in names for each in self.history(kind, name)]

    def remove(self, kind: Kind, name: str) -> None:
        """Remove it; its versions stay, and `restore` brings it back. Raises UsageError where there is none."""
        self.get(kind, name)
        self.put(kind, name, None)

    def restore(self, kind: Kind, name: str, version: int | None = None) -> Record:
        """An earlier version again, as the newest; by default the last one that was not removed."""
        kept = [each for each in self.history(kind, name) if each.body is not None]
        if version is None and kept:
            return self.put(kind, name, kept[-1].body)
        return self.put(kind, name, self.get(kind, name, version).body)

    def rename(self, kind: Kind, old: str, new: str) -> Record:
        """Under another name, as version 1 of that. Raises UsageError where that name is taken."""
        found = self.get(kind, old)
        with self._database.writing():
            if self.find(kind, new) is not None:
                raise UsageError(
                    f"There is a {kind.replace('_', ' ')} {new!r} already. Take another name, or remove it."
                )
            made = self.put(kind, new, found.body)
            self.remove(kind, old)
        return made
