"""Messages as the store keeps them: JSON without secrets, what is large kept once, by its digest."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from agentnb import codec
from agentnb.messages import JSON, Message, Text, Thinking, ToolCall, ToolResult

if TYPE_CHECKING:
    import sqlite3

#: Characters of base64 from which data is kept apart: a list of messages must be quick to read.
_LARGE = 8_000
#: Under which name a digest stands where the data was.
_BLOB = "$blob"
#: Characters of one message that are searched in.
_SEARCHED = 100_000


def write_body(db: sqlite3.Connection, message: Message, mask: Callable[[str], str]) -> tuple[str, str]:
    """A message as JSON, and the words to find it by; its large data goes into `blobs`."""
    # The mask knows secrets as JSON writes them.
    body = mask(codec.message_json(message))
    if len(body) > _LARGE:
        body = json.dumps(_without_blobs(db, json.loads(body)), ensure_ascii=False, separators=(",", ":"))
    return body, mask("\n".join(_words(message))[:_SEARCHED])


def read_body(db: sqlite3.Connection, body: str) -> Message:
    """The message again. Raises ValueError for a body that holds none."""
    if _BLOB in body:
        body = json.dumps(_with_blobs(db, json.loads(body)))
    message: Message = codec.load_json(Message, body)
    return message


def keep_blob(db: sqlite3.Connection, data: bytes) -> str:
    """Keep bytes, once; gives their digest (SHA-256)."""
    digest = hashlib.sha256(data).hexdigest()
    db.execute("INSERT OR IGNORE INTO blobs(digest, data) VALUES (?, ?)", (digest, data))
    return digest


def _words(message: Message) -> Iterator[str]:
    for block in message.content:
        match block:
            case Text(text=text) | Thinking(text=text):
                yield text
            case ToolCall(name=name, arguments=arguments):
                yield f"{name} {arguments}"
            case ToolResult() as result:
                yield result.text


def _without_blobs(db: sqlite3.Connection, value: JSON) -> JSON:
    if isinstance(value, list):
        return [_without_blobs(db, each) for each in value]
    if not isinstance(value, dict):
        return value
    out: dict[str, JSON] = {name: _without_blobs(db, each) for name, each in value.items()}
    data = value.get("data")
    if isinstance(data, str) and len(data) > _LARGE and "media_type" in value:
        out["data"] = {_BLOB: keep_blob(db, base64.urlsafe_b64decode(data))}
    return out


def _with_blobs(db: sqlite3.Connection, value: JSON) -> JSON:
    if isinstance(value, list):
        return [_with_blobs(db, each) for each in value]
    if not isinstance(value, dict):
        return value
    out = {name: _with_blobs(db, each) for name, each in value.items()}
    data = value.get("data")
    if isinstance(data, dict) and isinstance(digest := data.get(_BLOB), str):
        found = db.execute("SELECT data FROM blobs WHERE digest = ?", (digest,)).fetchone()
        out["data"] = base64.urlsafe_b64encode(found[0] if found else b"").decode()
    return out


def read_bodies(db: sqlite3.Connection, bodies: Iterable[str]) -> tuple[Message, ...]:
    """Messages in the order of their bodies."""
    return tuple(read_body(db, body) for body in bodies)
