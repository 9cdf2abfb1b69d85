"""The conversation of a notebook: turns in order, each tied to the cell that took it; where a run comes from."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from agentnb.errors import UsageError
from agentnb.messages import JSON, Message
from agentnb.transcript import Transcript

#: What the id of a session looks like.
ID = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z_-]|\.(?!\.)){0,79}")


@dataclass(frozen=True, slots=True)
class Turn:
    """What one run added. `key` is the cell's id, None where the front end gives none; `run` is the run's.

    `within` are the runs that its calls started, with what was said there; the next prompt does not build on them.
    """

    key: str | None
    messages: tuple[Message, ...]
    within: tuple[Transcript, ...] = ()
    run: str = ""

    @property
    def answered(self) -> bool:
        """Whether a model said anything."""
        return any(message.role == "assistant" for message in self.messages)


@dataclass(frozen=True, slots=True)
class RunHead:
    """What is known of a run when it begins. `session` is None for one that stands alone; `within` is the run that
    started it, by its `call`. `label` is what its cell is called, `cell` the cell's id; `variables` has the SHA-256 of
    what was sent for each expression of the prompt."""

    id: str
    session: str | None = None
    within: str | None = None
    call: str | None = None
    cell: str | None = None
    label: str = ""
    notebook: str | None = None
    agent: str | None = None
    model: str = ""
    prompt: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, JSON] = field(default_factory=dict)


class Session:
    """Turns that the next prompt builds on. A cell that is run again replaces its turn, where it stood."""

    def __init__(self, session_id: str | None = None) -> None:
        self.id = session_id or new_id()
        self._turns: list[Turn] = []

    @property
    def turns(self) -> list[Turn]:
        """The turns, in order."""
        return self._turns

    def history(self, key: str | None = None) -> tuple[Message, ...]:
        """The messages before the turn of this cell; all of them, if the cell has none yet.

        A turn that got no answer at all is left out: many models refuse two prompts in a row.
        """
        return tuple(message for turn in self.before(key) if turn.answered for message in turn.messages)

    def before(self, key: str | None = None) -> list[Turn]:
        """The turns before that of this cell; all of them, if the cell has none yet."""
        turns = self.turns
        return turns[: _at(turns, key)]

    def record(
        self, key: str | None, messages: tuple[Message, ...], within: tuple[Transcript, ...] = (), *, run: str = ""
    ) -> None:
        """Keep what a run added: in place of the cell's earlier turn, or at the end."""
        at = _at(self._turns, key)
        self._turns[at : at + 1] = [Turn(key, messages, within, run)]


def _at(turns: list[Turn], key: str | None) -> int:
    found = (at for at, turn in enumerate(turns) if key is not None and turn.key == key)
    return next(found, len(turns))


def new_id() -> str:
    """An id for a session: when it began, and four letters against those of the same second."""
    return f"{time.strftime('%Y-%m-%d_%H-%M-%S')}-{uuid.uuid4().hex[:4]}"


def checked_id(text: str) -> str:
    """The id, if it can be one. Raises UsageError for what is none, such as a path."""
    if not ID.fullmatch(text):
        raise UsageError(f"{text[:80]!r} is not the id of a session. %session list shows them.")
    return text
