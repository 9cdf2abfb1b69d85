"""`%tool` and `%%tool`: which tools there are, where they come from, when they ask, and calls by hand."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand

from agentnb import render
from agentnb.bridge import Foreground
from agentnb.direct import DirectTools, checked
from agentnb.errors import UsageError, nearest
from agentnb.messages import JSONObject, ToolResult
from agentnb.notebook import call_line, direct, show, tool_lists, tool_rules, tool_shelf
from agentnb.notebook.asking.choose import notebook_asker
from agentnb.notebook.display import Display, IPythonPublisher, default_mode, make_display
from agentnb.notebook.forms import Forms
from agentnb.notebook.openapi_verb import openapi
from agentnb.notebook.publisher import MaskedPublisher
from agentnb.notebook.tool_form import show_form
from agentnb.passing import Passing, passing
from agentnb.render.terminal import clean
from agentnb.session import Session
from agentnb.workspace import Workspace

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

#: Each verb with what follows it and what it does: the help, and what Tab offers.
VERBS: dict[str, tuple[str, str]] = {
    "list": ("[NAME…]", "tools: on or off, source, whether they ask; all, or those of a source, each"),
    "show": ("NAME", "what the model is told of it, its id, its source"),
    "on": ("NAME…", "offer tools to models again; a name, a source, or a pattern such as time*"),
    "off": ("NAME…", "do not offer them for now"),
    "rm": ("NAME…", "take them away; what cannot go (built-ins, members of a server) is switched off"),
    "rename": ("OLD NEW", "let models know it by another name"),
    "approve": ("NAME… always|ask|never|default [--notebook]", "whether a call asks you first"),
    "load": ("FILE.py[::NAME]… | NAME…", "functions of a file, read anew each time; or tools you saved"),
    "save": ("NAME…", "keep functions for every notebook"),
    "saved": ("", "the tools you keep"),
    "forget": ("NAME…", "no longer keep them"),
    "export": ("FILE.json NAME…", "put tools with their code into a file, to give away"),
    "import": ("FILE.json [--yes]", "show the code of such a file; --yes keeps and loads its tools"),
    "openapi": ("SPEC …", "a tool for every operation of an OpenAPI document; see %tool openapi --help"),
    "call": ("[VAR <<] NAME key=value… | {json} [-f json] [-o VAR]", "call a tool yourself; key=@variable passes one"),
    "form": ("NAME [-o VAR]", "the same by a form"),
}
_ALONE = ("", "list", "saved")
#: Columns that the left side of the help takes; what is longer stands on a line of its own.
_WIDEST = 40


@magics_class
class ToolMagics(Magics):
    """`%tool` and `%%tool` over one workspace; `cell` says which cell runs now."""

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell, workspace: Workspace, cell: Callable[[], str | None]) -> None:
        super().__init__(shell)
        self.workspace = workspace
        self._cell = cell
        self.forms = Forms(shell, workspace)

    @no_var_expand
    @line_magic
    def tool(self, line: str) -> object:
        """Register functions of the notebook as tools, list them, switch and call them. `%tool --help` says how."""
        call = call_line.is_call(line)
        if call is not None and (call or "call" not in self.shell.user_ns):
            return self._call_blocked(call)
        verb, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if verb in ("--help", "-h"):
            show.text(help_text())
        elif verb in VERBS and rest in ("--help", "-h") and verb != "openapi":
            show.text(help_text([verb]))
        elif verb == "list" or (verb in _ALONE and not rest):
            self._list(verb, _names(rest))
        elif verb in VERBS and verb not in _ALONE and (rest or verb not in self.shell.user_ns):
            if not rest:
                raise UsageError(f"%tool {verb} needs {VERBS[verb][0].split()[0]}. %tool lists tools; see %tool --help")
            self._do(verb, rest)
        else:
            self._register(_names(line))
        return None

    def _list(self, verb: str, names: Sequence[str]) -> None:
        kept = tool_shelf.shelf(self.workspace)
        found = tool_lists.saved(kept.list(), self.workspace) if verb == "saved" else None
        show.table(found or tool_lists.tools(self.workspace, names), self.workspace.mask)

    def _register(self, names: Sequence[str]) -> None:
        try:
            added = self.workspace.toolbox.add(names)
        except UsageError as error:
            if near := nearest(names[0], VERBS):
                raise UsageError(f"{error} As a verb:{near.removeprefix(' Did you mean')}") from None
            raise
        show.text(tool_shelf.now_tools([tool.name for tool in added]))

    def _do(self, verb: str, rest: str) -> None:
        workspace = self.workspace
        match verb:
            case "show":
                show.text(workspace.mask(tool_lists.about(workspace, direct.known(workspace, rest))))
            case "on" | "off":
                show.text(tool_rules.switched(workspace, _names(rest), verb == "on"))
            case "rm":
                show.text(tool_rules.removed(workspace, _names(rest)))
            case "rename":
                show.text(tool_rules.rename(workspace, _names(rest)))
            case "approve":
                show.text(tool_rules.approve(workspace, _names(rest)))
            case "openapi":
                openapi(workspace, rest)
            case "form":
                show_form(self.forms, self.workspace, rest, self._cell())
            case "import":
                show.text(tool_shelf.import_(workspace, rest, show.text))
            case _:
                kept = {"load": tool_shelf.load, "save": tool_shelf.save, "forget": tool_shelf.forget}
                show.text(kept.get(verb, tool_shelf.export)(workspace, rest))

    # Calls

    async def call(self, line: str) -> object:
        """What a cell that is one `%tool call` line becomes: the kernel's loop stays free meanwhile."""
        with passing(self.workspace.namespace) as passed:
            prepared = self._prepared(line, passed)
            if prepared is None:
                return None
            call, run = prepared
            return self._kept(call, await run.attend(self._display(f"%tool call {line}")))

    def _call_blocked(self, line: str) -> object:
        with passing(self.workspace.namespace) as passed:
            prepared = self._prepared(line, passed)
            if prepared is None:
                return None
            call, run = prepared
            return self._kept(call, run.attend_blocked(self._display(f"%tool call {line}")))

    def _prepared(self, line: str, passed: Passing) -> tuple[call_line.Call, direct.DirectCall] | None:
        if line.split()[:1] in (["--help"], ["-h"]):
            show.text(help_text(["call"]))
            return None
        call = call_line.read(line)
        found = checked(direct.known(self.workspace, call.name))
        given = direct.given(self.workspace, found, call, passed)
        return call, self._direct(found.id, given, session=self.workspace.session)

    def _direct(self, name: str, given: JSONObject, *, session: Session | None = None) -> direct.DirectCall:
        """A call by hand is part of the conversation: the next prompt may speak of what it gave."""
        foreground = Foreground()
        asker = notebook_asker(self.shell, self.workspace, foreground)
        label = f"In [{self.shell.displayhook.prompt_count}]"
        return direct.DirectCall(
            self.workspace,
            name,
            given,
            foreground=foreground,
            asker=asker,
            label=label,
            session=session,
            cell=self._cell(),
        )

    def _display(self, prompt: str) -> Display:
        publisher = MaskedPublisher(IPythonPublisher(self.shell), self.workspace.mask)
        mode = default_mode(self.workspace.environ, self.shell)
        return make_display(mode, publisher, render.Provenance(prompt))

    def _kept(self, call: call_line.Call, result: ToolResult) -> object:
        value = direct.value(self.workspace, call, result)
        if not call.variables and isinstance(value, str) and "\n" in value:
            show.text(self.workspace.mask(clean(value).rstrip("\n")))  # lines as lines, not as the repr of a text
        elif not call.variables:
            return value  # the cell's own, in `_` and Out
        for name in call.variables:
            self.shell.user_ns[name] = value
        self.shell.displayhook.update_user_ns(value)  # type: ignore[no-untyped-call]  # IPython has no types here
        return None

    def callables(self) -> DirectTools:
        """The tools as Python calls them: `tools.name(…)`."""
        workspace = self.workspace
        return DirectTools(
            workspace.toolbox,
            workspace.namespace,
            self.perform,
            lambda name: direct.known(workspace, name),
            mask=workspace.mask,
        )

    def perform(self, name: str, given: JSONObject) -> ToolResult:
        """The call behind `tools.name(…)`: it blocks, and its card is shown in the cell."""
        return self._direct(name, given).attend_blocked(self._display(f"tools[{name!r}](…)"))

    # A cell of functions

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
            self._register(names)
        else:
            # The error was shown by the inner run; the outer cell must fail too.
            raise UsageError("The %%tool cell failed, and no tool was registered.")


def _names(line: str) -> list[str]:
    return [word.strip("'\"") for word in line.replace(",", " ").split()]


def help_text(verbs: Sequence[str] = tuple(VERBS)) -> str:
    """What `%tool --help` prints; for some verbs, only those."""
    lines = [(f"%tool {verb} {VERBS[verb][0]}".rstrip(), VERBS[verb][1]) for verb in verbs]
    if len(verbs) == len(VERBS):
        lines = [
            ("%tool NAME…", "register functions of this notebook"),
            ("%%tool", "define functions in this cell and register them"),
            *lines,
        ]
    width = max((len(left) for left, _ in lines if len(left) < _WIDEST), default=0)
    return "\n".join(_line(left, right, width) for left, right in lines)


def _line(left: str, right: str, width: int) -> str:
    return f"{left:<{width}}  {right}" if len(left) <= width else f"{left}\n{'':<{width}}  {right}"
