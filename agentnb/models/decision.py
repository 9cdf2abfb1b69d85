"""One JSON object is how a small model decides: a tool with its arguments, or a reply; its schema and its parser.

Small models cannot be trusted to follow a tool-call syntax, but llama.cpp can hold them to a JSON Schema.
The object is read as it is written, so that a reply streams like any other answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from agentnb.events import ModelEvent, TextDelta, ToolCallArgs, ToolCallEnd, ToolCallStart
from agentnb.messages import JSON, JSONObject, ToolSpec

#: What the grammar compiler understands in a schema; anything else (titles, formats, vendor words) is dropped.
_KEYWORDS = frozenset(
    [
        *("type", "enum", "const", "anyOf", "allOf", "items", "prefixItems", "required", "additionalProperties"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        *("minItems", "maxItems", "minLength", "maxLength", "pattern"),
    ]
)
_HEAD = re.compile(r'\s*\{\s*(?:"reply"\s*:\s*"|"tool"\s*:\s*"([^"\\]*)"\s*,\s*"arguments"\s*:\s*(?=\{))')
#: The longest run of a JSON string that no later character can change: an escape is held until it is whole,
#: the first half of a surrogate pair until its second half (or something else) has come.
_SETTLED = re.compile(
    r'(?:[^"\\]|\\["\\/bfnrt]|\\u(?![dD][89abAB])[0-9a-fA-F]{4}|\\u[dD][89abAB][0-9a-fA-F]{2}'
    r"(?:\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?=[^\\]|\\[^u]|\\u(?![dD][c-fC-F])[0-9a-fA-F]{4})))*"
)


def union_schema(tools: Sequence[ToolSpec], *, reply: bool = True) -> JSONObject:
    """The schema of one decision: `{"tool": NAME, "arguments": …}` for each tool, and `{"reply": TEXT}`."""
    choices: list[JSON] = [
        _closed({"tool": {"const": tool.name}, "arguments": grammar_schema(tool.parameters)}) for tool in tools
    ]
    if reply:
        choices.append(_closed({"reply": {"type": "string"}}))
    return {"anyOf": choices} if len(choices) > 1 else _object(choices[0])


def grammar_schema(schema: Mapping[str, JSON]) -> JSONObject:
    """A tool's schema with every `$ref` put in its place and only the keywords that shape a grammar.

    A schema that contains itself is cut off at its first repetition, where any JSON value is allowed.
    """
    definitions = {**_object(schema.get("definitions")), **_object(schema.get("$defs"))}
    simple = _simplify(schema, definitions, ())
    return simple if simple.keys() & {"properties", "anyOf", "allOf"} else _closed({})


class DecisionParser:
    """Turns the text of one decision, piece by piece, into events."""

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self.kind: str | None = None
        self._held = ""
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._done = False

    def feed(self, piece: str) -> Iterator[ModelEvent]:
        """The events that `piece` completes; text after the decision's end is ignored."""
        self._held += piece
        if self.kind is None:
            head = _HEAD.match(self._held)
            if head is None:
                return
            self._held = self._held[head.end() :]
            self.kind = "reply" if head[1] is None else "tool"
            if head[1] is not None:
                yield ToolCallStart(self.call_id, head[1])
        if self._done:
            return
        yield from self._reply() if self.kind == "reply" else self._arguments()

    def _reply(self) -> Iterator[ModelEvent]:
        settled = _SETTLED.match(self._held)
        end = settled.end() if settled else 0
        text = _unescape(self._held[:end])
        self._held = self._held[end:]
        self._done = self._held.startswith('"')
        if text:
            yield TextDelta(text)

    def _arguments(self) -> Iterator[ModelEvent]:
        text, self._held = self._held, ""
        end = self._closing_brace(text)
        if delta := text[:end]:
            yield ToolCallArgs(self.call_id, delta)
        if end is not None:
            self._done = True
            yield ToolCallEnd(self.call_id)

    def _closing_brace(self, text: str) -> int | None:
        """Where the arguments' object ends in `text`, if it does."""
        for index, char in enumerate(text):
            if self._in_string:
                self._in_string = self._escaped or char != '"'
                self._escaped = char == "\\" and not self._escaped
            elif char == '"':
                self._in_string = True
            else:
                self._depth += (char in "{[") - (char in "}]")
                if self._depth == 0:
                    return index + 1
        return None


def _unescape(raw: str) -> str:
    """The characters of a JSON string's inside; half a surrogate pair becomes U+FFFD, which UTF-8 can carry."""
    text: str = json.loads(f'"{raw}"', strict=False)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _closed(properties: JSONObject) -> JSONObject:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _object(value: JSON) -> JSONObject:
    return value if isinstance(value, dict) else {}


def _simplify(schema: Mapping[str, JSON], definitions: JSONObject, seen: tuple[str, ...]) -> JSONObject:
    reference = schema.get("$ref")
    if isinstance(reference, str):
        name = reference.rsplit("/", 1)[-1]
        if name in seen or name not in definitions:
            return {}
        return _simplify(_object(definitions[name]), definitions, (*seen, name))
    simple = {
        key: value if key in ("const", "enum") else _part(value, definitions, seen)
        for key, value in schema.items()
        if key in _KEYWORDS
    }
    if isinstance(choices := schema.get("oneOf"), list):
        simple["anyOf"] = _part(choices, definitions, seen)
    if properties := _object(schema.get("properties")):
        simple["properties"] = {key: _part(value, definitions, seen) for key, value in properties.items()}
        simple.setdefault("additionalProperties", False)
    return simple


def _part(value: JSON, definitions: JSONObject, seen: tuple[str, ...]) -> JSON:
    """A keyword's value: schemas within it are simplified, plain values (names, numbers) stay."""
    if isinstance(value, dict):
        return _simplify(value, definitions, seen)
    if isinstance(value, list):
        return [_part(item, definitions, seen) if isinstance(item, dict) else item for item in value]
    return value
