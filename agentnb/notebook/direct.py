"""A tool called by the person: `%tool call`, and `tools.name(…)` in a notebook; shown in the cell as a model's call."""

from __future__ import annotations

import contextlib
import re
from functools import partial

from agentnb.bridge import Foreground, going
from agentnb.direct import as_value, read_json, result_of
from agentnb.errors import AgentnbError, ToolError, UsageError
from agentnb.jobs import Run
from agentnb.messages import JSONObject, ToolResult
from agentnb.notebook.asking.choose import NotebookAsker
from agentnb.notebook.call_line import Call, arguments
from agentnb.notebook.display import Display
from agentnb.notebook.errand import wait_for
from agentnb.passing import Passing
from agentnb.session import RunHead, Session
from agentnb.toolbox import Listed
from agentnb.workspace import Workspace


class DirectCall:
    """One call of a tool that a cell attends."""

    def __init__(
        self,
        workspace: Workspace,
        name: str,
        given: JSONObject,
        *,
        foreground: Foreground,
        asker: NotebookAsker | None = None,
        label: str = "",
        session: Session | None = None,
        cell: str | None = None,
    ) -> None:
        """A call in a `session` is the turn of its `cell`. Raises UsageError for a tool that there is not."""
        self.foreground = foreground
        self._workspace = workspace
        self._asker = asker
        self._name = name
        self._session = session
        self._cell = cell
        head = RunHead("", session.id if session else None, cell=cell, label=label)
        self._run = workspace.call(name, given, runner=foreground, asker=asker, head=head)

    async def attend(self, display: Display) -> ToolResult:
        """Run it, leaving the kernel's loop free. Raises what failed beside the tool itself."""
        if self._asker is not None:
            self._asker.awaits = True
        with going(self._run, self.foreground):
            await self.foreground.attend(self._run.done, lambda: _show(self._run, display))
        return self._finish(display)

    def attend_blocked(self, display: Display) -> ToolResult:
        """The same where the caller cannot await."""
        with going(self._run, self.foreground):
            self.foreground.attend_blocked(self._run.done, lambda: _show(self._run, display))
        return self._finish(display)

    def _finish(self, display: Display) -> ToolResult:
        display.feed(self._run.take())
        transcript = display.close()
        failed = self._run.done.exception()
        if failed is not None:
            if isinstance(failed, AgentnbError):
                failed.transcript = transcript
            raise failed
        if self._session is not None:
            self._session.record(self._cell, transcript.messages, run=self._run.id)
        return result_of(transcript, self._name)


def known(workspace: Workspace, name: str) -> Listed:
    """A tool by name or id; toolsets that are not ready yet are made so to find it. Raises UsageError."""
    try:
        return workspace.toolbox.get(name)
    except UsageError:
        for toolset in workspace.toolbox.toolsets():
            with contextlib.suppress(AgentnbError):  # one that does not start is none that has it
                wait_for(workspace, partial(workspace.toolbox.ready, [toolset]))
                return workspace.toolbox.get(name)
        raise


def given(workspace: Workspace, listed: Listed, call: Call, passed: Passing) -> JSONObject:
    """The arguments that a line gives a tool. Raises UsageError."""
    spec = listed.tool.spec(workspace.namespace)
    return arguments(call, spec, passed, {**workspace.namespace})


def value(workspace: Workspace, call: Call, result: ToolResult) -> object:
    """What the call is worth in Python, as its format says. Raises ToolError for a failure, UsageError for no JSON."""
    try:
        found = as_value(result, workspace.namespace, workspace.mask)
    except ToolError as error:
        named = re.search(rf"\b{re.escape(call.name)}\b", str(error))
        raise ToolError(str(error) if named else f"{call.name}: {error}") from None
    return read_json(found) if call.format == "json" else found


def _show(run: Run, display: Display) -> None:
    display.feed(run.take())
    display.tick()
