"""The sessions of a person: begun, listed, forked, cut back, put away and brought again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from agentnb import codec
from agentnb.errors import UsageError
from agentnb.session import checked_id, new_id
from agentnb.store.database import Database
from agentnb.store.infos import Place, SessionInfo, Status

if TYPE_CHECKING:
    import sqlite3

#: Days for which a session that was removed can be brought back.
KEPT_DAYS = 30
_TITLE_CHARS = 100


class Sessions:
    """Sessions and which runs make them up. `alive` says whether a kernel that wrote a run still runs."""

    def __init__(
        self, database: Database, alive: Callable[[str], bool], mask: Callable[[str], str] = lambda text: text
    ) -> None:
        self._database = database
        self._alive = alive
        self._mask = mask

    def create(self, session_id: str | None = None, *, notebook: str | None = None, title: str = "") -> SessionInfo:
        """A new session; one of that id that is there already is that one. Raises UsageError for a bad id."""
        made = checked_id(session_id) if session_id else new_id()
        now = time.time()
        with self._database.writing() as db:
            db.execute(
                """INSERT INTO sessions(id, title, titled_by, notebook, created, updated) VALUES (?, ?, ?, ?, ?, ?)
                   ON CONFLICT(id) DO NOTHING""",
                (made, title, "person" if title else "", notebook, now, now),
            )
        return self.get(made)

    def get(self, session_id: str) -> SessionInfo:
        """One of them, by its id or how that begins. Raises UsageError for one there is not, or that was removed."""
        found = self._found(checked_id(session_id))
        if not found:
            raise UsageError(f"There is no session {session_id!r}. %session list shows those there are.")
        if len(found) > 1:
            raise UsageError(f"Several sessions begin with {session_id!r}: {', '.join(each.id for each in found[:5])}.")
        if found[0].deleted is not None:
            raise UsageError(f"Session {found[0].id} was removed. %session restore {found[0].id} brings it back.")
        return found[0]

    def known(self, session_id: str) -> bool:
        """Whether there is a session of exactly this id, removed or not."""
        with self._database.reading() as db:
            return bool(db.execute("SELECT 1 FROM sessions WHERE id = ?", (session_id,)).fetchone())

    def list(
        self, limit: int = 50, *, notebook: str | None = None, deleted: bool = False, offset: int = 0
    ) -> Sequence[SessionInfo]:
        """Sessions, those that were used last first; of one notebook, or those that were removed."""
        where = f"deleted IS {'NOT ' if deleted else ''}NULL" + (" AND notebook = ?" if notebook else "")
        values = (*([notebook] if notebook else []), limit, offset)
        return self._infos(f"WHERE {where} ORDER BY updated DESC LIMIT ? OFFSET ?", values)

    def latest(self, notebook: str) -> SessionInfo | None:
        """The session that a notebook used last."""
        found = self.list(1, notebook=notebook)
        return found[0] if found else None

    def place(self, session_id: str, notebook: str | None) -> None:
        """Say which notebook it belongs to."""
        self._set(session_id, "notebook = ?", notebook)

    def title(self, session_id: str, title: str, *, by: Literal["person", "model"] = "person") -> str:
        """Give it a title, cut to one line of 100 characters; gives what was kept."""
        kept = codec.whole(" ".join(self._mask(title).split())[:_TITLE_CHARS])
        self._set(session_id, "title = ?, titled_by = ?", kept, by)
        return kept

    def read(self, session_id: str, *, patience: float | None = None) -> None:
        """It was looked at: nothing in it is unread. `patience` is how many seconds to wait for other writers."""
        self._set(session_id, "seen = ?", time.time(), patience=patience)

    def remove(self, session_id: str) -> None:
        """Put it away; what was removed more than 30 days ago goes for good."""
        self._set(self.get(session_id).id, "deleted = ?", time.time())
        self.purge(time.time() - KEPT_DAYS * 86_400)

    def restore(self, session_id: str) -> SessionInfo:
        """Bring back one that was removed. Raises UsageError where there is none."""
        found = [each for each in self._found(checked_id(session_id)) if each.deleted is not None]
        if len(found) != 1:
            raise UsageError(f"No removed session is called {session_id!r}. %session list --removed shows them.")
        self._set(found[0].id, "deleted = NULL")
        return self.get(found[0].id)

    def purge(self, before: float) -> None:
        """Forget for good what was removed before that time. Runs stay that other sessions have too."""
        with self._database.writing() as db:
            for (gone,) in db.execute("SELECT id FROM sessions WHERE deleted < ?", (before,)).fetchall():
                for table in ("turns", "artifacts", "summaries", "memories"):
                    db.execute(f"DELETE FROM {table} WHERE session = ?", (gone,))
                db.execute("DELETE FROM sessions WHERE id = ?", (gone,))
                _forget_runs(db, gone)

    def fork(self, session_id: str, turns: int | None = None, *, notebook: str | None = None) -> SessionInfo:
        """A new session that begins with the first `turns` of another (all of them): nothing is copied but places."""
        origin = self.get(session_id)
        kept = self.places(origin.id)[:turns]
        made = new_id()
        now = time.time()
        title = f"{origin.title} (fork)" if origin.title else ""
        with self._database.writing() as db:
            db.execute(
                """INSERT INTO sessions(id, title, titled_by, notebook, forked_from, created, updated, tokens)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
                (made, title, origin.titled_by, notebook or origin.notebook, origin.id, now, now, origin.tokens),
            )
            db.executemany(
                "INSERT INTO turns(session, position, run, cell) VALUES (?, ?, ?, ?)",
                [(made, each.position, each.run, each.cell) for each in kept],
            )
            db.execute(
                """INSERT INTO summaries(session, version, upto, text, created)
                   SELECT ?, version, upto, text, created FROM summaries
                   WHERE session = ? AND upto <= ?""",
                (made, origin.id, len(kept)),
            )
            db.execute(
                """INSERT INTO memories(session, type, content, confidence, turn, created, edited)
                   SELECT ?, type, content, confidence, turn, created, edited FROM memories
                   WHERE session = ? AND deleted IS NULL AND turn < ?""",
                (made, origin.id, len(kept)),
            )
        return self.get(made)

    def revoke(self, session_id: str, keep: int) -> int:
        """Take back all turns but the first `keep`; gives how many. `unrevoke` brings them again."""
        gone = self.places(session_id)[keep:]
        if gone:
            now = time.time()
            with self._database.writing() as db:
                db.execute(
                    "UPDATE turns SET gone = ? WHERE session = ? AND position >= ? AND gone IS NULL",
                    (now, session_id, gone[0].position),
                )
                db.execute(
                    "UPDATE summaries SET gone = ? WHERE session = ? AND upto > ? AND gone IS NULL",
                    (now, session_id, keep),
                )
                db.execute(
                    "UPDATE memories SET deleted = ? WHERE session = ? AND turn >= ? AND deleted IS NULL",
                    (now, session_id, keep),
                )
                db.execute("UPDATE sessions SET updated = ? WHERE id = ?", (now, session_id))
        return len(gone)

    def unrevoke(self, session_id: str) -> int:
        """Bring back what was taken back last; gives how many turns. A cell that ran again since keeps its new one."""
        with self._database.writing() as db:
            (when,) = db.execute("SELECT max(gone) FROM turns WHERE session = ?", (session_id,)).fetchone()
            if when is None or when < 0:  # below 0: turns whose cells have run again
                return 0
            db.execute("UPDATE memories SET deleted = NULL WHERE session = ? AND deleted = ?", (session_id, when))
            db.execute("UPDATE summaries SET gone = NULL WHERE session = ? AND gone = ?", (session_id, when))
            brought = db.execute(
                """UPDATE turns SET gone = NULL WHERE session = ?1 AND gone = ?2 AND coalesce(cell, '') NOT IN
                   (SELECT cell FROM turns WHERE session = ?1 AND gone IS NULL AND cell IS NOT NULL)""",
                (session_id, when),
            ).rowcount
            db.execute("UPDATE turns SET gone = -gone WHERE session = ? AND gone = ?", (session_id, when))
            return brought

    def places(self, session_id: str) -> Sequence[Place]:
        """The turns in order, without what was said."""
        with self._database.reading() as db:
            rows = db.execute(
                """SELECT t.position, t.run, t.cell, r.ended IS NOT NULL
                   FROM turns AS t LEFT JOIN runs AS r ON r.id = t.run
                   WHERE t.session = ? AND t.gone IS NULL ORDER BY t.position""",
                (session_id,),
            ).fetchall()
        return [Place(position, run, cell, bool(ended)) for position, run, cell, ended in rows]

    def _set(self, session_id: str, what: str, *values: object, patience: float | None = None) -> None:
        with self._database.writing(patience) as db:
            db.execute(f"UPDATE sessions SET {what} WHERE id = ?", (*values, session_id))

    def _found(self, begins: str) -> Sequence[SessionInfo]:
        exact = self._infos("WHERE id = ?", (begins,))
        # A range, not LIKE, in which `_` stands for any letter.
        return exact or self._infos("WHERE id >= ? AND id < ? ORDER BY id LIMIT 6", (begins, begins + "\U0010ffff"))

    def _infos(self, where: str, values: tuple[object, ...]) -> Sequence[SessionInfo]:
        with self._database.reading() as db:
            rows = db.execute(
                f"SELECT id, title, titled_by, notebook, forked_from, created, updated, tokens, deleted, seen "
                f"FROM sessions {where}",
                values,
            ).fetchall()
            return [self._info(db, *row[:8], deleted=row[8], seen=row[9]) for row in rows]

    def _info(
        self,
        db: sqlite3.Connection,
        session_id: str,
        title: str,
        titled_by: str,
        notebook: str | None,
        forked_from: str | None,
        created: float,
        updated: float,
        tokens: int,
        *,
        deleted: float | None,
        seen: float,
    ) -> SessionInfo:
        turns, first = db.execute(
            """SELECT count(*), (SELECT run FROM turns WHERE session = ?1 AND gone IS NULL ORDER BY position LIMIT 1)
               FROM turns WHERE session = ?1 AND gone IS NULL""",
            (session_id,),
        ).fetchone()
        begins = (
            db.execute("SELECT substr(prompt, 1, 200) FROM runs WHERE id = ?", (first,)).fetchone() if first else None
        )
        preview = " ".join(begins[0].split())[:60] if begins else ""
        status = self._status(db, session_id, seen)
        return SessionInfo(
            session_id,
            title,
            titled_by,
            notebook,
            forked_from,
            created,
            updated,
            tokens,
            turns,
            status,
            preview,
            deleted,
        )

    def _status(self, db: sqlite3.Connection, session_id: str, seen: float) -> Status:
        open_runs = db.execute(
            "SELECT DISTINCT owner FROM runs WHERE session = ? AND within IS NULL AND ended IS NULL", (session_id,)
        ).fetchall()
        if any(self._alive(owner) for (owner,) in open_runs):
            return "streaming"
        last = db.execute(
            """SELECT outcome FROM runs WHERE session = ? AND within IS NULL AND started > 0 AND ended > ?
               ORDER BY ended DESC LIMIT 1""",
            (session_id, seen),
        ).fetchone()
        if last is None:
            return "idle"
        return "error_unread" if last[0] in ("error", "interrupted") else "done_unread"


def _forget_runs(db: sqlite3.Connection, session_id: str) -> None:
    rows = db.execute(
        """SELECT id FROM runs WHERE session = ? AND id NOT IN (SELECT run FROM turns)
           AND coalesce(within, '') NOT IN (SELECT run FROM turns)""",
        (session_id,),
    ).fetchall()
    for (run,) in rows:
        for table, column in (("messages", "run"), ("partials", "run"), ("runs", "id")):
            db.execute(f"DELETE FROM {table} WHERE {column} = ?", (run,))
