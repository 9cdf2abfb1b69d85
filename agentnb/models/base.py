"""The interface every model has: one request in, one stream of events out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from agentnb.events import ModelEvent
from agentnb.messages import JSON, Message, ToolSpec
from agentnb.models.options import Options

#: How JSON of a schema is got: by the provider's own means, by a tool it must call, or by asking for it in words.
Structured: TypeAlias = Literal["native", "tool", "text"]


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """The JSON that the answer must be: a name ([A-Za-z0-9_-]), the JSON Schema (of an object), and what it is."""

    name: str
    schema: Mapping[str, JSON]
    description: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is asked.

    `tool_choice` is "auto", "none", "required" or a tool's name. Where `output` is given, the text of the answer is
    JSON of that schema: how a model is brought to that (natively, by a forced tool, in words) is its own affair, and
    whoever asked checks it. A model that knows nothing of `output` ignores it.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str = "auto"
    options: Options = field(default_factory=Options)
    output: OutputSpec | None = None


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
