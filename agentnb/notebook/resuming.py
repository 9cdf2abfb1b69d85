"""`%agent resume`: a run that waited for a person goes on, also in a kernel that was started since."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from agentnb.bridge import Foreground
from agentnb.conversation import unanswered
from agentnb.errors import UsageError, nearest
from agentnb.models.options import Options
from agentnb.notebook.attended import Asking, Attended, paused_runs
from agentnb.notebook.casting import cast
from agentnb.notebook.cell import CellRun, schema_of
from agentnb.notebook.orders import Order, model_options, read
from agentnb.notebook.templated import Wording
from agentnb.paused import PausedRun
from agentnb.prompting import Filled
from agentnb.prompting.plain import moment
from agentnb.render.terminal import one_line
from agentnb.session import Session
from agentnb.tools.base import traits
from agentnb.workspace import Workspace

#: What a cell knows beside the notebook's variables.
Names: TypeAlias = Mapping[str, object]

_WORD = re.compile(r"\s*resume(?:\s+(list|[0-9a-f]{4,64}))?\s*")


def wanted(line: str, body: str | None) -> str | None:
    """Which run `%agent resume` names: "" for the newest here, "list" for all, or an id; None for any other line."""
    found = _WORD.fullmatch(line) if body is None else None
    return (found[1] or "") if found else None


def listing(workspace: Workspace) -> str:
    """The paused runs, one a line, and what is wrong with those that cannot be read."""
    problems: list[str] = []
    runs = paused_runs(workspace).list(problems.append)
    lines = [
        f"{run.id[:8]}  {moment(run.when)}  {run.notebook or '(no notebook)'}"
        f"  {_waits_for(run)}: {one_line(run.prompt, 60)}"
        for run in runs
    ]
    return workspace.mask("\n".join([*(lines or ["No run waits for an answer."]), *problems]))


class ResumedRun(CellRun):
    """A paused run with the options of the cell that began it, which are read anew."""

    def __init__(
        self, workspace: Workspace, order: Order, paused: PausedRun, *, label: str, names: Names, asking: Asking
    ) -> None:
        self._workspace = workspace
        self._order = order
        self.options = model_options(order.options)
        self.filled = Filled((), {}, ())
        # Its templates were filled when it began.
        self._wording = Wording(order.prompt, {}, said=paused.system)
        foreground = Foreground()
        asker = asking(foreground)
        schema = order.options.one("schema")
        output = schema_of(schema, {**workspace.namespace, **names}) if schema else None
        agent = self._agent(order.options, output, foreground, asker)
        self._system = agent.system = paused.system
        agent.options = Options.read(paused.options or {})
        if not order.options.has("model") and paused.model != workspace.model_name:
            agent.model = workspace.open_model(paused.model)
        Attended.__init__(
            self,
            workspace,
            agent,
            None,
            history=(*paused.history, *paused.messages),
            session=_session(workspace, paused),
            cell=paused.cell,
            label=label,
            foreground=foreground,
            asker=asker,
            line=paused.line,
            replaces=paused.id,
        )


def resumed(
    workspace: Workspace, which: str, asking: Asking, say: Callable[[str], object], *, label: str, names: Names
) -> tuple[Order, ResumedRun]:
    """The paused run, ready to go on; `say` is told what it would lack. Raises UsageError where it cannot go on."""
    paused = paused_runs(workspace).load(which) if which else _newest(workspace, say)
    known = workspace.toolbox.all()
    called = {call.name for call in unanswered(paused.messages)}
    if missing := sorted(called - set(known)):
        raise UsageError(
            f"The run waits to call {', '.join(missing)}, which is not here.{nearest(missing[0], known)} "
            "Run the cells that define it, then %agent resume."
        )
    if missing := [name for name in paused.tools if name not in known]:
        say(f"Not here any more: {', '.join(missing)}. The run goes on without.")
    for name in paused.asked:
        _ask_again(workspace, name)
    order = cast(workspace, read(paused.line, paused.prompt or "…"))
    return order, ResumedRun(workspace, order, paused, label=label, names=names, asking=asking)


def _ask_again(workspace: Workspace, name: str) -> None:
    """What a person was asked about does not run unasked, even where the rule that said so ended with its kernel."""
    known = traits(workspace.toolbox.get(name).tool)
    if workspace.policy.rule(known.rule) is None and known.approval == "always":
        workspace.policy.remember(known.rule, "ask")


def _newest(workspace: Workspace, say: Callable[[str], object]) -> PausedRun:
    runs: Sequence[PausedRun] = paused_runs(workspace).list(say)
    found = next((run for run in runs if run.notebook == workspace.notebook), None)
    if found is None:
        others = " %agent resume list shows those of others." if runs else ""
        raise UsageError(f"No run of this notebook waits for an answer.{others}")
    return found


def _session(workspace: Workspace, run: PausedRun) -> Session | None:
    """The conversation that the run is part of; where the store has it no more, it is made up again."""
    if run.session is None:
        return None
    if workspace.session.id != run.session:
        with contextlib.suppress(UsageError):
            return workspace.store.session(run.session)
    if workspace.session.id == run.session or workspace.session.turns:
        return workspace.session
    session = Session(run.session)
    if run.history:
        session.record(None, run.history)
    return session


def _waits_for(run: PausedRun) -> str:
    return ", ".join(call.name for call in unanswered(run.messages)) or "an answer"
