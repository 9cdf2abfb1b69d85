"""What a piece of code did to the notebook's variables: added, rebound, deleted, changed in place."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, field

from agentnb.builtins.copies import Copier, Copy, Limits
from agentnb.prompting.budget import one_line
from agentnb.prompting.plain import plural

#: The shell's own variables: what happens to them is no change of the user's.
_SHELL = re.compile(r"_{1,3}|_i{1,3}|_i\d+|_\d+|_[iod]h|__\w+__|In|Out|exit|quit|open|get_ipython|display")
#: More names than this are not told one by one.
_MOST_NAMES = 12


@dataclass(frozen=True, slots=True)
class Mutation:
    """Something that holds other things than before: what it held, and (where a copy could be made) what it holds."""

    before: Copy
    after: Copy | None


@dataclass(frozen=True, slots=True)
class Mutated:
    """A variable's value of which something, itself or what it holds, was changed in place."""

    value: object
    parts: tuple[Mutation, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference. `rebound` has the value before and the one after; `mutated` the value before the call.

    `unchecked` are variables that were too big to be looked at for changes in place.
    """

    added: Mapping[str, object] = field(default_factory=dict)
    rebound: Mapping[str, tuple[object, object]] = field(default_factory=dict)
    deleted: Mapping[str, object] = field(default_factory=dict)
    mutated: Mapping[str, Mutated] = field(default_factory=dict)
    unchecked: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.rebound or self.deleted or self.mutated)

    @property
    def parts(self) -> list[str]:
        """The changes in words, a phrase for each kind; empty where nothing has changed."""
        new = {name: after for name, (_, after) in self.rebound.items()}
        held = {name: mutated.value for name, mutated in self.mutated.items()}
        phrases = [
            _named("added", self.added),
            _named("rebound", new),
            _names("deleted", self.deleted),
            _named("changed in place", held),
        ]
        return [phrase for phrase in phrases if phrase]

    @property
    def line(self) -> str:
        """All of it in one line, for the model."""
        said = "; ".join(self.parts) or "nothing changed"
        missed = _names("too big to check for changes in place", self.unchecked)
        return f"Variables: {said}.{f' ({missed})' if missed else ''}"


def _names(what: str, names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _MOST_NAMES} more" if len(listed) > _MOST_NAMES else ""
    return f"{what} {', '.join(listed[:_MOST_NAMES])}{more}" if listed else ""


def _named(what: str, values: Mapping[str, object]) -> str:
    return _names(what, [f"{name} ({about(value)})" for name, value in values.items()])


def about(value: object) -> str:
    """What a value is: `list, 3 items`, `DataFrame, 344 rows × 7 columns`, `float`. Runs no code of the user's."""
    kind = one_line(type(value).__name__, 40)
    shape = _shape(value)
    if shape is not None and len(shape) == 2 and kind.endswith("DataFrame"):
        return f"{kind}, {plural(shape[0], 'row')} × {plural(shape[1], 'column')}"
    if shape is not None:
        return f"{kind}, shape {' × '.join(f'{n:,}' for n in shape)}" if shape else kind
    if isinstance(value, Sized) and type(value).__module__ in ("builtins", "collections"):
        return f"{kind}, {plural(len(value), 'character' if isinstance(value, str) else 'item')}"
    return kind


def _shape(value: object) -> tuple[int, ...] | None:
    if type(value).__module__.partition(".")[0] not in ("numpy", "pandas", "polars"):
        return None
    shape = getattr(value, "shape", None)
    return shape if isinstance(shape, tuple) and all(isinstance(n, int) for n in shape) else None


class Snapshot:
    """The variables as they are now, with bounded copies of what is mutable in them."""

    def __init__(self, namespace: Mapping[str, object], limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        # A copy at one blow: another thread may add a variable meanwhile.
        self._values = _watched(namespace)
        self._copies: dict[str, list[Copy]] = {}
        self._unchecked: list[str] = []
        copier = Copier(self._limits)
        for name, value in self._values.items():
            self._copies[name], whole = copier.copies(value)
            if not whole:
                self._unchecked.append(name)

    def changes(self, namespace: Mapping[str, object]) -> Changes:
        """What is different in `namespace` now."""
        before, now = self._values, _watched(namespace)
        mutated, unchecked = self._mutations()
        return Changes(
            {name: value for name, value in now.items() if name not in before},
            {name: (before[name], now[name]) for name in now if name in before and before[name] is not now[name]},
            {name: value for name, value in before.items() if name not in now},
            mutated,
            tuple(name for name in dict.fromkeys([*self._unchecked, *unchecked]) if now.get(name) is before[name]),
        )

    def _mutations(self) -> tuple[dict[str, Mutated], list[str]]:
        until = time.monotonic() + self._limits.seconds
        copier = Copier(self._limits)
        known: dict[int, Mutation | None] = {}
        found: dict[str, Mutated] = {}
        unchecked = []
        for name, copies in self._copies.items():
            if copies and time.monotonic() > until:
                unchecked.append(name)
                continue
            for copy in copies:
                if id(copy) not in known:
                    known[id(copy)] = Mutation(copy, copier.copy(copy.value)) if copy.changed() else None
            parts = tuple(m for copy in copies if (m := known[id(copy)]) is not None)
            if parts:
                found[name] = Mutated(self._values[name], parts)
        return found, unchecked


def _watched(namespace: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in tuple(namespace.items()) if not _SHELL.fullmatch(name)}
