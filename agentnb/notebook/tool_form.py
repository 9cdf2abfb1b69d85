"""`%tool form`: a tool's arguments as a form in the notebook, for as many calls as one likes."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentnb import render
from agentnb.bridge import Foreground
from agentnb.direct import as_value, checked
from agentnb.errors import AgentnbError, UsageError
from agentnb.messages import JSONObject, Text, ToolSpec
from agentnb.notebook import call_line, direct, show
from agentnb.notebook.asking.choose import NotebookAsker
from agentnb.notebook.asking.widget import AskWidget, ask_widget
from agentnb.notebook.display import IPythonPublisher, default_mode, make_display
from agentnb.notebook.publisher import MaskedPublisher, Publisher, Slots
from agentnb.render.terminal import one_line
from agentnb.toolbox import Listed
from agentnb.tools.base import Choice, Question, Reply
from agentnb.workspace import Workspace

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_RUN = Choice("run", "Run", "primary", fields=True)
#: Displays for a call's card, its pictures and its last line: once the cell is over no new ones can be made.
_SLOTS = 5


class Form:
    """One form: each Run is a call like a model's, its card below. Make and show it in a cell that runs."""

    def __init__(
        self,
        workspace: Workspace,
        publisher: Publisher,
        listed: Listed,
        spec: ToolSpec,
        *,
        variable: str | None,
        cell: str | None,
    ) -> None:
        self._workspace = workspace
        self._publisher = publisher
        self._id = listed.id
        self._name = name = listed.name
        self._hint = call_line.example(name, spec)
        self._variable = variable
        self._cell = cell
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[str]] = set()
        self._display_id = f"agentnb-form-{uuid.uuid4().hex[:12]}"
        self._asked = Slots(publisher, 1)
        self._cards = Slots(publisher, _SLOTS)
        question = Question(f"Call {name}", (Text(spec.description),), dict(spec.parameters), {}, (_RUN,))
        self._widget: AskWidget = ask_widget(question, self.submit, mask=workspace.mask)

    def show(self) -> None:
        """Show it, with room below for questions and cards."""
        bundle = {**self._widget.bundle, "text/plain": f"A form for {self._name}. Without widgets: {self._hint}"}
        self._publisher.show(bundle, {}, display_id=self._display_id, update=False)
        self._asked.open()
        self._cards.open()

    def submit(self, reply: Reply) -> None:
        """Call the tool with what was filled in. Safe from any thread; the call runs once the kernel is free."""
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the kernel with it
            self._loop.call_soon_threadsafe(self._begin, dict(reply.values or {}))

    def close(self) -> None:
        """Take it out of the front end; calls in progress end."""
        for task in self._tasks:
            task.cancel()
        # The display first: a front end must not be left with a widget that is gone.
        kept: dict[str, object] = {"text/plain": f"The form for {self._name} is closed. {self._hint}"}
        self._publisher.show(kept, {}, display_id=self._display_id, update=True)
        self._widget.close()

    def _begin(self, values: JSONObject) -> None:
        task = self._loop.create_task(self._called(values))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[str]) -> None:
        """Let it be filled in again, and say what became of the call."""
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._widget.ready(task.result())
            return
        kind = "" if isinstance(error, AgentnbError) else f"{type(error).__name__}: "
        self._widget.ready(one_line(f"{kind}{error}", 300), wrong=True)

    async def _called(self, values: JSONObject) -> str:
        workspace, foreground = self._workspace, Foreground()
        self._asked.clear()
        self._cards.clear()
        asker = NotebookAsker(foreground, self._asked, way="widget", mask=workspace.mask)
        provenance = render.Provenance(f"%tool form {self._name}")
        display = make_display("live", self._cards, provenance)
        run = direct.DirectCall(
            workspace,
            self._id,
            values,
            foreground=foreground,
            asker=asker,
            label="form",
            session=workspace.session,
            cell=self._cell,
        )
        value = as_value(await run.attend(display), workspace.namespace, workspace.mask)
        if self._variable is None:
            return "Done."
        workspace.namespace[self._variable] = value
        return f"Done: the result is in {self._variable}."


class Forms:
    """The forms of a notebook, one to a cell."""

    def __init__(self, shell: InteractiveShell, workspace: Workspace) -> None:
        self._shell = shell
        self._workspace = workspace
        self._open: dict[str | None, Form] = {}

    def open(self, line: str, cell: str | None) -> None:
        """Show a form for the tool that a line names; where there are no widgets, what to write instead."""
        name, variable = _read(line)
        listed = checked(direct.known(self._workspace, name))
        spec = listed.tool.spec(self._workspace.namespace)
        publisher = MaskedPublisher(IPythonPublisher(self._shell), self._workspace.mask)
        self._close(cell)
        if not self._draws():
            show.text(f"There are no forms here. Write: {call_line.example(listed.name, spec)}")
            return
        form = Form(self._workspace, publisher, listed, spec, variable=variable, cell=cell)
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


def _read(line: str) -> tuple[str, str | None]:
    words: Sequence[str] = line.split()
    match words:
        case [name]:
            return name, None
        case [name, "-o" | "--out", variable] if variable.isidentifier():
            return name, variable
    raise UsageError(f"%tool form takes the name of a tool, and -o VAR for its results; not {line[:60]!r}.")
