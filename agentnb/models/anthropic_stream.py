"""An answer in Anthropic's Messages, streamed or whole, as our events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Mapping, Sequence
from typing import Any

from agentnb import events
from agentnb.errors import ModelError, RequestRefused, StreamBroken
from agentnb.events import ModelEvent
from agentnb.messages import JSON, JSONObject, Message, Opaque
from agentnb.models.anthropic_blocks import ArrivingBlock, parsed, usage_of
from agentnb.models.dialect import Quirks
from agentnb.models.openai_body import read_body
from agentnb.models.openai_calls import ArrivingCall, ArrivingCalls
from agentnb.models.openai_chunks import is_error, json_or_text, loads_all
from agentnb.models.refusal import Source, refused_in_stream, words_of
from agentnb.models.sse import ServerEvent

_PLAIN = Quirks("anthropic")
_DONE = b"[DONE]"
_FINISH = {"max_tokens": "length", "model_context_window_exceeded": "length", "refusal": "content_filter"}


def parse_stream(
    blocks: AsyncIterable[bytes],
    *,
    source: Source,
    model: str,
    quirks: Quirks = _PLAIN,  # noqa: ARG001  # servers of this dialect do not differ in their answers
    history: Sequence[Message] = (),
) -> AsyncGenerator[ModelEvent, None]:
    """The events of an answer, from its body as it arrives: server-sent events, or one JSON document.

    `history` is what was asked: an id of a call that occurs there already is replaced by a new one.
    Raises RequestRefused for an error body, StreamBroken for an answer that is cut off or turns into an error.
    """
    return read_body(blocks, _Answer(source, model, history))


class _Answer:
    """One answer as it arrives; `over` when nothing that follows counts."""

    def __init__(self, source: Source, model: str, history: Sequence[Message]) -> None:
        self.over = False
        self._source = source
        self._name = f"{source.provider} at {source.host}"
        self._model = model
        self._out: list[ModelEvent] = []
        self._pieces: list[str] = []
        self._open: dict[int, ArrivingBlock] = {}
        #: The block that the pieces belong to.
        self._current = ArrivingBlock(-1, {})
        self._calls: dict[str, ArrivingBlock] = {}
        self._ids = ArrivingCalls(history)
        self._id: str | None = None
        self._stop = ""
        self._usage: dict[str, JSON] = {}
        self._given = self._begun = False
        self._error: ModelError | None = None

    def feed(self, server_events: Sequence[ServerEvent]) -> list[ModelEvent]:
        """What these events add; an error in them is raised by `close`, after what came before it."""
        for chunk in self._chunks(server_events):
            if not self._take_plain(chunk):
                self._take(chunk)
                if self.over:
                    break
        return self._flush()

    def _chunks(self, server_events: Sequence[ServerEvent]) -> list[Any]:
        data: list[bytes] = []
        for event, payload, _ in server_events:
            if event == "error":
                return [*loads_all(data), {"error": json_or_text(payload)}]
            if payload and not payload.startswith(_DONE):
                data.append(payload)
        return loads_all(data)

    def _take_plain(self, chunk: Any) -> bool:
        """The fast path: another piece of the block that is arriving, as nearly all chunks are."""
        block = self._current
        try:
            delta = chunk["delta"]
            if delta["type"] != block.delta or chunk["index"] != block.index:
                return False
            piece = delta[block.field]
        except (KeyError, TypeError):
            return False
        if piece.__class__ is not str:
            return False
        self._pieces.append(piece)
        return True

    def _take(self, chunk: JSON) -> None:
        if not isinstance(chunk, dict):
            # What is not an object is an error in plain words, or a list that holds one.
            if isinstance(chunk, (str, list)):
                self._fail(chunk)
            return
        index = chunk.get("index")
        index = index if isinstance(index, int) else self._current.index
        match chunk:
            case {"type": "content_block_start", "content_block": dict() as start}:
                self._begin(index, start)
            case {"type": "content_block_delta", "delta": dict() as delta}:
                self._grow(index, delta)
            case {"type": "content_block_stop"}:
                self._end(index)
            case {"type": "message_start", "message": dict() as message}:
                self._take_message(message)
            case {"type": "message_delta"}:
                self._take_end(chunk.get("delta"), chunk.get("usage"))
            case {"type": "message_stop"}:
                self.over = True
            case {"type": "error"} | {"error": dict() | list() | str()}:
                self._fail(chunk)

    def _take_message(self, message: JSONObject) -> None:
        self._begun = True
        self._id = str(message["id"]) if message.get("id") else None
        self._take_end(message, message.get("usage"))

    def _take_end(self, delta: JSON, usage: JSON) -> None:
        reason = delta.get("stop_reason") if isinstance(delta, dict) else None
        if isinstance(reason, str) and reason:
            self._stop = reason
        if isinstance(usage, dict):
            # Totals so far: what a later count leaves out still holds.
            self._usage.update((key, value) for key, value in usage.items() if value is not None)

    def _begin(self, index: int, start: Mapping[str, JSON]) -> ArrivingBlock:
        self._end(index)
        self._begun = True
        block = self._open[index] = ArrivingBlock(index, start)
        self._turn_to(block)
        self._pieces.append(block.first)
        if block.kind == "tool_use":
            given = start.get("id")
            block.call_id = self._ids.announce(ArrivingCall(None, given if isinstance(given, str) else ""))
            self._calls[block.call_id] = block
            self._out.append(events.ToolCallStart(block.call_id, block.name, block.extra or None))
        return block

    def _grow(self, index: int, delta: Mapping[str, JSON]) -> None:
        block = self._open.get(index)
        if block is None:
            kind = str(delta.get("type")).removesuffix("_delta")
            if kind not in ("text", "thinking"):
                return
            block = self._begin(index, {"type": kind})
        self._turn_to(block)
        piece = delta.get(block.field)
        if delta.get("type") == block.delta and isinstance(piece, str):
            self._pieces.append(piece)
        else:
            block.fold(delta)

    def _turn_to(self, block: ArrivingBlock) -> None:
        if block is not self._current:
            self._join()
            self._current = block

    def _end(self, index: int) -> None:
        if (block := self._open.pop(index, None)) is None:
            return
        self._turn_to(block)
        if block.kind == "thinking" and block.signature:
            # One whole signature, at the end: it belongs to all that was thought in this block.
            self._out.append(events.ThinkingDelta(self._take_pieces(), block.signature))
        self._join()
        cited = block.kind == "text" and block.citations
        if cited or block.kind not in ("text", "thinking", "tool_use"):
            # The words of a cited text were given; the block that follows them is how they go back.
            self._out.append(events.BlockAdded(Opaque(self._source.provider, block.whole())))

    def _take_pieces(self) -> str:
        piece, self._pieces = "".join(self._pieces), []
        if piece:
            self._current.given.append(piece)
        return piece

    def _join(self) -> None:
        """Adjacent pieces of one block are one event."""
        if not (piece := self._take_pieces()):
            return
        match self._current.kind:
            case "text":
                self._out.append(events.TextDelta(piece))
            case "thinking":
                self._out.append(events.ThinkingDelta(piece))
            case "tool_use":
                self._out.append(events.ToolCallArgs(self._current.call_id, piece))

    def _flush(self) -> list[ModelEvent]:
        self._join()
        out, self._out = self._out, []
        self._given = self._given or bool(out)
        return out

    def _fail(self, error: JSON) -> None:
        self._join()
        self._error = refused_in_stream(self._source, error, begun=self._given or bool(self._out))
        self.over = True

    def take_last(self, event: ServerEvent) -> None:
        """The event that no blank line completed: it counts where it is whole."""
        if isinstance(chunk := json_or_text(event.data), dict):
            self._take({"error": chunk} if event.event == "error" else chunk)

    def take_whole(self, body: bytes) -> None:
        """A body that is one document: a whole answer, an error, or a web page."""
        document = json_or_text(body)
        if isinstance(document, dict) and isinstance(content := document.get("content"), list):
            self._take_message(document)
            for index, block in enumerate(content):
                if isinstance(block, dict):
                    self._begin(index, block)
                    self._end(index)
        elif isinstance(document, list) or (isinstance(document, dict) and is_error(document)):
            self._fail(document)
        else:
            self._error = self._no_answer(document)
        self.over = True

    def _no_answer(self, document: JSON) -> ModelError:
        if not isinstance(document, str):
            return RequestRefused(f"{self._name} answered without an answer in it. Check the base URL and the model.")
        if document.lstrip().startswith("{"):
            return StreamBroken(f"The answer of {self._name} was cut off half-way. Run again.", retryable=True)
        said = words_of(self._source, document) or "nothing"
        return RequestRefused(f"{self._name} did not answer as a model does, but with: {said}. Check the base URL.")

    def close(self) -> Iterator[ModelEvent]:
        """What ends the answer: the usage, and then its end or its error."""
        error = self._error or self._unfinished()
        finish = self._finish()
        if error is None:
            for index in list(self._open):
                self._end(index)
            self._close_calls(cut=finish in ("length", "content_filter"))
        yield from self._flush()
        if self._usage:
            yield events.Usage(usage_of(self._usage))
        if error is not None:
            raise error
        yield events.MessageEnd(finish, self._id, f"{self._source.provider}:{self._model}")

    def _unfinished(self) -> ModelError | None:
        if not self._begun:
            return StreamBroken(f"{self._name} sent an empty answer. Run again, or check the base URL.", retryable=True)
        if not self._stop and not self.over:
            return StreamBroken(f"The answer of {self._name} was cut off half-way. Run again.", retryable=True)
        return None

    def _close_calls(self, *, cut: bool) -> None:
        for call in self._calls.values():
            streamed = call.arguments
            # Where no pieces came, the cut went through the last block.
            whole = isinstance(parsed(streamed), dict) if streamed else call is not self._current
            if cut and not whole:
                continue
            if not streamed:
                self._out.append(events.ToolCallArgs(call.call_id, call.input))
            self._out.append(events.ToolCallEnd(call.call_id))

    def _finish(self) -> str:
        # Some servers end calls with "end_turn": the calls themselves decide.
        return _FINISH.get(self._stop) or ("tool_calls" if self._calls else "stop")
