"""`%tool form`: a tool's arguments as a form in the notebook, for as many calls as one likes."""

from __future__ import annotations

from agentnb import render
from agentnb.bridge import Foreground
from agentnb.direct import as_value, checked
from agentnb.messages import JSONObject, Text
from agentnb.notebook import call_line, direct
from agentnb.notebook.asking.choose import NotebookAsker
from agentnb.notebook.display import make_display
from agentnb.notebook.forms import RUN, Forms, kept, named
from agentnb.notebook.publisher import Publisher
from agentnb.tools.base import Question
from agentnb.workspace import Workspace


def show_form(forms: Forms, workspace: Workspace, line: str, cell: str | None) -> None:
    """Show a form for the tool that a line names: each Run is a call like a model's."""
    name, variable = named(line, "%tool form takes the name of a tool")
    listed = checked(direct.known(workspace, name))
    spec = listed.tool.spec(workspace.namespace)
    title = f"Call {listed.name}"

    async def perform(values: JSONObject, asker: NotebookAsker, cards: Publisher, foreground: Foreground) -> str:
        run = direct.DirectCall(
            workspace,
            listed.id,
            values,
            foreground=foreground,
            asker=asker,
            label="form",
            session=workspace.session,
            cell=cell,
        )
        display = make_display("live", cards, render.Provenance(f"%tool form {listed.name}"))
        value = as_value(await run.attend(display), workspace.namespace, workspace.mask)
        return kept(workspace, variable, value)

    question = Question(title, (Text(spec.description),), dict(spec.parameters), {}, (RUN,))
    forms.show(question, perform, name=listed.name, hint=call_line.example(listed.name, spec), cell=cell)
