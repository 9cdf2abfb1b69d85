# ruff: noqa: T201 - the tools under test print
from __future__ import annotations

import asyncio
import contextvars
import functools
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import anyio
import pytest
from inline_snapshot import snapshot

from agentnb.errors import ToolError, UsageError
from agentnb.messages import Image, Text
from agentnb.tools.base import InlineRunner, ToolContext, ToolReturn
from agentnb.tools.function import FunctionTool, as_tool, tool

if TYPE_CHECKING:
    from tests.tools.conftest import Call

T = TypeVar("T")
pytestmark = pytest.mark.anyio


class Kernel:
    """A main thread and a loop of its own, as a kernel has them."""

    in_function = False

    def __init__(self) -> None:
        self.main = ThreadPoolExecutor(1, thread_name_prefix="main")
        self.loop = ThreadPoolExecutor(1, thread_name_prefix="loop")

    def run_sync(self, function: Callable[[], T]) -> Awaitable[T]:
        return asyncio.wrap_future(self.main.submit(function))

    def run_async(self, function: Callable[[], Coroutine[object, object, T]]) -> Awaitable[T]:
        return asyncio.wrap_future(self.loop.submit(lambda: asyncio.run(function())))  # type: ignore[arg-type]


def where() -> str:
    return threading.current_thread().name.partition("_")[0]


def test_a_decorated_function_stays_a_function() -> None:
    @tool
    def add(a: int, b: int = 1) -> int:
        """Add."""
        return a + b

    assert add(1) == 2
    assert add(1, b=5) == 6
    assert add.__name__ == "add"  # type: ignore[attr-defined]
    assert add.__doc__ == "Add."
    assert repr(add) == "<tool add(a, b)>"


def test_the_three_spellings_make_the_same_tool() -> None:
    def f() -> None:
        """Do."""

    made = [tool(f), tool()(f), tool(name="f", thread=False)(f), FunctionTool(f), tool(tool(f))]
    assert {(t.name, t.description, t.parallel) for t in made} == {("f", "Do.", False)}
    named = tool(f, name="g", description="Else.", thread=True)
    assert (named.name, named.description, named.parallel, named.function) == ("g", "Else.", True, f)


def test_threads_and_async_functions_run_in_parallel_and_others_do_not() -> None:
    def sync() -> None: ...

    async def task() -> None: ...

    async def stream() -> AsyncIterator[str]:
        yield ""

    assert [tool(sync).parallel, tool(sync, thread=True).parallel] == [False, True]
    assert [tool(task).parallel, tool(stream).parallel] == [True, True]
    assert FunctionTool(task, parallel=False).parallel is False


async def test_each_kind_of_function_runs_in_its_place(call: Call) -> None:
    async def task() -> str:
        await asyncio.sleep(0)
        return where()

    async def stream() -> AsyncIterator[str]:
        yield where()

    def lines() -> Iterator[str]:
        yield where()

    kernel = Kernel()
    places = [
        (await call(t, runner=kernel)).text
        for t in (tool(where), tool(lines), tool(task), tool(stream), tool(lambda: task(), name="returns_awaitable"))
    ]
    assert places == ["main", "main", "loop", "loop", "loop"]
    assert (await call(tool(where, thread=True), runner=kernel)).text.startswith("asyncio")
    assert (await call(tool(lines, thread=True), runner=kernel)).text.startswith("asyncio")


async def test_a_thread_sees_the_context_of_the_call(call: Call) -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("here")
    assert (await call(tool(lambda: variable.get(), name="f", thread=True))).text == "here"


async def test_a_generator_shows_each_yield_and_gives_its_return_value(call: Call) -> None:
    @tool
    def count() -> Generator[object, None, int]:
        print("printed")
        yield "one "
        yield {"two": 2}
        yield Image(b"x")
        return 3

    called = await call(count)
    assert called.shown == [Text("printed\n"), Text("one "), Text('{"two": 2}\n'), Image(b"x")]
    assert called.text == "3"


@pytest.mark.parametrize("thread", [False, True])
async def test_a_generator_without_a_return_value_gives_what_it_yielded(call: Call, thread: bool) -> None:
    def words() -> Iterator[object]:
        yield "one "
        yield Image(b"x")
        yield "two"

    called = await call(tool(words, thread=thread))
    assert called.result.content == (Text("one two"), Image(b"x"))


async def test_an_async_generator_does_too(call: Call) -> None:
    @tool
    async def words() -> AsyncIterator[str]:
        yield "one "
        await asyncio.sleep(0)
        yield "two"

    called = await call(words)
    assert called.shown == [Text("one "), Text("two")]
    assert called.text == "one two"


async def test_whole_messages_of_a_generator_are_lines(call: Call) -> None:
    def steps() -> Iterator[str]:
        """Take steps."""
        yield "step 1"
        yield "step 2"

    assert (await call(tool(steps))).text == "step 1\nstep 2"


async def test_a_generator_that_yields_a_flood_leaves_a_small_card(call: Call) -> None:
    @tool
    def flood() -> Iterator[str]:
        for _ in range(1000):
            yield "x" * 1000

    called = await call(flood)
    assert len(called.card) < 12_000
    assert len(called.text) < 50_000
    assert called.result.handle == "flood_1"


async def test_an_empty_generator_says_so(call: Call) -> None:
    @tool
    def nothing() -> Iterator[str]:
        yield from ()

    assert (await call(nothing)).text == "(no output)"


async def test_a_cancelled_generator_in_a_thread_stops() -> None:
    begun, closed = threading.Event(), threading.Event()

    @tool(thread=True)
    def forever() -> Iterator[str]:
        try:
            while True:
                begun.set()
                yield "."
        finally:
            closed.set()

    with anyio.fail_after(5):
        task = asyncio.create_task(_call(forever))
        await asyncio.to_thread(begun.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(closed.wait, 5)


async def _call(t: FunctionTool) -> ToolReturn:
    return await t.call({}, ToolContext(lambda _: None, {}, InlineRunner()))


class Custom(Exception): ...


@pytest.mark.parametrize("error", [Custom("no"), ToolError("plainly")], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("kind", ["sync", "generator", "async"])
async def test_what_the_function_raises_comes_out_unchanged(error: BaseException, kind: str) -> None:
    def fail() -> None:
        raise error

    def generate() -> Iterator[str]:
        yield "x"
        raise error

    async def wait() -> None:
        await asyncio.sleep(0)
        raise error

    made = tool({"sync": fail, "generator": generate, "async": wait}[kind])
    with pytest.raises(type(error)) as caught:
        await _call(made)
    assert caught.value is error


def test_an_interrupt_inside_a_tool_comes_out() -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    def generate() -> Iterator[str]:
        yield "x"
        raise KeyboardInterrupt

    class Direct(InlineRunner):
        async def run_sync(self, function: Callable[[], T]) -> T:
            return function()

    context = ToolContext(lambda _: None, {}, Direct())
    for made in (tool(fail), tool(generate)):
        # Without a loop, which an interrupt would end: nothing here waits.
        with pytest.raises(KeyboardInterrupt):
            made.call({}, context).send(None)


@pytest.mark.parametrize("thread", [False, True])
async def test_a_stop_iteration_is_an_error_and_no_hang(thread: bool) -> None:
    with anyio.fail_after(5), pytest.raises(RuntimeError, match="no next item"):
        await _call(tool(lambda: next(iter([])), name="first", thread=thread))


async def test_wrong_arguments_never_reach_the_function(call: Call) -> None:
    ran = []

    @tool
    def f(n: int) -> None:
        ran.append(n)

    with pytest.raises(ToolError, match="Argument 'n'"):
        await call(f, n="x")
    assert ran == []


async def test_other_callables_work(call: Call) -> None:
    class Scale:
        """Scale a number."""

        def __init__(self, by: int) -> None:
            self.by = by

        def method(self, n: int) -> int:
            """Scale it."""
            return n * self.by

        async def __call__(self, n: int) -> int:
            return n * self.by

    def scaled(n: int, by: int) -> int:
        """Scaled."""
        return n * by

    bound, instance, partial = tool(Scale(2).method), tool(Scale(3)), tool(functools.partial(scaled, by=4))
    assert [(t.name, t.description) for t in (bound, instance, partial)] == [
        ("method", "Scale it."),
        ("Scale", "Scale a number."),
        ("scaled", "Scaled."),
    ]
    assert [(await call(t, n=5)).text for t in (bound, instance, partial)] == ["10", "15", "20"]
    assert list(partial.spec({}).parameters["properties"]) == ["n"]  # type: ignore[arg-type]
    assert instance.parallel


async def test_a_decorated_method_is_bound(call: Call) -> None:
    class Scale:
        by = 2

        @tool
        def scale(self, n: int) -> int:
            return n * self.by

    assert Scale().scale(3) == 6
    assert (await call(Scale().scale, n=3)).text == "6"


async def test_a_wrapped_function_is_described_by_the_original(call: Call) -> None:
    def logged(f: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(f)
        def inner(*args: object, **kwargs: object) -> object:
            return f(*args, **kwargs)

        return inner

    @tool
    @logged
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    assert add.description == "Add."
    assert (await call(add, a="1", b=2)).text == "3"


@pytest.mark.parametrize(
    "make",
    [
        lambda: tool(lambda x: x),
        lambda: tool(int),
        lambda: tool("name"),  # type: ignore[call-overload]
        lambda: tool(lambda *names: names, name="join"),
        lambda: tool(lambda: 1, name="größe"),
        lambda: tool(asyncio.sleep, thread=True),
        lambda: tool(min),
        lambda: as_tool("add"),
        lambda: as_tool(5),
        lambda: as_tool(FunctionTool),
    ],
)
def test_what_cannot_be_a_tool_is_refused_in_one_line(make: Callable[[], object]) -> None:
    with pytest.raises(UsageError) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_star_parameter_is_refused_with_the_way_out() -> None:
    def join(*names: str) -> None: ...

    with pytest.raises(UsageError) as caught:
        tool(join)
    assert str(caught.value) == snapshot(
        "Tool 'join' takes *names, which a model cannot fill by name. Use one list parameter: names: list[str]."
    )


def test_as_tool_takes_tools_and_functions() -> None:
    made = tool(where)
    assert as_tool(made) is made
    assert as_tool(where).name == "where"


def test_importing_it_loads_no_heavy_module() -> None:
    heavy = ("pydantic", "docstring_parser", "pandas", "numpy", "polars", "matplotlib", "PIL")
    code = f"import sys, agentnb.tools.function; print([m for m in {heavy!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert out.stdout.strip() == "[]"
