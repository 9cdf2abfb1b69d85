"""What the runs of a notebook took, added up by cell, model or notebook."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal, TypeAlias

from agentnb.messages import Usage

Key: TypeAlias = Literal["cell", "model", "notebook"]
#: Runs that are kept one by one; what was before them is kept as sums.
KEPT = 10_000
#: The cell of the runs that are no longer kept one by one.
EARLIER = "earlier"
_COLUMNS = ("runs", "input", "cached", "output", "reasoning", "seconds", "usd")


@dataclass(frozen=True, slots=True)
class Entry:
    """One run: where it stood, who answered, what it took, and when (seconds since 1970) it ended."""

    cell: str
    model: str
    usage: Usage
    when: float
    notebook: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """What runs took together. Where the price of some is not known (`unpriced`), the USD are those of the others."""

    key: str
    runs: int
    usage: Usage
    unpriced: int = 0


class Ledger:
    """The runs, in the order in which they ended; threads may share it. Its memory is bounded, its sums are not cut."""

    def __init__(self, *, kept: int = KEPT) -> None:
        self._entries: deque[Entry] = deque()
        self._kept = kept
        #: By model and notebook.
        self._earlier: dict[tuple[str, str], Row] = {}
        self._lock = threading.Lock()

    def add(self, entry: Entry) -> None:
        """Enter a run."""
        with self._lock:
            self._entries.append(entry)
            if len(self._entries) > self._kept:
                old = self._entries.popleft()
                key = old.model, old.notebook
                self._earlier[key] = _joined(self._earlier.get(key), _row(EARLIER, old))

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The runs that are kept one by one."""
        with self._lock:
            return tuple(self._entries)

    def total(self) -> Usage:
        """All of it."""
        return sum((row.usage for row in self.by("notebook")), Usage())

    def by(self, key: Key) -> tuple[Row, ...]:
        """A row for each cell, model or notebook, in the order of their first runs."""
        rows: dict[str, Row] = {}
        with self._lock:
            for (model, notebook), row in self._earlier.items():
                name = {"cell": EARLIER, "model": model, "notebook": notebook}[key]
                rows[name] = _joined(rows.get(name), replace(row, key=name))
            for entry in self._entries:
                name = getattr(entry, key)
                rows[name] = _joined(rows.get(name), _row(name, entry))
        return tuple(rows.values())

    def to_table(self, key: Key = "cell") -> Iterator[tuple[str | int | float | None, ...]]:
        """A table: the headings, a row for each, and their sum where there are several."""
        rows = self.by(key)
        yield (key, *_COLUMNS)
        if len(rows) > 1:
            rows += (reduce(_joined, rows, Row("total", 0, Usage())),)
        for row in rows:
            used = row.usage
            yield (row.key, row.runs, used.input, used.cached, used.output, used.reasoning, used.seconds, used.usd)


def _row(key: str, entry: Entry) -> Row:
    return Row(key, 1, entry.usage, unpriced=entry.usage.usd is None)


def _joined(row: Row | None, other: Row) -> Row:
    if row is None:
        return other
    return Row(row.key, row.runs + other.runs, row.usage + other.usage, row.unpriced + other.unpriced)
