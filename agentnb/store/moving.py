"""Sessions as they leave a store and come into one: whole, with their runs, and without overwriting what is there."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace

from agentnb import codec
from agentnb.masking import mask_message
from agentnb.session import checked_id
from agentnb.store.bodies import keep_artifact
from agentnb.store.database import Database
from agentnb.store.memory import MemoryEntry, Summary
from agentnb.store.moved import Arrived, MovedArtifact, MovedRun, MovedSession, MovedTurn, Said
from agentnb.store.runs import Runs, StoredRun

#: Characters that are left of an id to which something is added.
_ID_CHARS = 60


class Moving:
    """Takes sessions out whole and puts them in, both without secrets, by `mask`: one may have become known since."""

    def __init__(self, database: Database, runs: Runs, mask: Callable[[str], str]) -> None:
        self._database = database
        self._runs = runs
        self._mask = mask

    def ids(self, *, removed: bool = False) -> Sequence[str]:
        """The ids of all sessions, the oldest first; with those that were removed, if asked for."""
        where = "" if removed else "WHERE deleted IS NULL"
        with self._database.reading() as db:
            return [row[0] for row in db.execute(f"SELECT id FROM sessions {where} ORDER BY created, id")]

    def take(self, session_id: str) -> MovedSession:
        """A session with everything that belongs to it. Raises KeyError where there is none of exactly this id."""
        with self._database.reading() as db:
            row = db.execute(
                """SELECT id, title, titled_by, notebook, forked_from, created, updated, tokens, deleted
                   FROM sessions WHERE id = ?""",
                (session_id,),
            ).fetchone()
            if row is None:
                raise KeyError(session_id)
            turns = db.execute(
                "SELECT run, cell, gone FROM turns WHERE session = ? ORDER BY position", (session_id,)
            ).fetchall()
            summaries = db.execute(
                """SELECT version, upto, text, created FROM summaries WHERE session = ? AND gone IS NULL
                   ORDER BY version""",
                (session_id,),
            ).fetchall()
            memories = db.execute(
                """SELECT type, content, confidence, turn, created FROM memories
                   WHERE session = ? AND deleted IS NULL ORDER BY id""",
                (session_id,),
            ).fetchall()
            artifacts = db.execute(
                """SELECT a.name, b.data, a.media_type, a.created FROM artifacts AS a JOIN blobs AS b
                   ON b.digest = a.digest WHERE a.session = ? ORDER BY a.name""",
                (session_id,),
            ).fetchall()
        return replace(
            MovedSession(*row),
            title=self._mask(row[1]),
            turns=tuple(MovedTurn(*each) for each in turns),
            runs=tuple(self._all_runs([each[0] for each in turns])),
            summaries=tuple(Summary(at, upto, self._mask(text), when) for at, upto, text, when in summaries),
            memories=tuple(MemoryEntry(kind, self._mask(text), *rest) for kind, text, *rest in memories),
            artifacts=tuple(MovedArtifact(*each) for each in artifacts),
        )

    def loose(self) -> Sequence[MovedRun]:
        """The runs that stand in no session, and those within them."""
        found = self._runs.list("WHERE session IS NULL AND within IS NULL ORDER BY started")
        return list(self._all_runs([run.head.id for run in found]))

    def put(self, moved: MovedSession) -> Arrived:
        """Bring a session in; what is there already is left as it is. Raises UsageError for an id that can be none."""
        checked_id(moved.id)
        digest = self.digest(moved)
        with self._database.writing() as db:
            for made in (moved.id, *(f"{moved.id[:_ID_CHARS]}-{digest[:length]}" for length in (6, 12, 24))):
                found = db.execute("SELECT deleted FROM sessions WHERE id = ?", (made,)).fetchone()
                if found is None:
                    self._insert(moved, made)
                    return Arrived(made, "new" if made == moved.id else "copy")
                if self._covers(self.take(made), moved):
                    return Arrived(made, "same" if found[0] is None else "removed")
        return Arrived(made, "same")

    def put_loose(self, runs: Sequence[MovedRun]) -> int:
        """Bring in runs that stand in no session; gives how many were not there yet."""
        with self._database.writing():
            return sum(made for _, made in self._insert_runs(runs, None).values())

    def digest(self, moved: MovedSession) -> str:
        """What tells sessions apart by what was said in them."""
        parts = [*self._turn_digests(moved), *sorted(self._beside(moved))]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _covers(self, ours: MovedSession, theirs: MovedSession) -> bool:
        """Whether all that comes in is there: each turn in the same order, and what belongs to the session."""
        remaining = iter(self._turn_digests(ours))
        return all(turn in remaining for turn in self._turn_digests(theirs)) and self._beside(theirs) <= self._beside(
            ours
        )

    def _turn_digests(self, moved: MovedSession) -> list[str]:
        by_id = {each.run.head.id: each for each in moved.runs}
        return [self._run_digest(by_id[turn.run]) for turn in moved.turns if turn.run in by_id]

    def _beside(self, moved: MovedSession) -> set[str]:
        turns = {turn.run for turn in moved.turns}
        return {
            *(f"run {self._run_digest(each)}" for each in moved.runs if each.run.head.id not in turns),
            *(f"summary {self._mask(each.text)}" for each in moved.summaries),
            *(f"memory {each.type} {self._mask(each.content)}" for each in moved.memories),
            *(f"artifact {each.name} {hashlib.sha256(each.data).hexdigest()}" for each in moved.artifacts),
        }

    def _run_digest(self, moved: MovedRun) -> str:
        digest = hashlib.sha256()
        for said in moved.said:
            digest.update(codec.message_json(mask_message(said.message, self._mask)).encode() + b"\n")
        return digest.hexdigest()

    def _all_runs(self, ids: Iterable[str]) -> Iterable[MovedRun]:
        pending, seen = list(dict.fromkeys(ids)), set[str]()
        while pending:
            run = self._runs.get(pending.pop(0))
            if run is None or run.head.id in seen:
                continue
            seen.add(run.head.id)
            yield MovedRun(self._hidden(run), self._said(run.head.id))
            pending += [each.head.id for each in self._runs.within(run.head.id)]

    def _said(self, run: str) -> tuple[Said, ...]:
        with self._database.reading() as db:
            times = [
                row[0] for row in db.execute("SELECT created FROM messages WHERE run = ? ORDER BY position", (run,))
            ]
        messages = self._runs.messages(run)
        # What is still being said has no time of its own yet.
        times += [times[-1] if times else time.time()] * (len(messages) - len(times))
        return tuple(map(Said, (mask_message(each, self._mask) for each in messages), times))

    def _hidden(self, run: StoredRun) -> StoredRun:
        head = run.head
        variables, options, calls = (
            json.loads(self._runs.as_kept(each))
            for each in (dict(head.variables), dict(head.options), [dict(call) for call in run.calls])
        )
        head = replace(head, prompt=self._mask(head.prompt), variables=variables, options=options)
        return replace(run, head=head, calls=calls, error=self._mask(run.error) if run.error else None)

    def _insert(self, moved: MovedSession, made: str) -> None:
        """Put a session in under a new id, or its own. Runs stay those of the session that began them."""
        runs = [_placed(each, made) if each.run.head.session == moved.id else each for each in moved.runs]
        moved = replace(moved, id=made, runs=tuple(runs))
        with self._database.writing() as db:
            db.execute(
                """INSERT INTO sessions(id, title, titled_by, notebook, forked_from, created, updated, tokens, deleted,
                   seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                (
                    *(moved.id, self._mask(moved.title), moved.titled_by, moved.notebook, moved.forked_from),
                    *(moved.created, moved.updated, moved.tokens, moved.deleted, time.time()),
                ),
            )
            names = self._insert_runs(moved.runs, moved)
            for summary in moved.summaries:
                values = (moved.id, summary.version, summary.upto, self._mask(summary.text), summary.created)
                db.execute(
                    "INSERT OR IGNORE INTO summaries(session, version, upto, text, created) VALUES (?, ?, ?, ?, ?)",
                    values,
                )
            for entry in moved.memories:
                db.execute(
                    "INSERT INTO memories(session, type, content, confidence, turn, created) VALUES (?, ?, ?, ?, ?, ?)",
                    (moved.id, entry.type, self._mask(entry.content), entry.confidence, entry.turn, entry.created),
                )
            for artifact in moved.artifacts:
                keep_artifact(db, moved.id, artifact.name, artifact.data, artifact.media_type, artifact.created)
            db.executemany(
                "UPDATE turns SET run = ? WHERE session = ? AND run = ?",
                [(new, moved.id, old) for old, (new, _) in names.items() if new != old],
            )

    def _insert_runs(self, runs: Sequence[MovedRun], session: MovedSession | None) -> dict[str, tuple[str, bool]]:
        """Insert the runs that are not there; gives for each its id here, and whether it was new."""
        names: dict[str, tuple[str, bool]] = {}
        for moved in runs:
            run_id = moved.run.head.id
            here = self._runs.get(run_id)
            if here is None:
                names[run_id] = run_id, True
                continue
            digest = self._run_digest(moved)
            same = self._run_digest(MovedRun(here, self._said(run_id))) == digest
            # A run of this id in which something else was said is another one.
            other = f"{run_id[:_ID_CHARS]}-{digest[:12]}"
            names[run_id] = (run_id, False) if same else (other, self._runs.get(other) is None)
        with self._database.writing() as db:
            if session is not None:
                db.executemany(
                    "INSERT INTO turns(session, position, run, cell, gone) VALUES (?, ?, ?, ?, ?)",
                    [(session.id, at, each.run, each.cell, each.gone) for at, each in enumerate(session.turns)],
                )
        for moved in runs:
            name, new = names[moved.run.head.id]
            if new:
                self._insert_run(moved, name, names)
        return names

    def _insert_run(self, moved: MovedRun, name: str, names: Mapping[str, tuple[str, bool]]) -> None:
        run, head = moved.run, moved.run.head
        last = moved.said[-1].created if moved.said else run.started
        usage = {key: value for key, value in asdict(run.usage).items() if key != "type" and value}
        within = names.get(head.within, (head.within, False))[0] if head.within else None
        texts = map(self._runs.as_kept, (dict(head.variables), dict(head.options), [dict(call) for call in run.calls]))
        with self._database.writing() as db:
            db.execute(
                """INSERT INTO runs(id, session, within, call, cell, label, notebook, agent, model, prompt, variables,
                   options, calls, usage, rounds, started, ended, outcome, error)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                (
                    *(
                        name,
                        head.session,
                        within,
                        head.call,
                        head.cell,
                        head.label,
                        head.notebook,
                        head.agent,
                        head.model,
                    ),
                    *(self._mask(head.prompt), *texts, json.dumps(usage), run.rounds, run.started),
                    *(run.ended or last, run.outcome or "interrupted", self._mask(run.error) if run.error else None),
                ),
            )
        for position, said in enumerate(moved.said):
            self._runs.add(name, position, said.message, said.created)


def _placed(moved: MovedRun, session: str) -> MovedRun:
    return replace(moved, run=replace(moved.run, head=replace(moved.run.head, session=session)))
