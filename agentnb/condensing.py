"""Keeps a long session short enough to go on: summarizes it, names it, and puts together what it sends."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from agentnb.errors import AgentnbError, StoreError, UsageError
from agentnb.messages import Message
from agentnb.prompting.plain import plural
from agentnb.remembering import (
    THRESHOLD,
    assemble,
    condensing_prompt,
    read_condensed,
    read_title,
    title_prompt,
    to_condense,
)
from agentnb.session import Session

if TYPE_CHECKING:
    from agentnb.store import Store
    from agentnb.store.memory import Summary

#: What a model says to a question that belongs to no run; by its name, or the notebook's.
Infer: TypeAlias = Callable[[str, "str | None"], Awaitable[str]]
#: Tokens from which a session gets a title of itself.
TITLED_FROM = 10_000


class Condenser:
    """Summaries, memories and titles of sessions, by a model.

    On its own it works only where $AGENTNB_SUMMARY_MODEL (or $SUMMARY_MODEL_ID) names one: it costs what a request
    costs. The tokens from which it does are $AGENTNB_CONTEXT_TOKENS (or $MAX_TOKENS_IN_CONTEXT), by default 65,536.
    Both are read anew each time.
    """

    def __init__(self, store: Callable[[], Store], infer: Infer, environ: Mapping[str, str]) -> None:
        self._store = store
        self._infer = infer
        self._environ = environ

    def history(self, session: Session, cell: str | None = None, *, budget: int | None = None) -> tuple[Message, ...]:
        """The messages that a prompt in this cell builds on, within a budget of tokens (see remembering.assemble)."""
        before = session.before(cell)
        try:
            memory = self._store().memory
            summary = memory.summary(session.id)
            # A cell in what was summarized runs again: its turn builds on what was really said before.
            if summary is not None and summary.upto > len(before):
                summary = None
            entries = memory.entries(session.id) if summary else ()
        except StoreError:
            return session.history(cell)
        return assemble(before, summary, entries, budget=budget)

    async def summarize(self, session: Session) -> Summary:
        """Make a summary of all but the last turns, and keep what is worth it, by one request.

        Raises UsageError where there is nothing new to summarize, ModelError where the model fails: then all stays.
        """
        turns, memory = session.turns, self._store().memory
        upto, last = to_condense(turns), memory.summary(session.id)
        if upto <= (last.upto if last else 0):
            raise UsageError(
                f"There is nothing new to summarize: {plural(len(turns), 'turn')}, the last of them stays whole."
            )
        answer = await self._infer(condensing_prompt(turns, last, upto), self.model)
        made = read_condensed(answer)
        if not made.summary:
            raise UsageError("The model gave no summary. Nothing was changed; try again, or with another model.")
        return memory.summarize(session.id, made.summary, upto, made.entries)

    async def title(self, session: Session) -> str:
        """Let a model name the session. Raises UsageError where there is nothing to name yet."""
        turns = [turn for turn in session.turns if turn.answered]
        if not turns:
            raise UsageError("There is nothing to name yet. Ask something, or: %session title TEXT")
        title = read_title(await self._infer(title_prompt(turns), self.model))
        if not title:
            raise UsageError("The model gave no title. %session title TEXT gives one.")
        return self._store().sessions.title(session.id, title, by="model")

    @property
    def model(self) -> str | None:
        """The name of the model that does it; None where the notebook's does, when asked to."""
        return self._setting("AGENTNB_SUMMARY_MODEL", "SUMMARY_MODEL_ID")

    @property
    def threshold(self) -> int:
        """Tokens of a request and its answer from which a session is summarized."""
        given = self._setting("AGENTNB_CONTEXT_TOKENS", "MAX_TOKENS_IN_CONTEXT") or ""
        return int(given) if given.isdecimal() and len(given) < 16 and int(given) else THRESHOLD

    async def tend(self, session: Session) -> None:
        """Summarize and name the session where it has become long, and a model is named for that."""
        if self.model is None:
            return
        with contextlib.suppress(AgentnbError):  # what there was is kept, and the next run tries again
            info = self._store().sessions.get(session.id)
            if info.tokens > TITLED_FROM and not info.titled_by:
                await self.title(session)
            if info.tokens > self.threshold:
                await self.summarize(session)

    def _setting(self, *names: str) -> str | None:
        return next((given for name in names if (given := self._environ.get(name, "").strip())), None)
