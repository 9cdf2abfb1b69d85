"""Tables that magics show: HTML in a front end, columns in a terminal; every cell is escaped."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agentnb.render.cards import escape
from agentnb.render.terminal import one_line

_STYLE = "text-align:left;white-space:nowrap"
_NUMBERS = "text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums"
_NOTE = "font-size:11px;opacity:0.6"
#: Characters of a cell: what a provider says may be long.
_WIDEST = 80
#: What begins so is no number, be it the id of a session.
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; a column whose cells all begin with a digit, a sign or `$` stands to the right, dates aside.

    A column without a word in it is left out; without rows, only the note is shown, line by line. `widest` is how many
    characters of a cell are shown.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    widest: int = _WIDEST

    def masked(self, mask: Callable[[str], str]) -> Table:
        """The same with every cell masked."""
        return replace(self, rows=tuple(tuple(map(mask, row)) for row in self.rows), note=mask(self.note))

    def __str__(self) -> str:
        columns = [_column(head, cells) for head, cells in self._columns()]
        lines = ["  ".join(cells).rstrip() for cells in zip(*columns, strict=True)]
        return "\n".join([*lines, *self._notes()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        columns = [
            [
                _cell("th", head, right=_is_number(cells)),
                *(_cell("td", cell, right=_is_number(cells)) for cell in cells),
            ]
            for head, cells in self._columns()
        ]
        rows = [f"<tr>{''.join(cells)}</tr>" for cells in zip(*columns, strict=True)]
        table = f"<table><thead>{rows[0]}</thead><tbody>{''.join(rows[1:])}</tbody></table>" if rows else ""
        return table + "".join(f'<div style="{_NOTE}">{escape(line)}</div>' for line in self._notes())

    def _columns(self) -> list[tuple[str, list[str]]]:
        """Each heading that has anything under it, with what that is."""
        columns = zip(self.head, zip(*self.rows, strict=True), strict=True) if self.rows else ()
        return [(head, [one_line(cell, self.widest) for cell in cells]) for head, cells in columns if any(cells)]

    def _notes(self) -> list[str]:
        return [one_line(line, 2000) for line in self.note.split("\n") if line.strip()]


def _column(head: str, cells: Sequence[str]) -> list[str]:
    """The column's lines, all of one width."""
    width = max(_width(cell) for cell in (head, *cells))
    pads = [" " * (width - _width(cell)) for cell in (head, *cells)]
    if _is_number(cells):
        return [pad + cell for pad, cell in zip(pads, (head, *cells), strict=True)]
    return [cell + pad for pad, cell in zip(pads, (head, *cells), strict=True)]


def _width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)


def _is_number(cells: Sequence[str]) -> bool:
    return all(not cell or (cell[0] in "0123456789$<–" and not _DATE.match(cell)) for cell in cells)


def _cell(tag: str, text: str, *, right: bool) -> str:
    return f'<{tag} style="{_NUMBERS if right else _STYLE}">{escape(text)}</{tag}>'
