"""Tables that magics show: HTML in a front end, columns in a terminal; every cell is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_STYLE = "text-align:left;white-space:nowrap"
_NUMBERS = "text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; a column whose cells all begin with a digit, a sign or `$` stands to the right."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def __str__(self) -> str:
        widths = [max(len(row[at]) for row in (self.head, *self.rows)) for at in range(len(self.head))]
        lines = []
        for row in (self.head, *self.rows):
            cells = zip(row, widths, self._right(), strict=True)
            lines.append("  ".join(f"{c:>{w}}" if right else f"{c:<{w}}" for c, w, right in cells).rstrip())
        return "\n".join([*lines, *([self.note] if self.note else [])])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        right = self._right()
        head = "".join(_cell("th", text, at) for text, at in zip(self.head, right, strict=True))
        body = "".join(
            f"<tr>{''.join(_cell('td', text, at) for text, at in zip(row, right, strict=True))}</tr>"
            for row in self.rows
        )
        note = f'<div style="font-size:11px;opacity:0.6">{escape(self.note)}</div>' if self.note else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"

    def _right(self) -> Sequence[bool]:
        columns = list(zip(*self.rows, strict=True)) if self.rows else [()] * len(self.head)
        return [
            bool(any(column)) and all(not cell or cell[0] in "0123456789$<-–" for cell in column) for column in columns
        ]


def _cell(tag: str, text: str, right: bool) -> str:
    return f'<{tag} style="{_NUMBERS if right else _STYLE}">{escape(text)}</{tag}>'
