"""A stream of Responses events as our events; a whole response gives the same ones."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Mapping, Sequence
from typing import Any

from agentnb import events
from agentnb.errors import ModelError, RequestRefused
from agentnb.events import ModelEvent
from agentnb.messages import JSON, JSONObject, Message, Opaque
from agentnb.models.arriving import Arriving, cut_off, empty, not_an_answer
from agentnb.models.dialect import Quirks
from agentnb.models.openai_body import not_json, read_body
from agentnb.models.openai_calls import ArrivingCall, ArrivingCalls
from agentnb.models.openai_chunks import NotJson, decoded_image, json_or_text, loads_all, usage_of
from agentnb.models.refusal import Source, refused_in_stream
from agentnb.models.sse import ServerEvent

_PLAIN = Quirks()
_TEXT = "response.output_text.delta"
_ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


def parse_stream(
    blocks: AsyncIterable[bytes],
    *,
    source: Source,
    model: str,
    quirks: Quirks = _PLAIN,  # noqa: ARG001  its servers do not differ in what they answer
    history: Sequence[Message] = (),
) -> AsyncGenerator[ModelEvent, None]:
    """The events of an answer, from its body as it arrives: server-sent events, or one JSON document.

    `history` is what was asked: an id of a call that occurs there already is replaced by a new one.
    Raises RequestRefused for an error body, StreamBroken for an answer that is cut off or turns into an error.
    """
    return read_body(blocks, _Answer(source, model, history))


class _Item:
    """An item of the output as it arrives; `part` is the part of its thoughts that is arriving."""

    __slots__ = ("call", "done", "given", "part")

    def __init__(self) -> None:
        self.call: ArrivingCall | None = None
        self.given = self.done = False
        self.part: tuple[JSON, JSON] | None = None


class _Answer:
    """One answer as it arrives; `over` when nothing that follows counts."""

    def __init__(self, source: Source, model: str, history: Sequence[Message]) -> None:
        self.over = False
        self._source = source
        self._model = model
        self._arriving = Arriving(history)
        self._ids = ArrivingCalls(history)
        self._items: dict[int | str, _Item] = {}
        #: The item whose text is arriving.
        self._speaks: int | None = None
        self._id: str | None = None
        self._finish = ""
        self._usage: Mapping[str, JSON] | None = None
        self._said: JSON = None
        self._error: ModelError | None = None

    def feed(self, server_events: Sequence[ServerEvent]) -> list[ModelEvent]:
        """What these events add; an error in them is raised by `close`, after what came before it."""
        data: list[bytes] = []
        for event, payload, _ in server_events:
            if event == "error":
                payload = b'{"type":"error","error":' + payload + b"}"
            if payload and not payload.startswith(b"[DONE]"):
                data.append(payload)
        for chunk in loads_all(data):
            if not self._take_plain(chunk):
                self._take(chunk)
                if self.over:
                    break
        return self._arriving.flush()

    def _take_plain(self, chunk: Any) -> bool:
        """The fast path: an event that brings text, as nearly all do."""
        try:
            if chunk["type"] != _TEXT:
                return False
            piece, index = chunk["delta"], chunk["output_index"]
        except (KeyError, TypeError):
            return False
        if piece.__class__ is not str or index.__class__ is not int:
            return False
        if index != self._speaks:
            self._item(chunk).given = True
            self._speaks = index
        self._arriving.text(piece)
        return True

    def _take(self, chunk: JSON) -> None:
        if not isinstance(chunk, dict):
            if isinstance(chunk, NotJson):
                self._error, self.over = not_json(self._source, chunk), True
            elif isinstance(chunk, (str, list)):
                self._fail(chunk)
            return
        kind = chunk.get("type")
        item = chunk.get("item")
        match kind:
            case "response.output_item.added" if isinstance(item, dict):
                self._begin(self._item(chunk), item)
            case "response.output_item.done" if isinstance(item, dict):
                self._end_item(self._item(chunk), item)
            case str() if kind in _ENDS:
                response = chunk.get("response")
                self._end(response if isinstance(response, dict) else {}, kind.removeprefix("response."))
            case str() if kind.startswith("response."):
                self._take_delta(kind, chunk)
            case _ if kind == "error" or chunk.get("error"):
                self._fail(chunk.get("error") or chunk)

    def _item(self, chunk: Mapping[str, JSON]) -> _Item:
        """The item that an event is about."""
        index = chunk.get("output_index")
        if not isinstance(index, int):
            own = chunk.get("item")
            index = chunk.get("item_id") or (own.get("id") if isinstance(own, dict) else "")
            index = str(index)
        return self._items.setdefault(index, _Item())

    def _take_delta(self, kind: str, chunk: Mapping[str, JSON]) -> None:
        piece = chunk.get("delta")
        if not isinstance(piece, str) or not piece:
            return
        match kind:
            case "response.output_text.delta" | "response.refusal.delta":
                self._item(chunk).given = True
                self._arriving.text(piece)
            case "response.reasoning_summary_text.delta":
                self._think(self._item(chunk), piece, ("summary", chunk.get("summary_index")))
            case "response.reasoning_text.delta":
                self._think(self._item(chunk), piece, ("text", chunk.get("content_index")))
            case "response.function_call_arguments.delta":
                if (call := self._item(chunk).call) is not None:
                    self._add_arguments(call, piece)

    def _think(self, item: _Item, piece: str, part: tuple[JSON, JSON]) -> None:
        if item.part is not None and item.part[0] != part[0]:
            return  # the thoughts and their summary: one of them is enough
        self._arriving.think(f"\n\n{piece}" if item.given and part != item.part else piece)
        item.given, item.part = True, part

    def _begin(self, item: _Item, said: JSONObject) -> None:
        name = said.get("name")
        if said.get("type") != "function_call" or item.call is not None or not isinstance(name, str) or not name:
            return
        item.call = call = ArrivingCall(None, str(said.get("call_id") or said.get("id") or ""))
        self._arriving.add(events.ToolCallStart(self._ids.announce(call), name))

    def _add_arguments(self, call: ArrivingCall, piece: str) -> None:
        call.arguments.append(piece)
        self._arriving.add(events.ToolCallArgs(call.id, piece))

    def _end_item(self, item: _Item, said: JSONObject) -> None:
        """An item is complete: what of it was not given yet is given now."""
        if item.done:
            return
        item.done = True
        match said.get("type"):
            case "message":
                if not item.given:
                    self._arriving.text("".join(_texts(said.get("content"), "text", "refusal")))
            case "reasoning":
                if not item.given:
                    thoughts = _texts(said.get("summary"), "text") or _texts(said.get("content"), "text")
                    self._arriving.think("\n\n".join(thoughts))
                self._keep(said)
            case "function_call":
                self._begin(item, said)
                self._end_call(item.call, said)
            case "image_generation_call":
                self._end_image(said)
            case str():
                self._keep(said)

    def _end_call(self, call: ArrivingCall | None, said: JSONObject) -> None:
        if call is None:
            return
        arguments = said.get("arguments")
        if not call.arguments and isinstance(arguments, str) and arguments:
            self._add_arguments(call, arguments)
        self._close_call(call, cut_off=said.get("status") == "incomplete")

    def _close_call(self, call: ArrivingCall, *, cut_off: bool) -> None:
        if not call.arguments and not cut_off:
            self._add_arguments(call, "{}")
        if not cut_off or call.complete:
            self._arriving.add(events.ToolCallEnd(call.id))

    def _end_image(self, said: JSONObject) -> None:
        result = said.pop("result", None)
        image = (
            decoded_image(result, f"image/{said.get('output_format') or 'png'}") if isinstance(result, str) else None
        )
        if image is not None:
            self._arriving.add(events.BlockAdded(image))
            self._keep(said)

    def _keep(self, said: JSONObject) -> None:
        """Only the provider understands it: it goes back as it is."""
        self._arriving.add(events.BlockAdded(Opaque(self._source.provider, said)))

    def _end(self, response: JSONObject, status: str) -> None:
        self.over = True
        self._id = str(response["id"]) if response.get("id") else None
        if isinstance(usage := response.get("usage"), dict):
            self._usage = usage
        output = response.get("output")
        for index, said in enumerate(output if isinstance(output, list) else ()):
            if isinstance(said, dict) and (item := self._missed(index, said)) is not None:
                self._end_item(item, said)
        match status:
            case "completed":
                self._finish = "stop"
            case "incomplete":
                details = response.get("incomplete_details")
                reason = details.get("reason") if isinstance(details, dict) else None
                self._finish = "content_filter" if reason == "content_filter" else "length"
            case _:
                self._fail(response.get("error") or f"the response is {status}")

    def _missed(self, index: int, said: JSONObject) -> _Item | None:
        """The item where it did not come by itself before (servers that number nothing are asked by its id)."""
        if all(isinstance(key, int) for key in self._items):
            return self._items.setdefault(index, _Item())
        return self._items.get(str(said.get("id")))

    def _fail(self, said: JSON) -> None:
        if isinstance(said, dict) and said.get("type") == "error":
            said = {key: value for key, value in said.items() if key != "type"}
        self._said, self.over = said, True

    def take_last(self, event: ServerEvent) -> None:
        """The event that no blank line completed: it counts where it is whole."""
        if isinstance(chunk := json_or_text(event.data), dict):
            self._take(chunk)

    def take_whole(self, body: bytes) -> None:
        """A body that is one document: a whole response, an error, or a web page."""
        document = json_or_text(body)
        if isinstance(document, dict) and isinstance(document.get("output"), list):
            self._end(document, str(document.get("status") or "completed"))
        elif isinstance(document, dict) and not document.get("error") and document.get("object") != "error":
            self._error = RequestRefused(
                f"{self._source.provider} at {self._source.host} answered without an answer in it. Check the base URL "
                "and the model."
            )
        elif isinstance(document, str):
            self._error = not_an_answer(self._source, document)
        else:
            self._fail(document)

    def close(self) -> Iterator[ModelEvent]:
        """What ends the answer: the usage, and then its end or its error."""
        yield from self._arriving.flush()
        error = self._error or self._unfinished()
        calls = [(item.call, item.done) for item in self._items.values() if item.call is not None]
        if error is None:
            for call, done in calls:
                if not done:
                    self._close_call(call, cut_off=self._finish != "stop")
            yield from self._arriving.flush()
        if self._usage is not None:
            yield events.Usage(usage_of(self._usage))
        if error is not None:
            raise error
        finish = "tool_calls" if calls and self._finish == "stop" else self._finish
        yield events.MessageEnd(finish, self._id, f"{self._source.provider}:{self._model}")

    def _unfinished(self) -> ModelError | None:
        if self._said is not None:
            return refused_in_stream(self._source, self._said, begun=self._arriving.begun)
        if self._finish:
            return None
        return cut_off(self._source) if self._items else empty(self._source)


def _texts(parts: JSON, *names: str) -> list[str]:
    """The texts of these parts."""
    found = (
        part.get(name)
        for part in (parts if isinstance(parts, list) else ())
        if isinstance(part, dict)
        for name in names
    )
    return [text for text in found if isinstance(text, str) and text]
