from __future__ import annotations

import itertools
import json

import pytest
from inline_snapshot import snapshot
from jsonschema import Draft202012Validator

from agentnb import events
from agentnb.events import ModelEvent, TextDelta, ToolCallArgs, ToolCallEnd, ToolCallStart
from agentnb.messages import JSON, JSONObject, ToolSpec
from agentnb.models.decision import DecisionParser, grammar_schema, union_schema

ADD = ToolSpec(
    "add",
    "Add two numbers.",
    {
        "type": "object",
        "title": "add",
        "properties": {"x": {"type": "integer", "title": "X"}, "y": {"type": "integer", "default": 1}},
        "required": ["x"],
    },
)
NOW = ToolSpec("now", "The time.", {"type": "object"})

REPLIES = [
    "",
    "plain",
    'quotes " and \\ and / and {braces} and [brackets]',
    "two\nlines\tand a bell \b\f\r",
    "Grüße, 世界, 🐧🐧 and \u2028",
    '{"tool": "add", "arguments": {}}',
]
ARGUMENTS: list[JSONObject] = [
    {},
    {"x": 1},
    {"text": 'a } and a { and \\ and \\" and \\\\', "deep": {"list": [[1], {"a": {"b": []}}], "none": None}},
    {"emoji": "🐧", "nested": [{"]": "["}, "}"]},
]


def _splits(text: str) -> list[list[str]]:
    """The text whole, character by character, and cut in two at every place."""
    halves = [[text[:at], text[at:]] for at in range(1, len(text))]
    return [[text], list(text), *halves]


def _parse(pieces: list[str]) -> tuple[DecisionParser, list[ModelEvent]]:
    parser = DecisionParser("c1")
    return parser, list(itertools.chain.from_iterable(parser.feed(piece) for piece in pieces))


def _reply(got: list[ModelEvent]) -> str:
    assert all(isinstance(event, TextDelta) and event.text for event in got)
    return "".join(event.text for event in got if isinstance(event, TextDelta))


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("text", REPLIES)
def test_a_reply_is_the_same_however_it_is_cut(text: str, ascii_only: bool) -> None:
    for pieces in _splits(json.dumps({"reply": text}, ensure_ascii=ascii_only)):
        parser, got = _parse(pieces)
        assert _reply(got) == text
        assert parser.kind == "reply"


@pytest.mark.parametrize("spaces", [(",", ":"), (" ,\n ", " : ")])
@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_a_call_is_the_same_however_it_is_cut(arguments: JSONObject, spaces: tuple[str, str]) -> None:
    written = json.dumps(arguments)
    for pieces in _splits(json.dumps({"tool": "add", "arguments": arguments}, separators=spaces) + " \n"):
        parser, got = _parse(pieces)
        assert got[0] == ToolCallStart("c1", "add")
        assert got[-1] == ToolCallEnd("c1")
        fragments = [event for event in got[1:-1] if isinstance(event, ToolCallArgs) and event.delta]
        assert len(fragments) == len(got) - 2 > 0
        assert json.loads("".join(event.delta for event in fragments)) == json.loads(written)
        assert parser.kind == "tool"


def test_a_reply_streams_as_it_is_written() -> None:
    parser = DecisionParser("c1")
    assert list(parser.feed('{"reply": "Hel')) == [TextDelta("Hel")]
    assert list(parser.feed("lo \\ud83d")) == [TextDelta("lo ")]
    assert list(parser.feed("\\udc27\\")) == [TextDelta("🐧")]
    assert list(parser.feed("n")) == [TextDelta("\n")]
    assert list(parser.feed('"}')) == []


def test_arguments_stream_as_they_are_written() -> None:
    parser = DecisionParser("c1")
    assert list(parser.feed('{"tool": "add", "argu')) == []
    assert list(parser.feed('ments": ')) == []
    assert list(parser.feed('{"x"')) == [ToolCallStart("c1", "add"), ToolCallArgs("c1", '{"x"')]
    assert list(parser.feed(": 1}}")) == [ToolCallArgs("c1", ": 1}"), ToolCallEnd("c1")]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (r"\ud83d!", "\ufffd!"),
        (r"\ud83d\n", "\ufffd\n"),
        (r"\ud83d\u0041", "\ufffdA"),
        (r"\ud83d\ud83d\udc27", "\ufffd🐧"),
        (r"\udc27 alone", "\ufffd alone"),
        (r"ends with \ud83d", "ends with \ufffd"),
    ],
)
def test_half_a_surrogate_pair_becomes_a_mark_that_can_be_encoded(raw: str, text: str) -> None:
    for pieces in _splits(f'{{"reply": "{raw}"}}'):
        got = _reply(_parse(pieces)[1])
        assert got == text
        assert got.encode()


@pytest.mark.parametrize("decision", ['{"reply": "done"}', '{"tool": "now", "arguments": {}}'])
def test_what_follows_a_decision_is_ignored(decision: str) -> None:
    for pieces in _splits(decision):
        assert _parse([*pieces, ' and {"reply": "more"', '"}}'])[1] == _parse(pieces)[1]


def test_a_decision_that_was_cut_off_keeps_what_is_certain() -> None:
    assert _reply(_parse(['{"reply": "half \\u00'])[1]) == "half "
    got = _parse(['{"tool": "add", "arguments": {"x": '])[1]
    assert not any(isinstance(event, events.ToolCallEnd) for event in got)
    assert _parse(['{"tool": "ad'])[1] == []


def test_the_schema_of_a_decision_is_one_of_the_tools_or_a_reply() -> None:
    assert union_schema([ADD, NOW]) == snapshot(
        {
            "anyOf": [
                {
                    "type": "object",
                    "properties": {
                        "tool": {"const": "add"},
                        "arguments": {
                            "type": "object",
                            "required": ["x"],
                            "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}},
                            "additionalProperties": False,
                        },
                    },
                    "required": ["tool", "arguments"],
                    "additionalProperties": False,
                },
                {
                    "type": "object",
                    "properties": {
                        "tool": {"const": "now"},
                        "arguments": {
                            "type": "object",
                            "properties": {},
                            "required": [],
                            "additionalProperties": False,
                        },
                    },
                    "required": ["tool", "arguments"],
                    "additionalProperties": False,
                },
                {
                    "type": "object",
                    "properties": {"reply": {"type": "string"}},
                    "required": ["reply"],
                    "additionalProperties": False,
                },
            ]
        }
    )


def test_a_single_choice_needs_no_union() -> None:
    schema = union_schema([NOW], reply=False)
    assert "anyOf" not in schema
    assert schema["required"] == ["tool", "arguments"]


@pytest.mark.parametrize(
    ("decision", "fits"),
    [
        ({"reply": "hi"}, True),
        ({"tool": "add", "arguments": {"x": 1}}, True),
        ({"tool": "add", "arguments": {"x": 1, "y": 2}}, True),
        ({"tool": "now", "arguments": {}}, True),
        ({"tool": "add", "arguments": {}}, False),
        ({"tool": "add", "arguments": {"x": 1, "z": 2}}, False),
        ({"tool": "now", "arguments": {"x": 1}}, False),
        ({"tool": "other", "arguments": {}}, False),
        ({"tool": "now", "arguments": {}, "reply": "hi"}, False),
    ],
)
def test_only_decisions_fit_the_schema(decision: JSON, fits: bool) -> None:
    assert Draft202012Validator(union_schema([ADD, NOW])).is_valid(decision) is fits


def test_references_are_put_in_their_place() -> None:
    schema: JSONObject = {
        "type": "object",
        "properties": {"who": {"$ref": "#/$defs/Person", "description": "whom"}, "old": {"$ref": "#/definitions/Age"}},
        "required": ["who"],
        "$defs": {
            "Person": {"type": "object", "properties": {"age": {"$ref": "#/definitions/Age"}}, "title": "Person"},
        },
        "definitions": {"Age": {"type": "integer", "minimum": 0, "format": "int32"}},
    }
    assert grammar_schema(schema) == snapshot(
        {
            "type": "object",
            "required": ["who"],
            "properties": {
                "who": {
                    "type": "object",
                    "properties": {"age": {"type": "integer", "minimum": 0}},
                    "additionalProperties": False,
                },
                "old": {"type": "integer", "minimum": 0},
            },
            "additionalProperties": False,
        }
    )


def test_a_schema_that_contains_itself_is_cut_off() -> None:
    node: JSONObject = {
        "type": "object",
        "properties": {"value": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
        "required": ["value"],
    }
    schema: JSONObject = {
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/Node"}, "me": {"$ref": "#"}, "gone": {"$ref": "#/$defs/Gone"}},
        "$defs": {"Node": node},
    }
    assert grammar_schema(schema) == snapshot(
        {
            "type": "object",
            "properties": {
                "root": {
                    "type": "object",
                    "required": ["value"],
                    "properties": {"value": {"type": "integer"}, "children": {"type": "array", "items": {}}},
                    "additionalProperties": False,
                },
                "me": {},
                "gone": {},
            },
            "additionalProperties": False,
        }
    )


def test_what_is_allowed_is_kept_and_what_merely_describes_is_dropped() -> None:
    schema: JSONObject = {
        "type": "object",
        "properties": {
            "title": {"type": "string", "title": "Title", "pattern": "^a", "examples": ["ab"], "x-vendor": 1},
            "kind": {"oneOf": [{"const": "a", "title": "A"}, {"enum": ["b", "c"]}]},
            "point": {"type": "array", "prefixItems": [{"type": "number", "title": "X"}], "maxItems": 1},
            "table": {"type": "object", "additionalProperties": {"type": "string", "title": "Cell"}},
            "fixed": {"const": {"title": "kept"}},
            "one_of": {"enum": [{"title": "kept"}, None]},
        },
        "required": ["title"],
    }
    assert grammar_schema(schema) == snapshot(
        {
            "type": "object",
            "required": ["title"],
            "properties": {
                "title": {"type": "string", "pattern": "^a"},
                "kind": {"anyOf": [{"const": "a"}, {"enum": ["b", "c"]}]},
                "point": {"type": "array", "prefixItems": [{"type": "number"}], "maxItems": 1},
                "table": {"type": "object", "additionalProperties": {"type": "string"}},
                "fixed": {"const": {"title": "kept"}},
                "one_of": {"enum": [{"title": "kept"}, None]},
            },
            "additionalProperties": False,
        }
    )


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"type": "object", "properties": {}}])
def test_a_tool_without_parameters_takes_an_empty_object(schema: JSONObject) -> None:
    assert grammar_schema(schema) == {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }


def test_a_choice_of_whole_arguments_stays_a_choice() -> None:
    both: JSONObject = {
        "type": "object",
        "anyOf": [{"type": "object", "properties": {"a": {"type": "null"}}}, {"$ref": "#/$defs/B"}],
        "$defs": {"B": {"type": "object", "properties": {"b": {"type": "null"}}}},
    }
    simple = grammar_schema(both)
    assert "properties" not in simple
    assert [list(choice["properties"]) for choice in simple["anyOf"]] == [["a"], ["b"]]
