"""Hooks: code of the user's that sees what goes to a model and to tools, and may change or refuse it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from agentnb.context.parts import Part
from agentnb.errors import AgentnbError, UsageError, nearest
from agentnb.events import TextDelta, ThinkingDelta
from agentnb.messages import Message, ToolCall, ToolResult
from agentnb.models.base import Request
from agentnb.tools.base import Runner

V = TypeVar("V")


class Hook:
    """What may be overridden: each method gets a value and returns another, or None to leave it as it is.

    Any of them may be async. Raising an AgentnbError refuses: before a tool and after it, the model reads a ToolError
    as the call's result; anywhere else, the run fails with the error. `on_chunk` is called for every piece of text on
    the thread of the run and should be quick; the others run where notebook code runs. An object that has only some of
    these methods, or a dict of functions by these names, will do as well.
    """

    def context(self, parts: Sequence[Part]) -> Sequence[Part] | None:
        """What a cell's model is about to be told of the notebook (see agentnb.context.Part); not where it is nothing.

        It is asked when the cell is made ready, so that a dry run shows what came of it.
        """

    def before_model(self, request: Request) -> Request | None:
        """What a model is about to be asked."""

    def after_model(self, message: Message) -> Message | None:
        """What a model said, calls included, before any of them runs."""

    def before_tool(self, call: ToolCall) -> ToolCall | None:
        """A call that is about to be checked, approved and run."""

    def after_tool(self, call: ToolCall, result: ToolResult) -> ToolResult | None:
        """What a call gave, before the model reads it."""

    def on_chunk(self, chunk: TextDelta | ThinkingDelta) -> TextDelta | ThinkingDelta | None:
        """A piece of the answer, or of the thinking, as it arrives."""

    def on_error(self, error: AgentnbError) -> AgentnbError | None:
        """What the run is about to fail with."""


POINTS = tuple(name for name in vars(Hook) if not name.startswith("_"))


class Hooks:
    """The hooks of one run, in order; each sees what those before it made."""

    def __init__(self, hooks: Sequence[object], runner: Runner) -> None:
        self._runner = runner
        self._points = {point: [f for hook in hooks if (f := _method(hook, point))] for point in POINTS}

    @property
    def watches_chunks(self) -> bool:
        """Whether anybody wants to see each piece."""
        return bool(self._points["on_chunk"])

    @property
    def watches_messages(self) -> bool:
        """Whether anybody may change what a model said."""
        return bool(self._points["after_model"])

    @property
    def watches_context(self) -> bool:
        """Whether anybody may change what a model is told of the notebook."""
        return bool(self._points["context"])

    async def context(self, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        """The parts as the hooks leave them."""
        for hook in self._points["context"]:
            parts = tuple(await self._ask(hook, parts, parts))
            if wrong := next((part for part in parts if not isinstance(part, Part)), None):
                name = getattr(hook, "__name__", "a hook")
                raise UsageError(f"The hook {name} returned a {type(wrong).__name__} among its parts. Return Parts.")
        return parts

    async def before_model(self, request: Request) -> Request:
        """The request as the hooks leave it."""
        return await self._through("before_model", request)

    async def after_model(self, message: Message) -> Message:
        """The message as the hooks leave it."""
        return await self._through("after_model", message)

    async def before_tool(self, call: ToolCall) -> ToolCall:
        """The call as the hooks leave it."""
        return await self._through("before_tool", call)

    async def after_tool(self, call: ToolCall, result: ToolResult) -> ToolResult:
        """The result as the hooks leave it."""
        for hook in self._points["after_tool"]:
            result = await self._ask(hook, result, call, result)
        return result

    async def on_chunk(self, chunk: TextDelta | ThinkingDelta) -> TextDelta | ThinkingDelta:
        """The piece as the hooks leave it."""
        for hook in self._points["on_chunk"]:
            answer = hook(chunk)
            if inspect.isawaitable(answer):
                answer = await answer
            chunk = _same_kind(answer, chunk, hook)
        return chunk

    async def on_error(self, error: AgentnbError) -> AgentnbError:
        """The error as the hooks leave it."""
        return await self._through("on_error", error)

    async def _through(self, point: str, value: V) -> V:
        for hook in self._points[point]:
            value = await self._ask(hook, value, value)
        return value

    async def _ask(self, hook: Callable[..., object], value: V, *given: object) -> V:
        answer = await self._runner.run_sync(lambda: hook(*given))
        if inspect.isawaitable(answer):
            waited: Awaitable[object] = answer
            answer = await self._runner.run_async(lambda: _awaited(waited))
        return _same_kind(answer, value, hook)


async def _awaited(answer: Awaitable[object]) -> object:
    return await answer


def _same_kind(answer: object, value: V, hook: Callable[..., object]) -> V:
    """What a hook returned, in place of what it was given. Raises UsageError for something else."""
    if answer is None:
        return value
    kinds = (AgentnbError,) if isinstance(value, AgentnbError) else (type(value), *_ALIKE.get(type(value), ()))
    if isinstance(answer, kinds):
        return answer  # type: ignore[return-value]  # it is of the value's kind, as was checked
    name = getattr(hook, "__name__", "a hook")
    raise UsageError(
        f"The hook {name} returned a {type(answer).__name__} for a {type(value).__name__}. "
        "Return one of that kind, or None to leave it as it is."
    )


#: Pieces of text may become thinking, and the other way round; parts come as a list as well.
_ALIKE: dict[type, tuple[type, ...]] = {TextDelta: (ThinkingDelta,), ThinkingDelta: (TextDelta,), tuple: (list,)}


def _method(hook: object, point: str) -> Callable[..., object] | None:
    """What a hook has to say at a point; nothing where it left the method as it is."""
    if isinstance(hook, dict):
        return hook.get(point)
    method = getattr(hook, point, None)
    return None if getattr(method, "__func__", None) is getattr(Hook, point) else method


def checked(hook: object) -> object:
    """The hook itself. Raises UsageError for an object that has none of the methods, or a dict with another name."""
    names = list(hook) if isinstance(hook, dict) else [point for point in POINTS if hasattr(hook, point)]
    wrong = next((name for name in names if name not in POINTS), None)
    if wrong is not None or not names:
        said = (
            f"{wrong!r} is none of them.{nearest(str(wrong), POINTS)}" if names else f"{type(hook).__name__} has none."
        )
        raise UsageError(f"A hook has one of the methods {', '.join(POINTS)}; {said}")
    return hook
