"""`--as` and `%agent use`: the settings of a saved agent, with a cell's own options over them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from agentnb.agents import SavedAgent, problems
from agentnb.errors import UsageError
from agentnb.messages import JSON
from agentnb.notebook.options import Parsed
from agentnb.notebook.orders import Order
from agentnb.notebook.pairs import value
from agentnb.workspace import Workspace

#: What stands for no agent, also where one is in use.
NOBODY = "none"
#: Options of a cell that take the place of more than the same of the agent.
_INSTEAD = {
    "model": ("api-base", "api-key-name"),
    "tool": ("no-tools",),
    "no-tools": ("tool",),
}


def cast(workspace: Workspace, order: Order) -> Order:
    """The order with the settings of the agent that it names, or that is in use.

    Kept tools and servers of the agent are loaded. Raises UsageError for an agent that there is not, and that says what
    it lacks here.
    """
    name = order.options.one("as") or workspace.agent_in_use or NOBODY
    if name == NOBODY:
        return order
    saved = _left(workspace.agents.get(name), order.options)
    workspace.bring(saved.tools or ())
    # A key that is missing is no matter here: the request itself says so.
    missing = problems(saved, replace(workspace.around(), key=lambda _: ""))
    if missing:
        raise UsageError(f"The agent {name!r} lacks something here. {' '.join(missing)} Nothing was sent.")
    written, given = as_options(saved), order.options
    values = {**written.values, **given.values, "as": [name]}
    if both := _joined(written.many("params"), given.many("params")):
        values["params"] = both
    if not order.prompt.strip() and "template" not in values:
        raise UsageError(f"There is no prompt, and the agent {name!r} has no template for one. Write it below.")
    line = order.line if given.has("as") else f"{order.line} --as {name}".strip()
    return replace(order, options=Parsed(values, given.rest, {**written.pairs, **given.pairs}), line=line)


def as_options(saved: SavedAgent) -> Parsed:
    """A saved agent as the options of a cell."""
    plain: dict[str, object] = {
        "model": saved.model,
        "system": saved.system,
        "template": saved.template,
        "system-template": None if saved.system else saved.system_template,
        "api-base": saved.api_base,
        "api-key-name": saved.api_key_name,
        "context": saved.context,
        "approve": saved.approve,
        "max-rounds": saved.max_rounds,
        "max-cost": saved.max_cost,
        "params": json.dumps(dict(saved.options)) if saved.options else None,
    }
    values = {name: [str(value)] for name, value in plain.items() if value is not None}
    if saved.tools is not None:
        values |= {"tool": [*saved.tools]} if saved.tools else {"no-tools": []}
    if saved.skills:
        values["skill"] = [*saved.skills]
    behind = {"template": saved.arguments, "system-template": saved.system_arguments}
    pairs = {name: [f"{key}={_words(each)}" for key, each in given.items()] for name, given in behind.items()}
    return Parsed(values, pairs={name: each for name, each in pairs.items() if name in values})


def _left(saved: SavedAgent, options: Parsed) -> SavedAgent:
    """The agent without what the cell says itself."""
    given = {*options.values, *(each for name in options.values for each in _INSTEAD.get(name, ()))}
    told = "system" in given or "system-template" in given
    return replace(
        saved,
        model=None if "model" in given else saved.model,
        api_base=None if "api-base" in given else saved.api_base,
        api_key_name=None if "api-key-name" in given else saved.api_key_name,
        tools=None if "tool" in given else saved.tools,
        skills=() if "skill" in given else saved.skills,
        template=None if "template" in given else saved.template,
        arguments={} if "template" in given else saved.arguments,
        system=None if told else saved.system,
        system_template=None if told else saved.system_template,
    )


def _joined(saved: list[str] | None, given: list[str] | None) -> list[str] | None:
    """The generation options of both; None where only one has any, or where the cell's are none."""
    if not saved or not given:
        return None
    try:
        own = json.loads(given[-1])
    except ValueError:  # the cell says what is wrong with it
        return None
    return [json.dumps({**json.loads(saved[-1]), **own})] if isinstance(own, dict) else None


def _words(value: JSON) -> str:
    """A value as it is written behind `key=`."""
    if isinstance(value, str):
        return value if value.startswith("{{") and value.endswith("}}") else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | Mapping) else str(value)


def read_words(pair: str) -> JSON:
    """The value of a `key=words` that needs no variable, as it is kept."""
    _, found = value(pair, {})
    return found if isinstance(found, str | int | float | bool | None | list | dict) else str(found)
