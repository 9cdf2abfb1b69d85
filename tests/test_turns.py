"""Runs that outlive their cells share the thread where notebook code runs."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextvars import ContextVar

import anyio
import pytest

from agentnb.bridge import Foreground, going
from agentnb.errors import RunInterrupted, ToolError
from agentnb.jobs import Job, LoopThread
from agentnb.turns import Turns

CELL: ContextVar[str] = ContextVar("cell", default="none")


@pytest.fixture
def background() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


def nothing() -> None:
    """A tick that shows nothing."""


def test_a_function_runs_in_the_context_of_the_run_that_asks(background: LoopThread) -> None:
    shared = Foreground(lasting=True)

    async def work() -> tuple[str, str]:
        async def later() -> str:
            return CELL.get()

        turns = Turns(shared)
        return await turns.run_sync(CELL.get), await turns.run_async(later)

    CELL.set("the first")
    job = Job(background, work)
    job.start()
    CELL.set("the second")
    shared.attend_blocked(job.done, nothing)
    assert job.done.result() == ("the first", "the first")


def test_whoever_waits_shortly_leaves_the_functions_of_others_alone(background: LoopThread) -> None:
    shared = Foreground(lasting=True)

    async def cells() -> str:
        inside, go_on = asyncio.Event(), asyncio.Event()

        async def slow() -> str:
            inside.set()
            await go_on.wait()
            return "whole"

        job = Job(background, lambda: Turns(shared).run_async(slow))
        job.start()
        shortly = Job(background, lambda: asyncio.sleep(0.05))
        shortly.start()
        await shared.attend(shortly.done, nothing)
        assert inside.is_set()
        go_on.set()
        await shared.attend(job.done, nothing)
        return job.done.result()

    assert anyio.run(cells) == "whole"


def test_an_interrupt_ends_the_waiting_and_the_function_and_not_the_run(background: LoopThread) -> None:
    shared = Foreground(lasting=True)

    def interrupted() -> None:
        signal.raise_signal(signal.SIGINT)

    async def run() -> str:
        try:
            await Turns(shared).run_sync(interrupted)
        except ToolError as error:
            return str(error)
        return "not interrupted"

    job = Job(background, run)
    waiting = Job(background, asyncio.Event().wait)
    job.start()
    with going(waiting, shared):
        shared.attend_blocked(waiting.done, nothing)
    assert isinstance(waiting.done.exception(), RunInterrupted)
    assert job.done.result(5) == "the person interrupted the tool"


def test_an_interrupt_between_two_cells_ends_only_the_function(background: LoopThread) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a kernel has it between two cells
    try:
        shared = Foreground(lasting=True)
        job = Job(background, lambda: Turns(shared).run_sync(lambda: signal.raise_signal(signal.SIGINT)))
        job.start()
        shared.attend_blocked(job.done, nothing)
        assert isinstance(job.done.exception(), ToolError)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_it_is_known_whether_a_function_waits_for_its_turn(background: LoopThread) -> None:
    shared = Foreground(lasting=True)
    turns = Turns(shared)
    seen: list[bool] = []
    job = Job(background, lambda: turns.run_sync(lambda: seen.append(turns.queued)))
    job.start()
    while not turns.waits:  # it is attended only when it has waited for a while
        threading.Event().wait(0.01)
    assert turns.queued
    shared.attend_blocked(job.done, nothing)
    assert seen == [False]
    assert not turns.waits
