"""Cutting text lives here alone, so that a budget means the same everywhere and no cut is silent.

Every cut leaves a mark, `… 12,345 of 13,000 characters left out …`, in the text itself: the model, the reader of a
dry run and `cuts_in` all learn of it from the same words, whoever wrote them (a user's own renderer too).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from agentnb.messages import Block
from agentnb.tokens import BYTES_PER_TOKEN, count_tokens

#: How long a text may be for each token of its room.
CHARS_PER_TOKEN = BYTES_PER_TOKEN

_MARK = re.compile(r"… ([^…\n]+?) left out …")


def estimate_tokens(content: str | Iterable[Block]) -> int:
    """About how many tokens this costs: bytes / 4 for words, 2000 for each medium."""
    return count_tokens(content)


def mark(left_out: int, total: int, what: str) -> str:
    """The words that stand where something was cut."""
    return f"… {left_out:,} of {total:,} {what} left out …"


def cuts_in(text: str) -> list[str]:
    """The cuts that `text` tells of, without their dots: `12,345 of 13,000 characters left out`."""
    return [f"{found} left out" for found in _MARK.findall(text)]


def cut(text: str, room: int, *, tail: float = 0.3) -> str:
    """At most about `room` characters of `text`: its beginning, a mark, and its end (`tail` of the room).

    Cuts fall between lines where a line ends near.
    """
    if len(text) <= room:
        return text
    room = max(room - 50, 20)
    last = int(room * tail)
    head = _whole_lines(text[: room - last]).rstrip()
    end = _whole_lines(text[len(text) - last :][::-1])[::-1].lstrip() if last else ""
    gap = "\n" if "\n" in text or room > 200 else " "
    left_out = mark(len(text) - len(head) - len(end), len(text), "characters")
    return f"{head}{gap}{left_out}{gap}{end}".strip() if end else f"{head}{gap}{left_out}"


def _whole_lines(text: str) -> str:
    at = text.rfind("\n")
    return text[:at] if at > 0.8 * len(text) else text


def one_line(text: str, room: int) -> str:
    """`text` on one line of at most `room` characters, ending in … where it is longer."""
    line = " ".join(text[: room * 4].split())
    return line if len(line) <= room and len(text) <= room * 4 else line[: room - 1].rstrip() + "…"


def fence(text: str, language: str = "") -> str:
    """`text` between fences longer than any run of backticks inside it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    bar = "`" * (longest + 1)
    return f"{bar}{language}\n{text}\n{bar}" if not text.endswith("\n") else f"{bar}{language}\n{text}{bar}"
