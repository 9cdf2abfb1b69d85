"""The tools of a notebook: those that were registered, and every `@tool` function among the user's variables."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, MutableMapping, Sequence

from agentnb.errors import UsageError, nearest
from agentnb.tools.base import Tool, Toolset
from agentnb.tools.function import FunctionTool, as_tool


class Toolbox:
    """Tools by name over the user's variables; `changed` is called when what a panel shows of them is different."""

    def __init__(self, namespace: MutableMapping[str, object], changed: Callable[[], None]) -> None:
        self._namespace = namespace
        self._changed = changed
        self._registered: dict[str, Tool] = {}
        self._disabled: set[str] = set()
        self._toolsets: dict[str, Toolset] = {}

    def all(self) -> dict[str, Tool]:
        """Every tool by name: those registered, and every `@tool` function among the user's variables.

        A registered function is looked up by its name each time, so that running its cell again replaces it.
        """
        tools: dict[str, Tool] = {}
        for name, known in list(self._registered.items()):  # a panel asks on another thread
            current = self._namespace.get(name)
            if callable(current) and id(current) not in (id(known), id(_function(known))):
                with contextlib.suppress(UsageError):  # a class, say: no tool, and no reason to lose the one that is
                    self._registered[name] = known = as_tool(current)
            tools[known.name] = known
        for value in list(self._namespace.values()):
            if isinstance(value, FunctionTool):
                tools.setdefault(value.name, value)
        for toolset in list(self._toolsets.values()):
            for tool in toolset.known():
                tools.setdefault(tool.name, tool)
        return tools

    def add_toolset(self, toolset: Toolset) -> None:
        """Offer what a toolset has, from now on; one of the same name is replaced."""
        self._toolsets[toolset.name] = toolset
        self._changed()

    def remove_toolset(self, name: str) -> None:
        """Take a toolset's tools away; nothing happens where there is none of this name."""
        self._toolsets.pop(name, None)
        self._changed()

    def enabled(self) -> dict[str, Tool]:
        """The tools that a model is offered."""
        return {name: tool for name, tool in self.all().items() if name not in self._disabled}

    def is_enabled(self, name: str) -> bool:
        """Whether a tool is offered."""
        return name not in self._disabled

    def pick(self, names: Sequence[str]) -> list[Tool]:
        """Tools by name; a plain function among the user's variables will do. Raises UsageError for an unknown one."""
        known, picked = self.all(), []
        for name in names:
            value = known.get(name, self._namespace.get(name))
            if value is None:
                callables = [n for n, v in self._namespace.items() if callable(v) and not n.startswith("_")]
                raise UsageError(f"No function {name!r} in this notebook.{nearest(name, [*known, *callables])}")
            picked.append(as_tool(value))
        return picked

    def add(self, names: Sequence[str]) -> list[Tool]:
        """Register functions of the notebook by name."""
        picked = self.pick(names)
        for tool in picked:
            tool.spec(self._namespace)  # a function that cannot be told to a model is refused now, by its name
        for name, tool in zip(names, picked, strict=True):
            self._registered[name] = tool
            self._disabled.discard(tool.name)
        self._changed()
        return picked

    def remove(self, name: str) -> None:
        """Take a tool away (a `@tool` function: switch it off). Raises UsageError for an unknown one."""
        tools = self.all()
        if name not in tools:
            raise UsageError(f"No tool {name!r}.{nearest(name, tools)} %tool lists them.")
        self._registered = {k: v for k, v in self._registered.items() if v.name != name}
        if name in self.all():
            self._disabled.add(name)
        self._changed()

    def enable(self, name: str, enabled: bool) -> None:
        """Offer a tool to the model, or not. Raises UsageError for an unknown one."""
        tools = self.all()
        if name not in tools:
            raise UsageError(f"No tool {name!r}.{nearest(name, tools)} %tool lists them.")
        (self._disabled.discard if enabled else self._disabled.add)(name)
        self._changed()

    def description(self, tool: Tool) -> str:
        """What a tool does; or what is wrong with it, which its run will say too."""
        try:
            return tool.spec(self._namespace).description
        except UsageError as error:
            return str(error)


def _function(tool: Tool) -> object:
    return tool.function if isinstance(tool, FunctionTool) else tool
