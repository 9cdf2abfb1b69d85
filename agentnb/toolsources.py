"""Where the tools of a notebook come from: its variables, files, toolsets; what came last of one id is the one."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from agentnb.errors import UsageError
from agentnb.tools.base import Tool, Toolset, traits
from agentnb.tools.function import FunctionTool, as_tool

#: The source of a function that was written in the notebook.
NOTEBOOK = "notebook"
#: A tool, its source, and the name of the toolset it is of.
Found: TypeAlias = tuple[Tool, str, str | None]


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A tool from a file; `before` is the notebook's own of its id when it was loaded, which it goes before."""

    tool: FunctionTool
    source: str
    before: FunctionTool | None


class ToolSources:
    """All tools there are, by where they come from. Whoever changes it keeps other threads out."""

    def __init__(self, namespace: Mapping[str, object]) -> None:
        self.toolsets: dict[str, Toolset] = {}
        self._namespace = namespace
        self._registered: dict[str, Tool] = {}
        self._loaded: dict[str, _Loaded] = {}

    def found(self) -> list[Found]:
        """Every tool: functions first, then toolsets in the order they came."""
        functions: dict[str, Found] = {traits(tool).id: (tool, NOTEBOOK, None) for tool in self._current()}
        own = self._own()
        for tool_id, loaded in list(self._loaded.items()):
            if own.get(tool_id) in (None, loaded.before):
                functions.setdefault(tool_id, (loaded.tool, loaded.source, None))
        for tool_id, value in own.items():
            functions.setdefault(tool_id, (value, NOTEBOOK, None))
        members = [(tool, name) for name, toolset in list(self.toolsets.items()) for tool in toolset.known()]
        return [*functions.values(), *((tool, traits(tool).source or name, name) for tool, name in members)]

    def _own(self) -> dict[str, FunctionTool]:
        """The `@tool` functions among the variables, by id; of two of one id the first."""
        own: dict[str, FunctionTool] = {}
        for value in list(self._namespace.values()):
            if isinstance(value, FunctionTool):
                own.setdefault(traits(value).id, value)
        return own

    def _current(self) -> Iterator[Tool]:
        """What was registered, each looked up by its name now: running its cell again replaces it."""
        for name, known in list(self._registered.items()):
            current = self._namespace.get(name)
            if callable(current) and id(current) not in (id(known), id(_function(known))):
                with contextlib.suppress(UsageError):  # a class, say: no tool, and no reason to lose the one that is
                    self._registered[name] = known = as_tool(current)
            yield known

    def register(self, tools: Mapping[str, Tool]) -> None:
        """Take functions of the notebook, by the names of their variables."""
        for name, tool in tools.items():
            self._registered[name] = tool
            self._loaded.pop(traits(tool).id, None)

    def load(self, tools: Sequence[FunctionTool], source: str) -> None:
        """Take functions of a file, in place of what was registered with their ids."""
        self.drop({traits(tool).id for tool in tools})
        own = self._own()
        for tool in tools:
            tool_id = traits(tool).id
            self._loaded[tool_id] = _Loaded(tool, source, own.get(tool_id))

    def drop(self, ids: Collection[str]) -> None:
        """Let go of functions that were registered or loaded; others are not ours to let go of."""
        self._registered = {name: tool for name, tool in self._registered.items() if traits(tool).id not in ids}
        self._loaded = {tool_id: loaded for tool_id, loaded in self._loaded.items() if tool_id not in ids}


def _function(tool: Tool) -> object:
    return tool.function if isinstance(tool, FunctionTool) else tool
