"""Keep secrets out of everything that is shown or stored: each known one is replaced by "[key]"."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar
from urllib.parse import quote, quote_plus

from agentnb.messages import (
    JSON,
    Audio,
    Block,
    Data,
    File,
    Image,
    Message,
    Opaque,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

B = TypeVar("B", bound=Block)

MASKED = "[key]"
#: Shorter ones are words of the language as well.
_SHORTEST = 6
#: What is left of a secret in the middle of other base64 text must still be unmistakable.
_SHORTEST_INSIDE = 10


class Mask:
    """Replaces the secrets it was told of, as they are and as URLs, JSON and base64 write them. Safe from any thread.

    Secrets of fewer than 6 characters are not looked for.
    """

    def __init__(self, *secrets: str) -> None:
        self._lock = threading.Lock()
        self._known: frozenset[str] = frozenset()
        self._forms: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self.add(*secrets)

    def __repr__(self) -> str:
        return "Mask()"

    def add(self, *secrets: str) -> None:
        """Mask these from now on."""
        new = {secret.strip() for secret in secrets} - self._known
        if not new:
            return
        forms = {form for secret in new for form in _forms(secret)}
        with self._lock:
            self._known |= new
            self._forms |= forms
            if not self._forms:
                return
            # The longest first: a key that begins as another one does is replaced whole.
            ordered = sorted(self._forms, key=lambda form: (-len(form), form))
            self._pattern = re.compile("|".join(map(re.escape, ordered)))

    def __call__(self, text: str) -> str:
        """The text without the secrets."""
        pattern = self._pattern
        return text if pattern is None else pattern.sub(MASKED, text)

    def deep(self, value: JSON) -> JSON:
        """A JSON value without the secrets, in names and in values."""
        return value if self._pattern is None else masked(value, self)


def masked(value: JSON, mask: Callable[[str], str], *, names: bool = True, but: str | None = None) -> JSON:
    """A JSON value with its texts as `mask` gives them, those in `names` too; what is under the name `but` stays."""
    match value:
        case str():
            return mask(value)
        case dict():
            return {
                mask(name) if names else name: each if name == but else masked(each, mask, names=names, but=but)
                for name, each in value.items()
            }
        case list():
            return [masked(each, mask, names=names, but=but) for each in value]
    return value


def mask_message(message: Message, mask: Callable[[str], str]) -> Message:
    """A message with everything that was said in it as `mask` gives it, names and bytes too.

    What a message is made of stays, whatever the secrets are: "content" may be one, and so may a number.
    """
    content = tuple(_mask_block(block, mask) for block in message.content)
    return replace(message, content=content, name=message.name and mask(message.name))


def _mask_block(block: B, mask: Callable[[str], str]) -> B:
    """The fields that hold what a model, a tool or a person said."""
    new: dict[str, object] = {}
    match block:
        case Text(text=text) | Thinking(text=text):
            new = {"text": mask(text)}
        case ToolCall(id=call_id, name=name, arguments=arguments):
            new = {"id": mask(call_id), "name": mask(name), "arguments": mask(arguments)}
        case ToolResult(call_id=call_id, name=name, content=content):
            new = {"call_id": mask(call_id), "name": mask(name)}
            new["content"] = tuple(_mask_block(each, mask) for each in content)
        case Data(value=value):
            new = {"value": masked(value, mask)}
        case Opaque(payload=payload):
            new = {"payload": masked(payload, mask, names=False)}
        case Image() | Audio() | File():
            new = {"data": _mask_bytes(block.data, mask), "url": block.url and mask(block.url)}
    match block:
        case Text(extra=extra) | Thinking(extra=extra) | ToolCall(extra=extra) if extra:
            new["extra"] = masked(extra, mask, names=False)
        case Image(alt=alt):
            new["alt"] = mask(alt)
        case File(name=name):
            new["name"] = mask(name)
    return replace(block, **new)  # type: ignore[arg-type]  # the fields of each, above


def _mask_bytes(data: bytes, mask: Callable[[str], str]) -> bytes:
    text = data.decode("utf-8", "surrogateescape")
    hidden = mask(text)
    return data if hidden == text else hidden.encode("utf-8", "surrogateescape")


def _forms(secret: str) -> Iterator[str]:
    """How a secret may stand in a text."""
    if len(secret) < _SHORTEST:
        return
    yield secret
    yield quote(secret, safe="", errors="replace")
    yield quote(secret, errors="replace")
    yield quote_plus(secret, errors="replace")
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    # As the arguments of a call stand in a message: JSON within JSON.
    yield json.dumps(json.dumps(secret)[1:-1])[1:-1]
    yield json.dumps(json.dumps(secret, ensure_ascii=False)[1:-1], ensure_ascii=False)[1:-1]
    raw = secret.encode("utf-8", "surrogatepass")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode()
        yield encode(raw).decode().rstrip("=")
        for before in range(3):
            # Six bits to a letter: what surrounds the secret reaches into the letters at its ends.
            inside = encode(b"\0" * before + raw).decode()[before + (before > 0) : (before + len(raw)) * 8 // 6]
            if len(inside) >= _SHORTEST_INSIDE:
                yield inside
