"""JSON in and out: the only place that knows how our values look on disk, on a comm and in a file.

Every value carries a literal `type`, so unions are read back without guessing; bytes are base64.
"""

from __future__ import annotations

import functools
from typing import TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


@functools.cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    # Building an adapter costs milliseconds and depends on nothing but the type.
    return TypeAdapter(kind)


def dump(value: object, kind: type[object] | None = None) -> object:
    """A JSON-ready structure (dicts, lists, strings, …) of one of our values."""
    return _adapter(kind or type(value)).dump_python(value, mode="json")


def dump_json(value: object, kind: type[object] | None = None) -> bytes:
    """JSON text of one of our values. `kind` is needed for unions and containers only."""
    return _adapter(kind or type(value)).dump_json(value)


def load(kind: type[T], data: object) -> T:
    """A value of `kind` (a union such as `events.Event` too) from a JSON-ready structure. Raises pydantic's error."""
    return _adapter(kind).validate_python(data)


def load_json(kind: type[T], data: bytes | str) -> T:
    """A value of `kind` from JSON text. Raises pydantic's ValidationError, a ValueError."""
    return _adapter(kind).validate_json(data)


def schema(*kinds: type[object]) -> dict[str, object]:
    """One JSON Schema with the definitions of all `kinds`: what `extension/src/protocol.ts` is made of."""
    _, out = TypeAdapter.json_schemas([(k.__name__, "serialization", _adapter(k)) for k in kinds])
    return out
