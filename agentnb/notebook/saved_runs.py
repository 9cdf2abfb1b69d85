"""The runs that a notebook file holds, as their records have them, and which of them is meant."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentnb.errors import UsageError, nearest
from agentnb.notebook.tables import Table
from agentnb.render import RUN_MIME
from agentnb.render.recorded import read_record
from agentnb.render.terminal import one_line

#: Bytes of a file that is read: a notebook with more has its pictures, and little else, in it.
_MOST = 500_000_000
_NUMBER = re.compile(r"\[?(\d{1,9})\]?")


@dataclass(frozen=True, slots=True)
class SavedRun:
    """A run in a file: the id, the number and the text of its cell, where that stands, and its record, unread."""

    cell: str
    count: int | None
    at: int
    source: str
    record: object

    @property
    def title(self) -> str:
        """What it is called: `In [3]`, or its cell's id where it has no number."""
        return f"In [{self.count}]" if self.count is not None else f"cell {one_line(self.cell, 12) or self.at + 1}"

    @property
    def repeats(self) -> bool:
        """Whether it is a replay itself."""
        return isinstance(self.record, dict) and bool(self.record.get("replays"))


@dataclass(frozen=True, slots=True)
class SavedNotebook:
    """A notebook's file as it was read: the ids of its cells, in order, and its runs."""

    path: Path
    cells: Sequence[str]
    runs: Sequence[SavedRun]

    def find(self, which: str, here: str | None) -> SavedRun:
        """The run of a cell, by its number (`3`, `[3]`) or how its id begins; of "", the last above the cell `here`.

        Of a cell that has several, it is the last one. Raises UsageError.
        """
        if not self.runs:
            raise UsageError(f"{self.path.name} holds no run. Save it after a %%agent cell has run, then replay.")
        found = self._named(which) if which else self._above(here)
        if len({run.at for run in found}) > 1 and which:
            titles = ", ".join(dict.fromkeys(f"{run.title} ({one_line(run.cell, 12)})" for run in found))
            raise UsageError(f"{which!r} may be several: {titles}. Say more of the cell's id.")
        if found:
            return found[-1]
        known = [str(run.count) for run in self.runs] + [run.cell for run in self.runs]
        what = f"{self.path.name} holds no run in cell {which!r}." if which else "No run stands above this cell."
        raise UsageError(
            f"{what}{nearest(which, known) if which else ''} %agent replay list shows those that it holds."
        )

    def _named(self, which: str) -> Sequence[SavedRun]:
        number = _NUMBER.fullmatch(which)
        counted = [run for run in self.runs if number and run.count == int(number[1])]
        exact = [run for run in self.runs if run.cell == which]
        return counted or exact or [run for run in self.runs if run.cell.startswith(which)]

    def _above(self, here: str | None) -> Sequence[SavedRun]:
        end = self.cells.index(here) if here is not None and here in self.cells else len(self.cells)
        above = [run for run in self.runs if run.at < end]
        return [run for run in above if not run.repeats] or above

    def table(self) -> Table:
        """What there is: a row for each run."""
        rows = tuple(map(_row, self.runs))
        return Table(("cell", "id", "model", "prompt", "tokens", "outcome"), rows, "" if rows else self._none())

    def _none(self) -> str:
        return f"{self.path.name} holds no run: it has none, or was not saved since."


def read_notebook(path: Path) -> SavedNotebook:
    """The runs of a file. Raises UsageError where it is not there, or is no notebook."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"{str(path)!r} is no file. Name an .ipynb file with --file.")
        if path.stat().st_size > _MOST:
            raise UsageError(
                f"{path.name} has more than {_MOST // 1_000_000} MB. Clear the outputs that are not needed."
            )
        read = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"There is no {str(path)!r}. Save the notebook first, or name a file with --file.") from None
    except OSError as reason:
        raise UsageError(f"{str(path)!r} cannot be read: {reason.strerror or reason}. Check the path.") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{path.name} is no notebook: it is not JSON. Name an .ipynb file with --file.") from None
    cells = read.get("cells") if isinstance(read, dict) else None
    if not isinstance(cells, list):
        raise UsageError(f"{path.name} is no notebook: there are no cells in it. Name an .ipynb file with --file.")
    known = [cell if isinstance(cell, dict) else {} for cell in cells]
    ids = [str(cell.get("id") or "") for cell in known]
    return SavedNotebook(path, ids, [run for at, cell in enumerate(known) for run in _runs(cell, ids[at], at)])


def _runs(cell: dict[str, object], cell_id: str, at: int) -> Iterator[SavedRun]:
    count, source, outputs = cell.get("execution_count"), cell.get("source"), cell.get("outputs")
    text = "".join(map(str, source)) if isinstance(source, list) else str(source or "")
    for output in outputs if isinstance(outputs, list) else ():
        data = output.get("data") if isinstance(output, dict) else None
        if isinstance(data, dict) and RUN_MIME in data:
            number = count if isinstance(count, int) and 0 <= count < 10**9 else None
            yield SavedRun(cell_id, number, at, text, _timed(data[RUN_MIME], output.get("metadata")))


def _timed(record: object, metadata: object) -> object:
    """The record with the seconds that the run took, which stand beside it."""
    beside = metadata.get(RUN_MIME) if isinstance(metadata, dict) else None
    seconds = beside.get("seconds") if isinstance(beside, dict) else None
    usage = record.get("usage") if isinstance(record, dict) else None
    if not isinstance(record, dict) or not isinstance(usage, dict) or seconds is None:
        return record
    return {**record, "usage": {**usage, "seconds": seconds}}


def _row(run: SavedRun) -> tuple[str, ...]:
    try:
        known = read_record(run.record)
    except UsageError as error:
        return run.title, run.cell[:8], "", "", "", one_line(str(error), 80)
    again = "replay: " if run.repeats else ""
    tokens = f"{known.usage.total:,}"
    return run.title, run.cell[:8], known.model, again + one_line(known.head, 50), tokens, known.outcome or "unfinished"
