"""The words for a single thing: what it is, without importing its library and without trusting its `repr`."""

from __future__ import annotations

import datetime
import enum
import math
import os
import time
from collections.abc import Iterator

from agentnb.prompting.budget import one_line

#: Known by name like the others: importing their modules would cost every notebook 3 ms.
_PRINTED = {("decimal", "Decimal"), ("fractions", "Fraction"), ("uuid", "UUID")}


def origins(kind: type) -> Iterator[tuple[str, str]]:
    """`("pandas", "DataFrame")` for a class and each of its bases: recognised by name, so nothing need be imported."""
    for base in kind.__mro__:
        yield base.__module__.partition(".")[0], base.__name__


def is_from(value: object, library: str, name: str) -> bool:
    """Whether `value` is an instance of that library's class."""
    return (library, name) in origins(type(value))


def safe_repr(value: object) -> str:
    """`repr(value)`, or what it raised: a broken `__repr__` is no reason to lose the prompt."""
    try:
        return repr(value)
    except Exception as error:  # the user's code: anything may come
        return f"<{type(value).__name__}: its repr raised {type(error).__name__}>"


def plural(count: int, noun: str) -> str:
    """`1 row`, `12,345 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size(count: int) -> str:
    """Bytes for people: `512 bytes`, `13.4 kB`, `2.1 MB`."""
    if count < 1000:
        return plural(count, "byte")
    return f"{count / 1000:,.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:,.1f} MB"


def moment(seconds: float) -> str:
    """A time since 1970 as this machine's clock showed it, to the minute: `2026-11-28 06:20`; "–" for what is none."""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    except (OverflowError, OSError, ValueError):
        return "–"


def number(value: object) -> str:
    """Six significant digits, for statistics: `4201.75`, `1234567`, `2021-03-04` (dates lose an empty time)."""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"
    if isinstance(value, datetime.datetime):
        return str(value).removesuffix(" 00:00:00")
    return str(value)


def scalar(value: object) -> bool | int | float | str | None:
    """The JSON value that stands for a value without members; the last resort is its repr, on one line."""
    match value:
        case enum.Enum():
            return scalar(value.value)
        case None | bool():
            return value
        case int():
            return int(value)
        case float():
            return float(value) if math.isfinite(value) else str(float(value))
        case str():
            return str(value)
        case datetime.date() | datetime.time():
            return value.isoformat()
        case os.PathLike() | datetime.timedelta():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return f"<{plural(len(value), 'byte')}>"
    return _foreign(value)


def _foreign(value: object) -> bool | int | float | str | None:
    libraries = dict(origins(type(value)))
    if libraries.items() & _PRINTED:
        return str(value)
    if libraries.get("numpy") == "generic":
        plain = value.item()  # type: ignore[attr-defined]  # every numpy scalar has it
        return None if plain is value else scalar(plain)
    if {"pandas", "polars", "numpy"} & libraries.keys() and isinstance(shape := getattr(value, "shape", None), tuple):
        return f"<{type(value).__name__}, {' × '.join(f'{n:,}' for n in shape)}>"
    return one_line(safe_repr(value), 200)
