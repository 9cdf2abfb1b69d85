"""The parts of a context, and how they share a budget: small ones whole, large ones equal shares of what is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from agentnb.prompting.budget import CHARS_PER_TOKEN, cut, cuts_in, fence
from agentnb.tokens import count_tokens

#: A part in less room than this, in tokens, says nothing.
_LEAST = 24
#: With so much room every source says something.
_ENOUGH = 500


@dataclass(frozen=True, slots=True)
class Part:
    """Something that a model is told: `why` says what brought it there, `cut` what of it was left out, to a person."""

    title: str
    text: str
    why: str = ""
    cut: str = ""

    @property
    def shown(self) -> str:
        """As it stands in the system prompt."""
        return f"## {self.title}\n{self.text}"

    @property
    def tokens(self) -> int:
        """About what it costs."""
        return count_tokens(self.shown)


#: Makes a part within so many tokens; None where there is nothing to say, or too little room.
Source: TypeAlias = Callable[[int], Part | None]
#: Takes secrets out of a text.
Masking: TypeAlias = Callable[[str], str]


def quoted(title: str, text: str, why: str, room: int) -> Part | None:
    """A text of others as a part of at most `room` tokens: in a fence that it cannot close, with its cut marked."""
    chars = room * CHARS_PER_TOKEN - len(title) - 24
    while room >= _LEAST and chars > 0:
        short = cut(text, chars, tail=0.0)
        left_out = "; ".join(cuts_in(short)) if short != text else ""
        part = Part(title, fence(short.strip("\n"), "text"), why, left_out)
        if part.tokens <= room:
            return part
        chars = chars * 3 // 4  # many bytes a character, or a long fence
    return None


def listed(title: str, lines: Sequence[str], why: str, room: int, what: str) -> Part | None:
    """As many lines as `room` tokens hold, the first ones; the rest is counted."""
    left = room * CHARS_PER_TOKEN - len(title) - 4 - 60
    kept: list[str] = []
    for line in lines:
        left -= len(line.encode("utf-8", "replace")) + 1
        if left < 0:
            break
        kept.append(line)
    if not kept:
        return None
    missing = len(lines) - len(kept)
    left_out = f"{missing:,} of {len(lines):,} {what} left out" if missing else ""
    return Part(title, "\n".join([*kept, *([f"… {left_out} …"] if missing else [])]), why, left_out)


def share(budget: int, sources: Sequence[Source]) -> tuple[list[Part], int]:
    """The parts of all sources in their order, together within `budget` tokens, and how many found no room."""
    parts = [source(max(budget, _ENOUGH)) for source in sources]  # none: there is nothing to say
    costs = {at: part.tokens for at, part in enumerate(parts) if part is not None}
    left, waiting, dropped = budget, len(costs), 0
    for at, cost in sorted(costs.items(), key=lambda item: item[1]):
        room = left // waiting
        if cost > room:
            parts[at] = smaller = sources[at](room)
            cost = 0 if smaller is None else smaller.tokens
            dropped += smaller is None
        left, waiting = left - cost, waiting - 1
    return [part for part in parts if part is not None], dropped
