"""JSON in and out: the only place that knows how our values look on disk, on a comm and in a file.

Every value carries a literal `type`, so unions are read back without guessing; bytes are URL-safe base64.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agentnb.messages import JSON, Message

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    # Building an adapter costs milliseconds and depends on nothing but the type; pydantic is not needed before.
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def dump(value: object, kind: object = None) -> Any:
    """A JSON-ready structure (dicts, lists, strings, …) of one of our values. `kind` is needed for containers only."""
    return _adapter(kind or type(value)).dump_python(value, mode="json")


def dump_json(value: object, kind: object = None) -> bytes:
    """JSON text of one of our values. `kind` is needed for containers only."""
    return _adapter(kind or type(value)).dump_json(value)


def message_json(message: Message, data: Callable[[bytes], JSON] | None = None) -> str:
    """The JSON text of a message, as `dump_json` writes it, without what that takes to load.

    `data` gives what stands for bytes, where that is not their base64.
    """
    import orjson

    def default(value: object) -> JSON:
        if isinstance(value, bytes):
            return (data or to_base64)(value)
        raise TypeError(f"{type(value).__name__} has no JSON")

    try:
        return orjson.dumps(message, default=default).decode()
    except TypeError:  # half a character, as `os.listdir` gives them, which no JSON holds
        return whole(json.dumps(dataclasses.asdict(message), default=default, ensure_ascii=False))


def to_base64(data: bytes) -> str:
    """How bytes stand in our JSON."""
    return base64.urlsafe_b64encode(data).decode()


def whole(text: str) -> str:
    """The text with "?" in place of half a character, which no file and no database holds."""
    return text.encode("utf-8", "replace").decode()


def load(kind: object, data: object) -> Any:
    """A value of `kind` (a union such as `events.Event` too) from a JSON-ready structure. Raises a ValueError."""
    return _adapter(kind).validate_python(data)


def load_json(kind: object, data: bytes | str) -> Any:
    """A value of `kind` from JSON text. Raises a ValueError."""
    return _adapter(kind).validate_json(data)


def schema(*kinds: type) -> dict[str, Any]:
    """One JSON Schema with the definitions of all `kinds`: what `extension/src/protocol.ts` is made of."""
    from pydantic import TypeAdapter

    _, out = TypeAdapter.json_schemas([(kind.__name__, "serialization", _adapter(kind)) for kind in kinds])
    return out
