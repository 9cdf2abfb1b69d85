"""What a run is made of, and which of its tools a model is offered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass

from agentnb.approval import Mode, Policy
from agentnb.errors import ToolError
from agentnb.models.base import Model
from agentnb.models.cards import Cards
from agentnb.models.options import Options
from agentnb.output import Output
from agentnb.requests import Requests
from agentnb.tools.base import Asker, Runner, Scoping, Tool, Toolset

#: The tool that starts runs within a run; who has it leaves the others to those.
DELEGATE = "delegate"


@dataclass(slots=True, eq=False)
class Outfit:
    """What a run is made of; runs share it and change nothing in it.

    `toolsets` are asked for their tools at every round, so that what an MCP server adds meanwhile is there. `models`
    opens the model of a run within this one by its name; `depth` says how deep this one is nested itself.
    """

    model: Model
    tools: Mapping[str, Tool]
    toolsets: Sequence[Toolset]
    system: str | None
    max_rounds: int
    options: Options
    output: Output | None
    cards: Cards
    name: str | None
    namespace: MutableMapping[str, object]
    runner: Runner
    hooks: Sequence[object]
    policy: Policy
    asker: Asker | None
    approve: Mode
    models: Callable[[str], Model]
    model_names: Sequence[str]
    requests: Requests
    depth: int = 0


async def everything(outfit: Outfit) -> dict[str, Tool]:
    """All tools by name: those that were named, then those of toolsets, which are started where they must be."""
    tools = dict(outfit.tools)
    for toolset in outfit.toolsets:
        for tool in await toolset.ready():
            tools.setdefault(tool.name, tool)
    return tools


def divided(tools: Mapping[str, Tool], used_up: set[str]) -> tuple[dict[str, Tool], dict[str, Tool]]:
    """What a model is offered, and what it may hand on: who delegates sees only that, and leaves the rest to others."""
    left = {name: tool for name, tool in tools.items() if name not in used_up}
    if DELEGATE not in left:
        return left, left
    delegate = left.pop(DELEGATE)
    return {DELEGATE: delegate.over(left) if isinstance(delegate, Scoping) else delegate}, left


def narrowed(namespace: MutableMapping[str, object], names: Sequence[str] | None) -> MutableMapping[str, object]:
    """The variables of these names, apart; all of them where none are named. Raises ToolError for one that is not."""
    if names is None:
        return namespace
    missing = next((name for name in names if name not in namespace), None)
    if missing is not None:
        raise ToolError(f"there is no notebook variable {missing!r} to hand on.")
    return {name: namespace[name] for name in names}
