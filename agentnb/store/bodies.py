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
        body = json.dumps(
            without_blobs(json.loads(body), lambda data: keep_blob(db, data)), ensure_ascii=False, separators=(",", ":")
        )
    return body, mask("\n".join(_words(message))[:_SEARCHED])


def read_body(db: sqlite3.Connection, body: str) -> Message:
    """The message again. Raises ValueError for a body that holds none."""
    if _BLOB in body:
        body = json.dumps(with_blobs(json.loads(body), lambda digest: _blob(db, digest)))
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


def without_blobs(value: JSON, keep: Callable[[bytes], str]) -> JSON:
    """JSON of a message with digests in the place of large data; `keep` keeps that, and gives the digest."""
    if isinstance(value, list):
        return [without_blobs(each, keep) for each in value]
    if not isinstance(value, dict):
        return value
    out: dict[str, JSON] = {name: without_blobs(each, keep) for name, each in value.items()}
    data = value.get("data")
    if isinstance(data, str) and len(data) > _LARGE and "media_type" in value:
        out["data"] = {_BLOB: keep(base64.urlsafe_b64decode(data))}
    return out


def with_blobs(value: JSON, find: Callable[[str], bytes]) -> JSON:
    """The same with the data again, which `find` gives for a digest."""
    if isinstance(value, list):
        return [with_blobs(each, find) for each in value]
    if not isinstance(value, dict):
        return value
    out = {name: with_blobs(each, find) for name, each in value.items()}
    data = value.get("data")
    if isinstance(data, dict) and isinstance(digest := data.get(_BLOB), str):
        out["data"] = base64.urlsafe_b64encode(find(digest)).decode()
    return out


def _blob(db: sqlite3.Connection, digest: str) -> bytes:
    found = db.execute("SELECT data FROM blobs WHERE digest = ?", (digest,)).fetchone()
    return bytes(found[0]) if found else b""


def read_bodies(db: sqlite3.Connection, bodies: Iterable[str]) -> tuple[Message, ...]:
    """Messages in the order of their bodies."""
    return tuple(read_body(db, body) for body in bodies)
