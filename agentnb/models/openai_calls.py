"""Which call a fragment belongs to: servers number, name and repeat tool calls in many ways."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import orjson

from agentnb.messages import JSON, JSONObject, Message, ToolCall

_KNOWN_KEYS = {"index", "id", "type", "function"}


class ArrivingCall:
    """A tool call that arrives; `id` is empty until it is announced."""

    __slots__ = ("arguments", "extra", "id", "index", "name", "server_id")

    def __init__(self, index: int | None, server_id: str) -> None:
        self.index = index
        self.server_id = server_id
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.extra: JSONObject = {}

    @property
    def complete(self) -> bool:
        """Whether the arguments so far are a whole JSON object."""
        try:
            return isinstance(orjson.loads("".join(self.arguments)), dict)
        except orjson.JSONDecodeError:
            return False


class ArrivingCalls:
    """The calls of one answer, in the order they began. Ids that `history` has already are never given again."""

    def __init__(self, history: Sequence[Message] = ()) -> None:
        self.calls: list[ArrivingCall] = []
        self._history = history
        self._used: set[str] | None = None

    def take(self, fragment: Mapping[str, JSON], position: int) -> tuple[ArrivingCall, str]:
        """The call that a fragment adds to, with its name set, and the piece of arguments it brings."""
        function = fragment.get("function")
        function = function if isinstance(function, dict) else {}
        name = function.get("name")
        name = name if isinstance(name, str) else ""
        index = fragment.get("index")
        call_id = fragment.get("id")
        call = self._which(
            index if isinstance(index, int) else None, str(call_id) if call_id else "", name, first=position == 0
        )
        # Some servers send the whole name again with every fragment.
        call.name = call.name or name
        call.extra.update((k, v) for k, v in fragment.items() if k not in _KNOWN_KEYS)
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            return call, orjson.dumps(arguments).decode()
        return call, arguments if isinstance(arguments, str) else ""

    def _which(self, index: int | None, server_id: str, name: str, *, first: bool) -> ArrivingCall:
        same_id = next((c for c in reversed(self.calls) if c.server_id == server_id), None) if server_id else None
        if index is None:
            if server_id:
                return same_id or self._new(None, server_id)
            last = self.calls[-1] if self.calls else None
            begins_another = last is None or (name and (not first or last.complete))
            return self._new(None, "") if last is None or begins_another else last
        if same_id is not None and same_id.index == index:
            return same_id
        numbered = next((c for c in reversed(self.calls) if c.index == index), None)
        # Several calls under one number: another id is another call.
        if numbered is None or (server_id and numbered.server_id):
            return self._new(index, server_id)
        return numbered

    def _new(self, index: int | None, server_id: str) -> ArrivingCall:
        self.calls.append(call := ArrivingCall(index, server_id))
        return call

    def announce(self, call: ArrivingCall) -> str:
        """Give the call its id: the server's own, or a new one where that is missing or was used before."""
        if self._used is None:
            self._used = set()
            for message in self._history:
                if message.role == "assistant":
                    self._used.update(b.id for b in message.content if isinstance(b, ToolCall))
        own = call.server_id
        call.id = own if own and own not in self._used else f"call_{random.getrandbits(96):024x}"
        self._used.add(call.id)
        return call.id
