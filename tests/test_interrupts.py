"""The stop button and ^C."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Coroutine, Iterator

import pytest

from agentnb import bridge
from agentnb.bridge import Foreground
from agentnb.errors import RunInterrupted
from agentnb.interrupts import interrupts
from agentnb.jobs import LoopThread


@pytest.fixture
def background() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


class Pressed:
    """A handler that was there before; counts what reaches it."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, *_: object) -> None:
        self.times += 1


@pytest.fixture
def before() -> Iterator[Pressed]:
    handler = Pressed()
    old = signal.signal(signal.SIGINT, handler)
    yield handler
    signal.signal(signal.SIGINT, old)


def nothing() -> None:
    """Stops nothing."""


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


def test_an_async_tool_that_keeps_the_thread_busy_is_stopped_at_once(background: LoopThread) -> None:
    started = threading.Event()
    interrupt_soon(started)

    async def hang() -> None:
        started.set()
        while True:
            time.sleep(0.01)  # noqa: ASYNC251  # that is the mistake

    with pytest.raises(RunInterrupted):
        bridge.run_blocking(background, lambda foreground: foreground.run_async(hang))


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


def test_only_a_second_interrupt_reaches_the_handler_that_was_there_before(before: Pressed) -> None:
    stops: list[int] = []
    with interrupts(lambda: stops.append(before.times), Foreground()):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert stops == [0, 0]
    assert before.times == 1
    signal.raise_signal(signal.SIGINT)
    assert before.times == 2


@pytest.mark.usefixtures("before")
def test_where_interrupts_were_ignored_a_second_one_is_ignored_too() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts(nothing, Foreground()):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.usefixtures("before")
def test_a_run_that_outlives_its_cell_leaves_the_handler_of_the_next_cell() -> None:
    ours = contextlib.ExitStack()
    ours.enter_context(interrupts(nothing, Foreground()))
    next_cell = Pressed()
    signal.signal(signal.SIGINT, next_cell)
    ours.close()
    assert signal.getsignal(signal.SIGINT) is next_cell


def test_another_thread_leaves_the_handler_alone(before: Pressed) -> None:
    seen: list[object] = []

    def run() -> None:
        with interrupts(nothing, Foreground()):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(5)
    assert seen == [before]
