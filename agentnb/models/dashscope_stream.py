"""A DashScope answer as our events: pieces, or the whole text so far again and again; streamed, or one document."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from agentnb import events
from agentnb.errors import ModelError
from agentnb.events import ModelEvent
from agentnb.messages import JSON, Message
from agentnb.models.arriving import cut_off, empty, not_an_answer
from agentnb.models.dashscope_chunks import (
    GOES_ON,
    NO_ERROR,
    choice_of,
    chunks_of,
    content_of,
    status_of,
    usage_of,
)
from agentnb.models.dashscope_growth import Channel, Growing
from agentnb.models.dialect import Quirks
from agentnb.models.fragments import TEXT, THINKING, Fragments
from agentnb.models.openai_calls import ArrivingCall
from agentnb.models.openai_chunks import json_or_text
from agentnb.models.refusal import Source, refused_in_stream
from agentnb.models.sse import Decoder

_PLAIN = Quirks()
#: What may come before the first character: white space, and the mark of UTF-8.
_BEFORE = b" \t\r\n\xef\xbb\xbf"


async def parse_stream(
    blocks: AsyncIterable[bytes],
    *,
    source: Source,
    model: str,
    quirks: Quirks = _PLAIN,  # noqa: ARG001  its servers do not differ in what they answer
    history: Sequence[Message] = (),
) -> AsyncGenerator[ModelEvent, None]:
    """The events of an answer, from its body as it arrives: server-sent events, or one JSON document.

    Raises RequestRefused for an error body, StreamBroken for an answer that is cut off or turns into an error.
    """
    answer = _Answer(source, model, history)
    try:
        async for block in blocks:
            for event in answer.read(block):
                yield event
            if answer.error is not None:
                break
        answer.end()
    except ModelError as error:
        # What was held back counts, though the connection broke.
        answer.error = error
    for event in answer.close():
        yield event


class _Answer(Fragments):
    """One answer as it arrives; what goes wrong in it is its `error`, raised by `close` after what came before."""

    def __init__(self, source: Source, model: str, history: Sequence[Message]) -> None:
        super().__init__(history)
        self.error: ModelError | None = None
        self._source = source
        self._model = model
        self._decoder = Decoder()
        #: The body where it is one document; of a stream, the last that was read: there the status of an error stands.
        self._blocks: list[bytes] = []
        self._streams: bool | None = None
        self._growing = Growing()
        self._text = Channel(self._growing)
        self._thinking = Channel(self._growing)
        self._arguments: dict[ArrivingCall, Channel] = {}
        self._seen: set[str] = set()
        self._id: str | None = None
        self._finish = ""
        self._usage: Mapping[str, JSON] = {}
        self._tokens: JSON = None
        self._grew = self._repeated = False
        self._chosen = False

    def read(self, block: bytes) -> list[ModelEvent]:
        """What more of the body adds."""
        if self._streams is None:
            self._blocks = [block := b"".join((*self._blocks, block))]
            if not (start := block.lstrip(_BEFORE)[:1]):
                return []
            # Whole documents are sent where a stream was asked for, under any content type.
            self._streams = start not in (b"{", b"[", b"<")
        elif not self._streams:
            self._blocks.append(block)
        if not self._streams:
            return []
        self._blocks = [*self._blocks[-1:], block]
        for chunk in chunks_of(self._decoder.feed(block)):
            if not self._take_plain(chunk):
                self._take(chunk)
                if self.error is not None:
                    break
        return self._flush()

    def end(self) -> None:
        """No more of the body comes."""
        if self._streams is False:
            self._take_document(json_or_text(b"".join(self._blocks).strip(_BEFORE)))
        elif self.error is None and (last := self._decoder.flush()) is not None:
            # The event that no blank line completed: it counts where it is whole.
            for chunk in chunks_of([last]):
                if isinstance(chunk, dict):
                    self._take(chunk)

    def _take_plain(self, chunk: Any) -> bool:
        """The fast path: an event that adds to the text and does nothing else, as nearly all do."""
        if self._growing.whole is not False:
            return False
        try:
            (choice,) = chunk["output"]["choices"]
            message = choice["message"]
            piece = message["content"]
            if (
                choice["finish_reason"] not in GOES_ON
                or piece.__class__ is not str
                or message.get("reasoning_content")
                or message.get("tool_calls")
                or chunk.get("code") not in NO_ERROR
            ):
                return False
        except (AttributeError, KeyError, TypeError, ValueError):
            return False
        self._take_usage(chunk)
        self._add(TEXT, piece)
        return True

    def _take(self, chunk: JSON) -> None:
        if not isinstance(chunk, dict):
            # What is not an object is an error in plain words, or a list that holds one.
            if isinstance(chunk, (str, list)):
                self._fail(chunk)
            return
        self._id = self._id or (str(chunk["request_id"]) if chunk.get("request_id") else None)
        self._take_usage(chunk)
        choice = choice_of(chunk.get("output"))
        if choice is not None:
            self._chosen = True
            message = choice.get("message")
            self._take_message(message if isinstance(message, dict) else {})
            finish = choice.get("finish_reason")
            if isinstance(finish, str) and finish not in GOES_ON:
                self._finish = finish
        if chunk.get("error") or chunk.get("code") not in NO_ERROR or (choice is None and chunk.get("message")):
            self._fail(chunk)

    def _take_usage(self, chunk: Mapping[str, JSON]) -> None:
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            self._usage = usage
            tokens = usage.get("output_tokens")
            self._grew, self._tokens = tokens != self._tokens, tokens

    def _take_message(self, message: Mapping[str, JSON]) -> None:
        thought = message.get("reasoning_content")
        thought = thought if isinstance(thought, str) else ""
        text, media = content_of(message.get("content"))
        calls = message.get("tool_calls")
        fragments = [each for each in calls if isinstance(each, dict)] if isinstance(calls, list) else []
        self._repeated = not self._grew and bool(text or thought or fragments)
        self._add(THINKING, self._thinking.take(thought))
        if text or media or fragments:
            self._add(THINKING, self._thinking.settle(repeated=bool(thought)))
        self._add(TEXT, self._text.take(text))
        if media or fragments:
            self._add(TEXT, self._text.settle(repeated=bool(text)))
        for address, block in media:
            if address not in self._seen:
                self._seen.add(address)
                self._join()
                self._out.append(events.BlockAdded(block))
        for position, fragment in enumerate(fragments):
            self._take_call(fragment, position)

    def _take_call(self, fragment: Mapping[str, JSON], position: int) -> None:
        index = fragment.get("index")
        call, piece = self._calls.take({**fragment, "index": index if isinstance(index, int) else position}, position)
        if not call.id and call.name:
            self._start(call)
        channel = self._arguments.setdefault(call, Channel(self._growing))
        self._add_arguments(call, channel.take(piece))

    def _add_arguments(self, call: ArrivingCall, piece: str) -> None:
        if piece:
            call.arguments.append(piece)
            if call.id:
                self._add(call, piece)

    def _fail(self, error: JSON) -> None:
        self._settle()
        self._join()
        if isinstance(error, dict) and "status_code" not in error:
            error = {**error, "status_code": status_of(error, b"".join(self._blocks))}
        self.error = refused_in_stream(self._source, error, begun=self._given or bool(self._out))

    def _take_document(self, document: JSON) -> None:
        """A body that is one document: a whole answer, an error, or a web page."""
        if isinstance(document, str):
            self.error = not_an_answer(self._source, document)
            return
        self._take(document)
        if not self._chosen and self.error is None:
            self.error = not_an_answer(self._source, orjson.dumps(document).decode())
        self._finish = self._finish or "stop"

    def close(self) -> Iterator[ModelEvent]:
        """What ends the answer: the usage, and then its end or its error."""
        self._settle()
        error = self.error or self._unfinished()
        if error is None:
            self._close_calls()
        yield from self._flush()
        if self._usage:
            yield events.Usage(usage_of(self._usage))
        if error is not None:
            raise error
        yield events.MessageEnd(self._outcome(), self._id, f"{self._source.provider}:{self._model}")

    def _settle(self) -> None:
        self._add(THINKING, self._thinking.settle(repeated=self._repeated))
        self._add(TEXT, self._text.settle(repeated=self._repeated))
        for call, channel in self._arguments.items():
            self._add_arguments(call, channel.settle(repeated=self._repeated))

    def _unfinished(self) -> ModelError | None:
        if not self._chosen:
            return empty(self._source)
        return None if self._finish else cut_off(self._source)

    def _close_calls(self) -> None:
        for call in self._calls.calls:
            if not call.id:
                self._start(call)
            cut_off = self._finish in ("length", "content_filter") and not call.complete
            if not call.arguments and not cut_off:
                self._add(call, "{}")
            self._join()
            if not cut_off:
                self._out.append(events.ToolCallEnd(call.id))

    def _outcome(self) -> str:
        # Servers say "stop" with calls and "tool_calls" without: the calls themselves decide.
        if self._finish in ("length", "content_filter"):
            return self._finish
        return "tool_calls" if self._calls.calls else "stop"
