"""Bounded copies of mutable values: by them a change in place is seen later, and taken back.

No code of the user's runs for it: only the exact types below are looked into, and members are compared by identity.
"""

from __future__ import annotations

import collections
import hashlib
import operator
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from agentnb.prompting.plain import origins

#: Values that hold no others and cannot change.
_PLAIN = frozenset({int, float, complex, str, bytes, bool, type(None), range})


class NotRestored(Exception):
    """A value cannot be given back what it held."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is looked at for one call: members of containers, bytes copied and bytes read, seconds."""

    members: int = 1_000_000
    copied: int = 64_000_000
    read: int = 512_000_000
    seconds: float = 0.5


@dataclass(frozen=True, slots=True)
class _Kind:
    """How values of one kind are copied, compared with their copy, and given back what they held."""

    take: Callable[[Any], Any]
    same: Callable[[Any, Any], bool]
    put: Callable[[Any, Any], None]
    members: Callable[[Any], Iterable[object]] | None = None  # of a copy


class Copy:
    """What a value held when this was made. It keeps the value itself alive, so that identities mean something."""

    __slots__ = ("_kind", "_was", "value")

    def __init__(self, value: object, kind: _Kind) -> None:
        self.value = value
        self._kind = kind
        self._was = kind.take(value)

    def changed(self) -> bool:
        """Whether it holds something else now."""
        return not self._kind.same(self._was, self.value)

    def restore(self) -> None:
        """Give it back what it held. Raises NotRestored."""
        try:
            self._kind.put(self.value, self._was)
        except (ValueError, TypeError, BufferError, AttributeError) as error:  # read-only, exported, another shape
            raise NotRestored(str(error)) from error

    @property
    def restorable(self) -> bool:
        """Whether more than a digest was kept."""
        return self._kind.put is not _nothing_kept

    def members(self) -> Iterable[object]:
        """What it held that may be mutable itself."""
        return self._kind.members(self._was) if self._kind.members else ()


def _nothing_kept(*_: object) -> None:
    raise NotRestored("it was too big to copy")


def _one_by_one(was: Sequence[object], now: Iterable[object]) -> bool:
    held = list(now)
    return len(was) == len(held) and all(map(operator.is_, was, held))


def _put_items(value: Any, was: Iterable[object]) -> None:
    value[:] = was


def _refill(value: Any, was: Iterable[object]) -> None:
    value.clear()
    value.extend(was)


def _refill_set(value: set[object], was: set[object]) -> None:
    value.clear()
    value.update(was)


def _pairs(value: dict[object, object]) -> tuple[list[object], list[object]]:
    return list(value), list(value.values())


def _same_pairs(was: tuple[list[object], list[object]], value: dict[object, object]) -> bool:
    return _one_by_one(was[0], value) and _one_by_one(was[1], value.values())


def _refill_dict(value: dict[object, object], was: tuple[list[object], list[object]]) -> None:
    value.clear()
    for key, held in zip(*was, strict=True):  # not update: a Counter counts there
        value[key] = held  # noqa: PERF403  it is the user's own dict


def _same_set(was: set[object], value: set[object]) -> bool:
    return set(map(id, was)) == set(map(id, value))


_DICT = _Kind(_pairs, _same_pairs, _refill_dict, lambda was: [*was[0], *was[1]])
_CONTAINERS: Mapping[type, _Kind] = MappingProxyType(
    {
        list: _Kind(list, _one_by_one, _put_items, lambda was: was),
        collections.deque: _Kind(list, _one_by_one, _refill, lambda was: was),
        set: _Kind(set, _same_set, _refill_set, lambda was: was),
        bytearray: _Kind(bytes, operator.eq, _put_items),
        **dict.fromkeys((dict, collections.defaultdict, collections.OrderedDict, collections.Counter), _DICT),
    }
)


def _same_array(was: Any, value: Any) -> bool:
    if was.shape != value.shape or was.dtype != value.dtype:
        return False
    if was.dtype.hasobject:
        return _one_by_one(was.ravel().tolist(), value.ravel().tolist())
    return bool(was.tobytes() == value.tobytes())


def _put_array(value: Any, was: Any) -> None:
    if was.shape != value.shape or was.dtype != value.dtype:
        raise NotRestored("its shape or type has changed")
    value[...] = was


def _digest(value: Any) -> tuple[object, ...]:
    data = value if value.flags.c_contiguous else value.copy()
    return value.shape, value.dtype, hashlib.blake2b(data.reshape(-1).view("uint8").data).digest()


def _shares_memory() -> bool:
    """Whether a shallow copy of a frame shares its blocks until one of the two writes to them: since pandas 3."""
    return int(str(sys.modules["pandas"].__version__).partition(".")[0]) >= 3


def _same_frame(was: Any, value: Any) -> bool:
    named = type(value).__name__ != "Series" or was.name is value.name or bool(was.name == value.name)
    return named and bool(was.equals(value))


def _put_frame(value: Any, was: Any) -> None:
    value._update_inplace(was)
    if type(value).__name__ == "Series":
        value.name = was.name


def _same_polars(was: Any, value: Any) -> bool:
    kind = getattr(was, "schema", None) or (was.name, was.dtype)
    return kind == (getattr(value, "schema", None) or (value.name, value.dtype)) and bool(was.equals(value))


def _put_polars(value: Any, was: Any) -> None:
    inner = "_df" if hasattr(was, "_df") else "_s"
    setattr(value, inner, getattr(was, inner))


_ARRAY = _Kind(lambda value: value.copy(), _same_array, _put_array)
_DIGEST = _Kind(_digest, lambda was, value: bool(was == _digest(value)), _nothing_kept)
_PANDAS = _Kind(lambda value: value.copy(deep=not _shares_memory()), _same_frame, _put_frame)
_POLARS = _Kind(lambda value: value.clone(), _same_polars, _put_polars)
_FOREIGN = MappingProxyType(
    {
        ("numpy", "ndarray"): _ARRAY,
        ("pandas", "DataFrame"): _PANDAS,
        ("pandas", "Series"): _PANDAS,
        ("polars", "DataFrame"): _POLARS,
        ("polars", "Series"): _POLARS,
    }
)


def _weight(value: Any, kind: _Kind) -> int:
    """About how many bytes there are to copy or to compare."""
    if kind is _ARRAY:
        return int(value.nbytes)
    if kind is _POLARS:
        return int(value.estimated_size())
    used = value.memory_usage(deep=False)
    return int(getattr(used, "sum", lambda: used)())


class Copier:
    """Copies what is reached from values, within limits that hold for all of them together."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._until = time.monotonic() + limits.seconds
        self._copies: dict[int, Copy] = {}
        self._members = self._copied = self._read = 0

    def copies(self, value: object) -> tuple[list[Copy], bool]:
        """A copy of each mutable thing that is reached from `value`, and whether that is all of them."""
        found: list[Copy] = []
        seen: set[int] = set()
        waiting, whole = [value], True
        while waiting:
            one = waiting.pop()
            if id(one) in seen or type(one) in _PLAIN:
                continue
            seen.add(id(one))
            if type(one) in (tuple, frozenset):
                whole &= self._take(len(one))  # type: ignore[arg-type]  # it is one of the two
                waiting += _mutable(one) if whole else ()  # type: ignore[arg-type]  # as above
                continue
            if type(one).__module__ == "__main__" and isinstance(inside := getattr(one, "__dict__", None), dict):
                waiting.append(inside)  # an object of a class of this notebook
                continue
            copy, complete = self._copy(one)
            whole &= complete
            if copy is not None:
                found.append(copy)
                waiting += _mutable(copy.members())
        return found, whole

    def copy(self, value: object) -> Copy | None:
        """A copy of `value` alone; None where it is too big."""
        return self._copy(value)[0]

    def _take(self, members: int) -> bool:
        self._members += members
        return self._members <= self._limits.members and time.monotonic() <= self._until

    def _copy(self, value: object) -> tuple[Copy | None, bool]:
        """Its copy; None and True for what cannot change as far as is known, None and False for what is too big."""
        if copy := self._copies.get(id(value)):
            return copy, True
        kind = _CONTAINERS.get(type(value)) or _FOREIGN.get(next(origins(type(value))))
        if kind is None:
            return None, True
        if isinstance(value, list | dict | set | bytearray | collections.deque):
            members = len(value) // 64 if isinstance(value, bytearray) else len(value)
            affordable: _Kind | None = kind if self._take(members) else None
        else:
            affordable = self._afford(value, kind)
        if affordable is None:
            return None, False
        copy = self._copies[id(value)] = Copy(value, affordable)
        return copy, True

    def _afford(self, value: Any, kind: _Kind) -> _Kind | None:
        weight, limits = _weight(value, kind), self._limits
        if time.monotonic() > self._until or self._read + weight > limits.read:
            return None
        self._read += weight
        # Copies of polars share their memory, and those of pandas since its third version.
        costs = kind is _ARRAY or (kind is _PANDAS and not _shares_memory())
        if not costs:
            return kind
        if weight <= limits.copied // 4 and self._copied + weight <= limits.copied:
            self._copied += weight
            return kind
        return _DIGEST if kind is _ARRAY and not value.dtype.hasobject else None


def _mutable(members: Iterable[object]) -> list[object]:
    held = list(members)
    return held if set(map(type, held)) - _PLAIN else []
