"""How a run on the event-loop thread and the thread that runs notebook code work together.

The run goes on a loop of its own, so that a busy cell does not stop it. The cell attends it meanwhile:
it runs the plain functions that the run asks for (notebook functions run where notebook code runs), starts
async ones on the kernel's loop, and shows what came, about every 50 ms. This is the one way back from async
code to a blocked caller, and the only place that knows `nest_asyncio`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any, Generic, TypeVar

from agentnb.errors import ToolError
from agentnb.interrupts import interrupts
from agentnb.jobs import Job, LoopThread, Run

T = TypeVar("T")

#: Seconds between two looks at a run: what a person still sees as at once.
TICK = 0.05


class _Errand(Generic[T]):
    """Something the loop thread asks of the attending thread; `done` belongs to the loop thread."""

    def __init__(self, done: asyncio.Future[T]) -> None:
        self.done = done
        self.loop = done.get_loop()
        #: That of the run: what it prints goes where the run belongs, whichever cell runs by then.
        self.context = contextvars.copy_context()

    def settle(self, value: T | None, error: BaseException | None) -> None:
        def settle() -> None:
            if self.done.done():
                return
            if isinstance(error, KeyboardInterrupt):
                self.done.cancel()
            elif isinstance(error, asyncio.CancelledError):  # of something the tool waited for, not of the run
                self.done.set_exception(ToolError("the tool was cancelled"))
            elif isinstance(error, SystemExit):
                self.done.set_exception(ToolError("the tool called sys.exit()"))
            elif error is not None:
                self.done.set_exception(error)
            else:
                self.done.set_result(value)  # type: ignore[arg-type]  # None only where T is None

        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(settle)


def settled(future: concurrent.futures.Future[T]) -> asyncio.Event:
    """An event of the loop that runs here, set when a future of any thread has ended, however it did."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    def note(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(event.set)

    future.add_done_callback(note)
    return event


class Foreground:
    """The thread where notebook code runs, for the time of one run: a Runner for the run's tools.

    The run calls `run_sync` and `run_async` on the loop thread; the cell calls `attend` (where it can
    await) or `attend_blocked` on its own. Until one of them does, errands wait.

    A `lasting` one serves many runs for as long as they go on, also several callers at once: an attending that ends
    early leaves their tools alone, and an interrupt ends the function it hits, not the run.
    """

    def __init__(self, *, lasting: bool = False) -> None:
        self._lasting = lasting
        self._calls: deque[tuple[_Errand[object], Callable[[], object]]] = deque()
        self._coroutines: deque[tuple[_Errand[object], Callable[[], Coroutine[object, object, object]]]] = deque()
        self._wake = threading.Event()
        self._wakers: list[Callable[[], object]] = [self._wake.set]
        self._tasks: set[asyncio.Task[object]] = set()
        self._in_function = False
        self._tick: Callable[[], object] = lambda: None
        self._showing = threading.Lock()

    async def run_sync(self, function: Callable[[], T]) -> T:
        """Run a plain function on the attending thread, and show meanwhile what that thread then cannot."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.append((_Errand(done), function))  # type: ignore[arg-type]  # one T per errand
        self._rouse()
        try:
            while not done.done():
                await asyncio.wait({done}, timeout=TICK)
                if self._in_function:
                    self._show()
            return await done
        finally:
            done.cancel()

    async def run_async(self, function: Callable[[], Coroutine[object, object, T]]) -> T:
        """Run a coroutine on the attending thread's loop."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._coroutines.append((_Errand(done), function))  # type: ignore[arg-type]  # one T per errand
        self._rouse()
        return await done

    async def attend(self, run: concurrent.futures.Future[T], tick: Callable[[], object]) -> None:
        """Serve the run until it has ended, leaving the loop free for everything else. Never raises its error.

        `tick` is called about every 50 ms: here, or on the loop thread while a plain function keeps this one busy.
        """
        loop = asyncio.get_running_loop()
        wake = asyncio.Event()

        def waker() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody attends there any more
                loop.call_soon_threadsafe(wake.set)

        run.add_done_callback(lambda _: waker())
        self._wakers.append(waker)
        self._tick = tick
        due = 0.0
        try:
            while not run.done():
                wake.clear()
                self._work(start=True)
                if time.monotonic() >= due:
                    self._show()
                    due = time.monotonic() + TICK
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(wake.wait(), max(0.001, due - time.monotonic()))
        finally:
            self._wakers.remove(waker)
        if not self._lasting:
            await self._settle_tasks()

    def attend_blocked(self, run: concurrent.futures.Future[T], tick: Callable[[], object]) -> None:
        """The same where the caller cannot await; the kernel's loop runs meanwhile only if an async tool needs it."""
        run.add_done_callback(lambda _: self._wake.set())
        self._tick = tick
        due = 0.0
        while not run.done():
            self._wake.clear()
            self._work(start=False)
            if self._coroutines:
                _run_here(self.attend(run, tick))
                return
            if time.monotonic() >= due:
                self._show()
                due = time.monotonic() + TICK
            self._wake.wait(max(0.001, due - time.monotonic()))

    @property
    def in_function(self) -> bool:
        """Whether a plain function runs on the attending thread now: only an exception gets it to stop."""
        return self._in_function

    def _rouse(self) -> None:
        for waker in list(self._wakers):
            waker()

    def _busy(self, busy: bool) -> None:
        self._in_function = busy

    def _show(self) -> None:
        with self._showing:  # one thread at a time
            self._tick()

    def _work(self, *, start: bool) -> None:
        while self._calls:
            errand, function = self._calls.popleft()
            if not errand.done.cancelled():
                self._call(errand, function)
        while start and self._coroutines:
            starting, coroutine = self._coroutines.popleft()
            if not starting.done.cancelled():
                self._start(starting, coroutine)

    def _call(self, errand: _Errand[object], function: Callable[[], object]) -> None:
        if self._lasting:
            # Between two cells nobody listens for an interrupt, and a function that hangs would keep the kernel.
            with interrupts(lambda: None, self):
                self._run(errand, lambda: errand.context.run(function))
        else:
            self._run(errand, function)

    def _run(self, errand: _Errand[object], function: Callable[[], object]) -> None:
        value, error, before = None, None, self._in_function  # a function may wait for a run of its own
        try:
            self._in_function = True
            value = function()
            self._in_function = before  # at once: from here on a KeyboardInterrupt would hit us
        except BaseException as raised:  # it belongs to the run, which tells the model
            self._in_function = before
            error = raised
        errand.settle(value, self._meant(error))

    def _meant(self, error: BaseException | None) -> BaseException | None:
        if self._lasting and isinstance(error, KeyboardInterrupt):
            return ToolError("the person interrupted the tool")
        return error

    def _start(self, errand: _Errand[object], coroutine: Callable[[], Coroutine[object, object, object]]) -> None:
        here = asyncio.get_running_loop()
        work = self._await(errand, coroutine)
        task = here.create_task(work, context=errand.context if self._lasting else None)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A run that is stopped takes its async tools along.
        errand.loop.call_soon_threadsafe(
            errand.done.add_done_callback,
            lambda done: done.cancelled() and here.call_soon_threadsafe(task.cancel),
        )

    async def _await(self, errand: _Errand[object], coroutine: Callable[[], Coroutine[object, object, object]]) -> None:
        value, error = None, None
        try:
            value = await _Steps(coroutine(), self._busy)
        except BaseException as raised:  # as above; and out of a task, SystemExit would end the kernel
            error = raised
        errand.settle(value, self._meant(error))

    async def _settle_tasks(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _Steps(Generator[object, object, T]):
    """A coroutine to await; between two of its waits it is a function that keeps the thread busy."""

    def __init__(self, coroutine: Coroutine[object, object, T], busy: Callable[[bool], object]) -> None:
        self._coroutine = coroutine
        self._busy = busy

    def __await__(self) -> Generator[object, object, T]:
        return self

    def send(self, value: object) -> object:
        self._busy(True)
        try:
            return self._coroutine.send(value)
        finally:
            self._busy(False)

    def throw(self, *error: Any) -> object:
        self._busy(True)
        try:
            return self._coroutine.throw(*error)
        finally:
            self._busy(False)


def _run_here(work: Coroutine[object, object, T]) -> T:
    """Run a coroutine on this thread's loop to its end, also if that loop is running already (a blocked cell)."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    import nest_asyncio2  # type: ignore[import-untyped]  # it ships no types

    run = asyncio.run
    nest_asyncio2.apply(loop)
    # Only this loop needs it: its `asyncio.run` would leave the loops of everybody else open.
    asyncio.run = run
    return loop.run_until_complete(work)


@contextlib.contextmanager
def going(job: Job[T] | Run, foreground: Foreground) -> Iterator[None]:
    """Starts a job for the time of the block; an interrupt stops it, and so does whatever else ends the block early."""
    with interrupts(job.stop, foreground):
        job.start()
        try:
            yield
        finally:
            if not job.done.done():
                job.stop()


def run_blocking(background: LoopThread, work: Callable[[Foreground], Coroutine[object, object, T]]) -> T:
    """A coroutine's result, for a caller that cannot await; its tools run on the caller's thread.

    Raises RunInterrupted where the person stopped it.
    """
    foreground = Foreground()
    job = Job(background, lambda: work(foreground))
    with going(job, foreground):
        foreground.attend_blocked(job.done, lambda: None)
    return job.done.result()
