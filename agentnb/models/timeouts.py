"""Bound how long a model may take: until it begins, between two pieces of its answer, and in all."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing

from agentnb.errors import ConnectionFailed, ModelError, StreamBroken, UsageError
from agentnb.events import ModelEvent
from agentnb.models.attempt import Around, shows
from agentnb.models.base import Model, Request


class TimeoutModel(Around):
    """A model that gives `model` so many seconds: until its `first` token, `idle` between events after it, in `total`.

    None leaves a time open. The time its reader takes counts for `total` only. When a time is over, the stream is
    closed and the error may be tried again.
    """

    def __init__(
        self, model: Model, *, first: float | None = None, idle: float | None = None, total: float | None = None
    ) -> None:
        for name, seconds in (("first", first), ("idle", idle), ("total", total)):
            if seconds is not None and not 0 < seconds < math.inf:
                raise UsageError(f"The timeout {name!r} takes seconds greater than 0, not {seconds!r}.")
        super().__init__(model)
        self._first = first
        self._idle = idle
        self._total = total

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The wrapped model's answer. Raises ConnectionFailed, or StreamBroken once it has begun."""
        now = asyncio.get_running_loop().time
        start = now()
        ends = _after(start, self._total)
        limit = _after(start, self._first)
        begun = False
        async with aclosing(self.model.stream(request)) as events:
            while True:
                try:
                    async with asyncio.timeout_at(_sooner(limit, ends)) as bound:
                        event = await anext(events)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    if not bound.expired():
                        raise
                    raise self._late(begun, total=ends is not None and now() >= ends) from None
                yield event
                begun = begun or shows(event)
                if begun:
                    limit = _after(now(), self._idle)

    def _late(self, begun: bool, *, total: bool) -> ModelError:
        if total and begun:
            return StreamBroken(
                f"{self.name} did not end its answer within {self._total:g} s. Allow it more time (total), or ask for "
                "less.",
                retryable=True,
            )
        if begun:
            return StreamBroken(
                f"{self.name} fell silent for {self._idle:g} s in the middle of its answer. Run again.", retryable=True
            )
        which, seconds = ("total", self._total) if total else ("first", self._first)
        return ConnectionFailed(
            f"{self.name} did not begin to answer within {seconds:g} s. Try again, or allow it more time ({which}).",
            retryable=True,
        )


def _after(moment: float, seconds: float | None) -> float | None:
    return None if seconds is None else moment + seconds


def _sooner(one: float | None, other: float | None) -> float | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)
