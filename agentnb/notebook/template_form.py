"""`%template form`: a template's placeholders as a form; each Run asks the agent, its card below."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from agentnb.bridge import Foreground
from agentnb.messages import JSON, JSONObject, Text
from agentnb.notebook import orders
from agentnb.notebook.asking.choose import NotebookAsker
from agentnb.notebook.cell import CellRun
from agentnb.notebook.display import make_display
from agentnb.notebook.forms import RUN, Forms, kept, named
from agentnb.notebook.pairs import value
from agentnb.notebook.publisher import Publisher
from agentnb.templates import Template
from agentnb.tools.base import Question
from agentnb.workspace import Workspace

#: Characters of a variable that a form begins with; a longer one is used as it is.
_LONGEST = 20_000
#: Displays for a run of several rounds.
_SLOTS = 12
_PLAIN = re.compile(r"-?[0-9.]+|True|False|None")


def show_form(forms: Forms, workspace: Workspace, line: str, cell: str | None) -> None:
    """Show a form for the template that a line names. What is left as it stands is the notebook's own variable."""
    name, variable = named(line, "%template form takes the name of a template")
    template = workspace.templates.get(name)
    begun = {key: text for key in template.arguments if (text := _text(workspace, key)) is not None}

    async def perform(values: JSONObject, asker: NotebookAsker, cards: Publisher, foreground: Foreground) -> str:
        given = {key: str(said) for key, said in values.items() if said not in ("", begun.get(key))}
        run = CellRun(
            workspace,
            orders.read(_line(template.name, given), None),
            cell=cell,
            label="form",
            asking=lambda _: asker,
            foreground=foreground,
        )
        return kept(workspace, variable, await run.attend(make_display("live", cards, run.provenance)))

    fields: JSONObject = {
        "type": "object",
        "properties": {key: _field(workspace, key, begun) for key in template.arguments},
        "required": [key for key in template.arguments if key not in workspace.namespace],
    }
    values: JSONObject = {**begun}
    question = Question(f"Ask with {template.name}", (Text(template.content),), fields, values, (RUN,))
    forms.show(question, perform, name=template.name, hint=example(template), cell=cell, slots=_SLOTS)


def example(template: Template, option: str = "template") -> str:
    """How the template is used in a cell, with a word for every argument."""
    return " ".join([f"%%agent --{option} {template.name}", *(f"{each}=…" for each in template.arguments)])


def _text(workspace: Workspace, key: str) -> str | None:
    """What a field begins with: a variable that is a short text or a number, and holds no secret."""
    found = workspace.namespace.get(key)
    if not isinstance(found, str | int | float):
        return None
    text = str(found)
    return text if len(text) <= _LONGEST and workspace.mask(text) == text else None


def _field(workspace: Workspace, key: str, begun: Mapping[str, str]) -> JSON:
    if key not in workspace.namespace or key in begun:
        return {"type": "string"}
    kind = type(workspace.namespace[key]).__name__
    return {"type": "string", "description": f"Left empty: the notebook's {key}, of type {kind}."}


def _line(name: str, given: Mapping[str, str]) -> str:
    """The line of `%agent` that says the same."""
    return " ".join([f"--template {name}", *(f"{key}={_word(key, text)}" for key, text in given.items())])


def _word(key: str, text: str) -> str:
    # A number is one, as on a line; all else is a text, whatever is in it.
    return text if _PLAIN.fullmatch(text) and value(f"{key}={text}", {})[1] != text else json.dumps(text)
