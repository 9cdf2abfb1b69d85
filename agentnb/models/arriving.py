"""What reading an answer is in every dialect: fragments become events, calls get their ids, and it can fail midway."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from agentnb import events
from agentnb.errors import RequestRefused, StreamBroken
from agentnb.events import ModelEvent
from agentnb.messages import JSON, JSONObject, Message
from agentnb.models.openai_calls import ArrivingCall, ArrivingCalls
from agentnb.models.refusal import Source, words_of


class Arriving:
    """The events of an answer; adjacent fragments of one kind are joined into one event.

    `called` says whether a tool was called.
    """

    def __init__(self, history: Sequence[Message]) -> None:
        self.called = False
        self._given = False
        self._out: list[ModelEvent] = []
        self._pieces: list[str] = []
        self._thinks = False
        self._ids = ArrivingCalls(history)

    def text(self, piece: str) -> None:
        """More of the answer."""
        if self._thinks:
            self._join()
            self._thinks = False
        self._pieces.append(piece)

    def think(self, piece: str) -> None:
        """More of the reasoning."""
        if not self._thinks:
            self._join()
            self._thinks = True
        self._pieces.append(piece)

    def add(self, event: ModelEvent) -> None:
        """An event of its own."""
        self._join()
        self._out.append(event)

    def call(self, name: str, arguments: JSON, *, server_id: str = "", extra: JSONObject | None = None) -> None:
        """A whole call; an id that is missing, or was used before, is replaced by a new one."""
        call_id = self._ids.announce(ArrivingCall(None, server_id))
        self.called = True
        self.add(events.ToolCallStart(call_id, name, extra or None))
        self._out += (events.ToolCallArgs(call_id, _json(arguments)), events.ToolCallEnd(call_id))

    def flush(self) -> list[ModelEvent]:
        """The events since the last time."""
        self._join()
        out, self._out = self._out, []
        self._given = self._given or bool(out)
        return out

    @property
    def begun(self) -> bool:
        """Whether there is anything of the answer so far."""
        return self._given or bool(self._out) or any(self._pieces)

    def _join(self) -> None:
        piece, self._pieces = "".join(self._pieces), []
        if piece:
            self._out.append(events.ThinkingDelta(piece) if self._thinks else events.TextDelta(piece))


def _json(arguments: JSON) -> str:
    if isinstance(arguments, str) and arguments:
        return arguments
    try:
        return orjson.dumps(arguments or {}).decode()
    except orjson.JSONEncodeError:
        # Nested beyond reason: no JSON, so that no tool runs with it and the model is told.
        return "(arguments that are nested too deeply)"


def cut_off(source: Source) -> StreamBroken:
    """The error for an answer without its end."""
    return StreamBroken(f"The answer of {_name(source)} was cut off half-way. Run again.", retryable=True)


def empty(source: Source) -> StreamBroken:
    """The error for an answer with nothing in it."""
    return StreamBroken(f"{_name(source)} sent an empty answer. Run again, or check the base URL.", retryable=True)


def not_an_answer(source: Source, said: str) -> RequestRefused:
    """The error for a body that no model wrote: a web page, a line of text, another API's document."""
    words = words_of(source, said)[:200] or "nothing"
    return RequestRefused(f"{_name(source)} did not answer as a model does, but with: {words}. Check the base URL.")


def _name(source: Source) -> str:
    return f"{source.provider} at {source.host}"
