"""Runs go on an event loop of their own: its thread, the coroutines on it, and a run with its events."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Generic, ParamSpec, Protocol, TypeVar

from agentnb import events
from agentnb.errors import AgentnbError, RunInterrupted
from agentnb.transcript import Folder, Transcript

T = TypeVar("T")
P = ParamSpec("P")


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
                self._loop.set_default_executor(_Threads())
                self._thread = threading.Thread(target=_run_loop, args=(self._loop,), name=self._name, daemon=True)
                self._thread.start()
            return self._loop

    async def do(self, work: Callable[[], Coroutine[object, object, T]]) -> T:
        """What `work` gives, done on this loop, whatever loop asks; a wait that is cancelled cancels it there."""
        loop = self.loop
        if asyncio.get_running_loop() is loop:
            return await work()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), loop))

    def close(self) -> None:
        """Stop the loop and its thread; what still runs there is cancelled first."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            if thread is not threading.current_thread():  # the last reference may go on the loop's own thread
                thread.join(5)


class _Threads(concurrent.futures.ThreadPoolExecutor):
    """A thread of its own for every call: a model's calls wait for no core, and one that hangs does not keep the
    interpreter from ending, as a thread of a pool would."""

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> concurrent.futures.Future[T]:
        done: concurrent.futures.Future[T] = concurrent.futures.Future()
        done.set_running_or_notify_cancel()  # it runs from now on, also where nobody awaits it any more

        def work() -> None:
            try:
                value = function(*args, **kwargs)
            except BaseException as error:  # it belongs to whoever awaits the call
                done.set_exception(error)
            else:
                done.set_result(value)

        threading.Thread(target=work, name="agentnb-tool", daemon=True).start()
        return done


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
        self._task = self._loop.create_task(self._awaited())
        self._task.add_done_callback(self._settle)
        if self.stopping:
            self._task.cancel()

    async def _awaited(self) -> T:
        return await self._work()  # in the task, so that what fails before there is a coroutine is the job's failure

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


class Keeper(Protocol):
    """What keeps a run as it happens; `problem` says why it cannot, in one line, else it is empty."""

    problem: str

    def keep(self, event: events.Event, so_far: Folder) -> None:
        """Called on the loop thread with every event, when `so_far` has taken it and before anybody sees it."""


class Run:
    """A run in progress on the loop thread: its events, and the way to stop it.

    `changed` is called on the loop thread after every event; `keeper` keeps it before that.
    """

    def __init__(
        self,
        run_id: str,
        title: str,
        model: str,
        background: LoopThread,
        stream: Callable[[], AsyncGenerator[events.Event, None]],
        changed: Callable[[], object],
        keeper: Keeper | None = None,
    ) -> None:
        self.id = run_id
        self.title = title
        self.model = model
        self.keeper = keeper
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
        if self.keeper is not None:
            self.keeper.keep(event, self._folder)
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
