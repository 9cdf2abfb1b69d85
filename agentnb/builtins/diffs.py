"""A unified diff of two texts, quick and short for any size: what is alike at both ends is left out first."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

#: Lines around a change that are shown with it.
_AROUND = 3
#: Lines of a middle that differs up to which the lines in it are matched with each other.
_MATCHED = 3_000
#: Lines of a diff that are shown, and characters of a line.
_SHOWN, _WIDE = 400, 1_000
#: What stands at the end of each mark where something is missing.
LEFT_OUT = "left out …"


def unified(name: str, old: str | None, new: str) -> str:
    """The diff from `old` (None: there was no file) to `new`; it begins with `--- `. Empty where they are the same."""
    if old == new:
        return ""
    before = [] if old is None else old.split("\n")
    after = new.split("\n")
    head = _alike(before, after)
    tail = _alike(before[head:][::-1], after[head:][::-1])
    begin = max(head - _AROUND, 0)
    end = max(tail - _AROUND, 0)
    was, now = before[begin : len(before) - end], after[begin : len(after) - end]
    if len(was) + len(now) <= _MATCHED:
        lines = list(difflib.unified_diff(was, now, n=_AROUND, lineterm=""))[2:]
        lines = [_moved(line, begin) for line in lines]
    else:
        lines = [f"@@ -{begin + 1},{len(was)} +{begin + 1},{len(now)} @@"]
        lines += [f"-{line}" for line in was] + [f"+{line}" for line in now]
    names = "/dev/null" if old is None else f"a/{name}", f"b/{name}"
    return "\n".join([f"--- {names[0]}", f"+++ {names[1]}", *_short(lines)])


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many lines are the same from the beginning on."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _moved(line: str, by: int) -> str:
    """A hunk's head, counted from the beginning of the file."""
    if not (by and line.startswith("@@ ")):
        return line
    words = line.split(" ")
    for at in (1, 2):
        start, comma, count = words[at][1:].partition(",")
        words[at] = f"{words[at][0]}{int(start) + by}{comma}{count}"
    return " ".join(words)


def _short(lines: list[str]) -> list[str]:
    shown = [line if len(line) <= _WIDE else _cut(line) for line in lines[:_SHOWN]]
    left_out = len(lines) - len(shown)
    return [*shown, f"… {left_out:,} more lines {LEFT_OUT}"] if left_out else shown


def _cut(line: str) -> str:
    """The two ends of a long line: what is far to the right of it is seen as well."""
    return f"{line[: _WIDE * 3 // 4]} … {len(line) - _WIDE:,} characters {LEFT_OUT} {line[-_WIDE // 4 :]}"
