"""The magics: each parses its line, calls one method of the Workspace, and shows what came."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING

from IPython.core.magic import Magics, cell_magic, line_cell_magic, line_magic, magics_class, no_var_expand

from agentnb.bridge import Foreground
from agentnb.errors import UsageError
from agentnb.notebook import attended, cell, orders, resuming, show
from agentnb.notebook.asking.choose import NotebookAsker, notebook_asker
from agentnb.notebook.display import Display, IPythonPublisher, default_mode, make_display
from agentnb.notebook.options import Option, Parsed
from agentnb.notebook.publisher import MaskedPublisher
from agentnb.result import Result
from agentnb.session import Session
from agentnb.workspace import Workspace

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_HELP = Option("help", "this text", "h", kind="flag")


@magics_class
class AgentMagics(Magics):
    """`%%agent`, `%agent`, `%model`, `%session`, `%tool`, `%%tool`, `%agentnb` over one workspace."""

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
        match resuming.wanted(line, body):
            case None:
                pass
            case "list":
                show.text(resuming.listing(self.workspace))
                return None
            case which:
                going_on = resuming.resumed(self.workspace, which, self._asking, show.text, label=label)
                return orders.Order(Parsed(), ""), going_on
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

    # Tools

    @no_var_expand
    @line_magic
    def tool(self, line: str) -> None:
        """Register functions of the notebook as tools, list them, switch them on and off."""
        verb, *names = line.replace(",", " ").split() or ["list"]
        match verb, names:
            case ("list", []):
                show.tools(self.workspace)
            case (("--help" | "-h"), _):
                show.text(_TOOL_HELP)
            case ("rm", [_, *_]):
                for name in names:
                    self.workspace.toolbox.remove(name)
            case (("on" | "off"), [_, *_]):
                for name in names:
                    self.workspace.toolbox.enable(name, verb == "on")
            case ("show", [name]):
                show.tool(self.workspace, name)
            case (("rm" | "on" | "off" | "show"), []) if verb not in self.shell.user_ns:
                raise UsageError(f"%tool {verb} needs the name of a tool. %tool lists them.")
            case _:
                show.text(_now_tools([tool.name for tool in self.workspace.toolbox.add([verb, *names])]))

    @no_var_expand
    @cell_magic("tool")  # type: ignore[arg-type]  # IPython types the decorator for functions of one argument
    def tool_cell(self, line: str, body: str) -> None:
        """Run the cell and register the functions that it defines."""
        if line.strip():
            raise UsageError(f"%%tool takes no arguments, got {line.strip()!r}. The functions go below it.")
        try:
            tree = ast.parse(self.shell.transform_cell(body))  # type: ignore[no-untyped-call]  # as above
        except SyntaxError:
            names = []  # running it shows the error where it is
        else:
            names = [n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
            if not names:
                raise UsageError("This %%tool cell defines no function. Begin with: def name(argument: type): …")
        outcome = self.shell.run_cell(body, store_history=False)  # type: ignore[no-untyped-call]  # as above
        if outcome.success:
            show.text(_now_tools([tool.name for tool in self.workspace.toolbox.add(names)]))
        else:
            # The error was shown by the inner run; the outer cell must fail too.
            raise UsageError("The %%tool cell failed, and no tool was registered.")

    # Everything

    @no_var_expand
    @line_magic
    def agentnb(self, line: str) -> Workspace:
        """Status; returns the Workspace."""
        if line.strip():
            raise UsageError(f"%agentnb takes no arguments, got {line.strip()!r}.")
        return self.workspace


def _now_tools(names: list[str]) -> str:
    return f"{', '.join(names)}: ready as {'a tool' if len(names) == 1 else 'tools'}."


_TOOL_HELP = """%tool                    list the tools
%tool NAME…              register functions of this notebook
%tool off NAME… | on     do not offer a tool for now, or offer it again
%tool rm NAME…           take a tool away
%tool show NAME          what the model is told of it
%%tool                   define functions in this cell and register them"""
