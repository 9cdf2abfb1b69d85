"""`%load_ext agentnb`: puts one Workspace into the kernel, and takes it out again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agentnb.notebook import call_line, later
from agentnb.notebook.comm import Panel
from agentnb.notebook.later import LaterMagics
from agentnb.notebook.magics import AgentMagics
from agentnb.notebook.orders import template_used
from agentnb.notebook.tool_magics import ToolMagics
from agentnb.workspace import Workspace

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

_AWAITED = 'await get_ipython().magics_manager.registry["AgentMagics"].run('
#: The variable by which tools are called: `tools.name(…)`.
_TOOLS = "tools"
_CALLED = 'await get_ipython().magics_manager.registry["ToolMagics"].call('


class Extension:
    """What is hooked into a shell, so that all of it can be unhooked."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self.workspace = Workspace(shell.user_ns)
        self.magics = AgentMagics(shell, self.workspace)
        self.tools = ToolMagics(shell, self.workspace, lambda: self.magics.cell_id)
        self.workspace.tools = self.tools.callables()
        self._later = LaterMagics(shell, self.workspace, self.magics, self.tools)
        self._panel = Panel(shell, self.workspace)
        self._complete = later.matcher(self.workspace, lambda: self.magics.background.ids)
        #: The cells that run now: one, and those that its code runs.
        self._cells: list[ExecutionInfo] = []

    def load(self) -> None:
        """Hook in."""
        self._shell.register_magics(self.magics, self.tools)
        self._later.register()
        # Before IPython turns `%%agent` into a blocking call.
        self._shell.input_transformers_cleanup.insert(0, self.await_agent)
        self._shell.events.register("pre_run_cell", self._before_cell)
        self._shell.events.register("post_run_cell", self._after_cell)
        if self._shell.Completer is not None:
            self._shell.Completer.custom_matchers.append(self._complete)
        if _TOOLS not in self._shell.user_ns:  # a variable of the user's goes before
            self._shell.push({_TOOLS: self.workspace.tools}, interactive=False)  # type: ignore[no-untyped-call]  # no types here
        self._panel.open()
        self.workspace.load_environment()

    def unload(self) -> None:
        """Unhook, and stop what runs."""
        self._shell.input_transformers_cleanup.remove(self.await_agent)
        self._shell.events.unregister("pre_run_cell", self._before_cell)
        self._shell.events.unregister("post_run_cell", self._after_cell)
        if self._shell.Completer is not None:
            self._shell.Completer.custom_matchers.remove(self._complete)
        self._later.unregister()
        for magics in (self.magics, self.tools):
            for kind, names in magics.magics.items():
                for name in names:
                    self._shell.magics_manager.magics[kind].pop(name, None)
            self._shell.magics_manager.registry.pop(type(magics).__name__, None)
        if self._shell.user_ns.get(_TOOLS) is self.workspace.tools:
            self._shell.drop_by_id({_TOOLS: self.workspace.tools})  # type: ignore[no-untyped-call]  # as above
        self.magics.background.close()
        self.tools.forms.close()
        self._panel.close()
        self.workspace.close()

    def await_agent(self, lines: list[str]) -> list[str]:
        """Rewrite a cell that begins with `%%agent` (or is one line, `%agent` or `%tool call`) to an awaited call."""
        if self._cells:
            return lines  # %%time and the like transform their body again, and cannot await
        start = next((at for at, line in enumerate(lines) if line.strip()), len(lines))
        head = lines[start] if start < len(lines) else ""
        if cell := re.match(r"%%agent(?=\s|$)(.*)", head):
            body = "".join(lines[start + 1 :])
            return [f"{_AWAITED}{cell[1].strip()!r}, {body!r})\n"]
        if (line := re.match(r"%agent(?=\s)(.*)", head)) and not "".join(lines[start + 1 :]).strip():
            return [f"{_AWAITED}{line[1].strip()!r})\n"]
        if (line := re.match(r"%tool(?=\s)(.*)", head)) and not "".join(lines[start + 1 :]).strip():
            call = call_line.is_call(line[1])
            return lines if not call else [f"{_CALLED}{call!r})\n"]
        if (line := re.match(r"%template(?=\s)(.*)", head)) and not "".join(lines[start + 1 :]).strip():
            asked = template_used(line[1])
            return lines if not asked else [f"{_AWAITED}{asked!r})\n"]
        return lines

    # Left out when a terminal asks whether a cell is complete: `%%agent` waits there for its lines, as all magics do.
    await_agent.has_side_effects = True  # type: ignore[attr-defined]  # IPython's word for such a transformer

    def _before_cell(self, info: ExecutionInfo) -> None:
        if not self._cells:
            self.magics.cell_id = info.cell_id
        self._cells.append(info)

    def _after_cell(self, result: ExecutionResult | None) -> None:
        # Down to where it began; a result of no cell we know of (or none: it was stopped early) ends them all.
        at = next((at for at, info in enumerate(self._cells) if result and info is result.info), 0)
        del self._cells[at:]
        error = (result.error_in_exec or result.error_before_exec) if result else None
        if result and error and result.execution_count:
            self.magics.errors[result.execution_count] = self._traceback(error)
        self.workspace.changed()  # a cell may have defined a tool

    def _traceback(self, error: BaseException) -> str:
        lines = self._shell.InteractiveTB.stb2text(
            self._shell.InteractiveTB.structured_traceback(type(error), error, error.__traceback__)
        )
        return re.sub(r"\x1b\[[0-9;]*m", "", lines)


def load(shell: InteractiveShell) -> None:
    """Put agentnb into a shell; a second time changes nothing."""
    if _loaded(shell) is None:
        Extension(shell).load()


def unload(shell: InteractiveShell) -> None:
    """Take agentnb out of a shell."""
    extension = _loaded(shell)
    if extension is not None:
        extension.unload()


def _loaded(shell: InteractiveShell) -> Extension | None:
    hooks = [getattr(hook, "__self__", None) for hook in shell.events.callbacks["pre_run_cell"]]
    return next((hook for hook in hooks if isinstance(hook, Extension)), None)
