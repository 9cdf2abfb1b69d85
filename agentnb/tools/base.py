"""The interface every tool has: what the model is told of it, and the call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from agentnb.messages import Content, JSONObject, ToolSpec

T = TypeVar("T")


class Runner(Protocol):
    """Where a notebook's functions run."""

    def run_sync(self, function: Callable[[], T]) -> Awaitable[T]:
        """Run a plain function where notebook code runs: on the kernel's main thread."""

    def run_async(self, function: Callable[[], Coroutine[object, object, T]]) -> Awaitable[T]:
        """Run a coroutine function on the kernel's own loop, so that objects bound to that loop work."""

    @property
    def in_function(self) -> bool:
        """Whether a plain function runs now: then only an exception, not a cancelled task, can stop it."""


class InlineRunner:
    """Outside a kernel: both kinds run right here, on the loop that runs the agent."""

    def __init__(self) -> None:
        self.in_function = False

    async def run_sync(self, function: Callable[[], T]) -> T:
        self.in_function = True
        try:
            return function()
        except KeyboardInterrupt:
            # Let through, it would tear down the loop; the run is being cancelled anyway.
            raise asyncio.CancelledError from None
        finally:
            self.in_function = False

    async def run_async(self, function: Callable[[], Coroutine[object, object, T]]) -> T:
        return await function()


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a call may use: where to show output meanwhile, the notebook's variables, where code runs.

    `emit` may be called from any thread. `namespace` is the user's own dictionary of variables.
    """

    emit: Callable[[Content], None]
    namespace: MutableMapping[str, object]
    runner: Runner


@dataclass(frozen=True, slots=True)
class ToolReturn:
    """What a call gives: blocks for the model and the card; `handle` names the variable that holds the object."""

    content: tuple[Content, ...] = ()
    is_error: bool = False
    handle: str | None = None


class Tool(Protocol):
    """Anything a model may call."""

    @property
    def name(self) -> str:
        """The name the model calls it by: [A-Za-z0-9_-]{1,64}."""

    @property
    def parallel(self) -> bool:
        """Whether it may run at the same time as the other calls of its round."""

    def spec(self, namespace: MutableMapping[str, object]) -> ToolSpec:
        """What the model is told; parameters that name notebook variables list those of `namespace` that fit."""

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolReturn:
        """Run it. Raises ToolError (or anything else) on failure: the loop makes that a result the model reads."""
