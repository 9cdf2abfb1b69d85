"""Runs that go on while the notebook does: what such a run is as a value, and all of them together."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Callable, Generator, Sequence
from typing import Literal, TypeAlias

from agentnb.bridge import Foreground, going, settled
from agentnb.errors import PromptError, RunInterrupted, UsageError
from agentnb.jobs import Job, LoopThread, Run
from agentnb.messages import Content
from agentnb.prompting import to_blocks
from agentnb.render import cards
from agentnb.render.terminal import one_line
from agentnb.result import Result
from agentnb.transcript import Transcript

Status: TypeAlias = Literal["streaming", "done", "error", "interrupted"]

#: Seconds for a run that is stopped to end, where somebody waits for that.
_LEAVE = 2.0
#: Runs that have ended and are still listed.
_KEPT = 50


class BackgroundRun:
    """A run that goes on while other cells run: `await` it for its result, or for the instance that was asked for.

    Awaiting raises what failed. In a prompt, `{{answer}}` is the answer once there is one.
    """

    def __init__(
        self, number: int, run: Run, job: Job[Result], runs: BackgroundRuns, *, cell: str, typed: bool
    ) -> None:
        self.id = str(number)
        self.prompt = run.title
        self.model = run.model
        #: The cell's number, as it stands beside it.
        self.cell = cell
        self.finished = job.done
        self._run = run
        self._runs = runs
        self._typed = typed
        #: Called when a person has seen what came of it.
        self.read: Callable[[], object] = lambda: None
        self._began = time.monotonic()
        self._ended: float | None = None
        self.finished.add_done_callback(lambda _: self._end())

    def __await__(self) -> Generator[object, object, object]:
        return self._awaited().__await__()

    async def _awaited(self) -> object:
        await self._runs.wait([self])
        return self._value()

    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self.finished.done()

    def result(self, timeout: float | None = None) -> object:
        """The same as awaiting it, for code that cannot: blocks, and runs its tools meanwhile.

        Raises TimeoutError where it has not ended within `timeout` seconds, RunInterrupted where the person does not
        want to wait; it goes on in both cases.
        """
        self._runs.wait_blocked([self], timeout)
        if not self.done():
            raise TimeoutError(f"Run {self.id} goes on after {timeout} s.")
        return self._value()

    def exception(self) -> BaseException | None:
        """What failed; None while it goes on, and where nothing did."""
        return self.finished.exception() if self.done() else None

    @property
    def text(self) -> str:
        """The answer, as far as it is there."""
        return self.transcript().text

    @property
    def status(self) -> Status:
        """How far it is, in a word."""
        if not self.done():
            return "streaming"
        match self.exception():
            case None:
                return "done"
            case RunInterrupted():
                return "interrupted"
        return "error"

    @property
    def seconds(self) -> float:
        """How long it took, or takes so far."""
        return (self._ended or time.monotonic()) - self._began

    def stop(self) -> None:
        """End it; what there is of the answer is kept. Safe from any thread, and more than once."""
        self._run.stop()

    def transcript(self) -> Transcript:
        """What was said so far."""
        if self.done() or self._runs.in_loop():
            return self._run.transcript()

        async def look() -> Transcript:
            return self._run.transcript()

        looking = Job(self._runs.background, look)
        looking.start()
        return looking.done.result(_LEAVE)

    def _value(self) -> object:
        result = self.finished.result()
        self.read()
        return result.output if self._typed else result

    def _end(self) -> None:
        self._ended = time.monotonic()

    def __repr__(self) -> str:
        match self.status:
            case "streaming":
                return f"BackgroundRun({self.id}, streaming for {self.seconds:.0f} s: {self.prompt!r})"
            case "done":
                return f"BackgroundRun({self.id}, done: {self.text!r})"
            case other:
                return f"BackgroundRun({self.id}, {other}: {one_line(str(self.exception()), 300)})"

    def _repr_html_(self) -> str | None:
        """Where it stands; an answer is Markdown."""
        return None if self.status == "done" else cards.status(repr(self))

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        if self.status == "done":
            return self.finished.result()._repr_mimebundle_()
        return {"text/plain": repr(self)}


@to_blocks.register(BackgroundRun)
def _answer(value: BackgroundRun, budget: int = 2000) -> tuple[Content, ...]:
    """In the next prompt, `{{answer}}` is what was answered; before it is, there is nothing to send."""
    match value.status:
        case "done":
            return to_blocks(value._value(), budget)
        case "streaming":
            raise PromptError(f"run {value.id} still goes on in the background. Run %agent wait {value.id}, then this.")
    why = one_line(str(value.exception()), 300).removesuffix(".")
    raise PromptError(f"run {value.id} ended without an answer ({why}). Run its cell again.")


class BackgroundRuns:
    """The runs of one notebook that go on in the background, and those that did. Use it on the notebook's thread."""

    def __init__(self, background: LoopThread) -> None:
        self.background = background
        self.foreground = Foreground(lasting=True)
        self._runs: dict[str, BackgroundRun] = {}
        self._cells: dict[str, BackgroundRun] = {}
        self._number = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, run: Run, job: Job[Result], *, cell: str | None, label: str, typed: bool) -> BackgroundRun:
        """Take in a run and the job that sees it to its end; `cell` is the id of the cell that holds its card."""
        self._number += 1
        added = BackgroundRun(self._number, run, job, self, cell=label, typed=typed)
        self._runs[added.id] = added
        if cell is not None:
            self._cells[cell] = added
        over = [each for each in self._runs.values() if each.done()]
        for each in over[:-_KEPT]:
            self._forget(each)
        return added

    def attend(self, run: BackgroundRun) -> None:
        """From now on, run its functions whenever the loop that runs here is free; without one, they wait."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        task = loop.create_task(self.foreground.attend(run.finished, lambda: None))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def next_id(self) -> str:
        """The id of the run that is added next."""
        return str(self._number + 1)

    def list(self) -> Sequence[BackgroundRun]:
        """All that are known, in the order in which they began."""
        return list(self._runs.values())

    def going(self) -> Sequence[BackgroundRun]:
        """Those that have not ended."""
        return [run for run in self._runs.values() if not run.done()]

    def find(self, run_id: str) -> BackgroundRun:
        """Raises UsageError where there is no such run."""
        if run_id not in self._runs:
            verb = "are" if len(self._runs) > 1 else "is only"
            known = f"There {verb} {', '.join(self._runs)}." if self._runs else "There are none yet."
            raise UsageError(f"No background run is called {run_id!r}. {known} See %agent list")
        return self._runs[run_id]

    def leave(self, cell: str | None) -> None:
        """The cell runs anew and its card is gone: the run that it began ends."""
        run = self._cells.pop(cell, None) if cell is not None else None
        if run is not None:
            run.stop()
            # It keeps its turn under the cell's id: not after the new one has.
            concurrent.futures.wait([run.finished], _LEAVE)
            self._forget(run)

    def _forget(self, run: BackgroundRun) -> None:
        self._runs.pop(run.id, None)
        for cell in [cell for cell, each in self._cells.items() if each is run]:
            del self._cells[cell]

    async def wait(self, runs: Sequence[BackgroundRun]) -> None:
        """Until all have ended, running their functions meanwhile; raises no failure of theirs.

        Raises RunInterrupted where the person does not want to wait any more; the runs go on.
        """
        if all(run.done() for run in runs):
            return
        job = Job(self.background, lambda: _all_ended(runs, None))
        if threading.current_thread() is threading.main_thread():
            with going(job, self.foreground):
                await self.foreground.attend(job.done, lambda: None)
        else:
            job.start()
            await settled(job.done).wait()
        _check(job, runs)

    def wait_blocked(self, runs: Sequence[BackgroundRun], timeout: float | None = None) -> None:
        """The same where the caller cannot await, for at most so many seconds."""
        if all(run.done() for run in runs):
            return
        if self.in_loop():
            raise UsageError("This would wait for itself: await the run instead.")
        if threading.current_thread() is not threading.main_thread():
            concurrent.futures.wait([run.finished for run in runs], timeout)
            return
        job = Job(self.background, lambda: _all_ended(runs, timeout))
        with going(job, self.foreground):
            self.foreground.attend_blocked(job.done, lambda: None)
        _check(job, runs)

    def in_loop(self) -> bool:
        """Whether this is the thread on which the runs go on."""
        with contextlib.suppress(RuntimeError):
            return asyncio.get_running_loop() is self.background.loop
        return False

    def close(self) -> None:
        """End all that go on, and let them show and keep what there is."""
        ending = self.going()
        for run in ending:
            run.stop()
        concurrent.futures.wait([run.finished for run in ending], _LEAVE)


async def _all_ended(runs: Sequence[BackgroundRun], seconds: float | None) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            for run in runs:
                await settled(run.finished).wait()


def _check(job: Job[None], runs: Sequence[BackgroundRun]) -> None:
    if isinstance(job.done.exception(), RunInterrupted):
        still = [run.id for run in runs if not run.done()]
        if not still:
            return
        which, goes = f"run{'s' * (len(still) != 1)} {', '.join(still)}", "go" if len(still) != 1 else "goes"
        raise RunInterrupted(f"Waiting was interrupted; {which} {goes} on. %agent stop ends what goes on.")
    job.done.result()
