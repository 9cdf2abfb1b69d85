"""Full-text search over everything that was said, and the named artifacts of sessions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agentnb import codec
from agentnb.errors import UsageError
from agentnb.store.database import Database
from agentnb.store.sessions import Sessions

#: Marks around what was found, in an excerpt: characters that no text has.
BEGIN, END = "\x02", "\x03"
#: Scripts that are written without spaces, which the index does not take apart.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")


@dataclass(frozen=True, slots=True)
class Found:
    """A message that was found: in which turn (from 0) of which session. `excerpt` has what was found between BEGIN and
    END; `created` is in seconds since 1970."""

    session: str
    title: str
    turn: int
    role: str
    excerpt: str
    created: float
    run: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that belongs to a session."""

    name: str
    size: int
    media_type: str | None
    created: float


class Findings:
    """Looks things up across sessions."""

    def __init__(self, database: Database, sessions: Sessions) -> None:
        self._database = database
        self._sessions = sessions

    def search(self, query: str, *, session: str | None = None, limit: int = 20) -> Sequence[Found]:
        """Messages of sessions as they are now that have all words of `query` ("two words" together, `word*` begins
        so), the newest first. Raises UsageError for a query without a word."""
        if not re.search(r"\w", query):
            raise UsageError("Say what to look for: %session search WORDS")
        query = codec.whole(query.replace("\0", " "))
        within = "AND t.session = ?" if session else ""
        values = (*([session] if session else []), limit)
        with self._database.reading() as db:
            if _UNSPACED.search(query):
                rows = db.execute(_SCAN.format(within=within), (query.strip(), *values)).fetchall()
            else:
                rows = db.execute(_INDEXED.format(within=within), (_match(query), *values)).fetchall()
        return [Found(*row) for row in rows]

    def artifacts(self, session: str) -> Sequence[Artifact]:
        """The files of a session, by name."""
        with self._database.reading() as db:
            rows = db.execute(
                """SELECT a.name, length(b.data), a.media_type, a.created FROM artifacts AS a JOIN blobs AS b
                   ON b.digest = a.digest WHERE a.session = ? ORDER BY a.name""",
                (session,),
            ).fetchall()
        return [Artifact(*row) for row in rows]

    def artifact(self, session: str, name: str) -> bytes:
        """What is in a file of a session. Raises UsageError where there is none."""
        with self._database.reading() as db:
            row = db.execute(
                """SELECT b.data FROM artifacts AS a JOIN blobs AS b ON b.digest = a.digest
                   WHERE a.session = ? AND a.name = ?""",
                (session, name),
            ).fetchone()
        if row is None:
            raise UsageError(f"Session {session} has no file {name!r}.")
        data: bytes = row[0]
        return data


# The newest of what matches, before places are looked up: a common word must not cost a look at each of its messages.
_INDEXED = f"""SELECT t.session, coalesce(nullif(s.title, ''), substr(r.prompt, 1, 60)), t.position, m.role,
    (SELECT snippet(words, 0, '{BEGIN}', '{END}', '…', 16) FROM words WHERE words MATCH ?1 AND rowid = m.id),
    m.created, m.run
    FROM (SELECT rowid AS id FROM words WHERE words MATCH ?1 ORDER BY rowid DESC LIMIT 2000) AS w
    JOIN messages AS m ON m.id = w.id JOIN turns AS t ON t.run = m.run AND t.gone IS NULL
    JOIN sessions AS s ON s.id = t.session AND s.deleted IS NULL LEFT JOIN runs AS r ON r.id = m.run
    WHERE 1 {{within}} GROUP BY m.id ORDER BY m.id DESC LIMIT ?"""
_SCAN = f"""SELECT t.session, coalesce(nullif(s.title, ''), substr(r.prompt, 1, 60)), t.position, m.role,
    substr(m.text, max(1, instr(m.text, ?1) - 30), 30) || '{BEGIN}' || ?1 || '{END}' ||
    substr(m.text, instr(m.text, ?1) + length(?1), 60), m.created, m.run
    FROM messages AS m JOIN turns AS t ON t.run = m.run AND t.gone IS NULL
    JOIN sessions AS s ON s.id = t.session AND s.deleted IS NULL LEFT JOIN runs AS r ON r.id = m.run
    WHERE instr(m.text, ?1) {{within}} GROUP BY m.id ORDER BY m.id DESC LIMIT ?"""


def _match(query: str) -> str:
    """The words of a query as FTS5 has them; everything else in it is no word of that language."""
    terms = []
    for quoted, word in re.findall(r'"([^"]+)"|(\S+)', query):
        text = quoted or word
        begins = not quoted and text.endswith("*")
        inside = text.replace('"', " ").strip("*")
        if re.search(r"\w", inside):
            terms.append(f'"{inside}"{"*" if begins else ""}')
    return " ".join(terms)
