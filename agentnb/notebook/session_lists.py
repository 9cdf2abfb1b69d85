"""Sessions, and what is kept of them, as tables."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from agentnb.notebook.tables import Table
from agentnb.prompting.plain import moment, plural, size
from agentnb.store.finding import BEGIN, END, Artifact, Found
from agentnb.store.infos import SessionInfo, Status
from agentnb.store.memory import MemoryEntry

#: What a person reads of a status.
STATUS: Mapping[Status, str] = {
    "streaming": "● answering",
    "done_unread": "● done, unread",
    "error_unread": "✗ failed, unread",
    "idle": "○ idle",
}
#: Stand for BEGIN and END, which `clean` takes out of cells, until the cell is escaped.
_OPEN, _CLOSE = "\ue000", "\ue001"
_MARKED = re.compile(f"{_OPEN}([^{_OPEN}{_CLOSE}<]*){_CLOSE}?")
_MARK = '<mark style="background-color:#f5c51866;color:inherit">'


def sessions(found: Sequence[SessionInfo], this: str, notebook: str | None, note: str = "") -> Table:
    """A row for each; `this` is the id of the one that the notebook talks in, `notebook` the notebook's path."""
    now = time.time()
    rows = tuple(
        (
            "▸" if each.id == this else "",
            STATUS[each.status],
            each.name,
            f"{each.turns:,}",
            when(each.deleted or each.updated, now),
            of_notebook(each.notebook, notebook),
            each.id,
        )
        for each in found
    )
    return Table(("", "status", "title", "turns", "when", "notebook", "id"), rows, note)


def of_notebook(path: str | None, this: str | None) -> str:
    """A notebook by its name; the one that runs here as such."""
    if not path:
        return ""
    return "this one" if path == this else PurePath(path).name


def when(seconds: float, now: float) -> str:
    """How long ago, and the date: `2 min ago (2026-11-28 06:20)`."""
    gone = max(0.0, now - seconds)
    for length, word in ((86_400 * 2, "days"), (3600 * 2, "h"), (60, "min")):
        if gone >= length:
            unit = {"days": 86_400, "h": 3600, "min": 60}[word]
            return f"{int(gone // unit)} {word} ago ({moment(seconds)})"
    return f"just now ({moment(seconds)})"


def findings(
    found: Sequence[Found], words: str, names: Mapping[str, str], turn_of: Mapping[tuple[str, str], int]
) -> Table:
    """What was found, the words in it marked; `names` are those of sessions, `turn_of` counts turns by session and run,
    from 0."""
    now = time.time()
    rows = tuple(
        (
            names[each.session],
            f"{turn_of.get((each.session, each.run), each.turn) + 1}",
            each.role,
            _marked(each.excerpt),
            when(each.created, now),
            each.session,
        )
        for each in found
    )
    note = f"Nothing that was said has {words!r} in it." if not found else ""
    return _Excerpts(("session", "turn", "who", "where", "when", "id"), rows, note)


def memories(found: Sequence[MemoryEntry]) -> Table:
    """What is remembered, by numbers."""
    now = time.time()
    rows = tuple(
        (f"{each.id}", each.type, each.content, f"{each.confidence:.0%}", f"{each.turn + 1}", when(each.created, now))
        for each in found
    )
    none = "Nothing is remembered yet. %session memory add TYPE TEXT keeps something."
    note = "%session memory edit N TEXT says it otherwise, rm N forgets it." if rows else none
    return Table(("no.", "type", "what", "sure", "from turn", "when"), rows, note, widest=300)


def artifacts(found: Sequence[Artifact]) -> Table:
    """The files of a session."""
    now = time.time()
    rows = tuple((each.name, size(each.size), each.media_type or "", when(each.created, now)) for each in found)
    return Table(("file", "size", "type", "when"), rows, "" if rows else "No files belong to this session.")


def turns(count: int) -> str:
    """`3 turns`."""
    return plural(count, "turn")


def _marked(excerpt: str) -> str:
    plain = excerpt.replace(_OPEN, "").replace(_CLOSE, "")
    return plain.replace(BEGIN, _OPEN).replace(END, _CLOSE)


class _Excerpts(Table):
    """A table in which words are marked: in HTML by colour, in text by guillemets."""

    __slots__ = ()

    def __str__(self) -> str:
        return _MARKED.sub(r"«\1»", Table.__str__(self)).replace(_CLOSE, "")

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return _MARKED.sub(rf"{_MARK}\1</mark>", Table._repr_html_(self)).replace(_CLOSE, "")
