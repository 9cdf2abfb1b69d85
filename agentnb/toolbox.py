"""The tools of a notebook: registered functions, every `@tool` function among the variables, files, toolsets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from agentnb.errors import AgentnbError, UsageError, nearest
from agentnb.tools.base import Tool, Toolset, traits
from agentnb.tools.function import FunctionTool, as_tool
from agentnb.tools.naming import Kind, checked_name, keyed, kind, names, offered, original, renamed
from agentnb.toolsources import ToolSources


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


class Toolbox:
    """Tools by name over the user's variables; `changed` is called when what a panel shows of them is different.

    No two tools are offered by one name (see `naming.names`). Safe from any thread.
    """

    def __init__(self, namespace: MutableMapping[str, object], changed: Callable[[], None]) -> None:
        self._namespace = namespace
        self._changed = changed
        self._lock = threading.RLock()
        self._sources = ToolSources(namespace)
        #: Both by id, so that they hold under every name.
        self._disabled: set[str] = set()
        self._chosen: dict[str, str] = {}

    # What there is

    def listed(self) -> list[Listed]:
        """Every tool: functions of the notebook, those of files, then toolsets in the order they came."""
        with self._lock:
            found = self._sources.found()
            chosen, disabled = dict(self._chosen), set(self._disabled)
        by_id = keyed(tool for tool, *_ in found)
        origins = {id(tool): (source, toolset) for tool, source, toolset in found}
        called = names(by_id, chosen)
        out = []
        for tool_id, tool in by_id.items():
            source, toolset = origins[id(tool)]
            name, enabled = called[tool_id], not {tool_id, _all_of(toolset or "")} & disabled
            out.append(Listed(name, tool_id, renamed(tool, name), source, enabled, toolset))
        return out

    def shown(self) -> list[Listed]:
        """What a panel shows: all but what is off before anybody has asked for it, which is not even described."""
        quiet = {name for name, each in list(self._sources.toolsets.items()) if getattr(each, "off_by_default", False)}
        return [each for each in self.listed() if each.enabled or each.toolset not in quiet]

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
        if name in self._sources.toolsets:
            raise UsageError(f"{name!r} is not a tool, but has some. %tool list {name} shows them.")
        known = [*(each.name for each in found), *self._sources.toolsets]
        raise UsageError(f"No tool {name!r}.{nearest(name, known)} %tool lists them.")

    def match(self, name: str) -> list[Listed]:
        """One tool by name or id; all of a toolset's by its name; those that fit a pattern (`time*`); else none."""
        found = self.listed()
        if exact := [each for each in found if each.name == name] or [each for each in found if each.id == name]:
            return exact
        if name in self._sources.toolsets:
            return [each for each in found if each.toolset == name]
        if _is_pattern(name):
            return [each for each in found if fnmatchcase(each.name, name) or fnmatchcase(each.id, name)]
        return []

    def pick(self, wanted: Sequence[str]) -> list[Tool]:
        """Tools for one run, on or off: see `match`; a plain function among the user's variables will do.

        Of a toolset or a pattern, those are left out that are off, unless all are. Raises UsageError.
        """
        picked: list[Tool] = []
        for name in wanted:
            found = [] if self._is_own(name) else self.match(name)
            on = found if len(found) < 2 else [each for each in found if each.enabled] or found
            picked += [each.tool for each in on] or self._plain(name)
        return offered(picked)

    def _is_own(self, name: str) -> bool:
        """Whether a function of the notebook that is no tool yet has the name of a toolset's tool: it goes before."""
        value = self._namespace.get(name)
        if not callable(value) or isinstance(value, type):
            return False
        return any(each.name == name and each.toolset is not None for each in self.listed())

    def _plain(self, name: str) -> list[Tool]:
        if name in self._sources.toolsets and not self._is_own(name):
            return []
        if (value := self._namespace.get(name)) is not None:
            return [as_tool(value)]
        raise self._unknown(name)

    def _unknown(self, name: str) -> UsageError:
        if _is_pattern(name):
            return UsageError(f"No tool fits {name!r}. %tool lists them.")
        callables = [n for n, v in list(self._namespace.items()) if callable(v) and not n.startswith("_")]
        known = [each.name for each in self.listed()]
        return UsageError(
            f"No function {name!r} in this notebook.{nearest(name, [*known, *self._sources.toolsets, *callables])}"
        )

    async def ready(self, wanted: Sequence[str] | None = None) -> None:
        """Start what toolsets need, so that their tools are known: those named here, or all that are not off.

        Raises UsageError for the first that cannot be, after the others have been.
        """
        found = self.listed()
        chosen = {}
        for name, toolset in list(self._sources.toolsets.items()):
            members = [each.enabled for each in found if each.toolset == name]
            off = _all_of(name) in self._disabled or (members and not any(members))
            # What is known already need not run for that: a server that was idle is started by a call of its tools.
            needed = not off and (not members or getattr(toolset, "live", False))
            if needed if wanted is None else name in wanted:
                chosen[name] = toolset
        outcomes = await asyncio.gather(*(each.ready() for each in chosen.values()), return_exceptions=True)
        for name, outcome in zip(chosen, outcomes, strict=True):
            if isinstance(outcome, AgentnbError):
                raise UsageError(f"{outcome} %tool off {name} goes on without it.") from outcome
            if isinstance(outcome, BaseException):
                raise outcome

    # What changes it

    def add_toolset(self, toolset: Toolset) -> None:
        """Offer what a toolset has, from now on; one of the same name is replaced.

        Of one that has `off_by_default`, nothing is offered before it is switched on.
        """
        with self._lock:
            self._sources.toolsets[toolset.name] = toolset
            if getattr(toolset, "off_by_default", False):
                self._disabled |= {traits(tool).id for tool in toolset.known()}
        self._changed()

    def remove_toolset(self, name: str) -> None:
        """Take a toolset's tools away; nothing happens where there is none of this name."""
        with self._lock:
            self._sources.toolsets.pop(name, None)
        self._changed()

    def toolsets(self) -> list[str]:
        """The names of the toolsets."""
        return list(self._sources.toolsets)

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
            self._sources.register(new)
            self._disabled -= {traits(tool).id for tool in new.values()} | {each.id for each in known}
        self._changed()
        return [*new.values(), *(each.tool for each in known)]

    def load(self, tools: Sequence[FunctionTool], source: str) -> None:
        """Offer functions of a file from now on, in place of what had their ids. Raises UsageError."""
        for tool in tools:
            tool.spec(self._namespace)
        with self._lock:
            self._sources.load(tools, source)
            self._disabled -= {traits(tool).id for tool in tools}
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
            self._sources.drop(going)
            left = {each.id for each in self.listed()} & set(going)
            self._disabled = (self._disabled - set(going)) | left
            self._chosen = {k: v for k, v in self._chosen.items() if k not in going or k in left}
        self._changed()
        deleted = tuple(name for tool_id, name in going.items() if tool_id not in left)
        return Removed(deleted, tuple(missing), tuple(name for tool_id, name in going.items() if tool_id in left))

    def enable(self, name: str, enabled: bool) -> None:
        """Offer tools to the model, or not: see `match`; a toolset that is off is not started for a run either.

        Raises UsageError for an unknown one.
        """
        found = self.match(name) or ([] if name in self._sources.toolsets else [self.get(name)])
        ids = {each.id for each in found}
        whole = (
            {_all_of(name)} if name in self._sources.toolsets and name not in {each.name for each in found} else set()
        )
        with self._lock:
            if enabled:
                # One of a toolset that was off as a whole: its others are off each by itself from now on.
                ended = {_all_of(each.toolset or "") for each in found} & self._disabled
                others = {each.id for each in self.listed() if _all_of(each.toolset or "") in ended}
                self._disabled = (self._disabled | others) - ids - ended - whole
            else:
                self._disabled |= ids | whole
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


def _is_pattern(name: str) -> bool:
    return any(sign in name for sign in "*?[")


def _all_of(toolset: str) -> str:
    """What stands for a toolset among the ids that are off: no id has a space."""
    return f"all of {toolset}"
