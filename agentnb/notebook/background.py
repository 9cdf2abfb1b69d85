"""`%%agent --bg` and its verbs: a run whose card goes on growing under its cell while other cells run."""

from __future__ import annotations

import contextvars
import re
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from agentnb.background import BackgroundRun, BackgroundRuns
from agentnb.errors import RunInterrupted, UsageError
from agentnb.events import Event, ToolOutput, ToolProgress, ToolResult, ToolStarted
from agentnb.notebook.asking.choose import allows_input
from agentnb.notebook.attended import Attended
from agentnb.notebook.display import Display, IPythonPublisher, default_mode, make_display
from agentnb.notebook.orders import Order
from agentnb.notebook.publisher import HeldPublisher, MaskedPublisher, Publisher, Slots
from agentnb.notebook.tables import Table
from agentnb.render import cards
from agentnb.render.terminal import one_line
from agentnb.transcript import Transcript
from agentnb.turns import Turns
from agentnb.workspace import Workspace

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

Verb: TypeAlias = Literal["list", "stop", "wait"]

_WORD = re.compile(r"\s*(?:(list)|(stop|wait)(?:\s+(all|\d{1,9}))?)\s*")
#: Displays for a card, where none can be added once the cell is over.
_SLOTS = 16


def wanted(line: str, body: str | None) -> tuple[Verb, str] | None:
    """The verb of `%agent list`, `%agent stop [ID|all]` or `%agent wait [ID|all]`, and which run; else None."""
    found = _WORD.fullmatch(line) if body is None else None
    if found is None:
        return None
    if found[1]:
        return "list", ""
    return ("stop" if found[2] == "stop" else "wait"), found[3] or ""


def table(runs: Sequence[BackgroundRun]) -> Table:
    """The runs in the order in which they began."""
    if not runs:
        return Table((), (), "No run was begun in the background. %%agent --bg begins one.")
    rows = tuple(
        (run.id, run.status, one_line(run.prompt, 60), run.model, f"{run.seconds:.1f}", run.cell) for run in runs
    )
    return Table(("id", "status", "prompt", "model", "seconds", "cell"), rows)


def stop(runs: BackgroundRuns, which: str) -> str:
    """Stop the run that is meant, and say so. Raises UsageError where that is not clear."""
    going = runs.going()
    if which.isdecimal():
        found = runs.find(which)
        if found.done():
            return f"Run {found.id} has ended already: {found.status}."
        going = [found]
    elif not going:
        return "No run goes on in the background."
    elif len(going) > 1 and which != "all":
        raise UsageError(f"Several runs go on: {', '.join(run.id for run in going)}. Say which, or %agent stop all.")
    for run in going:
        run.stop()
    return f"Stopped {', '.join(run.id for run in going)}."


class Line:
    """The first line of a card: that the run goes on in the background, under which id, and what it waits for."""

    def __init__(self, publisher: Publisher, run_id: str, turns: Turns) -> None:
        self._publisher = publisher
        self._id = run_id
        self._turns = turns
        self._display_id = f"agentnb-background-{uuid.uuid4().hex[:12]}"
        self._shown = ""

    def show(self) -> None:
        """Bring it up to date."""
        waits = "waits until the kernel is free to run its tool" if self._turns.waits else "runs in the background"
        self._say(f"Run {self._id} {waits} · %agent stop {self._id} ends it")

    def close(self) -> None:
        """What stays in the notebook."""
        self._say(f"Run {self._id} ran in the background")

    def _say(self, words: str) -> None:
        if words == self._shown:
            return
        data: dict[str, object] = {"text/html": cards.status(words), "text/plain": words}
        self._publisher.show(data, {}, display_id=self._display_id, update=bool(self._shown))
        self._shown = words


class CardDisplay:
    """A display below the line that says what goes on; a call that waits for its turn is not shown as running."""

    def __init__(self, line: Line, card: Display, turns: Turns) -> None:
        self._line = line
        self._card = card
        self._turns = turns
        self._waiting: dict[str, ToolStarted] = {}

    def feed(self, events: Sequence[Event]) -> None:
        """Take events in."""
        for event in events:
            match event:
                case ToolStarted() if self._turns.queued:
                    self._waiting[event.call_id] = event
                    continue
                case ToolOutput() | ToolProgress() | ToolResult():
                    self._started(event.result.call_id if isinstance(event, ToolResult) else event.call_id)
            self._card.feed([event])

    def tick(self) -> None:
        """Publish what is due."""
        if not self._turns.queued:
            for call_id in list(self._waiting):
                self._started(call_id)
        self._line.show()
        self._card.tick()

    def close(self) -> Transcript:
        """Publish the final state of everything."""
        for call_id in list(self._waiting):
            self._started(call_id)
        self._line.close()
        return self._card.close()

    def _started(self, call_id: str) -> None:
        started = self._waiting.pop(call_id, None)
        if started is not None:
            self._card.feed([started])


class Background:
    """The background runs of a notebook, and how they are shown in it."""

    def __init__(self, shell: InteractiveShell, workspace: Workspace) -> None:
        self.runs = BackgroundRuns(workspace.background)
        self._shell = shell
        self._workspace = workspace
        #: Cards that wait for a cell to be shown in, by the run's id; failures that no cell has raised.
        self._held: dict[str, HeldPublisher] = {}
        self._untold: set[str] = set()

    @property
    def ids(self) -> Sequence[str]:
        """Those of the runs that go on."""
        return [run.id for run in self.runs.going()]

    def turns(self) -> Turns:
        """The runner of a run that is about to begin."""
        return Turns(self.runs.foreground)

    def begin(self, order: Order, run: Attended, *, cell: str | None, label: str) -> BackgroundRun:
        """Let a run that is ready go on by itself, shown in the cell that runs now."""
        shown = order.options.one("format") or ("json" if run.agent.output else "markdown")
        run_id = self.runs.next_id
        held = None if self._grows() else HeldPublisher()
        display = self._card(run, shown, run_id) if held is None else self._later(run, shown, held)
        started, job = run.in_background(display)
        added = self.runs.add(started, job, cell=cell, label=label, typed=run.agent.output is not None)
        self._forget()
        if held is not None:
            self._held[added.id] = held
            self._publisher().write(
                f"Run {added.id} goes on in the background: %agent wait {added.id} shows what comes of it, "
                f"%agent stop {added.id} ends it.\n"
            )
        self._untold.add(added.id)
        if (session := run.session) is not None:
            added.read = lambda: self._workspace.seen(session)
        if getattr(self._shell, "kernel", None) is not None:
            self.runs.attend(added)
        return added

    def _forget(self) -> None:
        """What belongs to runs that are not known any more."""
        known = {run.id for run in self.runs.list()}
        self._untold &= known
        self._held = {run_id: held for run_id, held in self._held.items() if run_id in known}

    async def wait(self, which: str, say: Callable[[str], object]) -> None:
        """Wait for one run or for all, then show what is not shown yet. Raises the first failure."""
        runs = self._meant(which, say)
        await self.runs.wait(runs)
        self._show(runs, say, which)

    def wait_blocked(self, which: str, say: Callable[[str], object]) -> None:
        """The same where the caller cannot await."""
        runs = self._meant(which, say)
        self.runs.wait_blocked(runs)
        self._show(runs, say, which)

    def _meant(self, which: str, say: Callable[[str], object]) -> Sequence[BackgroundRun]:
        if which.isdecimal():
            return [self.runs.find(which)]
        open_ones = {*self._held, *self._untold, *self.ids}
        runs = [run for run in self.runs.list() if run.id in open_ones]
        if not runs:
            say("No run goes on in the background.")
        return runs

    def _show(self, runs: Sequence[BackgroundRun], say: Callable[[str], object], which: str) -> None:
        failed = []
        for run in runs:
            untold = run.id in self._untold
            self._untold.discard(run.id)
            run.read()
            held = self._held.pop(run.id, None)
            if held is not None:
                held.release(self._publisher())
            else:
                say(self._workspace.mask(f"Run {run.id}: {run.status} · {one_line(run.prompt, 60)}"))
            error = run.exception()
            if error is not None and (untold or which) and not isinstance(error, RunInterrupted):
                failed.append(error)
        if failed:
            raise failed[0]

    def _grows(self) -> bool:
        """Whether a display can change once its cell is over, and somebody is there to see that."""
        kernel = getattr(self._shell, "kernel", None)
        if kernel is None or self._mode() != "live":
            return False
        return allows_input(kernel) or "AGENTNB_DISPLAY" in self._workspace.environ

    def _mode(self) -> Literal["live", "static", "text"]:
        return default_mode(self._workspace.environ, self._shell)

    def _publisher(self) -> Publisher:
        return MaskedPublisher(IPythonPublisher(self._shell), self._workspace.mask)

    def _card(self, run: Attended, shown: str, run_id: str) -> Display:
        publisher = self._publisher()
        turns = _turns(run)
        line = Line(publisher, run_id, turns)
        line.show()
        if not _travels(self._shell):
            slots = Slots(publisher, _SLOTS)
            slots.open()
            publisher = slots
        return CardDisplay(line, make_display("live", publisher, run.provenance, format=shown, notice=True), turns)

    def _later(self, run: Attended, shown: str, held: HeldPublisher) -> Display:
        publisher = MaskedPublisher(held, self._workspace.mask)
        mode = self._mode()
        return make_display("static" if mode == "live" else mode, publisher, run.provenance, format=shown)

    def close(self) -> None:
        """End all that go on."""
        self.runs.close()


def _turns(run: Attended) -> Turns:
    turns = run.foreground
    if not isinstance(turns, Turns):
        raise TypeError("a background run needs a runner of its own")
    return turns


def _travels(shell: InteractiveShell) -> bool:
    """Whether a display finds its cell by the context in which it is made, as from ipykernel 7 on.

    Before that it goes to the cell that runs when it is made, and only what is there already can be changed.
    """
    publisher: object = shell.display_pub
    header, other = getattr(publisher, "parent_header", None), object()
    here = contextvars.copy_context()

    def follows() -> bool:
        for variable, value in here.items():
            if value is header:
                variable.set(other)
        return getattr(publisher, "parent_header", None) is other

    return here.copy().run(follows)
