# ruff: noqa: T201 - the tools under test print
from __future__ import annotations

import asyncio
import contextlib
import io
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import anyio
import pytest

from agentnb.messages import Content, Image, Text
from agentnb.tools.base import InlineRunner, ToolContext
from agentnb.tools.capture import HEAD, TAIL, Output, captured
from agentnb.tools.function import FunctionTool, tool

if TYPE_CHECKING:
    from tests.tools.conftest import Call

pytestmark = pytest.mark.anyio


def card(blocks: list[Content]) -> str:
    return "".join(b.text for b in blocks if isinstance(b, Text))


async def test_prints_go_to_the_card_and_not_to_the_screen(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    @tool
    def speak() -> int:
        print("out")
        print("err", file=sys.stderr)
        return 1

    called = await call(speak)
    assert called.card == "out\nerr\n"
    assert called.text == "1"
    assert capsys.readouterr() == ("", "")


async def test_the_streams_are_the_old_ones_after_a_call_even_when_it_fails(call: Call) -> None:
    before = sys.stdout, sys.stderr

    @tool
    def fail() -> None:
        print("so far")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await call(fail)
    assert (sys.stdout, sys.stderr) == before


async def test_output_before_a_failure_is_shown() -> None:
    shown: list[Content] = []

    @tool
    def fail() -> None:
        print("so far", end="")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await fail.call({}, ToolContext(shown.append, {}, InlineRunner()))
    assert card(shown) == "so far"


async def test_calls_at_the_same_time_keep_their_prints_apart(capsys: pytest.CaptureFixture[str]) -> None:
    count = 6
    begun = asyncio.Event()
    barrier = threading.Barrier(count)

    @tool(thread=True)
    def in_thread(word: str) -> None:
        for i in range(50):
            if i % 10 == 0:
                barrier.wait(5)
            print(word, i)

    @tool
    async def in_task(word: str) -> None:
        for i in range(50):
            begun.set()
            print(word, i)
            await asyncio.sleep(0)

    cards: dict[str, list[Content]] = {}

    async def run(f: FunctionTool, word: str) -> None:
        shown = cards.setdefault(word, [])
        await f.call({"word": word}, ToolContext(shown.append, {}, InlineRunner()))

    with anyio.fail_after(10):
        # Six workers at once, whatever the machine has.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(count))
        async with asyncio.TaskGroup() as group:
            for i in range(count):
                group.create_task(run(in_thread, f"thread{i}"))
                group.create_task(run(in_task, f"task{i}"))
            await begun.wait()
            print("the notebook's own")
    for word, shown in cards.items():
        assert card(shown) == "".join(f"{word} {i}\n" for i in range(50))
    assert capsys.readouterr().out == "the notebook's own\n"
    assert type(sys.stdout).__name__ != "_Router"


async def test_ten_megabytes_leave_a_card_of_a_few_kilobytes(call: Call) -> None:
    @tool
    def flood() -> None:
        for i in range(100_000):
            print(f"{i:06d} " + "x" * 92)

    called = await call(flood)
    assert len(called.card) < HEAD + TAIL + 100
    assert called.card.startswith("000000 ")
    assert called.card.endswith("x\n")
    assert "099999" in called.card
    assert "\n… 10.0 MB left out …\n" in called.card
    assert len(called.shown) < 100
    assert called.text == called.card.rstrip("\n")


async def test_ten_megabytes_in_one_print_do_too(call: Call) -> None:
    @tool
    def flood() -> None:
        print("a" + "x" * 10_000_000 + "z", end="")

    called = await call(flood)
    assert len(called.card) < HEAD + TAIL + 100
    assert called.card.startswith("ax")
    assert called.card.endswith("xz")
    assert "… 10.0 MB left out …" in called.card


def test_output_a_little_over_the_bound_is_whole() -> None:
    shown: list[Content] = []
    output = Output(shown.append)
    output.write("x" * (HEAD + TAIL))
    output.finish()
    assert card(shown) == "x" * (HEAD + TAIL)


def test_a_line_is_shown_at_once_and_many_small_writes_come_together() -> None:
    shown: list[Content] = []
    output = Output(shown.append)
    output.write("Loading")
    assert shown == []
    output.write("…\n")
    assert shown == [Text("Loading…\n")]
    for _ in range(2000):
        output.write("x\n")
    output.finish()
    assert len(shown) < 60
    assert card(shown) == "Loading…\n" + "x\n" * 2000


def test_flush_shows_an_unfinished_line() -> None:
    shown: list[Content] = []
    with captured(Output(shown.append)):
        print("50 %", end="", flush=True)
        assert shown == [Text("50 %")]


def test_a_progress_bar_leaves_its_last_state() -> None:
    shown: list[Content] = []
    output = Output(shown.append)
    output.write("\r10 %\r20 %\r100 %\ndone\r\n")
    output.finish()
    assert card(shown) == "100 %\ndone\r\n"


def test_a_picture_comes_after_the_text_before_it() -> None:
    shown: list[Content] = []
    output = Output(shown.append)
    output.write("first")
    output.show(Image(b"x"))
    assert shown == [Text("first"), Image(b"x")]


def test_what_the_receiver_prints_is_not_the_tools(capsys: pytest.CaptureFixture[str]) -> None:
    with captured(Output(lambda block: print("got", block.type))):
        print("hello")
    assert capsys.readouterr().out == "got text\n"


def test_output_after_the_call_goes_to_the_real_stream(capsys: pytest.CaptureFixture[str]) -> None:
    shown: list[Content] = []
    output = Output(shown.append)
    with captured(output):
        output.finish()
        print("late")
    assert shown == []
    assert capsys.readouterr().out == "late\n"


def test_a_redirection_of_the_tool_itself_works_and_leaves_no_router_in_charge() -> None:
    shown: list[Content] = []
    output = Output(shown.append)
    inner = io.StringIO()
    with captured(output):
        with contextlib.redirect_stdout(inner):
            print("mine")
        print("shown")
        assert sys.stdout.encoding  # the real stream's
    output.finish()
    assert inner.getvalue() == "mine\n"
    assert card(shown) == "shown\n"
    assert type(sys.stdout).__name__ != "_Router"


def test_bytes_are_refused_as_by_any_text_stream() -> None:
    with captured(Output(lambda _: None)), pytest.raises(TypeError, match="must be str"):
        sys.stdout.write(b"x")  # type: ignore[arg-type]


def test_characters_no_json_can_carry_are_replaced() -> None:
    shown: list[Content] = []
    output = Output(shown.append)
    output.write("a\udcffb\n")
    assert card(shown) == "a?b\n"
