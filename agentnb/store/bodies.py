"""Messages as the store keeps them: JSON without secrets, what is large kept once, by its digest."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from agentnb import codec
from agentnb.masking import mask_message
from agentnb.messages import JSON, Block, Data, Message, Text, Thinking, ToolCall, ToolResult

if TYPE_CHECKING:
    import sqlite3

B = TypeVar("B", bound=Block)

#: Bytes from which data is kept apart: a list of messages must be quick to read.
_LARGE = 6_000
#: Under which name a digest stands where the data was.
_BLOB = "$blob"
#: Characters of one message that are searched in.
_SEARCHED = 100_000
_TOO_DEEP = Text("(This was nested too deeply to be kept.)")


def write_body(db: sqlite3.Connection, message: Message, mask: Callable[[str], str]) -> tuple[str, str]:
    """A message as JSON, and the words to find it by; its large data goes into `blobs`."""
    try:
        hidden = mask_message(message, mask)
        body = body_json(hidden, lambda data: keep_blob(db, data))
    except (RecursionError, ValueError):
        hidden = mask_message(_without_data(message), mask)
        body = body_json(hidden, lambda data: keep_blob(db, data))
    return body, codec.whole("\n".join(_words(hidden))[:_SEARCHED])


def body_json(message: Message, keep: Callable[[bytes], str]) -> str:
    """A message as JSON with digests in the place of large data; `keep` keeps that, and gives the digest."""

    def stands_for(data: bytes) -> JSON:
        return {_BLOB: keep(data)} if len(data) > _LARGE else codec.to_base64(data)

    return codec.message_json(message, stands_for)


def _without_data(message: Message) -> Message:
    """The message without JSON that cannot be written: nested a thousand times, or in itself."""

    def flat(block: B) -> B | Text:
        if isinstance(block, ToolResult):
            return replace(block, content=tuple(map(flat, block.content)))
        return _TOO_DEEP if isinstance(block, Data) else block

    return replace(message, content=tuple(map(flat, message.content)))


def read_body(db: sqlite3.Connection, body: str) -> Message:
    """The message again. Raises ValueError for a body that holds none."""
    message: Message
    if _BLOB not in body:
        with contextlib.suppress(ValueError):  # what is nested deeply, only the slower one reads
            message = codec.load_json(Message, body)
            return message
    message = codec.load(Message, with_blobs(json.loads(body), lambda digest: _blob(db, digest)))
    return message


def keep_blob(db: sqlite3.Connection, data: bytes) -> str:
    """Keep bytes, once; gives their digest (SHA-256)."""
    digest = hashlib.sha256(data).hexdigest()
    db.execute("INSERT OR IGNORE INTO blobs(digest, data) VALUES (?, ?)", (digest, data))
    return digest


def keep_artifact(
    db: sqlite3.Connection, session: str, name: str, data: bytes, media_type: str | None, created: float
) -> None:
    """Keep a file with a session, in place of one of that name."""
    values = session, name, keep_blob(db, data), media_type, created
    db.execute("INSERT OR REPLACE INTO artifacts VALUES (?, ?, ?, ?, ?)", values)


def _words(message: Message) -> Iterator[str]:
    for block in message.content:
        match block:
            case Text(text=text) | Thinking(text=text):
                yield text
            case ToolCall(name=name, arguments=arguments):
                yield f"{name} {arguments}"
            case ToolResult() as result:
                yield result.text


def with_blobs(value: JSON, find: Callable[[str], bytes]) -> JSON:
    """What `body_json` gave, read, with the data again, which `find` gives for a digest."""
    if not isinstance(value, dict):
        return value
    match value:
        case {"content": list(blocks)}:
            return {**value, "content": [with_blobs(each, find) for each in blocks]}
        case {"type": "image" | "audio" | "file", "data": {"$blob": str(digest)}}:
            return {**value, "data": codec.to_base64(find(digest))}
    return value


def _blob(db: sqlite3.Connection, digest: str) -> bytes:
    found = db.execute("SELECT data FROM blobs WHERE digest = ?", (digest,)).fetchone()
    return bytes(found[0]) if found else b""


def read_bodies(db: sqlite3.Connection, bodies: Iterable[str]) -> tuple[Message, ...]:
    """Messages in the order of their bodies."""
    return tuple(read_body(db, body) for body in bodies)
