"""A long answer in parts, cut where Markdown lets it be cut, so that showing it while it grows costs linear traffic.

Where the cuts fall follows from complete lines only: a part that is sealed never changes, however the text goes on.
"""

from __future__ import annotations

import re

#: The first part; later ones are longer, so that even a very long answer has few parts.
PART_CHARS = 4096
_GROWTH = 8
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^\n]*)")
_ITEM = re.compile(r"(?:[-*+]|\d{1,9}[.)])(?:[ \t]|$)")
_RULE = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")


class Splitter:
    """Cuts a growing text at top-level block boundaries; a block that is far too long is cut at a line.

    A fenced block cut in two is closed and opened again, a table repeats its header.
    """

    def __init__(self) -> None:
        self.sealed: list[str] = []
        self._lines: list[str] = []
        self._size = 0
        self._done = 0
        self._tail = ""
        self._fence: tuple[str, str] | None = None
        self._in_list = False
        self._table: str | None = None

    def feed(self, piece: str) -> None:
        """Take more of the text."""
        head, newline, rest = piece.rpartition("\n")
        if not newline:
            self._tail += piece
            return
        for line in (self._tail + head).split("\n"):
            self._line(line)
        self._tail = rest

    @property
    def open(self) -> str:
        """The part that still grows: everything after the last cut."""
        return "".join(self._lines) + self._tail

    def _line(self, line: str) -> None:
        limit = PART_CHARS + self._done // _GROWTH
        too_long = self._size >= 2 * limit and not self._closes(line)
        if too_long or (self._size >= limit and self._boundary(line)):
            self._seal(line)
        self._track(line)
        self._lines.append(line + "\n")
        self._size += len(line) + 1

    def _boundary(self, line: str) -> bool:
        """Whether a new top-level block begins at `line`."""
        if self._fence or not self._lines or self._lines[-1].strip():
            return False
        starts_block = bool(line.strip()) and not line[0].isspace()
        return starts_block and not (self._in_list and _ITEM.match(line))

    def _closes(self, line: str) -> bool:
        """Whether `line` ends the fenced block that is open."""
        mark = line.strip()
        return self._fence is not None and mark.startswith(self._fence[0]) and not mark.strip(self._fence[0][0])

    def _track(self, line: str) -> None:
        if self._fence:
            if self._closes(line):
                self._fence = None
            return
        if (match := _FENCE.match(line)) and not (match[1][0] == "`" and "`" in match[2]):
            self._fence = match[1], line.strip()
            return
        if line.strip():
            self._in_list = bool(_ITEM.match(line)) or (self._in_list and line[0].isspace())
        self._track_table(line)

    def _track_table(self, line: str) -> None:
        if "|" not in line:
            self._table = None
        elif self._table is None and self._lines and "-" in line and _RULE.match(line):
            self._table = f"{self._lines[-1]}{line}\n"

    def _seal(self, line: str) -> None:
        """Close the part; `line` begins the next."""
        text, reopen = "".join(self._lines), ""
        if self._fence:
            text, reopen = f"{text}{self._fence[0]}\n", f"{self._fence[1]}\n"
        elif self._table and "|" in line:
            reopen = self._table
        self.sealed.append(text)
        self._done += self._size
        self._lines, self._size = [reopen] if reopen else [], 0


def split(text: str) -> list[str]:
    """All parts of a text that is complete; their order is the text's."""
    splitter = Splitter()
    splitter.feed(text)
    return [*splitter.sealed, splitter.open]
