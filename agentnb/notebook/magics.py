"""The magics: each parses its line, calls one method of the Workspace, and shows what came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class, no_var_expand

from agentnb.bridge import Foreground
from agentnb.errors import UsageError
from agentnb.notebook import attended, cell, inspecting, orders, resuming, show, undo
from agentnb.notebook.asking.choose import NotebookAsker, notebook_asker
from agentnb.notebook.display import Display, IPythonPublisher, default_mode, make_display
from agentnb.notebook.options import Option
from agentnb.notebook.publisher import MaskedPublisher
from agentnb.result import Result
from agentnb.session import Session
from agentnb.workspace import Workspace

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_HELP = Option("help", "this text", "h", kind="flag")


@magics_class
class AgentMagics(Magics):
    """`%%agent`, `%agent`, `%model`, `%session`, `%agentnb` over one workspace."""

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell, workspace: Workspace) -> None:
        super().__init__(shell)
        self.workspace = workspace
        #: Tracebacks of failed cells by execution count, for {{Err[n]}}.
        self.errors: dict[int, str] = {}
        self.cell_id: str | None = None

    # Runs

    async def run(self, line: str, body: str | None = None) -> None:
        """What a cell that begins with `%%agent` becomes: the kernel's loop stays free while the agent runs."""
        prepared = self._prepare(line, body)
        if prepared is not None:
            order, run = prepared
            self._keep(order, run, await run.attend(self._display(order, run)))

    @no_var_expand
    @line_cell_magic
    def agent(self, line: str, body: str | None = None) -> None:
        """Ask the agent; the answer streams below, and the result is in `_` (and in VAR)."""
        prepared = self._prepare(line, body)
        if prepared is not None:
            order, run = prepared
            self._keep(order, run, run.attend_blocked(self._display(order, run)))

    def _prepare(self, line: str, body: str | None) -> tuple[orders.Order, attended.Attended] | None:
        # The number of the cell that runs, in every IPython: since 9.18 `execution_count` is the next one's.
        label = f"In [{self.shell.displayhook.prompt_count}]"
        if undo.wanted(line, body):
            show.text(undo.undo(self.workspace))
            return None
        match resuming.wanted(line, body):
            case None:
                pass
            case "list":
                show.text(resuming.listing(self.workspace))
                return None
            case which:
                return resuming.resumed(
                    self.workspace, which, self._asking, show.text, label=label, names=self._extra_names()
                )
        if inspecting.wanted(line, body):
            show.text(inspecting.inspected(self.workspace, extra=self._extra_names(), cell=self.cell_id))
            return None
        order = orders.read(line, body)
        if order.options.has("help"):
            show.text(orders.help_text())
            return None
        extra = self._extra_names()
        run = cell.CellRun(self.workspace, order, cell=self.cell_id, label=label, extra=extra, asking=self._asking)
        if order.options.has("dry-run"):
            show.dry_run(run)
            return None
        return order, run

    def _asking(self, foreground: Foreground) -> NotebookAsker:
        return notebook_asker(self.shell, self.workspace, foreground)

    def _extra_names(self) -> Mapping[str, object]:
        # In[n] as it was written, not as IPython rewrote it; Out is the user's own; Err[n] is ours.
        history = self.shell.history_manager
        return {"Err": self.errors, **({"In": history.input_hist_raw} if history else {})}

    def _display(self, order: orders.Order, run: attended.Attended) -> Display:
        publisher = MaskedPublisher(IPythonPublisher(self.shell), self.workspace.mask)
        mode = default_mode(self.workspace.environ, self.shell)
        shown = order.options.one("format") or ("json" if run.agent.output else "markdown")
        return make_display(mode, publisher, run.provenance, format=shown)

    def _keep(self, order: orders.Order, run: attended.Attended, result: Result) -> None:
        # As the value of an expression would be: `_`, `Out[n]`; shown it is already.
        self.shell.displayhook.update_user_ns(result)  # type: ignore[no-untyped-call]  # IPython has no types here
        for name in order.variables:
            self.shell.user_ns[name] = result if run.agent.output is None else result.output

    # Conversations

    @no_var_expand
    @line_magic
    def session(self, line: str) -> None:
        """`%session new` begins a new conversation; without a word, say how long this one is."""
        match line.split():
            case []:
                pass
            case ["new"]:
                self.workspace.session = Session()
            case _:
                raise UsageError(f"%session takes 'new', or nothing, not {line.strip()!r}.")
        session = self.workspace.session
        turns = len(session.turns)
        show.text(f"{session.id} · {turns} turn{'s' * (turns != 1)}")

    # Everything

    @no_var_expand
    @line_magic
    def agentnb(self, line: str) -> Workspace:
        """Status; returns the Workspace."""
        if line.strip():
            raise UsageError(f"%agentnb takes no arguments, got {line.strip()!r}.")
        return self.workspace
