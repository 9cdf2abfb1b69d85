"""Run a model's stream to its end, keeping what came before a failure."""

from __future__ import annotations

from contextlib import aclosing

import anyio

from agentnb.errors import AgentnbError
from agentnb.events import ModelEvent
from agentnb.models.base import Model, Request


async def collect(
    model: Model, request: Request, *, seconds: float = 5
) -> tuple[list[ModelEvent], AgentnbError | None]:
    """The events, and the error that ended them; all within so many seconds."""
    events: list[ModelEvent] = []
    try:
        with anyio.fail_after(seconds):
            async with aclosing(model.stream(request)) as stream:
                async for event in stream:
                    events.append(event)  # noqa: PERF401  # a comprehension would lose them with the error
    except AgentnbError as error:
        return events, error
    return events, None
