"""What a replay gives: a run as a notebook's file has it, and as it went now."""

from __future__ import annotations

from dataclasses import dataclass

from agentnb.messages import Content
from agentnb.prompting import to_blocks
from agentnb.render.compared import Side, comparison
from agentnb.render.recorded import Recorded
from agentnb.render.terminal import one_line
from agentnb.result import Result


@dataclass(frozen=True, slots=True, repr=False)
class Replay:
    """A run, `before` as the file has it and `after` as it went now; `same` is None where the file's answer is cut."""

    before: Recorded
    after: Result
    same: bool | None
    title: str = "before"
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.after.text

    def __repr__(self) -> str:
        return f"Replay(same={self.same}, {one_line(self.before.model, 60)} → {self.after.transcript.model})"

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        before, now = self.before, self.after.transcript
        calls = [call.name for message in now.messages for call in message.calls]
        answered = next((m.model for m in reversed(now.messages) if m.model), now.model)
        return comparison(
            Side(self.title, before.model, before.outcome, before.text, before.usage, before.calls),
            Side("now", answered, now.outcome or "", now.text, now.usage, calls),
            same=self.same,
            notes=self.notes,
        )


@to_blocks.register(Replay)
def _answer(value: Replay, budget: int = 2000) -> tuple[Content, ...]:
    """In the next prompt it is what was answered now."""
    return to_blocks(value.after.text, budget)
