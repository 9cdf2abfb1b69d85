"""The stop button and ^C: for the time of a run they stop the run, at once, also in a quiet wait for the network."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Protocol


class ThisTask:
    """The task that asks, as something that an interrupt can stop."""

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # a coroutine runs in a task
        self._task = task
        self.stopping = False

    def stop(self) -> None:
        """Cancel it. Safe from a signal handler."""
        self.stopping = True
        self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    def revive(self) -> None:
        """Undo the cancellation: another error goes on in its place."""
        self._task.uncancel()


class _OnInterrupt:
    """Our SIGINT handler: stops every run that the main thread attends now."""

    def __init__(self, before: Callable[[int, FrameType | None], object] | int) -> None:
        self.before = before
        self.runs: dict[object, tuple[Callable[[], object], _Interruptible]] = {}
        self._asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        runs = list(self.runs.values())
        for stop, _runner in runs:
            stop()
        if any(runner.in_function for _stop, runner in runs):
            raise KeyboardInterrupt
        # Not raised elsewhere: in the wait of an event loop, an exception would end the kernel.
        if self._asked and callable(self.before):
            self.before(number, frame)
        self._asked = True


class _Interruptible(Protocol):
    @property
    def in_function(self) -> bool:
        """Whether a plain function runs on the main thread now: only an exception gets it to stop."""


@contextlib.contextmanager
def interrupts(stop: Callable[[], object], runner: _Interruptible) -> Iterator[None]:
    """For the time of a run, the stop button and ^C stop it at once, also in a quiet wait for the network.

    One while a function of the notebook keeps the thread busy raises KeyboardInterrupt right there. A second one is
    what it would be without us: the handler that was there before decides.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is None or threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals; None is a handler that was not set from Python
        return
    handler = before if isinstance(before, _OnInterrupt) else _OnInterrupt(before)
    signal.signal(signal.SIGINT, handler)
    key = object()
    handler.runs[key] = (stop, runner)
    try:
        yield
    finally:
        del handler.runs[key]
        # A task may outlive its cell, and what later cells have set is not ours to take back.
        ours = signal.getsignal(signal.SIGINT) is handler
        if ours and not handler.runs:
            signal.signal(signal.SIGINT, handler.before)
