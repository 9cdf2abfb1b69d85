"""Coroutines and runs on the loop thread."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncGenerator, Iterator
from contextvars import ContextVar
from typing import NoReturn

import pytest

from agentnb import events
from agentnb.errors import RunInterrupted
from agentnb.jobs import Job, LoopThread, Run


@pytest.fixture
def background() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


def test_the_thread_starts_at_first_use_and_ends_at_close() -> None:
    background = LoopThread("of this test")
    assert "of this test" not in [thread.name for thread in threading.enumerate()]
    loop = background.loop
    assert background.loop is loop
    assert "of this test" in [thread.name for thread in threading.enumerate()]
    background.close()
    background.close()
    assert "of this test" not in [thread.name for thread in threading.enumerate()]
    assert loop.is_closed()


def test_a_thread_that_hangs_does_not_keep_the_interpreter_from_ending() -> None:
    code = """
        import asyncio, threading, time
        from agentnb.jobs import Job, LoopThread
        hanging = threading.Event()
        Job(LoopThread(), lambda: asyncio.to_thread(lambda: (hanging.set(), time.sleep(3600)))).start()
        hanging.wait(5)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=20)


def test_calls_in_threads_wait_for_no_core_and_keep_their_context(background: LoopThread) -> None:
    together = threading.Barrier(65, timeout=5)
    whose: ContextVar[int] = ContextVar("whose")

    async def one(number: int) -> int:
        whose.set(number)
        await asyncio.to_thread(together.wait)
        return await asyncio.to_thread(whose.get)

    async def all_at_once() -> list[int]:
        return await asyncio.gather(*map(one, range(65)))

    job = Job(background, all_at_once)
    job.start()
    assert job.done.result(10) == list(range(65))


def test_a_call_that_is_given_up_ends_in_silence(background: LoopThread) -> None:
    started, end = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def call() -> None:
        threads.append(threading.current_thread())
        started.set()
        end.wait(5)

    job = Job(background, lambda: asyncio.to_thread(call))
    job.start()
    assert started.wait(5)
    job.stop()
    with pytest.raises(RunInterrupted):
        job.done.result(5)
    end.set()
    threads[0].join(5)  # an exception in it would be a warning, and fail this test


def test_a_closed_thread_starts_again_where_it_is_needed(background: LoopThread) -> None:
    first = background.loop
    background.close()
    assert background.loop is not first
    job = Job(background, lambda: asyncio.sleep(0, "again"))
    job.start()
    assert job.done.result(5) == "again"


def test_closing_on_its_own_thread_does_not_wait_for_itself(background: LoopThread) -> None:
    async def close() -> str:
        background.close()
        return "closed"

    job = Job(background, close)
    job.start()
    assert job.done.result(5) == "closed"


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

    job = Job(background, work)
    job.start()
    assert started.wait(5)
    job.stop()
    with pytest.raises(RunInterrupted):
        job.done.result(5)
    assert cleaned.is_set()


def test_closing_ends_a_job_after_its_clean_up_even_one_that_has_not_begun(background: LoopThread) -> None:
    cleaned = threading.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    jobs = [Job(background, work) for _ in range(2)]
    jobs[0].start()
    background.loop.call_soon_threadsafe(jobs[1].start)  # it comes when the loop is stopping
    background.close()
    assert all(isinstance(job.done.exception(0), RunInterrupted) for job in jobs)


def test_a_job_that_is_stopped_before_it_starts_never_runs(background: LoopThread) -> None:
    ran = threading.Event()

    async def work() -> None:
        ran.set()

    job = Job(background, work)
    job.stop()
    job.start()
    with pytest.raises(RunInterrupted):
        job.done.result(5)
    assert not ran.is_set()


def test_any_loop_may_have_something_done_on_this_one_and_a_cancelled_wait_cancels_it(background: LoopThread) -> None:
    cancelled = threading.Event()

    async def where() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def elsewhere() -> bool:
        there = await background.do(where)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await background.do(hang)
        return there is background.loop and there is not asyncio.get_running_loop()

    assert asyncio.run(elsewhere())
    assert cancelled.wait(5)
    assert asyncio.run_coroutine_threadsafe(background.do(where), background.loop).result(5) is background.loop


def test_work_that_fails_before_it_can_be_awaited_is_the_jobs_failure(background: LoopThread) -> None:
    def work() -> NoReturn:
        raise ValueError("not even begun")

    job: Job[None] = Job(background, work)
    job.start()
    with pytest.raises(ValueError, match="not even begun"):
        job.done.result(5)


def test_a_stop_that_comes_too_late_is_nothing(background: LoopThread) -> None:
    job = Job(background, lambda: asyncio.sleep(0, "done"))
    job.start()
    assert job.done.result(5) == "done"
    job.stop()
    background.close()
    job.stop()
    assert job.done.result(0) == "done"


def test_a_run_gives_its_events_once_and_says_when_there_are_new_ones(background: LoopThread) -> None:
    changes: list[str] = []

    async def stream() -> AsyncGenerator[events.Event, None]:
        for piece in "abc":
            yield events.TextDelta(piece)

    run = Run("r", "Go", "m:x", background, stream, lambda: changes.append(run.transcript().text))
    run.start()
    run.done.result(5)
    assert changes == ["a", "ab", "abc"]
    assert [event.text for event in run.take() if isinstance(event, events.TextDelta)] == ["a", "b", "c"]
    assert run.take() == []


def test_a_bug_leaves_no_run_that_looks_alive_and_its_stream_is_closed(background: LoopThread) -> None:
    closed = threading.Event()

    async def stream() -> AsyncGenerator[events.Event, None]:
        try:
            yield events.TextDelta("half")
            raise ZeroDivisionError("a bug")
        finally:
            closed.set()

    run = Run("r", "Go", "m:x", background, stream, lambda: None)
    run.start()
    with pytest.raises(ZeroDivisionError):
        run.done.result(5)
    assert closed.is_set()
    assert (run.transcript().outcome, run.transcript().error) == ("error", "ZeroDivisionError: a bug")
