"""The content blocks of an answer in Anthropic's Messages, put together from their deltas."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from agentnb import messages
from agentnb.messages import JSON, JSONObject

#: The delta that a kind of block grows by, and the field that holds the piece; the others grow by pieces of JSON.
_GROWTH = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking")}
_OF_JSON = ("input_json_delta", "partial_json")
_OF_CALL = {"type", "id", "name", "input"}


class ArrivingBlock:
    """A block that arrives: it grows by deltas of type `delta`, whose piece is in `field`; other deltas are folded in.

    `given` are its pieces so far, `call_id` what a tool call is known by.
    """

    __slots__ = ("_fields", "_folded", "call_id", "delta", "field", "given", "index", "kind")

    def __init__(self, index: int, start: Mapping[str, JSON]) -> None:
        self.index = index
        self.kind = str(start.get("type"))
        self.delta, self.field = _GROWTH.get(self.kind, _OF_JSON)
        self.call_id = ""
        self.given: list[str] = []
        self._fields: JSONObject = {**start}
        self._folded: dict[str, list[str]] = {}

    @property
    def first(self) -> str:
        """The piece that its start brought already."""
        piece = self._fields.get(self.field)
        return piece if isinstance(piece, str) else ""

    @property
    def name(self) -> str:
        """Of a tool call, the tool."""
        name = self._fields.get("name")
        return name if isinstance(name, str) else ""

    @property
    def signature(self) -> str:
        """Of a thought, what proves that it was not changed."""
        signature = self._fields.get("signature")
        return signature if isinstance(signature, str) else ""

    @property
    def citations(self) -> JSON:
        """Of a text, where it is from."""
        return self._fields.get("citations")

    @property
    def extra(self) -> JSONObject:
        """Of a tool call, what has no place in ours."""
        return {key: value for key, value in self._fields.items() if key not in _OF_CALL}

    @property
    def arguments(self) -> str:
        """Of a tool call, its arguments as they came in pieces; empty when none came."""
        return "".join(self.given).strip()

    @property
    def input(self) -> str:
        """Of a tool call, the arguments that its start brought."""
        return orjson.dumps(self._fields.get("input") or {}).decode()

    def fold(self, delta: Mapping[str, JSON]) -> None:
        """Take in a delta of another type: strings grow, lists of citations too, anything else is set."""
        for key, value in delta.items():
            known = self._fields.get(key)
            match key, value:
                case ("type", _) | (_, None):
                    continue
                case "citation", _:
                    cited = self._fields.get("citations")
                    self._fields["citations"] = [*cited, value] if isinstance(cited, list) else [value]
                case _, str() if key != "signature" and (known is None or isinstance(known, str)):
                    self._folded.setdefault(key, []).append(value)
                case _:
                    self._fields[key] = value

    def whole(self) -> JSONObject:
        """The block as it would have come in one piece."""
        out = {**self._fields}
        text = "".join(self.given)
        if self.kind in _GROWTH:
            out[self.field] = text
        elif (value := parsed(text)) is not None:
            out["input"] = value
        for key, pieces in self._folded.items():
            out[key] = str(out.get(key) or "") + "".join(pieces)
        return out


def parsed(text: str) -> JSON:
    """The JSON value of a text; None where it is none."""
    try:
        value: JSON = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value


def usage_of(usage: Mapping[str, JSON]) -> messages.Usage:
    """The tokens of a `usage` object: its input leaves out what the cache read and wrote."""

    def count(value: JSON) -> int:
        return value if isinstance(value, int) else 0

    details = usage.get("output_tokens_details")
    cached, written = count(usage.get("cache_read_input_tokens")), count(usage.get("cache_creation_input_tokens"))
    return messages.Usage(
        input=count(usage.get("input_tokens")) + cached + written,
        output=count(usage.get("output_tokens")),
        cached=cached,
        reasoning=count(details.get("thinking_tokens")) if isinstance(details, dict) else 0,
        written=written,
    )
