from __future__ import annotations

from typing import Any

import pytest
from inline_snapshot import snapshot

from agentnb.messages import JSONObject
from agentnb.models.strict import strict_schema

CITY: JSONObject = {
    "type": "object",
    "title": "City",
    "properties": {
        "name": {"type": "string", "description": "What it is called.", "minLength": 1},
        "people": {"type": "integer", "minimum": 0, "default": 0},
        "mayor": {"anyOf": [{"$ref": "#/$defs/Person"}, {"type": "null"}], "default": None},
        "twin": {"$ref": "#/$defs/Person", "description": "Another's."},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
    },
    "required": ["name"],
    "$defs": {"Person": {"type": "object", "properties": {"name": {"const": "Ada", "type": "string"}}}},
}


def test_a_strict_schema_is_closed_and_says_the_rest_in_words() -> None:
    schema, strict = strict_schema(CITY)
    assert strict
    assert schema == snapshot(
        {
            "type": "object",
            "title": "City",
            "$defs": {
                "Person": {
                    "type": "object",
                    "properties": {"name": {"type": "string", "const": "Ada"}},
                    "required": ["name"],
                    "additionalProperties": False,
                }
            },
            "properties": {
                "name": {"type": "string", "description": "What it is called. (minLength: 1)"},
                "people": {"type": "integer", "description": "(minimum: 0, default: 0)"},
                "mayor": {"anyOf": [{"$ref": "#/$defs/Person"}, {"type": "null"}]},
                "twin": {"anyOf": [{"$ref": "#/$defs/Person"}], "description": "Another's."},
                "tags": {"type": "array", "items": {"type": "string"}, "description": "(maxItems: 3)"},
            },
            "required": ["name", "people", "mayor", "twin", "tags"],
            "additionalProperties": False,
        }
    )


def test_the_schema_that_was_given_is_not_changed() -> None:
    before = repr(CITY)
    strict_schema(CITY)
    assert repr(CITY) == before


def test_a_model_that_holds_itself_gets_an_object_at_its_top() -> None:
    node: JSONObject = {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
    }
    schema, strict = strict_schema({"$defs": {"Node": node}, "$ref": "#/$defs/Node"})
    assert strict
    assert schema["type"] == "object"
    assert schema["$defs"]["Node"]["required"] == ["next"]  # type: ignore[index,call-overload]  # an object


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({"allOf": [{"type": "string"}], "title": "T"}, {"type": "string", "title": "T"}),
        (
            {"oneOf": [{"type": "string"}, {"type": "null"}], "discriminator": {}},
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
        ),
        (
            {"type": ["string", "null"], "format": "date"},
            {"type": ["string", "null"], "description": '(format: "date")'},
        ),
        ({"enum": ["a", "b"], "x-order": 1}, {"enum": ["a", "b"]}),
        (
            {"type": "object", "properties": {}, "additionalProperties": False},
            {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
        ),
    ],
)
def test_what_can_be_said_otherwise_is(given: Any, made: Any) -> None:
    schema, strict = strict_schema({"type": "object", "properties": {"x": given}})
    assert strict
    assert schema["properties"] == {"x": made}


@pytest.mark.parametrize(
    "loose",
    [
        {},
        True,
        None,
        {"type": "object"},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True},
        {"type": "array"},
        {"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "string"}},
        {"allOf": [{"type": "string"}, {"minLength": 1}]},
        {"type": "string", "not": {"const": "a"}},
        {"anyOf": [{"type": "string"}, {}]},
    ],
)
def test_what_strict_mode_cannot_say_is_left_as_it_is(loose: Any) -> None:
    given: JSONObject = {"type": "object", "properties": {"x": loose}}
    assert strict_schema(given) == (given, False)


@pytest.mark.parametrize("top", [{"type": "array", "items": {"type": "string"}}, {}, {"type": "object", "anyOf": []}])
def test_only_an_object_can_be_at_the_top(top: Any) -> None:
    assert strict_schema(top) == (top, False)


def test_a_schema_without_a_bottom_is_not_strict() -> None:
    deep: Any = {"type": "string"}
    for _ in range(5_000):
        deep = {"type": "array", "items": deep}
    assert strict_schema({"type": "object", "properties": {"x": deep}})[1] is False
