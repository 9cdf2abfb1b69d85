"""What a wire format is to us: two pure functions, where to post, and how its servers differ from each other."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from agentnb.events import ModelEvent
from agentnb.messages import Message
from agentnb.models.base import Request, Structured
from agentnb.models.refusal import Source
from agentnb.models.wire import WireCache


@dataclass(frozen=True, slots=True)
class Quirks:
    """How one server differs from the others that speak its dialect: from its row, and from what it refuses.

    `reasoning_field` is where it wants its own reasoning back within a loop of tool calls (None: nowhere);
    `think_tags` says that it writes its reasoning into the answer, between <think> and </think>; `thinking` names the
    way it is told how much to think, `max_tokens` its word for the bound of an answer; `without` are the options it
    does not have. `forced` says whether a tool call can be demanded, `call_id` is the pattern of all ids of calls that
    it takes (None: any).
    """

    provider: str = "openai"
    system_role: str = "system"
    stream_options: bool = True
    reasoning_field: str | None = None
    think_tags: bool = False
    thinking: str = "effort"
    max_tokens: str = "max_tokens"
    structured: Structured = "native"
    forced: bool = True
    without: tuple[str, ...] = ()
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What media a dialect takes: longest side in pixels, bytes of one medium, media types, and whether as a URL."""

    image_side: int = 8000
    image_bytes: int = 5_000_000
    image_types: tuple[str, ...] = ("image/png", "image/jpeg", "image/gif", "image/webp")
    image_urls: bool = True
    audio_bytes: int = 20_000_000
    audio_types: tuple[str, ...] = ()
    file_bytes: int = 20_000_000
    file_types: tuple[str, ...] = ()
    file_urls: bool = False


class FormatRequest(Protocol):
    """Ours to the wire: the body of a request. Raises UsageError for what the dialect cannot say."""

    def __call__(self, request: Request, *, model: str, quirks: Quirks, cache: WireCache[Any]) -> bytes: ...


class ParseStream(Protocol):
    """The wire to ours: the events of an answer, from its body as it arrives, streamed or whole.

    `history` is what was asked. Raises RequestRefused for an error, StreamBroken for an answer that is cut off or turns
    into an error; what came before it was yielded.
    """

    def __call__(
        self,
        blocks: AsyncIterable[bytes],
        *,
        source: Source,
        model: str,
        quirks: Quirks = ...,
        history: Sequence[Message] = ...,
    ) -> AsyncGenerator[ModelEvent, None]: ...


def one_base(base_url: str) -> tuple[str, ...]:
    """The base URL as it is."""
    return (base_url.strip().rstrip("/"),)


def no_headers(_: Request) -> Mapping[str, str]:
    """None of its own."""
    return {}


def no_lesson(_quirks: Quirks, _status: int, _said: bytes) -> Quirks | None:
    """A refusal that teaches nothing."""
    return None


@dataclass(frozen=True, slots=True)
class Dialect:
    """One wire format.

    `path` is what follows the base URL, `bases` the base URLs to try in turn for the one that was given. `key_header`
    carries an API key ("authorization": after "Bearer "). `adapt` is what a refusal teaches (None: nothing).
    """

    name: str
    path: Callable[[Request, str, Quirks], str]
    format_request: FormatRequest
    parse_stream: ParseStream
    options: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)
    key_header: str = "authorization"
    headers: Callable[[Request], Mapping[str, str]] = no_headers
    bases: Callable[[str], tuple[str, ...]] = one_base
    adapt: Callable[[Quirks, int, bytes], Quirks | None] = no_lesson
