"""Notebook functions as tools: the model reads hints and docstring; the code runs where notebook code runs."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import re
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, MutableMapping
from contextlib import aclosing, closing
from types import MethodType
from typing import TypeGuard, TypeVar, overload

from agentnb.errors import UsageError
from agentnb.messages import Content, JSONObject, Text, ToolSpec
from agentnb.tools import hints
from agentnb.tools.arguments import Arguments
from agentnb.tools.base import Tool, ToolContext, ToolReturn
from agentnb.tools.capture import Output, captured
from agentnb.tools.docstrings import Documentation, parse_docstring
from agentnb.tools.references import keep
from agentnb.tools.results import to_content, to_return

T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class FunctionTool:
    """A function that a model may call. It stays a function: calling it runs it as it is."""

    def __init__(
        self,
        function: Callable[..., object],
        *,
        name: str | None = None,
        description: str | None = None,
        thread: bool = False,
        parallel: bool | None = None,
    ) -> None:
        """`thread` runs it in a worker thread instead of the kernel's main thread.

        `parallel` says whether calls of one round may overlap: by default those of `async` and `thread` functions.
        Raises UsageError for what cannot be a tool.
        """
        self.function: Callable[..., object] = function.function if isinstance(function, FunctionTool) else function
        self.name = _name(self.function, name)
        self.thread = thread
        self._asynchronous = _is_asynchronous(self.function)
        if thread and self._asynchronous:
            raise UsageError(f"Tool {self.name!r} is async and needs no thread. Leave out thread=True.")
        self.parallel = thread or self._asynchronous if parallel is None else parallel
        self._description = description
        self._parameters = hints.parameters(self.function, self.name)
        self._local = hints.enclosing_names(self.function)
        self._numbers = itertools.count(1)
        # Not the attributes: a callable object's own `name` would replace ours.
        functools.update_wrapper(self, self.function, updated=())

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Run the function itself, as if it were not a tool."""
        return self.function(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> FunctionTool:
        """A decorated method is bound like any other."""
        if instance is None:
            return self
        bound = MethodType(self.function, instance)
        return FunctionTool(
            bound, name=self.name, description=self._description, thread=self.thread, parallel=self.parallel
        )

    def __repr__(self) -> str:
        return f"<tool {self.name}({', '.join(p.name for p in self._parameters)})>"

    @property
    def description(self) -> str:
        """What the model is told it does: as given, or from the docstring."""
        return self._documentation.description if self._description is None else self._description

    def spec(self, namespace: MutableMapping[str, object]) -> ToolSpec:
        """What the model is told. Raises UsageError for hints that cannot be read."""
        return ToolSpec(self.name, self.description, self._arguments.schema(namespace))

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolReturn:
        """Check the arguments, run the function, and convert what it returns.

        Raises ToolError for arguments that do not fit, and whatever the function raises.
        """
        positional, named = self._arguments.bind(arguments, context.namespace)
        output = Output(context.emit)
        start = functools.partial(self.function, *positional, **named)
        finish = functools.partial(self._result, output=output, namespace=context.namespace)
        try:
            if self._asynchronous:
                return await context.runner.run_async(lambda: _run_async(start, output, finish))
            run = functools.partial(_run, start, output, finish)
            done = await (asyncio.to_thread(run) if self.thread else context.runner.run_sync(run))
            if isinstance(done, ToolReturn):
                return done
            # A plain function that returns an awaitable: it belongs to the kernel's loop.
            return await context.runner.run_async(lambda: _run_async(lambda: done, output, finish))
        finally:
            output.finish()

    @functools.cached_property
    def _documentation(self) -> Documentation:
        return parse_docstring(_docstring(self.function))

    @functools.cached_property
    def _arguments(self) -> Arguments:
        parameters = []
        for parameter in self._parameters:
            hint = hints.resolve(parameter, self.function, self._local, tool=self.name)
            parameters.append(parameter.replace(annotation=hint))
        return Arguments(self.name, parameters, self._documentation.parameters)

    def _result(self, value: object, *, output: Output, namespace: MutableMapping[str, object]) -> ToolReturn:
        if output.finished:
            return ToolReturn()  # the call was given up: nobody reads it, and nothing is to be kept
        if value is None:
            # An empty result makes small models call again.
            return ToolReturn((Text(output.text.rstrip("\n") or "(no output)"),))
        return to_return(value, lambda kept: keep(kept, self.name, self._numbers, namespace))


@overload
def tool(
    function: Callable[..., object], /, *, name: str | None = None, description: str | None = None, thread: bool = False
) -> FunctionTool: ...


@overload
def tool(
    function: None = None, /, *, name: str | None = None, description: str | None = None, thread: bool = False
) -> Callable[[Callable[..., object]], FunctionTool]: ...


def tool(
    function: Callable[..., object] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    thread: bool = False,
) -> FunctionTool | Callable[[Callable[..., object]], FunctionTool]:
    """Make a function a tool: `@tool`, `@tool(thread=True)` or `tool(f)`. Raises UsageError for what cannot be one."""
    if function is None:
        return functools.partial(FunctionTool, name=name, description=description, thread=thread)
    return FunctionTool(function, name=name, description=description, thread=thread)


def as_tool(value: object) -> Tool:
    """`value` if it is a tool, a plain function as a tool. Raises UsageError that says what it got instead."""
    if _is_tool(value):
        return value
    if callable(value):
        return FunctionTool(value)
    got = f"the text {value!r}" if isinstance(value, str) else f"a {type(value).__name__}"
    raise UsageError(
        f"A tool is a function or an object with name, spec and call, not {got}. Pass the function itself."
    )


def _is_tool(value: object) -> TypeGuard[Tool]:
    methods = (getattr(value, "spec", None), getattr(value, "call", None))
    return isinstance(getattr(value, "name", None), str) and all(map(callable, methods)) and not inspect.isclass(value)


def _name(function: object, given: str | None) -> str:
    if not callable(function):
        raise UsageError(f"A tool is a function, not a {type(function).__name__}.")
    if inspect.isclass(function):
        raise UsageError(f"{function.__name__} is a class. Make a tool of a function that returns one.")
    inner = hints.unbound(function)
    name = given or getattr(inner, "__name__", None) or type(inner).__name__
    if name == "<lambda>":
        raise UsageError("A lambda has no name for the model to call. Give it one: tool(f, name='…').")
    if not _NAME.fullmatch(name):
        raise UsageError(f"A model cannot call {name!r}: 1 to 64 of A-Z a-z 0-9 _ -. Give a name: tool(f, name='…').")
    return name


def _docstring(function: object) -> str | None:
    inner = hints.plain(function)
    text = getattr(inner, "__doc__", None)
    # A callable object is described by its class when its __call__ is not.
    return text or (None if inspect.isroutine(function) else type(function).__doc__ if function is not inner else None)


def _is_asynchronous(function: object) -> bool:
    inner = hints.unbound(function)
    if not inspect.isroutine(inner):
        inner = type(inner).__dict__.get("__call__", inner)
    return inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner)


_Started = Coroutine[object, object, object] | AsyncGenerator[object, None]


def _run(start: Callable[[], object], output: Output, finish: Callable[[object], ToolReturn]) -> ToolReturn | _Started:
    with captured(output):
        try:
            value = start()
            if isinstance(value, Coroutine | AsyncGenerator):
                return value
            return finish(_drained(value, output) if isinstance(value, Generator) else value)
        except StopIteration as error:
            # No future can carry it: the await would hang.
            raise RuntimeError("StopIteration: an iterator had no next item") from error


async def _run_async(start: Callable[[], object], output: Output, finish: Callable[[object], ToolReturn]) -> ToolReturn:
    with captured(output):
        value = start()
        if isinstance(value, AsyncGenerator):
            value = await _drained_async(value, output)
        elif inspect.isawaitable(value):
            value = await value
        return finish(value)


def _drained(generator: Generator[object, None, object], output: Output) -> object:
    """Show what is yielded; gives what the generator returns or, lacking that, all that it yielded."""
    yielded: list[Content] = []
    with closing(generator):
        while not output.finished:  # a call that was given up is not worked on in its thread
            try:
                item = next(generator)
            except StopIteration as stop:
                return _together(yielded) if stop.value is None else stop.value
            yielded += _shown(item, output)
    return None


async def _drained_async(generator: AsyncGenerator[object, None], output: Output) -> object:
    yielded: list[Content] = []
    async with aclosing(generator):
        async for item in generator:
            yielded += _shown(item, output)
    return _together(yielded)


def _shown(item: object, output: Output) -> tuple[Content, ...]:
    blocks = to_content(item)
    for block in blocks:
        output.show(block)
    return blocks


def _together(yielded: list[Content]) -> object:
    pieces = [block.text for block in yielded if isinstance(block, Text)]
    # Pieces of a text bring their own spaces ("one ", "two"); whole messages ("step 1", "step 2") are lines.
    in_pieces = any(piece[:1].isspace() or piece[-1:].isspace() for piece in pieces)
    text = ("" if in_pieces else "\n").join(pieces)
    others = tuple(block for block in yielded if not isinstance(block, Text))
    if not others:
        return text or None
    return (Text(text), *others) if text else others
