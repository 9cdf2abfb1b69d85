"""What there is of tools, as tables and words: where each comes from, whether it is offered, whether it asks."""

from __future__ import annotations

import json
from collections.abc import Sequence

from agentnb.errors import UsageError
from agentnb.notebook import call_line
from agentnb.notebook.tables import Table
from agentnb.render.terminal import clean
from agentnb.toolbox import Listed
from agentnb.tools.base import traits
from agentnb.tools.definitions import ToolConfig
from agentnb.tools.naming import original
from agentnb.toolsources import NOTEBOOK
from agentnb.workspace import Workspace

_HEAD = ("", "tool", "source", "approval", "what it does")
#: A toolset that is off stands in one row where it has more tools than so many, and so many are named.
_FEW, _NAMED = 4, 3
_MANY = " tools"
_FOLDED = "Of a source that is off: %tool list SOURCE shows its tools, %tool on SOURCE offers them, -t SOURCE once."
_NONE = "No tools yet of this notebook. Write a function with type hints and a docstring, then: %tool FUNCTION"


def tools(workspace: Workspace, wanted: Sequence[str] = ()) -> Table:
    """All tools, those of one source together, and toolsets that are off as one row; or those `wanted`, each.

    Raises UsageError for one that there is not.
    """
    found = workspace.toolbox.listed()
    if wanted:
        chosen = {each.id for name in wanted for each in workspace.toolbox.match(name) or [_one(workspace, name)]}
        rows = [_row(workspace, each) for each in found if each.id in chosen]
        return Table(_HEAD, tuple(rows))
    sources = list(dict.fromkeys([NOTEBOOK, *(each.source for each in found)]))
    rows = [row for source in sources for row in _rows(workspace, [each for each in found if each.source == source])]
    rows.sort(key=lambda row: row[1].endswith(_MANY))  # stable: what can be called stands above what is folded
    own = any(each.toolset is None or each.enabled for each in found)
    unready = [name for name in _servers(workspace) if name not in {each.toolset for each in found}]
    notes = [
        "" if own else _NONE,
        _FOLDED if len(rows) < len(found) else "",
        f"Not started yet, so their tools are not known: {', '.join(unready)}. The first run does." if unready else "",
    ]
    return Table(_HEAD, tuple(rows), "\n".join(notes))


def _one(workspace: Workspace, name: str) -> Listed:
    if name in workspace.toolbox.toolsets():
        raise UsageError(f"Nothing is known yet of the tools of {name}. The first run asks for them.")
    return workspace.toolbox.get(name)


def _rows(workspace: Workspace, members: Sequence[Listed]) -> list[tuple[str, ...]]:
    if len(members) > _FEW and members[0].toolset is not None and not any(each.enabled for each in members):
        source = members[0].source
        names = ", ".join(each.name for each in members[:_NAMED])
        return [("off", f"{len(members)}{_MANY}", source, "", f"{names}, …")]
    return [_row(workspace, each) for each in members]


def _row(workspace: Workspace, each: Listed) -> tuple[str, ...]:
    does = workspace.toolbox.description(each.tool).partition("\n")[0]
    return "on" if each.enabled else "off", each.name, each.source, approval(workspace, each), does


def _servers(workspace: Workspace) -> list[str]:
    """MCP servers that would be started."""
    return [server.name for server in workspace.mcp.servers.values() if not server.settings.disabled]


def approval(workspace: Workspace, listed: Listed) -> str:
    """Whether a call of it asks first; "yours" where the person said so."""
    rule = workspace.policy.rule(traits(listed.tool).rule)
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
    return clean("\n".join([f"{spec.name}: {spec.description}", "", *lines, "", schema]))


def saved(kept: list[ToolConfig], workspace: Workspace) -> Table:
    """The tools that are kept for every notebook."""
    here = {each.name for each in workspace.toolbox.listed()}
    rows = tuple(
        (each.name, "here" if each.name in here else "", each.tool_type, each.description.partition("\n")[0])
        for each in kept
    )
    note = "%tool load NAME brings one back." if rows else "No tools are saved yet. %tool save NAME keeps one."
    return Table(("tool", "state", "type", "what it does"), rows, note)
