"""Names of tools: unique for the model, whatever the tools are called at home; an id finds one as well."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import replace
from typing import Literal, TypeAlias

from agentnb.errors import UsageError
from agentnb.messages import JSONObject, ToolSpec
from agentnb.tools.base import Tool, ToolContext, ToolReturn, Traits, traits

Kind: TypeAlias = Literal["function", "mcp", "openapi", "skill"]
_OPTIONAL = ("preview", "check", "reopen")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Renamed:
    """A tool that the model knows by another name; everything else of it stays."""

    def __init__(self, tool: Tool, name: str) -> None:
        self.tool = tool
        self.name = name
        # What it may have beside the interface is looked for, so it must not be there where the tool has none.
        vars(self).update({each: getattr(tool, each) for each in _OPTIONAL if hasattr(tool, each)})

    def __repr__(self) -> str:
        return f"<{self.tool!r} as {self.name}>"

    @property
    def traits(self) -> Traits:
        """Those of the tool: its id is the same under every name."""
        return traits(self.tool)

    @property
    def parallel(self) -> bool:
        """As the tool says."""
        return self.tool.parallel

    def spec(self, namespace: MutableMapping[str, object]) -> ToolSpec:
        """The tool's, under this name."""
        return replace(self.tool.spec(namespace), name=self.name)

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolReturn:
        """Call the tool."""
        return await self.tool.call(arguments, context)


def renamed(tool: Tool, name: str) -> Tool:
    """The tool under this name: itself where it has that already."""
    tool = original(tool)
    return tool if tool.name == name else Renamed(tool, name)


def original(tool: Tool) -> Tool:
    """The tool itself, as it is called at home."""
    return tool.tool if isinstance(tool, Renamed) else tool


def checked_name(name: str) -> str:
    """A name that every model's API takes. Raises UsageError for another."""
    if _NAME.fullmatch(name):
        return name
    raise UsageError(f"{name[:80]!r} is no name for a tool. Use letters, digits, _ and -, at most 64.")


def kind(tool: Tool) -> Kind:
    """What a tool is, by its id."""
    head = traits(tool).id.partition("-")[0]
    return next((each for each in ("mcp", "openapi", "skill") if head == each), "function")


def keyed(tools: Iterable[Tool]) -> dict[str, Tool]:
    """Tools by id. Two of one id are both there, the second as `id_2`; the same object twice is there once."""
    found: dict[str, Tool] = {}
    for tool in {id(tool): tool for tool in tools}.values():
        found[_free(traits(tool).id, found)] = tool
    return found


def names(tools: Mapping[str, Tool], chosen: Mapping[str, str]) -> dict[str, str]:
    """The name that each id is offered by, no two the same: first come those `chosen` by a person, then functions.

    Where a name is taken, a tool is offered by its id.
    """
    taken: dict[str, str] = {}
    for tool_id in sorted(tools, key=lambda each: (each not in chosen, kind(tools[each]) != "function")):
        wanted = chosen.get(tool_id, tools[tool_id].name)
        if wanted in taken:
            wanted = _free(re.sub(r"[^A-Za-z0-9_-]", "_", tool_id)[:64], taken)
        taken[wanted] = tool_id
    by_id = {tool_id: name for name, tool_id in taken.items()}
    return {tool_id: by_id[tool_id] for tool_id in tools}


def offered(tools: Iterable[Tool]) -> list[Tool]:
    """The same tools under names that are unique among them."""
    by_id = keyed(tools)
    called = names(by_id, {})
    return [tool if tool.name == called[key] else renamed(tool, called[key]) for key, tool in by_id.items()]


def look_up(tools: Mapping[str, Tool], name: str) -> Tool | None:
    """One of a run's tools: by the name it is offered by, then by its id."""
    if name in tools:
        return tools[name]
    return next((tool for tool in tools.values() if traits(tool).id == name), None)


def _free(name: str, taken: Mapping[str, object]) -> str:
    free, number = name, 2
    while free in taken:
        free, number = f"{name[: 63 - len(str(number))]}_{number}", number + 1
    return free
