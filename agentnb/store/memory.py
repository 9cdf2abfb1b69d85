"""What is remembered of long sessions: a summary of what was said before, and single things worth keeping."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from agentnb import codec
from agentnb.errors import UsageError
from agentnb.store.database import Database

EntryType: TypeAlias = Literal["fact", "preference", "decision", "entity"]
ENTRY_TYPES: tuple[EntryType, ...] = ("fact", "preference", "decision", "entity")


@dataclass(frozen=True, slots=True)
class Summary:
    """What the first `upto` turns of a session said, in short; `created` is in seconds since 1970."""

    version: int
    upto: int
    text: str
    created: float


@dataclass(frozen=True, slots=True)
class MemoryEntry:
    """One thing worth keeping: of which type, how sure (0 to 1), from which turn on (from 0)."""

    type: EntryType
    content: str
    confidence: float = 1.0
    turn: int = 0
    created: float = 0.0
    id: int = 0


class Memory:
    """Summaries and memories of sessions, without secrets, by `mask`: a model may repeat one that it read."""

    def __init__(self, database: Database, mask: Callable[[str], str] = lambda text: text) -> None:
        self._database = database
        self._mask = mask

    def summary(self, session: str) -> Summary | None:
        """The newest summary; None where there is none."""
        with self._database.reading() as db:
            row = db.execute(
                """SELECT version, upto, text, created FROM summaries WHERE session = ? AND gone IS NULL
                   ORDER BY version DESC LIMIT 1""",
                (session,),
            ).fetchone()
        return Summary(*row) if row else None

    def summarize(self, session: str, text: str, upto: int, entries: Sequence[MemoryEntry] = ()) -> Summary:
        """Keep a new summary and what is worth keeping, both or neither. An entry that is there already stays."""
        now, text = time.time(), self._written(text)
        with self._database.writing() as db:
            (last,) = db.execute("SELECT max(version) FROM summaries WHERE session = ?", (session,)).fetchone()
            made = Summary((last or 0) + 1, upto, text, now)
            db.execute(
                "INSERT INTO summaries(session, version, upto, text, created) VALUES (?, ?, ?, ?, ?)",
                (session, made.version, upto, text, now),
            )
            known = {(each.type, each.content) for each in self.entries(session)}
            for each in (replace(entry, content=self._written(entry.content)) for entry in entries):
                if (each.type, each.content) not in known:
                    self.add(session, each)
        return made

    def edit_summary(self, session: str, text: str) -> Summary:
        """The same turns in other words. Raises UsageError where there is no summary."""
        last = self.summary(session)
        if last is None:
            raise UsageError("There is no summary yet. %session summary --now makes one.")
        return self.summarize(session, text, last.upto)

    def entries(self, session: str) -> Sequence[MemoryEntry]:
        """What is kept of a session, the oldest first."""
        with self._database.reading() as db:
            rows = db.execute(
                """SELECT type, content, confidence, turn, created, id FROM memories
                   WHERE session = ? AND deleted IS NULL ORDER BY id""",
                (session,),
            ).fetchall()
        return [MemoryEntry(*row) for row in rows]

    def add(self, session: str, entry: MemoryEntry) -> MemoryEntry:
        """Keep one more thing."""
        with self._database.writing() as db:
            made = db.execute(
                "INSERT INTO memories(session, type, content, confidence, turn, created) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    session,
                    entry.type,
                    self._written(entry.content),
                    entry.confidence,
                    entry.turn,
                    entry.created or time.time(),
                ),
            )
            number = made.lastrowid
        return next(each for each in self.entries(session) if each.id == number)

    def edit(self, session: str, number: int, content: str) -> None:
        """Say it in other words. Raises UsageError where there is no such entry."""
        self._change(session, number, "content = ?, edited = ?", self._written(content), time.time())

    def remove(self, session: str, number: int) -> None:
        """Forget it. Raises UsageError where there is no such entry."""
        self._change(session, number, "deleted = ?", time.time())

    def _written(self, text: str) -> str:
        return codec.whole(self._mask(text))

    def _change(self, session: str, number: int, what: str, *values: object) -> None:
        with self._database.writing() as db:
            changed = db.execute(
                f"UPDATE memories SET {what} WHERE session = ? AND id = ? AND deleted IS NULL",
                (*values, session, number),
            ).rowcount
        if not changed:
            raise UsageError(f"This session has no memory {number}. %session memory shows them with their numbers.")
