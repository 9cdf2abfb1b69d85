"""The loop thread and the thread that runs notebook code."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator

import pytest

from agentnb import bridge
from agentnb.bridge import Foreground
from agentnb.errors import RunInterrupted, ToolError
from agentnb.interrupts import interrupts
from agentnb.jobs import Job, LoopThread, T


@pytest.fixture
def background() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


def started_job(background: LoopThread, work: Callable[[], Coroutine[object, object, T]]) -> Job[T]:
    job = Job(background, work)
    job.start()
    return job


def nothing() -> None:
    """A tick that shows nothing."""


def test_a_plain_function_runs_on_the_thread_that_attends(background: LoopThread) -> None:
    foreground = Foreground()

    async def work() -> tuple[str, str]:
        return threading.current_thread().name, await foreground.run_sync(lambda: threading.current_thread().name)

    job = started_job(background, work)
    foreground.attend_blocked(job.done, nothing)
    assert job.done.result() == ("agentnb", threading.main_thread().name)


def test_a_coroutine_runs_on_the_loop_of_the_cell() -> None:
    background, foreground = LoopThread(), Foreground()

    async def cell() -> bool:
        here = asyncio.get_running_loop()
        lock = asyncio.Lock()  # an object of this loop, as made in another cell

        async def tool() -> bool:
            async with lock:
                return asyncio.get_running_loop() is here

        job = started_job(background, lambda: foreground.run_async(tool))
        await foreground.attend(job.done, nothing)
        return job.done.result()

    assert asyncio.run(cell())
    background.close()


def test_what_a_function_raises_comes_back_to_the_run(background: LoopThread) -> None:
    foreground = Foreground()

    def fail() -> None:
        raise ValueError("no")

    job = started_job(background, lambda: foreground.run_sync(fail))
    foreground.attend_blocked(job.done, nothing)
    with pytest.raises(ValueError, match="no"):
        job.done.result()


def test_sys_exit_in_a_tool_does_not_end_the_kernel(background: LoopThread) -> None:
    foreground = Foreground()

    def leave() -> None:
        raise SystemExit(3)

    job = started_job(background, lambda: foreground.run_sync(leave))
    foreground.attend_blocked(job.done, nothing)
    with pytest.raises(ToolError, match=r"sys\.exit"):
        job.done.result()


def test_a_stopped_job_ends_after_its_clean_up(background: LoopThread) -> None:
    cleaned = threading.Event()
    started = threading.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    job = started_job(background, work)
    assert started.wait(5)
    job.stop()
    with pytest.raises(RunInterrupted):
        job.done.result(5)
    assert cleaned.is_set()


def interrupt_soon(when: threading.Event) -> None:
    def send() -> None:
        when.wait(5)
        # To this very thread: a signal to the process may be taken by any, and then a sleep goes on.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=send, daemon=True).start()


def silence(started: threading.Event) -> Coroutine[object, object, None]:
    async def wait() -> None:
        started.set()
        await asyncio.sleep(3600)

    return wait()


def test_an_interrupt_ends_a_silent_wait_at_once(background: LoopThread) -> None:
    before = signal.getsignal(signal.SIGINT)
    started = threading.Event()
    interrupt_soon(started)
    began = time.monotonic()
    with pytest.raises(RunInterrupted):
        bridge.run_blocking(background, lambda _: silence(started))
    assert time.monotonic() - began < 5
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_during_a_plain_function_stops_the_function(background: LoopThread) -> None:
    started = threading.Event()
    interrupt_soon(started)

    def hang() -> None:
        started.set()
        while True:
            time.sleep(0.01)

    with pytest.raises(RunInterrupted):
        bridge.run_blocking(background, lambda foreground: foreground.run_sync(hang))


def test_two_runs_at_once_leave_the_handler_as_it_was() -> None:
    before = signal.getsignal(signal.SIGINT)
    one, two = Foreground(), Foreground()
    first = interrupts(nothing, one)
    second = interrupts(nothing, two)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert signal.getsignal(signal.SIGINT) is not before
    second.__exit__(None, None, None)
    assert signal.getsignal(signal.SIGINT) is before


def test_ticks_go_on_while_the_run_waits(background: LoopThread) -> None:
    ticks: list[float] = []
    enough = threading.Event()

    def tick() -> None:
        ticks.append(time.monotonic())
        if len(ticks) == 3:
            enough.set()

    async def work() -> None:
        await asyncio.to_thread(enough.wait, 5)

    job = started_job(background, work)
    Foreground().attend_blocked(job.done, tick)
    assert len(ticks) >= 3
