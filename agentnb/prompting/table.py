"""A table in few words, whatever library holds it: its columns with statistics, then as many rows as fit.

Rows are evenly spread over the table, not its head: a table sorted by group shows every group.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agentnb.prompting.budget import fence, mark, one_line
from agentnb.prompting.plain import number, plural, safe_repr

#: Above this, statistics come from evenly spread rows: exact ones of ten million rows take seconds.
EXACT_ROWS = 100_000
SAMPLED_ROWS = 50_000
_FEW_ROWS = 20
_CELL = 60
_NAME = 60


@dataclass(frozen=True, slots=True)
class Column:
    """What is told of one column; `nulls` is "" where there are none."""

    name: str
    dtype: str
    nulls: str = ""
    summary: str = ""

    @property
    def brief(self) -> str:
        return f"{self.name} ({self.dtype}{', ' + self.nulls if self.nulls else ''})"

    @property
    def line(self) -> str:
        return f"- {self.brief}{': ' + self.summary if self.summary else ''}"


class Table(Protocol):
    """What a library's table must be able to tell."""

    @property
    def title(self) -> str:
        """`DataFrame, 344 rows × 8 columns`."""

    @property
    def height(self) -> int:
        """How many rows it has."""

    @property
    def names(self) -> Sequence[str]:
        """The columns' names; they may repeat."""

    def column(self, at: int) -> Column:
        """Statistics of the column at this position."""

    def rows(self, positions: Sequence[int], columns: int) -> list[list[str]]:
        """A line of column names and these rows, as text, of the first `columns` columns (row labels come before)."""


def table_text(table: Table, room: int) -> str:
    """`table` in about `room` characters: title, columns, rows."""
    width = len(table.names)
    if table.height <= _FEW_ROWS:
        whole = _few_rows(table, width, room)
        if whole is not None:
            return whole
    described, schema = _schema(table, int(room * 0.6))
    head = f"{table.title}:\n{schema}"
    left = room - len(head) - 20
    if not (table.height and described):
        return head
    shown, lines, positions = _sample(table, described, left)
    if not positions:
        return f"{head}\n\n({mark(table.height, table.height, 'rows')})"
    return f"{head}\n\n{_caption(table, len(positions), shown)}\n{fence(_csv(lines), 'csv')}"


def _few_rows(table: Table, width: int, room: int) -> str | None:
    """Nothing is told of a handful of rows that the rows do not tell themselves, except the types."""
    if width * 4 > room:
        return None
    columns = ", ".join(table.column(at).brief for at in range(width))
    rows = ""
    if table.height and width:
        rows = "\n" + fence(_csv(table.rows(range(table.height), width)), "csv")
    text = f"{table.title}:\nColumns: {columns or 'none'}{rows}"
    return text if len(text) <= room else None


def _schema(table: Table, room: int) -> tuple[int, str]:
    """Full lines for the first columns, mere names for those after, a mark for the rest; and how many got lines."""
    names = table.names
    lines: list[str] = []
    for at in range(len(names)):
        line = table.column(at).line
        if lines and len(line) + 1 > room - (0 if at + 1 == len(names) else 60):
            break
        lines.append(line)
        room -= len(line) + 1
    described, rest = len(lines), names[len(lines) :]
    if rest:
        room = max(room - 50, 60)
        named: list[str] = []
        for name in rest:
            if (room := room - len(name) - 2) < 0:
                break
            named.append(name)
        if named:
            lines.append(f"- without details: {', '.join(named)}")
        if len(named) < len(rest):
            lines.append(mark(len(rest) - len(named), len(names), "columns"))
    return described, "\n".join(lines)


def _caption(table: Table, rows: int, columns: int) -> str:
    what = "All rows" if rows == table.height else f"{plural(rows, 'row')}, evenly spread"
    cuts = []
    if rows < table.height:
        cuts.append(mark(table.height - rows, table.height, "rows"))
    if columns < len(table.names):
        cuts.append(mark(len(table.names) - columns, len(table.names), "columns"))
    return f"{what}{' (' + ', '.join(cuts) + ')' if cuts else ''}:"


def _sample(table: Table, columns: int, room: int) -> tuple[int, list[list[str]], Sequence[int]]:
    """As many columns as leave room for three rows, then as many rows as fit."""
    room -= 70  # caption and fences
    columns = _narrowed(table.rows(spread(table.height, 3), columns), columns, room)
    count = min(table.height, 5)
    for _ in range(4):
        lines = table.rows(spread(table.height, count), columns)
        length = len(_csv(lines))
        if length <= room and (count == table.height or length > 0.9 * room):
            break
        header = len(_csv(lines[:1]))
        each = max(1.0, (length - header) / count)
        count = max(1, min(table.height, int((room * 0.97 - header) / each)))
    positions = spread(table.height, count)
    lines = table.rows(positions, columns)
    if len(_csv(lines)) > room * 1.1:
        return columns, [], []
    return columns, lines, positions


def _narrowed(lines: list[list[str]], columns: int, room: int) -> int:
    labels = len(lines[0]) - columns
    widths = [max(len(line[at]) for line in lines) + 1 for at in range(len(lines[0]))]
    while columns > 1 and sum(widths[: labels + columns]) * 4 > room:
        columns -= 1
    return columns


def spread(height: int, count: int) -> Sequence[int]:
    """`count` positions spread over the rows, the first and the last among them; the same ones each time.

    Each is drawn within its own stretch: at equal distances, data with a rhythm (weekdays, shops in turn) would
    show one beat only.
    """
    if count >= height:
        return range(height)
    draw = random.Random(height).random
    each = height / count
    inner = [int((at + draw()) * each) for at in range(1, count - 1)]
    return [0, *inner, height - 1] if count > 1 else [0]


def _csv(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(",".join(map(_quoted, line)) for line in lines)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if "," in text or '"' in text else text


def cell(value: object) -> str:
    """A value in a row: at most 60 characters, nothing for a missing one."""
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return ""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.10g}"
    return one_line(value if isinstance(value, str) else number_or_repr(value), _CELL)


def number_or_repr(value: object) -> str:
    """Dates and numbers as people write them, anything else as its repr."""
    nested = isinstance(value, (dict, list, tuple, set)) or type(value).__str__ is object.__str__
    if nested:
        return safe_repr(value)
    try:
        return number(value)
    except Exception as error:  # the user's `__str__`: anything may come
        return f"<{type(value).__name__}: its str raised {type(error).__name__}>"


def label(name: object) -> str:
    """A column's name as text; the levels of a MultiIndex are joined by slashes."""
    parts = name if isinstance(name, tuple) else (name,)
    return one_line(" / ".join(p if isinstance(p, str) else number_or_repr(p) for p in parts), _NAME)


def span(low: object, high: object, mean: object = None) -> str:
    """`32.1 to 59.6, mean 43.92`."""
    if low == high:
        return f"always {number(low)}"
    return f"{number(low)} to {number(high)}{'' if mean is None else f', mean {number(mean)}'}"


def frequencies(counts: Sequence[tuple[object, int]], distinct: int) -> str:
    """`3 values: Adelie 152, Gentoo 124, Chinstrap 68` from the most frequent ones."""
    if not counts:
        return ""
    if counts[0][1] == 1:
        return f"all different, such as {', '.join(_value(v) for v, _ in counts[:3])}"
    more = ", …" if distinct > len(counts) else ""
    return f"{plural(distinct, 'value')}: {', '.join(f'{_value(v)} {n:,}' for v, n in counts)}{more}"


def _value(value: object) -> str:
    text = cell(value)
    return one_line(text, 30) if text.strip() else repr(text)


def sampling(height: int) -> tuple[Sequence[int] | None, str]:
    """The rows that statistics are made of, and the note that says so; None and no note for all of them."""
    if height <= EXACT_ROWS:
        return None, ""
    return spread(height, SAMPLED_ROWS), f" (statistics of {plural(SAMPLED_ROWS, 'row')}, evenly spread)"


def nulls(count: int, of: int, whole: int) -> str:
    """`2 nulls`, or a share where the rows are a sample of the whole."""
    if not count:
        return ""
    return plural(count, "null") if of == whole else f"about {100 * count / of:.3g} % nulls"
