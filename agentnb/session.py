"""The conversation of a notebook: turns in order, each tied to the cell that took it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from agentnb.messages import Message
from agentnb.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Turn:
    """What one run added. `key` is the cell's id; None where the front end gives none.

    `within` are the runs that its calls started, with what was said there; the next prompt does not build on them.
    """

    key: str | None
    messages: tuple[Message, ...]
    within: tuple[Transcript, ...] = ()


class Session:
    """Turns that the next prompt builds on. A cell that is run again replaces its turn, where it stood."""

    def __init__(self, session_id: str | None = None) -> None:
        self.id = session_id or uuid.uuid4().hex[:12]
        self.turns: list[Turn] = []

    def history(self, key: str | None = None) -> tuple[Message, ...]:
        """The messages before the turn of this cell; all of them, if the cell has none yet.

        A turn that got no answer at all is left out: many models refuse two prompts in a row.
        """
        before = [turn for turn in self.turns[: self._at(key)] if any(m.role == "assistant" for m in turn.messages)]
        return tuple(message for turn in before for message in turn.messages)

    def record(self, key: str | None, messages: tuple[Message, ...], within: tuple[Transcript, ...] = ()) -> None:
        """Keep what a run added: in place of the cell's earlier turn, or at the end."""
        at = self._at(key)
        self.turns[at : at + 1] = [Turn(key, messages, within)]

    def _at(self, key: str | None) -> int:
        found = (at for at, turn in enumerate(self.turns) if key is not None and turn.key == key)
        return next(found, len(self.turns))
