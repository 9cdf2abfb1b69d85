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
import signal
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import aclosing
from typing import Generic, Protocol, TypeVar

from agentnb import events
from agentnb.errors import AgentnbError, RunInterrupted, ToolError
from agentnb.transcript import Folder, Transcript

T = TypeVar("T")

#: Seconds between two looks at a run: what a person still sees as at once.
TICK = 0.05


class LoopThread:
    """An event loop on a thread of its own, started at first use."""

    def __init__(self, name: str = "agentnb") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop; its thread runs from now on."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                # Tools that wait on threads: as many as a model may call at once, not as many as there are cores.
                pool = concurrent.futures.ThreadPoolExecutor(64, thread_name_prefix="agentnb-tool")
                self._loop.set_default_executor(pool)
                self._thread = threading.Thread(target=_run_loop, args=(self._loop,), name=self._name, daemon=True)
                self._thread.start()
            return self._loop

    def close(self) -> None:
        """Stop the loop and its thread; what still runs there is cancelled first."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            if thread is not threading.current_thread():  # the last reference may go on the loop's own thread
                thread.join(5)


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        loop.run_until_complete(_cancel_all())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Job(Generic[T]):
    """A coroutine on the loop thread. `done` is settled when it has really ended: a stopped one with RunInterrupted."""

    def __init__(self, background: LoopThread, work: Callable[[], Coroutine[object, object, T]]) -> None:
        self.done: concurrent.futures.Future[T] = concurrent.futures.Future()
        self.stopping = False
        self._work = work
        self._loop = background.loop
        self._task: asyncio.Task[T] | None = None

    def start(self) -> None:
        """Begin; whoever wants to stop it on an interrupt listens for that before."""
        self._loop.call_soon_threadsafe(self._begin)

    def stop(self) -> None:
        """Cancel it. Safe from any thread, and more than once."""
        self.stopping = True
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the job with it
            self._loop.call_soon_threadsafe(self._cancel)

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._work())
        self._task.add_done_callback(self._settle)
        if self.stopping:
            self._task.cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _settle(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.done.set_exception(RunInterrupted("Interrupted."))
        elif (error := task.exception()) is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(task.result())


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


class Run:
    """A run in progress on the loop thread: its events, and the way to stop it.

    `changed` is called on the loop thread after every event.
    """

    def __init__(
        self,
        run_id: str,
        title: str,
        model: str,
        background: LoopThread,
        stream: Callable[[], AsyncGenerator[events.Event, None]],
        changed: Callable[[], object],
    ) -> None:
        self.id = run_id
        self.title = title
        self.model = model
        self._folder = Folder()
        self._new: deque[events.Event] = deque()
        self._job = Job(background, lambda: self._pump(stream, changed))
        self.done = self._job.done
        self.start = self._job.start
        self.stop = self._job.stop

    @property
    def stopping(self) -> bool:
        """Whether somebody asked it to stop."""
        return self._job.stopping

    async def _pump(
        self, stream: Callable[[], AsyncGenerator[events.Event, None]], changed: Callable[[], object]
    ) -> None:
        try:
            async with aclosing(stream()) as arriving:
                async for event in arriving:
                    self._put(event)
                    changed()
        except AgentnbError:
            raise  # its RunError has come by
        except Exception as error:  # a bug in a model or a tool must not leave a run that looks alive
            self._put(events.RunError(f"{type(error).__name__}: {error}", type(error).__name__, run_id=self.id))
            raise

    def _put(self, event: events.Event) -> None:
        self._folder.feed(event)
        self._new.append(event)

    def take(self) -> list[events.Event]:
        """The events since the last call."""
        new = []
        with contextlib.suppress(IndexError):
            while True:
                new.append(self._new.popleft())
        return new

    def transcript(self) -> Transcript:
        """The run so far. Call it on the loop thread, or when the run has ended."""
        return self._folder.transcript()


class _Errand(Generic[T]):
    """Something the loop thread asks of the attending thread; `done` belongs to the loop thread."""

    def __init__(self, done: asyncio.Future[T]) -> None:
        self.done = done
        self.loop = done.get_loop()

    def settle(self, value: T | None, error: BaseException | None) -> None:
        def settle() -> None:
            if self.done.done():
                return
            if isinstance(error, (KeyboardInterrupt, asyncio.CancelledError)):
                self.done.cancel()
            elif isinstance(error, SystemExit):
                self.done.set_exception(ToolError("the tool called sys.exit()"))
            elif error is not None:
                self.done.set_exception(error)
            else:
                self.done.set_result(value)  # type: ignore[arg-type]  # None only where T is None

        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(settle)


class Foreground:
    """The thread where notebook code runs, for the time of one run: a Runner for the run's tools.

    The run calls `run_sync` and `run_async` on the loop thread; the cell calls `attend` (where it can
    await) or `attend_blocked` on its own. Until one of them does, errands wait.
    """

    def __init__(self) -> None:
        self._calls: deque[tuple[_Errand[object], Callable[[], object]]] = deque()
        self._coroutines: deque[tuple[_Errand[object], Callable[[], Coroutine[object, object, object]]]] = deque()
        self._wake = threading.Event()
        self._waker: Callable[[], object] = self._wake.set
        self._tasks: set[asyncio.Task[object]] = set()
        self._in_function = False

    async def run_sync(self, function: Callable[[], T]) -> T:
        """Run a plain function on the attending thread."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.append((_Errand(done), function))  # type: ignore[arg-type]  # one T per errand
        self._waker()
        return await done

    async def run_async(self, function: Callable[[], Coroutine[object, object, T]]) -> T:
        """Run a coroutine on the attending thread's loop."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._coroutines.append((_Errand(done), function))  # type: ignore[arg-type]  # one T per errand
        self._waker()
        return await done

    async def attend(self, run: concurrent.futures.Future[T], tick: Callable[[], object]) -> None:
        """Serve the run until it has ended, leaving the loop free for everything else. Never raises its error."""
        loop = asyncio.get_running_loop()
        wake = asyncio.Event()
        self._waker = lambda: loop.call_soon_threadsafe(wake.set)
        run.add_done_callback(lambda _: self._waker())
        due = 0.0
        while not run.done():
            wake.clear()
            self._work(start=True)
            if time.monotonic() >= due:
                tick()
                due = time.monotonic() + TICK
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), max(0.001, due - time.monotonic()))
        await self._settle_tasks()

    def attend_blocked(self, run: concurrent.futures.Future[T], tick: Callable[[], object]) -> None:
        """The same where the caller cannot await; the kernel's loop runs meanwhile only if an async tool needs it."""
        run.add_done_callback(lambda _: self._wake.set())
        due = 0.0
        while not run.done():
            self._wake.clear()
            self._work(start=False)
            if self._coroutines:
                _run_here(self.attend(run, tick))
                return
            if time.monotonic() >= due:
                tick()
                due = time.monotonic() + TICK
            self._wake.wait(max(0.001, due - time.monotonic()))

    @property
    def in_function(self) -> bool:
        """Whether a plain function runs on the attending thread now: only an exception gets it to stop."""
        return self._in_function

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
        try:
            self._in_function = True
            value = function()
        except BaseException as error:  # it belongs to the run, which tells the model
            errand.settle(None, error)
        else:
            errand.settle(value, None)
        finally:
            self._in_function = False

    def _start(self, errand: _Errand[object], coroutine: Callable[[], Coroutine[object, object, object]]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine())
        self._tasks.add(task)

        def finished(task: asyncio.Task[object]) -> None:
            self._tasks.discard(task)
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            errand.settle(None if error else task.result(), error)

        task.add_done_callback(finished)
        # A run that is stopped takes its async tools along.
        here = asyncio.get_running_loop()
        errand.loop.call_soon_threadsafe(
            errand.done.add_done_callback,
            lambda done: done.cancelled() and here.call_soon_threadsafe(task.cancel),
        )

    async def _settle_tasks(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _OnInterrupt:
    """Our SIGINT handler: stops every run that the main thread attends now."""

    def __init__(self, before: object) -> None:
        self.before = before
        self.runs: dict[object, tuple[Callable[[], object], _Interruptible]] = {}
        self._asked = False

    def __call__(self, *_: object) -> None:
        runs = list(self.runs.values())
        for stop, _runner in runs:
            stop()
        if self._asked or any(runner.in_function for _stop, runner in runs):
            raise KeyboardInterrupt
        self._asked = True


class _Interruptible(Protocol):
    @property
    def in_function(self) -> bool:
        """Whether a plain function runs on the main thread now: only an exception gets it to stop."""


@contextlib.contextmanager
def interrupts(stop: Callable[[], object], runner: _Interruptible) -> Iterator[None]:
    """For the time of a run, the stop button and ^C stop it at once, also in a quiet wait for the network.

    A second interrupt, or one while a plain function runs, raises KeyboardInterrupt right there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals
        return
    handler = signal.getsignal(signal.SIGINT)
    if not isinstance(handler, _OnInterrupt):
        handler = _OnInterrupt(handler)
        signal.signal(signal.SIGINT, handler)
    key = object()
    handler.runs[key] = (stop, runner)
    try:
        yield
    finally:
        del handler.runs[key]
        if not handler.runs:
            signal.signal(signal.SIGINT, handler.before)  # type: ignore[arg-type]  # what getsignal gave


def _run_here(work: Coroutine[object, object, T]) -> T:
    """Run a coroutine on this thread's loop to its end, also if that loop is running already (a blocked cell)."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    import nest_asyncio2  # type: ignore[import-untyped]  # it ships no types

    nest_asyncio2.apply(loop)
    return loop.run_until_complete(work)


def run_blocking(background: LoopThread, work: Callable[[Foreground], Coroutine[object, object, T]]) -> T:
    """A coroutine's result, for a caller that cannot await; its tools run on the caller's thread.

    Raises RunInterrupted where the person stopped it.
    """
    foreground = Foreground()
    job = Job(background, lambda: work(foreground))
    with interrupts(job.stop, foreground):
        job.start()
        foreground.attend_blocked(job.done, lambda: None)
    return job.done.result()
