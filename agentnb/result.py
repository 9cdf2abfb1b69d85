"""What a run gives back: the answer, and everything that led to it."""

from __future__ import annotations

from dataclasses import dataclass

from agentnb import render
from agentnb.messages import Content, Message, Usage
from agentnb.prompting import to_blocks
from agentnb.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Result:
    """A finished run. `str(result)` is the answer; shown in a notebook, it is the run.

    `output` is the instance that was asked for with `output=`; None where nothing was.
    """

    transcript: Transcript
    output: object = None

    @property
    def text(self) -> str:
        """The answer: the text of the last message."""
        return self.transcript.text

    @property
    def messages(self) -> tuple[Message, ...]:
        """The prompt, and what model and tools said, in order."""
        return self.transcript.messages

    @property
    def usage(self) -> Usage:
        """Tokens of the whole run."""
        return self.transcript.usage

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Result({self.text!r})"

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        return render.summary(self.transcript)


@to_blocks.register(Result)
def _answer(value: Result, budget: int = 2000) -> tuple[Content, ...]:
    """In the next prompt, `{{answer}}` is what was answered, not how it came about."""
    return to_blocks(value.text, budget)
