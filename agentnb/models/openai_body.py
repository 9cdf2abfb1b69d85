"""The body of an answer, handed on as it arrives: server-sent events, or one JSON document in their place."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Sequence
from typing import Protocol

from agentnb.errors import StreamBroken
from agentnb.events import ModelEvent
from agentnb.models.refusal import Source, words_of
from agentnb.models.sse import Decoder, ServerEvent

#: What may come before the first character: white space, and the mark of UTF-8.
_BEFORE = b" \t\r\n\xef\xbb\xbf"


class Answer(Protocol):
    """An answer that is being read; `over` when nothing that follows counts."""

    @property
    def over(self) -> bool: ...

    def feed(self, server_events: Sequence[ServerEvent]) -> list[ModelEvent]:
        """What these events add."""

    def take_last(self, event: ServerEvent) -> None:
        """The event that no blank line completed."""

    def take_whole(self, body: bytes) -> None:
        """A body that is one document."""

    def close(self) -> Iterator[ModelEvent]:
        """What ends the answer; raises its error."""


async def read_body(blocks: AsyncIterable[bytes], answer: Answer) -> AsyncGenerator[ModelEvent, None]:
    """The events that `answer` makes of these bytes. Raises its error."""
    decoder = Decoder()
    head, whole, is_whole = b"", [], None
    async for block in blocks:
        if is_whole is None:
            # Servers send whole documents where a stream was asked for, under any content type.
            head += block
            if not (start := head.lstrip(_BEFORE)[:1]):
                continue
            block, is_whole = head, start in (b"{", b"[", b"<")
        if is_whole:
            whole.append(block)
            continue
        for event in answer.feed(decoder.feed(block)):
            yield event
        if answer.over:
            break
    if is_whole:
        answer.take_whole(b"".join(whole).strip(_BEFORE))
    elif not answer.over and (last := decoder.flush()) is not None:
        answer.take_last(last)
    for event in answer.close():
        yield event


def not_json(source: Source, text: str) -> StreamBroken:
    """The error for something else in the place of JSON."""
    said = words_of(source, text)[:200] or "nothing"
    name = f"{source.provider} at {source.host}"
    return StreamBroken(
        f"{name} sent something that is not JSON: {said}. Run again, or check the base URL.", retryable=True
    )
