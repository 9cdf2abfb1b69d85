"""Forms in the notebook, for as many runs as one likes: each Run fills the cards below, and says what became of it."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from agentnb.bridge import Foreground
from agentnb.errors import AgentnbError, UsageError
from agentnb.messages import JSONObject
from agentnb.notebook import show
from agentnb.notebook.asking.choose import NotebookAsker
from agentnb.notebook.asking.widget import AskWidget, ask_widget
from agentnb.notebook.display import IPythonPublisher, default_mode
from agentnb.notebook.publisher import MaskedPublisher, Publisher, Slots
from agentnb.render.terminal import one_line
from agentnb.tools.base import Choice, Question, Reply
from agentnb.workspace import Workspace

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

#: The one button of a form.
RUN = Choice("run", "Run", "primary", fields=True)
#: Displays for a run's cards, its pictures and its last line: once the cell is over no new ones can be made.
SLOTS = 5


class Form:
    """One form: `perform` is given what was filled in, at each Run. Make and show it in a cell that runs.

    `name` is what it is for, `hint` what to write where no form can be; `slots` is how many displays a run may fill.
    """

    def __init__(
        self,
        workspace: Workspace,
        publisher: Publisher,
        question: Question,
        perform: Perform,
        *,
        name: str,
        hint: str,
        slots: int = SLOTS,
    ) -> None:
        self._workspace = workspace
        self._publisher = publisher
        self._perform = perform
        self._name = name
        self._hint = hint
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[str]] = set()
        self._display_id = f"agentnb-form-{uuid.uuid4().hex[:12]}"
        self._asked = Slots(publisher, 1)
        self._cards = Slots(publisher, slots)
        self._widget: AskWidget = ask_widget(question, self.submit, mask=workspace.mask)

    def show(self) -> None:
        """Show it, with room below for questions and cards."""
        bundle = {**self._widget.bundle, "text/plain": f"A form for {self._name}. Without widgets: {self._hint}"}
        self._publisher.show(bundle, {}, display_id=self._display_id, update=False)
        self._asked.open()
        self._cards.open()

    def submit(self, reply: Reply) -> None:
        """Run with what was filled in. Safe from any thread; it begins once the kernel is free."""
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the kernel with it
            self._loop.call_soon_threadsafe(self._begin, dict(reply.values or {}))

    def close(self) -> None:
        """Take it out of the front end; runs in progress end."""
        for task in self._tasks:
            task.cancel()
        # The display first: a front end must not be left with a widget that is gone.
        kept: dict[str, object] = {"text/plain": f"The form for {self._name} is closed. {self._hint}"}
        self._publisher.show(kept, {}, display_id=self._display_id, update=True)
        self._widget.close()

    def _begin(self, values: JSONObject) -> None:
        task = self._loop.create_task(self._run(values))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _run(self, values: JSONObject) -> str:
        self._asked.clear()
        self._cards.clear()
        foreground = Foreground()
        asker = NotebookAsker(foreground, self._asked, way="widget", mask=self._workspace.mask)
        return await self._perform(values, asker, self._cards, foreground)

    def _ended(self, task: asyncio.Task[str]) -> None:
        """Let it be filled in again, and say what became of the run."""
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._widget.ready(task.result())
            return
        kind = "" if isinstance(error, AgentnbError) else f"{type(error).__name__}: "
        self._widget.ready(one_line(f"{kind}{error}", 300), wrong=True)


class Forms:
    """The forms of a notebook, one to a cell."""

    def __init__(self, shell: InteractiveShell, workspace: Workspace) -> None:
        self._shell = shell
        self._workspace = workspace
        self._open: dict[str | None, Form] = {}

    def show(
        self,
        question: Question,
        perform: Perform,
        *,
        name: str,
        hint: str,
        cell: str | None,
        slots: int = SLOTS,
    ) -> None:
        """Show a form in the cell that runs; where there are no widgets, `hint`: what to write instead."""
        publisher = MaskedPublisher(IPythonPublisher(self._shell), self._workspace.mask)
        self._close(cell)
        if not self._draws():
            show.text(self._workspace.mask(f"There are no forms here. Write: {hint}"))
            return
        form = Form(self._workspace, publisher, question, perform, name=name, hint=hint, slots=slots)
        form.show()
        self._open[cell] = form

    def _draws(self) -> bool:
        """Whether a front end may draw a widget, and a click could be handled."""
        if getattr(self._shell, "kernel", None) is None or self._asks_otherwise():
            return False
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return False
        return True

    def _asks_otherwise(self) -> bool:
        environ = self._workspace.environ
        asked = environ.get("AGENTNB_ASK", "").strip().lower()
        return asked in ("input", "nobody") or default_mode(environ, self._shell) != "live"

    def _close(self, cell: str | None) -> None:
        form = self._open.pop(cell, None)
        if form is not None:
            form.close()

    def close(self) -> None:
        """Take all forms away."""
        for cell in list(self._open):
            self._close(cell)


def named(line: str, takes: str) -> tuple[str, str | None]:
    """The name on the line of a form, and the variable for its results. Raises UsageError that begins with `takes`."""
    match line.split():
        case [name]:
            return name, None
        case [name, "-o" | "--out", variable] if variable.isidentifier():
            return name, variable
    raise UsageError(f"{takes}, and -o VAR for its results; not {line[:60]!r}.")


def kept(workspace: Workspace, variable: str | None, value: object) -> str:
    """Put a result into its variable, where there is one, and say what became of it."""
    if variable is None:
        return "Done."
    workspace.namespace[variable] = value
    return f"Done: the result is in {variable}."


#: What a Run does: with the values, asking and showing where it is told to; gives the line that the form then shows.
Perform: TypeAlias = Callable[[JSONObject, NotebookAsker, Publisher, Foreground], Awaitable[str]]
