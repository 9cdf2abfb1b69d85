"""Tool definitions as files keep them: an array of objects, as `tools.json` of other programs has it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from agentnb.errors import UsageError
from agentnb.messages import JSON, JSONObject

ToolType: TypeAlias = Literal["function", "mcp", "skill"]
_TYPES: tuple[ToolType, ...] = ("function", "mcp", "skill")


@dataclass(frozen=True, slots=True)
class ToolConfig:
    """One tool as a file describes it; which of the places at the end has a word depends on `tool_type`."""

    tool_id: str
    name: str
    tool_type: ToolType = "function"
    description: str = ""
    parameters: JSONObject = field(default_factory=dict)
    mcp_server_name: str | None = None
    tool_name: str | None = None
    steps: list[JSON] | None = None
    function_file_path: str | None = None
    function_name: str | None = None
    skill_dir: str | None = None
    builtin: bool = False


_TEXTS = ("mcp_server_name", "tool_name", "function_file_path", "function_name", "skill_dir")
_ORDER = ("tool_id", "tool_type", "name", "description", "parameters", *_TEXTS, "steps")


def format_tools(tools: Iterable[ToolConfig]) -> list[JSON]:
    """The array; what a tool does not have is left out, and so are built-ins, which need no keeping."""
    return [_formatted(tool) for tool in tools if not tool.builtin]


def _formatted(tool: ToolConfig) -> JSONObject:
    values: JSONObject = {name: getattr(tool, name) for name in _ORDER}
    return {name: value for name, value in values.items() if value is not None}


def parse_tools(text: str | bytes, where: str) -> list[ToolConfig]:
    """The tools of an array. Raises UsageError, which says `where`, for what is none."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{where} is not JSON ({error}). Mend it, or delete it.") from None
    return read_tools(found, where)


def read_tools(found: object, where: str) -> list[ToolConfig]:
    """The same of an array that has been read."""
    if not isinstance(found, list):
        raise UsageError(f"{where} holds no list of tools. It begins with [ and has an object for each tool.")
    return [_parsed(entry, f"{where}, tool {number}") for number, entry in enumerate(found, 1)]


def _parsed(entry: object, where: str) -> ToolConfig:
    if not isinstance(entry, dict):
        raise UsageError(f"{where} is not an object.")
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise UsageError(f"{where} has no name.")
    kind = next((each for each in _TYPES if each == entry.get("tool_type", "function")), None)
    if kind is None:
        raise UsageError(f"{where} ({name}) has the type {entry.get('tool_type')!r}. It is one of {', '.join(_TYPES)}.")
    parameters, steps = entry.get("parameters"), entry.get("steps")
    texts = {key: _text(entry, key, f"{where} ({name})") for key in (*_TEXTS, "tool_id", "description")}
    return ToolConfig(
        texts["tool_id"] or f"{kind}-{name}",
        name,
        kind,
        texts["description"] or "",
        parameters if isinstance(parameters, dict) else {},
        steps=steps if isinstance(steps, list) else None,
        builtin=entry.get("builtin") is True,
        **{key: texts[key] for key in _TEXTS},
    )


def _text(entry: dict[str, object], key: str, where: str) -> str | None:
    value = entry.get(key)
    if value is None or isinstance(value, str):
        return value
    raise UsageError(f"{where}: {key} is a text, not {str(value)[:40]!r}.")
