"""The magics: each parses its line, calls one method of the Workspace, and shows what came."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class, no_var_expand

from agentnb.bridge import Foreground
from agentnb.errors import AgentnbError
from agentnb.notebook import (
    attended,
    background,
    cell,
    inspecting,
    orders,
    resuming,
    show,
    undo,
)
from agentnb.notebook.asking.choose import NotebookAsker, notebook_asker
from agentnb.notebook.background import Background
from agentnb.notebook.display import Display, IPythonPublisher, default_mode, make_display
from agentnb.notebook.options import Option
from agentnb.notebook.publisher import MaskedPublisher
from agentnb.result import Result
from agentnb.turns import Turns
from agentnb.workspace import Workspace

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from agentnb.notebook.replaying import Wanted

_HELP = Option("help", "this text", "h", kind="flag")


@magics_class
class AgentMagics(Magics):
    """`%%agent`, `%agent`, `%agentnb` over one workspace."""

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell, workspace: Workspace) -> None:
        super().__init__(shell)
        self.workspace = workspace
        #: Tracebacks of failed cells by execution count, for {{Err[n]}}.
        self.errors: dict[int, str] = {}
        self.cell_id: str | None = None
        self.background = Background(shell, workspace)

    # Runs

    async def run(self, line: str, body: str | None = None) -> None:
        """What a cell that begins with `%%agent` becomes: the kernel's loop stays free while the agent runs."""
        if (which := _waiting(line, body)) is not None:
            await self.background.wait(which, show.text)
        elif (prepared := self._prepare(line, body)) is not None:
            order, run = prepared
            self._keep(order, run, await run.attend(self._display(order, run)))

    @no_var_expand
    @line_cell_magic
    def agent(self, line: str, body: str | None = None) -> None:
        """Ask the agent; the answer streams below, and the result is in `_` (or VAR). `%%agent --help` lists all."""
        if (which := _waiting(line, body)) is not None:
            self.background.wait_blocked(which, show.text)
        elif (prepared := self._prepare(line, body)) is not None:
            order, run = prepared
            self._keep(order, run, run.attend_blocked(self._display(order, run)))

    def _prepare(self, line: str, body: str | None) -> tuple[orders.Order, attended.Attended] | None:
        # The number of the cell that runs, in every IPython: since 9.18 `execution_count` is the next one's.
        label = f"In [{self.shell.displayhook.prompt_count}]"
        match background.wanted(line, body):
            case "list", _:
                from agentnb.notebook import agent_verbs  # as below

                show.table(agent_verbs.table(self.workspace), self.workspace.mask)
                show.table(background.table(self.background.runs.list()), self.workspace.mask)
                return None
            case "stop", which:
                show.text(background.stop(self.background.runs, which))
                return None
        if (words := self._told(line, body)) is not None:
            show.text(words)
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
        if body is None and line.split()[:1] == ["replay"]:
            from agentnb.notebook import replaying  # as below

            if (asked := replaying.wanted(line, body)) is not None:
                return self._replayed(asked, label)
        order = orders.read(line, body)
        if order.options.has("help"):
            show.text(orders.help_text())
            return None
        return self._made_ready(order, label)

    def _made_ready(self, order: orders.Order, label: str) -> tuple[orders.Order, cell.CellRun] | None:
        """The run of a cell; None where the cell does not wait for one."""
        extra = self._extra_names()
        turns = self.background.turns() if order.options.has("bg") else None
        try:
            run = cell.CellRun(
                self.workspace,
                order,
                cell=self.cell_id,
                label=label,
                extra=extra,
                asking=self._asking,
                foreground=turns,
            )
        except AgentnbError as error:  # it may quote what a variable holds, and stays in the notebook
            error.args = tuple(self.workspace.mask(arg) if isinstance(arg, str) else arg for arg in error.args)
            raise
        if order.options.has("dry-run"):
            show.dry_run(run)
            return None
        if run.session is not None and (words := self.workspace.goes_on(run.session, run.history)):
            show.text(self.workspace.mask(words))
        self.background.runs.leave(self.cell_id)
        if turns is not None:
            begun = self.background.begin(order, run, cell=self.cell_id, label=label)
            self._hand_over(order, begun, begun)
            return None
        return order, run

    def _told(self, line: str, body: str | None) -> str | None:
        """What the verbs that start no run say."""
        if body is None:
            from agentnb.notebook import agent_verbs  # a first cell does not wait for it

            if (kept := agent_verbs.wanted(line, body)) is not None:
                return agent_verbs.perform(self.workspace, *kept, show.text)
        if undo.wanted(line, body):
            return undo.undo(self.workspace)
        return self.inspected() if inspecting.wanted(line, body) else None

    def _replayed(self, asked: Wanted, label: str) -> tuple[orders.Order, attended.Attended] | None:
        from agentnb.notebook import replaying  # a first cell does not wait for it

        if (told := replaying.told(self.workspace, asked)) is not None:
            show.text(told) if isinstance(told, str) else show.table(told, self.workspace.mask)
            return None
        return replaying.replayed(
            self.workspace,
            asked,
            self._asking,
            show.text,
            label=label,
            names=self._extra_names(),
            cell=self.cell_id,
        )

    def inspected(self) -> str:
        """What the next cell would send."""
        return inspecting.inspected(self.workspace, extra=self._extra_names(), cell=self.cell_id)

    def _asking(self, foreground: Foreground) -> NotebookAsker:
        return notebook_asker(self.shell, self.workspace, foreground, console=not isinstance(foreground, Turns))

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
        if (beside := run.shown_beside(result)) is not None:
            publisher = MaskedPublisher(IPythonPublisher(self.shell), self.workspace.mask)
            publisher.show(beside._repr_mimebundle_(), {}, display_id=f"agentnb-{uuid.uuid4().hex}", update=False)
            self._hand_over(order, beside, beside)
            return
        self._hand_over(order, result, result if run.agent.output is None else result.output)

    def _hand_over(self, order: orders.Order, result: object, value: object) -> None:
        # As the value of an expression would be: `_`, `Out[n]`; shown it is already.
        self.shell.displayhook.update_user_ns(result)  # type: ignore[no-untyped-call]  # IPython has no types here
        for name in order.variables:
            self.shell.user_ns[name] = value

    # Everything

    @no_var_expand
    @line_magic
    def agentnb(self, line: str) -> Workspace | None:
        """Status; returns the Workspace. `%agentnb export PATH` and `import PATH`: everything as files, and back."""
        if not line.strip():
            return self.workspace
        from agentnb.notebook import transferring  # a first cell does not wait for it

        if (said := transferring.perform(self.workspace, line)) is not None:
            show.text(said)
        return None


def _waiting(line: str, body: str | None) -> str | None:
    """Which run `%agent wait` names; None for any other line."""
    match background.wanted(line, body):
        case "wait", which:
            return which
    return None
