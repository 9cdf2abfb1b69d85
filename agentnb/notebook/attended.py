"""A run in a cell, from the moment it is sent: shown, interrupted, asked about, and kept."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeAlias

from agentnb import config, render
from agentnb.agent import Agent
from agentnb.bridge import TICK, Foreground, going, settled
from agentnb.errors import AgentnbError, RunInterrupted, UsageError
from agentnb.jobs import Job, Run
from agentnb.masking import mask_message
from agentnb.messages import Message
from agentnb.notebook.asking.choose import NotebookAsker
from agentnb.notebook.display import Display
from agentnb.paused import PausedRun, PausedRuns
from agentnb.result import Result
from agentnb.session import RunHead, Session
from agentnb.transcript import Transcript
from agentnb.workspace import Workspace

#: Makes the asker of a cell that is attended by this.
Asking: TypeAlias = Callable[[Foreground], NotebookAsker]


class Shown(Protocol):
    """What shows itself in a notebook."""

    def _repr_mimebundle_(self) -> dict[str, object]: ...


class Attended:
    """A run that a cell attends: what it takes to begin one, and everything until its result is there.

    Without a `prompt`, `history` is a paused run, which goes on; `replaces` is the id under which it was kept. `line`
    is what stood beside `%%agent`.
    """

    def __init__(
        self,
        workspace: Workspace,
        agent: Agent,
        prompt: Message | None,
        *,
        history: tuple[Message, ...] = (),
        session: Session | None = None,
        cell: str | None = None,
        label: str = "",
        foreground: Foreground | None = None,
        asker: NotebookAsker | None = None,
        line: str = "",
        replaces: str | None = None,
    ) -> None:
        self.agent = agent
        self.prompt = prompt
        self.history = history
        self.session = session
        self.foreground = foreground or Foreground()
        self._workspace = workspace
        self._cell = cell
        self._label = label
        self._asker = asker
        self._line = line
        self._replaces = replaces
        self._notebook = workspace.notebook
        self._paused = paused_runs(workspace)

    @property
    def provenance(self) -> render.Provenance | None:
        """What the notebook file keeps of how the answer came about."""
        return None

    def shown_beside(self, result: Result) -> Shown | None:  # noqa: ARG002  # whoever has something to show looks at it
        """What is shown below the finished run, and is what the cell gives in its place; None: the result itself."""
        return None

    async def attend(self, display: Display) -> Result:
        """Run, leaving the kernel's loop free. Raises what failed after everything there was is shown and kept."""
        if self._asker is not None:
            self._asker.awaits = True
        run = self._begin()
        with going(run, self.foreground):
            await self.foreground.attend(run.done, lambda: _show(run, display))
        return self._finish(run, display, seen=True)

    def attend_blocked(self, display: Display) -> Result:
        """The same where the caller cannot await."""
        run = self._begin()
        with going(run, self.foreground):
            self.foreground.attend_blocked(run.done, lambda: _show(run, display))
        return self._finish(run, display, seen=True)

    def in_background(self, display: Display) -> tuple[Run, Job[Result]]:
        """The run, and the job that shows and keeps it; both have begun, and go on while the cell does not.

        The job publishes on its own thread, with the context of the code that calls this: so it is in this cell that
        the run is shown. Its result is what `attend` returns or raises.
        """
        if self._asker is not None:
            self._asker.awaits = True
        run = self._begin()
        watching = Job(self._workspace.background, lambda: self._watch(run, display))
        run.start()
        watching.start()
        return run, watching

    async def _watch(self, run: Run, display: Display) -> Result:
        ended = settled(run.done)
        try:
            while not ended.is_set():
                _show(run, display)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), TICK)
        finally:
            if not run.done.done():  # it can be shown no more
                run.stop()
        return self._finish(run, display)

    def _begin(self) -> Run:
        if self.session is not None:  # a new one is the notebook's from now on: not where a mistake came before
            self._workspace.session = self.session
        if self.prompt is not None:
            self._paused.remove_of(self._notebook, self._cell)
        run = self._workspace.run(self.agent, self.prompt, self.history, head=self._head())
        if self._asker is not None:
            self._asker.waiting = lambda asked: self._waits(run, asked)
        return run

    def _head(self) -> RunHead:
        """Where the run comes from, as the store keeps it."""
        known = self.provenance
        session = self.session.id if self.session else None
        head = RunHead("", session, cell=self._cell, label=self._label, agent=self.agent.name)
        return replace(head, prompt=known.prompt, variables=known.variables, options=known.params) if known else head

    def _waits(self, run: Run, asked: bool) -> None:
        """Keep the run while a person is asked, so that a restart of the kernel does not lose it."""
        with contextlib.suppress(UsageError, ValueError):  # where it cannot be kept, it can still be answered
            if asked:
                self._paused.keep(self._as_paused(run.id, run.transcript()))
                self._settle()
            else:
                self._paused.remove(run.id)

    def _as_paused(self, run_id: str, so_far: Transcript) -> PausedRun:
        agent, mask = self.agent, self._workspace.mask
        tools = (*agent.tools, *(tool.name for toolset in agent.toolsets for tool in toolset.known()))
        # One that goes on repeats what was said in its turn.
        before = self.history if self.prompt is not None else _before(self.history)
        messages, history = (tuple(mask_message(each, mask) for each in said) for said in (so_far.messages, before))
        options = mask.deep(agent.options.kept())
        return PausedRun(
            run_id,
            time.time(),
            agent.model.name,
            messages,
            history,
            cell=self._cell,
            notebook=self._notebook,
            line=mask(self._line),
            system=agent.system and mask(agent.system),
            tools=tools,
            asked=tuple(c.name for m in so_far.messages for c in m.calls if so_far.tools[c.id].status == "asked"),
            options=options if isinstance(options, dict) else None,
            session=self.session.id if self.session else None,
        )

    def _settle(self) -> None:
        """What this run goes on with is kept under its own id, or done."""
        if self._replaces is not None:
            self._paused.remove(self._replaces)

    def _finish(self, run: Run, display: Display, *, seen: bool = False) -> Result:
        display.feed(run.take())
        transcript = display.close()
        if problem := self._workspace.complaint(run.keeper):
            print(problem, file=sys.stderr)  # noqa: T201  # in the cell: the person must know
        if self.session is not None and transcript.messages:
            self.session.record(self._cell, transcript.messages, transcript.within, run=run.id)
            self._tend(self.session, seen=seen)
        failed = run.done.exception()
        if isinstance(failed, AgentnbError):
            failed.transcript = transcript
            # It may quote what a model or a tool said, and stays in the notebook.
            failed.args = tuple(self._workspace.mask(arg) if isinstance(arg, str) else arg for arg in failed.args)
        if isinstance(failed, RunInterrupted) and self._paused.has(run.id):
            failed.args = ("Interrupted while it asked you. %agent resume asks again, and goes on.",)
        if failed is not None:
            raise failed
        self._settle()
        return self.agent.result(transcript)

    def _tend(self, session: Session, *, seen: bool) -> None:
        """Leave the session as it should be found: read, if it was, and not too long."""
        if seen:
            self._workspace.seen(session)
        if (condenser := self._workspace.condenser).model:
            Job(self._workspace.background, lambda: condenser.tend(session)).start()


def paused_runs(workspace: Workspace) -> PausedRuns:
    """Where this person's paused runs are kept."""
    return PausedRuns(config.home(workspace.environ) / "paused")


def _before(history: tuple[Message, ...]) -> tuple[Message, ...]:
    at = max((n for n, message in enumerate(history) if message.role == "user"), default=0)
    return history[:at]


def _show(run: Run, display: Display) -> None:
    display.feed(run.take())
    display.tick()
