"""What there is of tools, as tables and words: where each comes from, whether it is offered, whether it asks."""

from __future__ import annotations

import json

from agentnb.notebook import call_line
from agentnb.notebook.tables import Table
from agentnb.toolbox import Listed
from agentnb.tools.base import traits
from agentnb.tools.definitions import ToolConfig
from agentnb.tools.naming import original
from agentnb.toolsources import NOTEBOOK
from agentnb.workspace import Workspace

_NONE = "No tools yet of this notebook. Write a function with type hints and a docstring, then: %tool FUNCTION"


def tools(workspace: Workspace) -> Table:
    """All tools, those of one source together."""
    found = workspace.toolbox.listed()
    sources = list(dict.fromkeys([NOTEBOOK, *(each.source for each in found)]))
    rows = tuple(
        (
            "on" if each.enabled else "off",
            each.name,
            each.source,
            approval(workspace, each),
            workspace.toolbox.description(each.tool).partition("\n")[0],
        )
        for each in sorted(found, key=lambda each: sources.index(each.source))
    )
    own = any(each.toolset is None for each in found)
    unready = [name for name in workspace.toolbox.toolsets() if name not in {each.toolset for each in found}]
    notes = [
        "" if own else _NONE,
        f"Not asked yet for their tools: {', '.join(unready)}. The first run does." if unready else "",
    ]
    return Table(("", "tool", "source", "approval", "what it does"), rows, "\n".join(notes))


def approval(workspace: Workspace, listed: Listed) -> str:
    """Whether a call of it asks first; "yours" where the person said so."""
    rule = workspace.policy.rule(listed.id)
    return f"{rule} (yours)" if rule else traits(listed.tool).approval


def about(workspace: Workspace, listed: Listed) -> str:
    """Everything about one tool: what the model is told, and what it is not. Raises UsageError for bad hints."""
    spec = listed.tool.spec(workspace.namespace)
    own = original(listed.tool).name
    facts = {
        "id": listed.id,
        "source": listed.source,
        "offered": "yes" if listed.enabled else f"no: %tool on {listed.name}",
        "approval": approval(workspace, listed),
        "at home": own if own != listed.name else "",
        "by hand": call_line.example(listed.name, spec),
    }
    lines = [f"{name:<8}  {fact}" for name, fact in facts.items() if fact]
    schema = json.dumps(spec.parameters, indent=2, ensure_ascii=False)
    return "\n".join([f"{spec.name}: {spec.description}", *lines, schema])


def saved(kept: list[ToolConfig], workspace: Workspace) -> Table:
    """The tools that are kept for every notebook."""
    here = {each.name for each in workspace.toolbox.listed()}
    rows = tuple(
        (each.name, "here" if each.name in here else "", each.tool_type, each.description.partition("\n")[0])
        for each in kept
    )
    note = "%tool load NAME brings one back." if rows else "No tools are saved yet. %tool save NAME keeps one."
    return Table(("tool", "state", "type", "what it does"), rows, note)
