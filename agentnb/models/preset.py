"""A model that brings options of its own, for requests that do not say otherwise."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from agentnb.events import ModelEvent
from agentnb.models.attempt import Around
from agentnb.models.base import Model, Request
from agentnb.models.options import Options


class PresetModel(Around):
    """A model that asks `model` with these options, unless a request has its own."""

    def __init__(self, model: Model, options: Options) -> None:
        super().__init__(model)
        self._options = options

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The wrapped model's answer. Raises what it raises."""
        preset = replace(request, options=request.options.over(self._options))
        async with aclosing(self.model.stream(preset)) as events:
            async for event in events:
                yield event
