"""The loop thread and the thread that runs notebook code."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator

import pytest

from agentnb import bridge
from agentnb.bridge import Foreground, going
from agentnb.errors import RunInterrupted, ToolError
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


def test_ticks_go_on_while_a_plain_function_keeps_the_thread_busy(background: LoopThread) -> None:
    foreground, shown = Foreground(), threading.Event()
    job = started_job(background, lambda: foreground.run_sync(lambda: shown.wait(5)))

    def tick() -> None:
        if foreground.in_function:
            shown.set()

    foreground.attend_blocked(job.done, tick)
    assert job.done.result() is True


def test_a_plain_function_that_was_not_begun_is_not_run_after_a_stop(background: LoopThread) -> None:
    foreground, ran = Foreground(), threading.Event()
    job = started_job(background, lambda: foreground.run_sync(ran.set))
    job.stop()
    with pytest.raises(RunInterrupted):
        job.done.result(5)
    foreground.attend_blocked(started_job(background, lambda: asyncio.sleep(0)).done, nothing)
    assert not ran.is_set()


def test_a_tool_that_is_cancelled_by_its_own_doing_fails_alone(background: LoopThread) -> None:
    foreground = Foreground()

    async def wait_for_another() -> None:
        other = asyncio.create_task(asyncio.sleep(3600))
        other.cancel()
        await other

    job = started_job(background, lambda: foreground.run_async(wait_for_another))
    foreground.attend_blocked(job.done, nothing)
    with pytest.raises(ToolError, match="was cancelled"):
        job.done.result()


def test_a_coroutine_is_driven_as_await_would(background: LoopThread) -> None:
    foreground = Foreground()
    seen: list[object] = []

    async def tool() -> str:
        seen.append(foreground.in_function)
        try:
            async with asyncio.timeout(0):
                await asyncio.sleep(3600)
        except TimeoutError:
            seen.append("timed out")
        seen.append(await asyncio.gather(asyncio.sleep(0, "a"), asyncio.sleep(0, "b")))
        return "done"

    job = started_job(background, lambda: foreground.run_async(tool))
    foreground.attend_blocked(job.done, lambda: seen.append(foreground.in_function) if foreground.in_function else None)
    assert job.done.result() == "done"
    assert seen == [True, "timed out", ["a", "b"]]
    assert not foreground.in_function


def test_a_stopped_job_takes_its_coroutine_along(background: LoopThread) -> None:
    foreground, cleaned = Foreground(), threading.Event()

    async def tool() -> None:
        job.stop()
        try:
            await asyncio.sleep(3600)
        finally:
            cleaned.set()

    job = started_job(background, lambda: foreground.run_async(tool))
    foreground.attend_blocked(job.done, nothing)
    with pytest.raises(RunInterrupted):
        job.done.result()
    assert cleaned.is_set()


def test_whatever_ends_the_attendance_stops_the_job(background: LoopThread) -> None:
    job = Job(background, lambda: asyncio.sleep(3600))
    with pytest.raises(ZeroDivisionError), going(job, Foreground()):
        raise ZeroDivisionError
    with pytest.raises(RunInterrupted):
        job.done.result(5)


@pytest.mark.anyio
async def test_a_blocked_cell_leaves_the_loops_of_others_alone() -> None:
    before = asyncio.run
    bridge._run_here(asyncio.sleep(0))
    assert asyncio.run is before
