from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from agentnb.messages import JSON, JSONObject, ToolSpec
from agentnb.models.decision import grammar_schema
from agentnb.models.examples import example_arguments, example_turns, example_value, first_sentence, shape, signature

PAINT = ToolSpec(
    "paint",
    "Paint a wall.\nWith a brush.",
    {
        "type": "object",
        "properties": {
            "color": {"$ref": "#/$defs/Color", "description": "Of the paint.\nAny."},
            "coats": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
            "rooms": {"type": "array", "items": {"type": "string"}},
            "exact": {"const": True},
            "anything": {},
        },
        "required": ["color", "rooms"],
        "$defs": {"Color": {"enum": ["red", "blue"], "title": "Color"}},
    },
)
NOW = ToolSpec("what_time", "", {"type": "object"})


def _known(*tools: ToolSpec) -> list[tuple[ToolSpec, JSONObject]]:
    return [(tool, grammar_schema(tool.parameters)) for tool in tools]


def test_a_signature_names_kinds_choices_options_and_notes() -> None:
    assert signature(PAINT, grammar_schema(PAINT.parameters)) == (
        'paint(color: "red"|"blue" (Of the paint), coats?: integer|null, rooms: list of string, exact?: true, '
        "anything?: any): Paint a wall"
    )


def test_a_tool_without_words_has_a_signature_too() -> None:
    assert signature(NOW, grammar_schema(NOW.parameters)) == "what_time(): "


def test_the_first_sentence_is_the_first_line_without_its_stop() -> None:
    assert first_sentence("  Count.\n\nMore. ") == "Count"
    assert first_sentence("") == ""


def test_each_tool_has_one_example_with_the_arguments_it_needs() -> None:
    assert example_turns(_known(PAINT, NOW)) == [
        (
            'Paint a wall: color red, rooms ["example"]',
            {"tool": "paint", "arguments": {"color": "red", "rooms": ["example"]}},
        ),
        ("what time", {"tool": "what_time", "arguments": {}}),
    ]


def test_many_tools_do_not_fill_the_prompt_with_examples() -> None:
    assert len(example_turns(_known(*[NOW] * 9))) == 4
    assert len(example_turns(_known(*[NOW] * 9), most=2)) == 2


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "integer"},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "null"},
        {"type": ["string", "null"]},
        {"type": "string", "minLength": 12},
        {"type": "string", "maxLength": 4},
        {"type": "integer", "minimum": 10},
        {"type": "integer", "minimum": 0, "maximum": 1},
        {"type": "integer", "maximum": -5},
        {"type": "integer", "exclusiveMinimum": 9},
        {"type": "integer", "exclusiveMaximum": 0},
        {"type": "integer", "minimum": 3.5},
        {"type": "number", "minimum": 10},
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"type": "array", "items": {"type": "integer"}},
        {"type": "array", "items": {"type": "integer"}, "minItems": 3},
        {"type": "array", "items": {"type": "integer"}, "maxItems": 0},
        {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2},
        {"type": "object", "properties": {"a": {"enum": [3]}, "b": {"type": "null"}}, "required": ["a"]},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"const": {"a": [1]}},
        {"enum": ["b", "a"]},
        {"anyOf": [{"type": "integer", "minimum": 7}, {"type": "null"}]},
        {"allOf": [{"type": "string"}]},
        {},
    ],
)
def test_an_example_fits_its_schema(schema: JSONObject) -> None:
    value = example_value(schema)
    assert Draft202012Validator(schema).is_valid(value), value


def test_optional_arguments_are_left_out() -> None:
    schema: JSONObject = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
    assert example_arguments({**schema, "required": ["b"]}) == {"b": 3}
    assert example_arguments(schema) == {}


@pytest.mark.parametrize("schema", [True, None, 3])
def test_what_is_no_schema_has_an_empty_example(schema: JSON) -> None:
    assert example_value(schema) is None


def test_a_shape_has_a_placeholder_for_every_value() -> None:
    schema: JSONObject = {
        "properties": {
            "name": {"type": "string"},
            "age": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "mood": {"enum": ["good", "bad"]},
            "tags": {"type": "array", "items": {"type": "string", "description": "a word"}},
            "rest": {},
        }
    }
    assert shape(schema) == {
        "name": "<name: string>",
        "age": "<age: integer>",
        "mood": "good or bad",
        "tags": ["<string: a word>", "…"],
        "rest": "<rest>",
    }


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({"type": "string", "examples": ["Gentoo", "Adelie"]}, "Gentoo"),
        (
            {"type": "string", "description": "IANA name (e.g., 'America/New_York', 'Europe/London')."},
            "America/New_York",
        ),
        ({"type": "string", "description": "A path, for example `data/a.csv`"}, "data/a.csv"),
        ({"type": "string", "description": "Anything, e.g. this"}, "example"),
        ({"type": "integer", "description": "A number, e.g. '7'"}, 3),
        ({"type": "integer", "examples": [1970]}, 1970),
        ({"type": "integer", "examples": ["many"]}, 3),
        ({"enum": ["a", "b"], "examples": ["c"]}, "a"),
    ],
)
def test_an_example_that_the_tool_itself_gives_is_the_best(schema: JSONObject, example: JSON) -> None:
    tool = ToolSpec("f", "Do it.", {"type": "object", "properties": {"x": schema}, "required": ["x"]})
    [(_, decision)] = example_turns(_known(tool))
    assert decision["arguments"] == {"x": example}
