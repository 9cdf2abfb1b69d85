"""Runs and what was said in them: written as they happen, read back, ended where their kernel was killed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from agentnb import codec
from agentnb.masking import masked
from agentnb.messages import JSON, Message, Usage
from agentnb.session import RunHead
from agentnb.store.bodies import read_bodies, read_body, write_body
from agentnb.store.database import Database
from agentnb.transcript import Transcript

if TYPE_CHECKING:
    import sqlite3

#: What is said of a run whose kernel ended before it.
LOST = "The kernel ended before the run did."
#: What a run took that took nothing.
_NOTHING = Usage()


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as it is kept. `outcome` is None while it goes on; `calls` are the tool calls (name, arguments, whether it
    failed), times seconds since 1970."""

    head: RunHead
    started: float
    ended: float | None = None
    outcome: str | None = None
    error: str | None = None
    usage: Usage = field(default_factory=Usage)
    rounds: int = 0
    calls: Sequence[Mapping[str, JSON]] = ()


class Runs:
    """The runs of a person. What is written is without secrets, by `mask`."""

    def __init__(self, database: Database, mask: Callable[[str], str]) -> None:
        self._database = database
        self._mask = mask

    def begin(self, head: RunHead, owner: str, started: float) -> None:
        """Keep that a run has begun; in a session it takes its cell's turn, or becomes the last one."""
        with self._database.writing() as db:
            if head.session is not None and head.within is None:
                _take_turn(db, head.session, head, started)
            texts = (self._mask(head.prompt), *map(self.as_kept, (dict(head.variables), dict(head.options))))
            db.execute(
                """INSERT INTO runs(id, session, within, call, cell, label, notebook, agent, model, prompt, variables,
                   options, started, owner) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                   ON CONFLICT(id) DO NOTHING""",
                (
                    *(head.id, head.session, head.within, head.call, head.cell, codec.whole(head.label)),
                    *(
                        head.notebook and codec.whole(head.notebook),
                        head.agent,
                        head.model,
                        *map(codec.whole, texts),
                        started,
                        owner,
                    ),
                ),
            )

    def add(self, run: str, position: int, message: Message, created: float) -> None:
        """Keep a message of a run at its place; one that is there already is replaced."""
        with self._database.writing() as db:
            body, text = write_body(db, message, self._mask)
            db.execute(
                """INSERT INTO messages(run, position, parent, role, body, text, created) VALUES (?, ?, ?, ?, ?, ?, ?)
                   ON CONFLICT(run, position) DO UPDATE SET role = excluded.role, body = excluded.body,
                   text = excluded.text WHERE body <> excluded.body""",
                (run, position, _parent(db, run, position), message.role, body, text, created),
            )
            db.execute("DELETE FROM partials WHERE run = ? AND position <= ?", (run, position))

    def save_partial(self, run: str, position: int, message: Message) -> None:
        """Keep what is being said so far."""
        with self._database.writing() as db:
            body, _ = write_body(db, message, self._mask)
            db.execute("INSERT OR REPLACE INTO partials VALUES (?, ?, ?, ?)", (run, position, body, time.time()))

    def end(self, transcript: Transcript, ended: float, *, tokens: int = 0) -> None:
        """Keep how a run ended and what it took; `tokens` is what its session takes now, where that is known."""
        # A price of 0 is one: the model costs nothing.
        usage = {name: value for name, value in asdict(transcript.usage).items() if value != getattr(_NOTHING, name)}
        calls = [
            {"name": c.name, "arguments": c.arguments, "failed": transcript.tools[c.id].status == "error"}
            for m in transcript.messages
            for c in m.calls
            if c.id in transcript.tools
        ]
        error = codec.whole(self._mask(transcript.error)) if transcript.error else None
        with self._database.writing() as db:
            db.execute(
                """UPDATE runs SET ended = ?, outcome = ?, error = ?, usage = ?, rounds = ?, calls = ?, model =
                   CASE WHEN model = '' THEN ? ELSE model END WHERE id = ?""",
                (
                    *(ended, transcript.outcome or "interrupted", error, json.dumps(usage), transcript.rounds),
                    *(self.as_kept(calls), transcript.model, transcript.run_id),
                ),
            )
            db.execute("DELETE FROM partials WHERE run = ?", (transcript.run_id,))
            db.execute(
                """UPDATE sessions SET updated = ?1, tokens = CASE WHEN ?2 THEN ?2 ELSE tokens END
                   WHERE id = (SELECT session FROM runs WHERE id = ?3)""",
                (ended, tokens, transcript.run_id),
            )

    def as_kept(self, value: object) -> str:
        """JSON as it is kept: its texts without secrets, its numbers as they are."""
        return codec.whole(json.dumps(masked(value, self._mask), ensure_ascii=False))  # type: ignore[arg-type]  # it is JSON

    def messages(self, run: str) -> tuple[Message, ...]:
        """What was said in a run, in order; of one in progress, as far as it is kept."""
        with self._database.reading() as db:
            rows = db.execute("SELECT body FROM messages WHERE run = ? ORDER BY position", (run,)).fetchall()
            partial = db.execute(
                """SELECT body FROM partials WHERE run = ?1 AND position >
                   coalesce((SELECT max(position) FROM messages WHERE run = ?1), -1)""",
                (run,),
            ).fetchone()
            said = read_bodies(db, (body for (body,) in rows))
            return said if partial is None else (*said, read_body(db, partial[0]))

    def of_session(self, session: str) -> dict[str, tuple[Message, ...]]:
        """What was said in all turns of a session, by run: one query, whatever their number."""
        with self._database.reading() as db:
            rows = db.execute(
                """SELECT m.run, m.body FROM turns AS t JOIN messages AS m ON m.run = t.run
                   WHERE t.session = ? AND t.gone IS NULL ORDER BY t.position, m.position""",
                (session,),
            ).fetchall()
            said: dict[str, list[Message]] = {}
            for run, body in rows:
                said.setdefault(run, []).append(read_body(db, body))
        return {run: tuple(each) for run, each in said.items()}

    def get(self, run: str) -> StoredRun | None:
        """One run, without what was said."""
        found = self.list("WHERE id = ?", (run,))
        return found[0] if found else None

    def list(self, where: str = "ORDER BY started", values: Sequence[object] = ()) -> Sequence[StoredRun]:
        """Runs, by the end of a query."""
        with self._database.reading() as db:
            rows = db.execute(
                f"""SELECT id, session, within, call, cell, label, notebook, agent, model, prompt, variables, options,
                    started, ended, outcome, error, usage, rounds, calls FROM runs {where}""",
                values,
            ).fetchall()
        return [_run(row) for row in rows]

    def within(self, run: str) -> Sequence[StoredRun]:
        """The runs that a run started, in order."""
        return self.list("WHERE within = ? ORDER BY started", (run,))

    def settle(self, alive: Callable[[str], bool]) -> int:
        """End the runs of kernels that are gone: what they were saying is kept as it was; gives how many there were."""
        with self._database.reading() as db:
            owners = [owner for (owner,) in db.execute("SELECT DISTINCT owner FROM runs WHERE ended IS NULL")]
        gone = [owner for owner in owners if not alive(owner)]
        count = 0
        for owner in gone:
            with self._database.writing() as db:
                rows = db.execute("SELECT id FROM runs WHERE owner = ? AND ended IS NULL", (owner,)).fetchall()
                for (run,) in rows:
                    self._settle_one(db, run)
                count += len(rows)
        return count

    def _settle_one(self, db: sqlite3.Connection, run: str) -> None:
        partial = db.execute("SELECT position, body, saved FROM partials WHERE run = ?", (run,)).fetchone()
        if partial is not None:
            said = read_body(db, partial[1])
            if said.role == "assistant":
                said = replace(said, finish="interrupted")
            self.add(run, partial[0], said, partial[2])
        db.execute(
            """UPDATE runs SET outcome = 'interrupted', error = ?2, ended = max(started,
               coalesce((SELECT max(created) FROM messages WHERE run = ?1), 0)) WHERE id = ?1""",
            (run, LOST),
        )


def _take_turn(db: sqlite3.Connection, session: str, head: RunHead, now: float) -> None:
    """Put a run where its cell's turn stands, or at the end; a session begins to be there with its first turn."""
    db.execute(
        """INSERT INTO sessions(id, notebook, created, updated) VALUES (?1, ?2, ?3, ?3)
           ON CONFLICT(id) DO UPDATE SET updated = ?3""",
        (session, head.notebook and codec.whole(head.notebook), now),
    )
    found = (
        head.cell
        and db.execute(
            "SELECT position FROM turns WHERE session = ? AND cell = ? AND gone IS NULL ORDER BY position LIMIT 1",
            (session, head.cell),
        ).fetchone()
    )
    if found:
        db.execute("UPDATE turns SET run = ? WHERE session = ? AND position = ?", (head.id, session, found[0]))
    else:
        db.execute(
            """INSERT INTO turns(session, position, run, cell) SELECT ?1, coalesce(max(position) + 1, 0), ?2, ?3
               FROM turns WHERE session = ?1""",
            (session, head.id, head.cell),
        )


def _parent(db: sqlite3.Connection, run: str, position: int) -> int | None:
    """The message that the one at this place is said after: in the run, or at the end of the turn before."""
    found = db.execute("SELECT id FROM messages WHERE run = ? AND position = ?", (run, position - 1)).fetchone()
    if found is None:
        found = db.execute(
            """SELECT m.id FROM turns AS t JOIN turns AS b ON b.session = t.session AND b.position < t.position
               AND b.gone IS NULL JOIN messages AS m ON m.run = b.run WHERE t.run = ?
               ORDER BY b.position DESC, m.position DESC LIMIT 1""",
            (run,),
        ).fetchone()
    return found[0] if found else None


def _run(row: Sequence[Any]) -> StoredRun:
    """From the columns, as `list` names them."""
    head = replace(RunHead(*row[:10]), variables=json.loads(row[10]), options=json.loads(row[11]))
    run = StoredRun(head, *row[12:16])
    return replace(run, usage=Usage(**json.loads(row[16])), rounds=row[17], calls=json.loads(row[18]))
