"""About how many tokens a value costs; the exact number is the provider's and comes with its answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TypeAlias

from agentnb.messages import (
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
    ToolSpec,
)

#: A rule of thumb for English, code and tables. Counted in UTF-8, so that a Chinese character, about a token, is not
#: taken for a quarter of one.
BYTES_PER_TOKEN = 4
#: What a picture, a sound, a film or a document is taken to cost; providers charge between 250 and 3,000.
MEDIA_TOKENS = 2000

Countable: TypeAlias = str | Block | Message | ToolSpec
#: What counts: `count_tokens`, or a tokenizer of the model's own.
Counter: TypeAlias = Callable[[Message | ToolSpec], int]


def count_tokens(what: Countable | Iterable[Countable]) -> int:
    """About how many tokens this costs: bytes / 4, rounded up, for each text, 2000 for each medium."""
    match what:
        case str():
            size = len(what) if what.isascii() else len(what.encode("utf-8", "surrogatepass"))
            return -(-size // BYTES_PER_TOKEN)
        case Text(text=text) | Thinking(text=text):
            return count_tokens(text)
        case Image() | Audio() | File():
            return MEDIA_TOKENS
        case ToolCall(name=name, arguments=arguments):
            return count_tokens(name + arguments)
        case Message(content=content) | ToolResult(content=content):
            return sum(map(count_tokens, content))
        case Data(value=value) | Opaque(payload=value):
            return count_tokens(_json(value))
        case ToolSpec(name=name, description=description, parameters=parameters):
            return count_tokens(f"{name}{description}{_json(dict(parameters))}")
        case _:
            return sum(map(count_tokens, what))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
