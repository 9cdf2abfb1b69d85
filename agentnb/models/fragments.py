"""Fragments of an answer of OpenAI's kind as they arrive: adjacent ones of one kind are one event."""

from __future__ import annotations

from collections.abc import Sequence

from agentnb import events
from agentnb.events import ModelEvent
from agentnb.messages import Message
from agentnb.models.openai_calls import ArrivingCall, ArrivingCalls

#: The kinds of event that adjacent fragments are joined into; a call's fragments have the call as their kind.
TEXT, THINKING = "text", "thinking"


class Fragments:
    """What arrives of one answer; a dialect's reader continues it and knows what a chunk means."""

    def __init__(self, history: Sequence[Message]) -> None:
        self._out: list[ModelEvent] = []
        self._kind: str | ArrivingCall = TEXT
        self._pieces: list[str] = []
        self._calls = ArrivingCalls(history)
        self._given = False

    def _start(self, call: ArrivingCall) -> None:
        self._join()
        self._out.append(events.ToolCallStart(self._calls.announce(call), call.name, call.extra or None))
        self._add(call, "".join(call.arguments))

    def _add(self, kind: str | ArrivingCall, piece: str) -> None:
        if not piece:
            return
        if kind is not self._kind:
            self._join()
            self._kind = kind
        self._pieces.append(piece)

    def _join(self) -> None:
        piece, self._pieces = "".join(self._pieces), []
        if not piece:
            return
        match self._kind:
            case ArrivingCall(id=call_id):
                self._out.append(events.ToolCallArgs(call_id, piece))
            case kind:
                self._out.append(events.TextDelta(piece) if kind is TEXT else events.ThinkingDelta(piece))

    def _flush(self) -> list[ModelEvent]:
        self._join()
        out, self._out = self._out, []
        self._given = self._given or bool(out)
        return out
