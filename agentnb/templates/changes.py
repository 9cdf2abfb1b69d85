"""What changed between two versions of a text: in a few words, and in a few lines."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from agentnb.prompting.budget import one_line

#: Lines above which texts are not compared line by line: that takes the square of them.
_COMPARED = 2_000
#: Lines of a difference that are shown, and characters of one.
_SHOWN, _WIDTH = 6, 100


def change(before: str | None, after: str) -> str:
    """In a few words; `before` None where there was nothing."""
    if before is None:
        return "new"
    if before == after:
        return "unchanged"
    changed = _changed(before, after)
    if changed is None:
        return f"{len(before):,} characters became {len(after):,}"
    added, removed = (sum(line[0] == sign for line in changed) for sign in "+-")
    if not added + removed:
        return "line breaks changed"
    return f"lines: +{added} −{removed}"


def difference(before: str, after: str) -> Sequence[str]:
    """The first lines that came (`+`) or went (`-`)."""
    changed = _changed(before, after) or []
    shown = [one_line(line, _WIDTH) for line in changed[:_SHOWN]]
    return [*shown, f"… and {len(changed) - _SHOWN} more"] if len(changed) > _SHOWN else shown


def _changed(before: str, after: str) -> list[str] | None:
    old, new = before.split("\n"), after.split("\n")
    if len(old) + len(new) > _COMPARED:
        return None
    return list(_signed(old, new))


def _signed(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    for what, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what != "equal":
            yield from (f"- {line}" for line in old[a:b])
            yield from (f"+ {line}" for line in new[c:d])
