"""Values of a conversation: a Message holds Blocks; both are frozen and read with `match`.

What a provider needs back unchanged travels with the value: `extra` on a block (signatures, provider
ids) and whole `Opaque` blocks, each with the name of the provider that made it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
else:
    JSON = Any  # pydantic resolves the annotations below in `codec`; a recursive alias would send it round for ever
JSONObject: TypeAlias = dict[str, JSON]
Role: TypeAlias = Literal["system", "user", "assistant", "tool"]

#: Read by `codec`, so that bytes are base64 in JSON.
_BASE64 = {"ser_json_bytes": "base64", "val_json_bytes": "base64"}


@dataclass(frozen=True, slots=True)
class Text:
    """Words: a prompt, an answer, a tool's output."""

    text: str
    extra: JSONObject | None = None
    type: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class Thinking:
    """A model's reasoning; `signature` and `extra` go back only to the provider that made them."""

    text: str
    signature: str | None = None
    extra: JSONObject | None = None
    type: Literal["thinking"] = "thinking"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model asks for a tool. `arguments` is the JSON text exactly as it came (possibly not valid)."""

    id: str
    name: str
    arguments: str = "{}"
    extra: JSONObject | None = None
    type: Literal["tool_call"] = "tool_call"


@dataclass(frozen=True, slots=True)
class Image:
    """A picture: bytes with their media type, or a URL (exactly one of the two)."""

    data: bytes = b""
    media_type: str = "image/png"
    url: str | None = None
    alt: str = ""
    type: Literal["image"] = "image"

    __pydantic_config__ = _BASE64


@dataclass(frozen=True, slots=True)
class Audio:
    """A sound: bytes with their media type, or a URL (exactly one of the two)."""

    data: bytes = b""
    media_type: str = "audio/wav"
    url: str | None = None
    type: Literal["audio"] = "audio"

    __pydantic_config__ = _BASE64


@dataclass(frozen=True, slots=True)
class File:
    """A document (or a film) handed to the model as a file: bytes with their media type, or a URL."""

    name: str
    data: bytes = b""
    media_type: str = "application/octet-stream"
    url: str | None = None
    type: Literal["file"] = "file"

    __pydantic_config__ = _BASE64


@dataclass(frozen=True, slots=True)
class Data:
    """A JSON value: structured content of a tool's result."""

    value: JSON
    type: Literal["data"] = "data"


@dataclass(frozen=True, slots=True)
class Opaque:
    """Something only `provider` understands; sent back to it unchanged, to others never."""

    provider: str
    payload: JSONObject
    type: Literal["opaque"] = "opaque"


Content: TypeAlias = Text | Image | Audio | File | Data


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool's answer to the call `call_id`; `handle` names the notebook variable that holds the object itself."""

    call_id: str
    name: str
    content: tuple[Content, ...] = ()
    is_error: bool = False
    handle: str | None = None
    type: Literal["tool_result"] = "tool_result"

    @property
    def text(self) -> str:
        """What a text-only reader sees."""
        return "\n".join(b.text for b in self.content if isinstance(b, Text))


Block: TypeAlias = Text | Thinking | ToolCall | ToolResult | Image | Audio | File | Data | Opaque


@dataclass(frozen=True, slots=True)
class Usage:
    """What one model call or, summed, a run took.

    Tokens: `input` includes `cached` (read from the provider's cache) and `written` (put into it); `output` includes
    `reasoning`. `seconds` is the time of the calls, `first` the seconds until the first of them began to answer.
    `usd` is what is known of the price: None where no card gives one.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0
    written: int = 0
    seconds: float = 0.0
    first: float | None = None
    usd: float | None = None
    type: Literal["usage"] = field(default="usage", repr=False)

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.reasoning + other.reasoning,
            self.written + other.written,
            self.seconds + other.seconds,
            other.first if self.first is None else self.first,
            other.usd if self.usd is None else self.usd + (other.usd or 0.0),
        )

    @property
    def total(self) -> int:
        """Input plus output tokens."""
        return self.input + self.output


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Message:
    """One turn of one speaker. All results of one round of tool calls share one message of role `tool`.

    `model` ("provider:name") is set on what a model said; `finish` is why it stopped:
    "stop", "length", "tool_calls", "content_filter", "error" or "interrupted". `name` is the speaker's, where several
    agents or people talk.
    """

    role: Role
    content: tuple[Block, ...]
    id: str | None = None
    model: str | None = None
    finish: str | None = None
    name: str | None = None
    type: Literal["message"] = field(default="message", repr=False)

    @property
    def text(self) -> str:
        """The text blocks, joined."""
        return "".join(b.text for b in self.content if isinstance(b, Text))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tool calls, in order."""
        return tuple(b for b in self.content if isinstance(b, ToolCall))


def system(text: str) -> Message:
    """A system message."""
    return Message("system", (Text(text),))


def user(*content: str | Block) -> Message:
    """A user message from texts and blocks."""
    return Message("user", tuple(Text(c) if isinstance(c, str) else c for c in content))


def assistant(*content: str | Block, model: str | None = None, finish: str | None = "stop") -> Message:
    """An assistant message from texts and blocks."""
    return Message(
        "assistant", tuple(Text(c) if isinstance(c, str) else c for c in content), model=model, finish=finish
    )


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a model is told of a tool: its name, what it does, and the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, JSON]
