"""The notebook's variables, one line each: type, shape, a short value if wanted. No code of the user's runs for it.

What a value is, its exact type says; of objects of other libraries and of the user's own only the type's name is told,
so that no `__repr__`, no `__len__` and no lazy object is ever asked for anything.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import PosixPath, WindowsPath
from types import BuiltinFunctionType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

from agentnb.context.parts import Masking, Part, Source, listed
from agentnb.context.secrets import is_secret
from agentnb.prompting.budget import one_line
from agentnb.prompting.plain import plural
from agentnb.render.terminal import clean
from agentnb.tools.references import SHELL

_TITLE = "Variables in the kernel now"
#: Variables that are described, and columns of a table and keys of a dict that are named.
_MOST, _NAMED = 400, 10
#: Characters of a value, and of a text that is looked through for secrets before it is cut.
_VALUE, _LOOKED_AT = 60, 10_000
#: The cells, and their characters, in which the names that were used last are looked for.
_CELLS, _CELL = 30, 10_000
_WORD = re.compile(r"[^\W\d]\w*")
_NOT_TOLD = (ModuleType, FunctionType, BuiltinFunctionType, MethodType)


def source(
    namespace: Mapping[str, object],
    recent: Sequence[str],
    hidden: Iterable[object],
    mask: Masking,
    *,
    values: bool = False,
) -> Source:
    """What lists the variables, those first that the newest of the `recent` cells name; not what is `hidden`.

    With `values`, short ones and the keys of dicts are told: what nobody has put into a prompt.
    """
    ids = {id(each) for each in hidden}
    # A copy at one blow: another thread may add a variable meanwhile.
    named = {name: value for name, value in tuple(namespace.items()) if _is_told(name, value) and id(value) not in ids}
    return partial(_variables, named, _order(named, recent), mask, values)


def _variables(named: dict[str, object], order: Sequence[str], mask: Masking, values: bool, room: int) -> Part | None:
    most = min(_MOST, room)  # none takes less than a token
    lines = [f"- `{name}`: {_described(named[name], mask, values)}" for name in order[:most]]
    part = listed(_TITLE, lines, "what the kernel holds, last used first", room, "variables")
    if part is None or len(order) <= len(lines):
        return part
    return listed(_TITLE, [*lines, *order[most:]], part.why, room, "variables")


def _is_told(name: object, value: object) -> bool:
    if not isinstance(name, str) or name.startswith("_") or name in SHELL or not name.isidentifier():
        return False
    kind = type(value)
    if issubclass(kind, (type, *_NOT_TOLD)):
        return False
    return not is_secret(name, value)


def _order(named: dict[str, object], recent: Sequence[str]) -> list[str]:
    """The names that the last cells use, the newest cell first; then the others, the newest variable first."""
    used: dict[str, None] = {}
    for cell in islice(reversed(recent), _CELLS):
        used.update((word, None) for word in _WORD.findall(cell[:_CELL]) if word in named)
    return [*used, *(name for name in reversed(named) if name not in used)]


def _described(value: object, mask: Masking, values: bool) -> str:
    try:
        told = _told(value, mask) if values or not _tells_values(type(value)) else _kind(value)
        return mask(clean(one_line(told, 300)))
    except Exception:  # a metaclass of the user's, a damaged table: anything may come, and none of it matters here
        return "(cannot be told)"


def _tells_values(kind: type) -> bool:
    return kind in _PLAIN or any((b.__module__.partition(".")[0], b.__name__) in _VALUES for b in kind.__mro__)


def _kind(value: Any) -> str:
    """The type of a value, and its length where it has one."""
    name = type(value).__name__
    match value:
        case str():
            return f"{name}, {plural(len(value), 'character')}"
        case bytes() | bytearray() | memoryview():
            return f"{name}, {plural(len(value), 'byte')}"
        case list() | tuple() | set() | frozenset() | dict():
            return f"{name}, {plural(len(value), 'item')}"
    return str(name)


def _told(value: Any, mask: Masking) -> str:
    kind = type(value)
    if tell := _PLAIN.get(kind):
        return tell(value, mask)
    library = kind.__module__.partition(".")[0]
    for base in kind.__mro__ if library in _LIBRARIES else ():
        if telling := _FOREIGN.get((base.__module__.partition(".")[0], base.__name__)):
            return telling(value, mask)
    return str(kind.__name__)


def _text(value: str, mask: Masking) -> str:
    shown = one_line(mask(value[:_LOOKED_AT]), _VALUE)
    return f"str, {plural(len(value), 'character')}: {shown!r}" if len(value) > _VALUE else f"str {shown!r}"


def _whole(value: int, _: Masking) -> str:
    return f"int {value}" if value.bit_length() <= 128 else f"int of {value.bit_length():,} bits"


def _value(value: object, _: Masking) -> str:
    return f"{type(value).__name__} {value}"


def _size(value: Any, _: Masking) -> str:
    return f"{type(value).__name__}, {plural(len(value), 'byte')}"


def _members(value: Any, _: Masking) -> str:
    kinds = dict.fromkeys(type(one).__name__ for one in islice(value, 20))
    of = f" of {', '.join(islice(kinds, 3))}{'…' if len(kinds) > 3 else ''}" if kinds else ""
    return f"{type(value).__name__}, {plural(len(value), 'item')}{of}"


def _pairs(value: Mapping[object, object], mask: Masking) -> str:
    keys = [repr(one_line(mask(key), 30)) for key in islice(value, _NAMED) if type(key) is str]
    more = ", …" if len(value) > len(keys) else ""
    return f"{type(value).__name__}, {plural(len(value), 'item')}" + (f": {', '.join(keys)}{more}" if keys else "")


def _moment(value: datetime.datetime, _: Masking) -> str:
    return f"datetime {value.replace(tzinfo=None)}"  # a time zone is an object of anybody's


_PLAIN: Mapping[type, Callable[[Any, Masking], str]] = MappingProxyType(
    {
        str: _text,
        int: _whole,
        **dict.fromkeys((bool, float, complex, range, datetime.date, datetime.timedelta), _value),
        type(None): lambda _, __: "None",
        **dict.fromkeys((bytes, bytearray, memoryview), _size),
        **dict.fromkeys((list, tuple, set, frozenset), _members),
        dict: _pairs,
        datetime.datetime: _moment,
        **dict.fromkeys((PosixPath, WindowsPath), lambda value, mask: f"Path {mask(str(value))!r}"),
    }
)


def _table(value: Any, _: Masking) -> str:
    rows, count = value.shape
    columns = [f"{_label(name)} ({one_line(str(kind), 20)})" for name, kind in islice(_columns(value), _NAMED)]
    more = ", …" if count > len(columns) else ""
    head = f"{type(value).__name__}, {plural(rows, 'row')} × {plural(count, 'column')}"
    return f"{head}: {', '.join(columns)}{more}" if columns else head


def _columns(value: Any) -> Iterator[tuple[object, object]]:
    return zip(value.columns, value.dtypes, strict=False)


def _label(name: object) -> str:
    # A label may be an object of the user's.
    return one_line(str(name), 30) if type(name) in (str, int, float, bool) else type(name).__name__


def _column(value: Any, _: Masking) -> str:
    name = getattr(value, "name", None)
    called = f" {_label(name)!r}" if name is not None else ""
    return f"{type(value).__name__}{called}, {plural(value.shape[0], 'value')} of {one_line(str(value.dtype), 20)}"


def _array(value: Any, _: Masking) -> str:
    shape = " × ".join(f"{int(n):,}" for n in value.shape) or "a scalar"
    return f"{type(value).__name__}, {shape}, {one_line(str(value.dtype), 20)}"


def _number(value: Any, _: Masking) -> str:
    return f"{type(value).__name__} {one_line(str(value), _VALUE)}"


#: Libraries whose own classes are asked for their shape; a class of the user's below one of theirs is not.
_LIBRARIES = frozenset({"geopandas", "numpy", "pandas", "polars", "torch", "decimal", "uuid"})
#: Of these, the value is what is told.
_VALUES = frozenset({("numpy", "generic"), ("decimal", "Decimal"), ("uuid", "UUID"), ("pandas", "Timestamp")})
_FOREIGN: Mapping[tuple[str, str], Callable[[Any, Masking], str]] = MappingProxyType(
    {
        ("pandas", "DataFrame"): _table,
        ("polars", "DataFrame"): _table,
        ("pandas", "Series"): _column,
        ("pandas", "Index"): _column,
        ("polars", "Series"): _column,
        ("polars", "LazyFrame"): lambda _, __: "polars LazyFrame, not collected",
        ("numpy", "ndarray"): _array,
        ("torch", "Tensor"): _array,
        ("numpy", "generic"): _number,
        ("decimal", "Decimal"): _number,
        ("uuid", "UUID"): _number,
        ("pandas", "Timestamp"): _number,
    }
)
