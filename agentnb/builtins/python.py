"""`python`: code in the notebook's own namespace, with what it changed told afterwards, and undone on demand."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Literal, TypeAlias

from agentnb.builtins.changes import Changes, Snapshot
from agentnb.builtins.copies import Limits
from agentnb.builtins.declared import BuiltIn
from agentnb.builtins.displayed import displays, open_figures, pictures
from agentnb.builtins.execution import Code, compiled, told
from agentnb.builtins.undo import NamespaceStep, Undo
from agentnb.errors import ToolError, UsageError
from agentnb.messages import Content, JSONObject, Text, ToolSpec
from agentnb.prompting.budget import fence, one_line
from agentnb.tools.base import ToolContext, ToolReturn, Traits
from agentnb.tools.capture import Output, captured
from agentnb.tools.references import keep
from agentnb.tools.results import to_return

#: Runs code somewhere else, and gives what came of it.
Interpreter: TypeAlias = Callable[[str, ToolContext], Awaitable[ToolReturn]]
#: More pictures than this of one call are not shown to the model.
_MOST_PICTURES = 8
_EXITS = ("exit", "quit")
_IN_SANDBOX = """Run Python code in a sandbox and get what it prints and the value of its last expression.

What it defines stays for the next call. The notebook's variables and files are not there, and usually no network."""


class Python(BuiltIn):
    """Runs code among the notebook's variables, or in the sandbox that `interpreter` stands for."""

    name = "python"

    def __init__(
        self,
        undo: Undo | None = None,
        *,
        where: Literal["namespace", "sandbox"] = "namespace",
        interpreter: Interpreter | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Raises UsageError for a sandbox without an `interpreter`."""
        if where not in ("namespace", "sandbox"):
            raise UsageError(f"Python runs in the 'namespace' or in a 'sandbox', not in {where!r}.")
        if where == "sandbox" and interpreter is None:
            raise UsageError("Python(where='sandbox') needs an interpreter: what runs the code there.")
        self.undo = Undo() if undo is None else undo
        self._interpreter = interpreter if where == "sandbox" else None
        self._limits = limits
        self._numbers = itertools.count(1)
        self._kept = itertools.count(1)

    @property
    def traits(self) -> Traits:
        """Its own in a sandbox: what was allowed there is not allowed among the variables."""
        known = super().traits
        return known if self._interpreter is None else replace(known, id=f"{known.id}-sandbox")

    def spec(self, namespace: MutableMapping[str, object]) -> ToolSpec:
        """What the model is told."""
        told = super().spec(namespace)
        return told if self._interpreter is None else replace(told, description=_IN_SANDBOX)

    async def run(self, context: ToolContext, code: str) -> ToolReturn:
        """Run Python code in the user's notebook and get what it prints and the value of its last expression.

        The code sees and may change the notebook's variables, as a cell does; what it defines stays. End with an
        expression to see its value: tables and figures are shown in full. `await` works at top level.

        Args:
            code: Python code, as in a notebook cell; no shell or magic commands.
        """
        if self._interpreter is not None:
            return await self._interpreter(code, context)
        running = _Running(self, compiled(code, f"<python {next(self._numbers)}>"), context, _label(code))
        try:
            if running.code.awaits:
                await context.runner.run_async(running.run_async)
            else:
                await context.runner.run_sync(running.run)
        finally:
            running.output.finish()
        return running.result()

    async def preview(self, arguments: JSONObject, context: ToolContext) -> tuple[Content, ...]:
        """The code."""
        code = str(self.checked(arguments, context)["code"])
        if self._interpreter is None:
            compiled(code, "<python>")
        return (Text(fence(code, "python")),)

    def snapshot(self, context: ToolContext) -> Snapshot:
        """The variables before a call."""
        return Snapshot(context.namespace, self._limits)

    def keep(self, value: object, context: ToolContext) -> str:
        """The name of the variable that holds `value`: one that does already, or a new one."""
        variables = tuple(context.namespace.items())
        known = next((name for name, held in variables if held is value and not name.startswith("_")), None)
        return known or keep(value, self.name, self._kept, context.namespace)


class _Running:
    """One call: its code, what it showed, and what it changed. It runs where notebook code runs."""

    def __init__(self, tool: Python, code: Code, context: ToolContext, label: str) -> None:
        self.code = code
        self.output = Output(context.emit)
        self._tool = tool
        self._context = context
        self._label = label
        self._content: list[Content] = []
        self._handle: str | None = None
        self._failure: str | None = None
        self._changes = Changes()

    def run(self) -> None:
        """Run the code to its end."""
        with ExitStack() as around:
            scope = self._begin(around)
            try:
                self._finish(self.code.run(scope))
            except (Exception, SystemExit) as error:  # what a model's code raises, the model reads
                self._failure = told(error, self.code.filename)

    async def run_async(self) -> None:
        """Run code that awaits."""
        with ExitStack() as around:
            scope = self._begin(around)
            try:
                self._finish(await self.code.run_async(scope))
            except asyncio.CancelledError:
                raise
            except (Exception, SystemExit) as error:  # as above
                self._failure = told(error, self.code.filename)

    def _begin(self, around: ExitStack) -> dict[str, object]:
        """What is around the code; gives the dictionary that it runs in."""
        namespace = self._context.namespace
        before = self._tool.snapshot(self._context)
        # Also where the person stops it: what it had done by then is done.
        around.callback(self._notice, before)
        self._figures = open_figures()
        if isinstance(namespace, dict):
            scope = namespace
        else:
            scope = dict(namespace)
            around.callback(self._write_back, scope, dict(scope))
        around.enter_context(_exits_end_the_code(scope))
        around.enter_context(captured(self.output))
        around.enter_context(displays(self._show))
        return scope

    def _show(self, block: Content) -> None:
        if isinstance(block, Text):
            self.output.write(block.text, flush=True)
        elif len(self._content) < _MOST_PICTURES:
            self._content.append(block)

    def _finish(self, value: object) -> None:
        figures = pictures(self._figures, value)
        if value is not None:
            given = to_return(value, lambda kept: self._tool.keep(kept, self._context))
            self._content += given.content
            self._handle = given.handle
        self._content += figures[:_MOST_PICTURES]

    def _write_back(self, scope: dict[str, object], before: dict[str, object]) -> None:
        """Carry over what happened in a copy of the variables: they are in no dictionary that code can run in."""
        namespace = self._context.namespace
        scope.pop("__builtins__", None)
        for name in before.keys() - scope.keys():
            namespace.pop(name, None)
        for name, value in scope.items():
            if name not in before or before[name] is not value:
                namespace[name] = value

    def _notice(self, before: Snapshot) -> None:
        self._changes = before.changes(self._context.namespace)
        self.output.finish()
        if self._changes:
            self._tool.undo.push(NamespaceStep(self._context.namespace, self._changes, self._label))
            self._context.emit(Text("\n".join(["", "Variables", *(f"  {part}" for part in self._changes.parts), ""])))

    def result(self) -> ToolReturn:
        """What the model reads. Raises ToolError where the code failed."""
        printed = self.output.text.rstrip("\n")
        noticed = self._changes.line if self._changes or self._changes.unchecked else ""
        if self._failure is not None:
            raise ToolError("\n".join(part for part in (printed, self._failure, noticed) if part))
        blocks = [*([Text(printed)] if printed else []), *self._content]
        blocks = blocks or [Text("(no output)")]
        return ToolReturn((*blocks, *([Text(noticed)] if noticed else [])), handle=self._handle)


@contextmanager
def _exits_end_the_code(scope: dict[str, object]) -> Iterator[None]:
    """`exit()` and `quit()` end the code: IPython's own would end the kernel, and all variables with it."""
    shells = {name: scope[name] for name in _EXITS if type(scope.get(name)).__name__.endswith("ExitAutocall")}
    scope.update(dict.fromkeys(shells, sys.exit))
    try:
        yield
    finally:
        for name, own in shells.items():
            if scope.get(name) is sys.exit:
                scope[name] = own


def _label(code: str) -> str:
    return f"python ({one_line(code.strip(), 60)})"
