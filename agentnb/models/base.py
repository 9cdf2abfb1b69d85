"""The interface every model has: one request in, one stream of events out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agentnb.events import ModelEvent
from agentnb.messages import JSON, Message, ToolSpec


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is asked.

    `tool_choice` is "auto", "none", "required" or a tool's name; `params` are generation options in the
    provider's own words (`temperature`, `max_tokens`, …), merged into the body as they are.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str = "auto"
    params: Mapping[str, JSON] = field(default_factory=dict)


class Model(Protocol):
    """Anything that answers. Wrap one to make another: a retrying model is a model.

    A stream ends with exactly one `MessageEnd`, or raises a `ModelError`; a stream that ends without
    either was cut off. It must be consumed inside `async with aclosing(...)`: closing it closes the
    provider's connection. Its state lives in the generator, so one model serves many runs at once.
    """

    @property
    def name(self) -> str:
        """ "provider:model", as a person would write it after %model."""

    def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The answer, event by event."""
