"""The tools of a notebook: registered functions, every `@tool` function among the variables, files, toolsets."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from agentnb.errors import UsageError, nearest
from agentnb.tools.base import Tool, Toolset, traits
from agentnb.tools.function import FunctionTool, as_tool
from agentnb.tools.naming import Kind, checked_name, keyed, kind, names, offered, original, renamed

#: The source of a function that was written in the notebook.
NOTEBOOK = "notebook"


@dataclass(frozen=True, slots=True)
class Listed:
    """A tool as it is listed: the name it is offered by, its id, where it comes from, whether it is offered."""

    name: str
    id: str
    tool: Tool
    source: str
    enabled: bool
    toolset: str | None = None


@dataclass(frozen=True, slots=True)
class Removed:
    """What became of the tools that were to go; those skipped cannot go and are switched off."""

    deleted: tuple[str, ...] = ()
    not_found: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A tool from a file; `before` is the notebook's own of its id when it was loaded, which it goes before."""

    tool: FunctionTool
    source: str
    before: FunctionTool | None


class Toolbox:
    """Tools by name over the user's variables; `changed` is called when what a panel shows of them is different.

    No two tools are offered by one name (see `naming.names`). Safe from any thread.
    """

    def __init__(self, namespace: MutableMapping[str, object], changed: Callable[[], None]) -> None:
        self._namespace = namespace
        self._changed = changed
        self._lock = threading.RLock()
        self._registered: dict[str, Tool] = {}
        self._loaded: dict[str, _Loaded] = {}
        self._toolsets: dict[str, Toolset] = {}
        #: Both by id, so that they hold under every name.
        self._disabled: set[str] = set()
        self._chosen: dict[str, str] = {}

    # What there is

    def listed(self) -> list[Listed]:
        """Every tool: functions of the notebook, those of files, then toolsets in the order they came."""
        with self._lock:
            found = list(self._found())
            chosen, disabled = dict(self._chosen), set(self._disabled)
        by_id = keyed(tool for tool, *_ in found)
        origins = {id(tool): origin for tool, *origin in found}
        called = names(by_id, chosen)
        out = []
        for tool_id, tool in by_id.items():
            source, toolset = origins[id(tool)]
            name, enabled = called[tool_id], tool_id not in disabled
            out.append(Listed(name, tool_id, renamed(tool, name), source or NOTEBOOK, enabled, toolset))
        return out

    def _found(self) -> Iterator[tuple[Tool, str, str | None]]:
        """Each tool, its source, and the toolset it is of."""
        variables = [value for value in list(self._namespace.values()) if isinstance(value, FunctionTool)]
        functions = {traits(tool).id: (tool, NOTEBOOK) for tool in self._current()}
        own: dict[str, FunctionTool] = {}
        for value in variables:
            own.setdefault(traits(value).id, value)
        for tool_id, loaded in list(self._loaded.items()):
            if own.get(tool_id) in (None, loaded.before):
                functions.setdefault(tool_id, (loaded.tool, loaded.source))
        for tool_id, value in own.items():
            functions.setdefault(tool_id, (value, NOTEBOOK))
        for function, source in functions.values():
            yield function, source, None
        for name, toolset in list(self._toolsets.items()):
            for tool in toolset.known():
                yield tool, traits(tool).source or name, name

    def _current(self) -> Iterator[Tool]:
        """What was registered, each looked up by its name now: running its cell again replaces it."""
        for name, known in list(self._registered.items()):
            current = self._namespace.get(name)
            if callable(current) and id(current) not in (id(known), id(_function(known))):
                with contextlib.suppress(UsageError):  # a class, say: no tool, and no reason to lose the one that is
                    self._registered[name] = known = as_tool(current)
            yield known

    def all(self) -> dict[str, Tool]:
        """Every tool by the name it is offered by."""
        return {each.name: each.tool for each in self.listed()}

    def enabled(self) -> dict[str, Tool]:
        """The tools that a model is offered."""
        return {each.name: each.tool for each in self.listed() if each.enabled}

    def is_enabled(self, name: str) -> bool:
        """Whether a tool is offered. Raises UsageError for an unknown one."""
        return self.get(name).enabled

    def of_kind(self, wanted: Kind) -> dict[str, Tool]:
        """The functions, or the tools of MCP servers, or the skills."""
        return {each.name: each.tool for each in self.listed() if kind(each.tool) == wanted}

    def description(self, tool: Tool) -> str:
        """What a tool does; or what is wrong with it, which its run will say too."""
        try:
            return tool.spec(self._namespace).description
        except UsageError as error:
            return str(error)

    def get(self, name: str) -> Listed:
        """One tool, by the name it is offered by, its id, or the name it has at home. Raises UsageError."""
        found = self.listed()
        for same in (
            lambda each: each.name == name,
            lambda each: each.id == name,
            lambda each: original(each.tool).name == name,
        ):
            if match := next(filter(same, found), None):
                return match
        raise UsageError(f"No tool {name!r}.{nearest(name, [each.name for each in found])} %tool lists them.")

    def match(self, name: str) -> list[Listed]:
        """One tool by name or id; all of a toolset's by its name; those that fit a pattern (`time*`); else none."""
        found = self.listed()
        if exact := [each for each in found if each.name == name] or [each for each in found if each.id == name]:
            return exact
        if name in self._toolsets:
            return [each for each in found if each.toolset == name]
        if any(sign in name for sign in "*?["):
            return [each for each in found if fnmatchcase(each.name, name) or fnmatchcase(each.id, name)]
        return []

    def pick(self, wanted: Sequence[str]) -> list[Tool]:
        """Tools for one run, on or off: see `match`; a plain function among the user's variables will do.

        Of a toolset or a pattern, those are left out that are off, unless all are. Raises UsageError.
        """
        picked: list[Tool] = []
        for name in wanted:
            found = self.match(name)
            on = found if len(found) < 2 else [each for each in found if each.enabled] or found
            picked += [each.tool for each in on] or self._plain(name)
        return offered(picked)

    def _plain(self, name: str) -> list[Tool]:
        if name in self._toolsets:
            return []
        if (value := self._namespace.get(name)) is not None:
            return [as_tool(value)]
        raise self._unknown(name)

    def _unknown(self, name: str) -> UsageError:
        callables = [n for n, v in list(self._namespace.items()) if callable(v) and not n.startswith("_")]
        known = [each.name for each in self.listed()]
        return UsageError(
            f"No function {name!r} in this notebook.{nearest(name, [*known, *self._toolsets, *callables])}"
        )

    async def ready(self, wanted: Sequence[str] | None = None) -> None:
        """Start what toolsets need, so that their tools are known: those named here, or all. Raises AgentnbError."""
        for name, toolset in list(self._toolsets.items()):
            if wanted is None or name in wanted:
                await toolset.ready()

    # What changes it

    def add_toolset(self, toolset: Toolset) -> None:
        """Offer what a toolset has, from now on; one of the same name is replaced."""
        with self._lock:
            self._toolsets[toolset.name] = toolset
        self._changed()

    def remove_toolset(self, name: str) -> None:
        """Take a toolset's tools away; nothing happens where there is none of this name."""
        with self._lock:
            self._toolsets.pop(name, None)
        self._changed()

    def toolsets(self) -> list[str]:
        """The names of the toolsets."""
        return list(self._toolsets)

    def add(self, wanted: Sequence[str]) -> list[Tool]:
        """Register functions of the notebook by name; a tool that is there already is switched on."""
        new: dict[str, Tool] = {}
        known: list[Listed] = []
        for name in wanted:
            value = self._namespace.get(name)
            found = self.match(name)
            if value is None or (found and not callable(value)):
                if not found:
                    raise self._unknown(name)
                known += found
            else:
                new[name] = as_tool(value)
        for tool in new.values():
            tool.spec(self._namespace)  # a function that cannot be told to a model is refused now, by its name
        with self._lock:
            for name, tool in new.items():
                self._registered[name] = tool
                self._loaded.pop(traits(tool).id, None)
            self._disabled -= {traits(tool).id for tool in new.values()} | {each.id for each in known}
        self._changed()
        return [*new.values(), *(each.tool for each in known)]

    def load(self, tools: Sequence[FunctionTool], source: str) -> None:
        """Offer functions of a file from now on, in place of what had their ids. Raises UsageError."""
        for tool in tools:
            tool.spec(self._namespace)
        with self._lock:
            own = {traits(v).id: v for v in reversed(list(self._namespace.values())) if isinstance(v, FunctionTool)}
            for tool in tools:
                tool_id = traits(tool).id
                self._registered = {k: v for k, v in self._registered.items() if traits(v).id != tool_id}
                self._loaded[tool_id] = _Loaded(tool, source, own.get(tool_id))
                self._disabled.discard(tool_id)
        self._changed()

    def remove(self, name: str) -> None:
        """Take a tool away (one that comes by itself: switch it off). Raises UsageError for an unknown one."""
        if self.discard([name]).not_found:
            raise UsageError(f"No tool {name!r}.{nearest(name, self.all())} %tool lists them.")

    def discard(self, wanted: Sequence[str]) -> Removed:
        """Take tools away. `@tool` functions that are still defined, built-ins and members of toolsets are switched
        off instead, and told apart as skipped."""
        going: dict[str, str] = {}
        missing: list[str] = []
        for name in wanted:
            found = self.match(name)
            going |= {each.id: each.name for each in found}
            missing += [] if found else [name]
        with self._lock:
            self._registered = {k: v for k, v in self._registered.items() if traits(v).id not in going}
            for tool_id in going:
                self._loaded.pop(tool_id, None)
            left = {each.id for each in self.listed()} & set(going)
            self._disabled = (self._disabled - set(going)) | left
            self._chosen = {k: v for k, v in self._chosen.items() if k not in going or k in left}
        self._changed()
        deleted = tuple(name for tool_id, name in going.items() if tool_id not in left)
        return Removed(deleted, tuple(missing), tuple(name for tool_id, name in going.items() if tool_id in left))

    def enable(self, name: str, enabled: bool) -> None:
        """Offer tools to the model, or not: see `match`. Raises UsageError for an unknown one."""
        ids = {each.id for each in self.match(name) or [self.get(name)]}
        with self._lock:
            self._disabled = self._disabled - ids if enabled else self._disabled | ids
        self._changed()

    def rename(self, name: str, new: str) -> None:
        """Offer a tool by another name from now on. Raises UsageError where the name is taken or none."""
        old = self.get(name)
        taken = next((each for each in self.listed() if each.name == checked_name(new) and each.id != old.id), None)
        if taken is not None:
            raise UsageError(f"{new!r} is taken by {taken.id} ({taken.source}). Rename that first, or choose another.")
        with self._lock:
            if original(old.tool).name == new:
                self._chosen.pop(old.id, None)
            else:
                self._chosen[old.id] = new
        self._changed()


def _function(tool: Tool) -> object:
    return tool.function if isinstance(tool, FunctionTool) else tool
