"""What a model is told of the arguments, from schemas of every version."""

from __future__ import annotations

import json
from typing import Any

import anyio
import jsonschema
import pytest

from agentnb.errors import ToolError
from agentnb.openapi.documents import Documents
from agentnb.openapi.refs import References
from agentnb.openapi.schemas import expanded
from agentnb.openapi.shape import Node
from tests.openapi.calls import one, operation, schema, shown

pytestmark = pytest.mark.anyio


def _expanded(written: Any, **schemas: Any) -> Any:
    return expanded(References(Documents("", {"": {"components": {"schemas": schemas}}})), Node(written))


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        (
            {"type": "string", "nullable": True, "enum": ["a"]},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        (
            {"allOf": [{"type": "string"}], "nullable": True},
            {"anyOf": [{"allOf": [{"type": "string"}]}, {"type": "null"}]},
        ),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, {"type": "integer", "exclusiveMinimum": 1}),
        ({"type": "integer", "maximum": 1, "exclusiveMaximum": False}, {"type": "integer", "maximum": 1}),
        ({"type": "string", "example": "x", "xml": {}, "x-a": 1}, {"type": "string", "examples": ["x"]}),
    ],
)
def test_what_3_0_says_in_its_own_words_is_said_in_those_of_json_schema(written: Any, made: Any) -> None:
    assert _expanded(written) == made


def test_what_3_1_says_stays() -> None:
    written = {"type": ["string", "null"], "const": "a", "exclusiveMinimum": 3, "examples": ["a"], "prefixItems": [{}]}
    assert _expanded(written) == written


def test_a_field_that_only_the_server_sets_is_not_asked_for() -> None:
    properties = {"id": {"type": "string", "readOnly": True}, "name": {"type": "string"}}
    made = _expanded({"type": "object", "required": ["id", "name"], "properties": properties})
    assert made == {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}


def test_fields_that_are_called_like_keywords_are_fields() -> None:
    properties = {"$ref": {"type": "string"}, "nullable": {"type": "boolean"}, "enum": {"type": "string"}}
    assert _expanded({"properties": properties}) == {"properties": properties}


def test_words_beside_a_reference_go_before_its_own() -> None:
    made = _expanded({**_ref("A"), "description": "mine"}, A={"type": "string", "description": "its"})
    assert made == {"type": "string", "description": "mine"}


def test_a_cycle_is_cut_where_it_repeats_itself() -> None:
    tree = {"type": "object", "properties": {"name": {"type": "string"}, "children": {"items": _ref("Tree")}}}
    made = _expanded(_ref("Tree"), Tree=tree)
    assert made["properties"] == {"name": {"type": "string"}, "children": {"items": {}}}


@pytest.mark.parametrize("loop", [{"A": _ref("A")}, {"A": _ref("B"), "B": _ref("A")}, {"A": {"allOf": [_ref("A")]}}])
def test_references_that_only_lead_to_each_other_allow_anything(loop: Any) -> None:
    assert _expanded(_ref("A"), **loop) in ({}, {"allOf": [{}]})


@pytest.mark.parametrize("ref", ["#/components/schemas/Missing", "#anchor", "#/components/schemas/0", "#/a~2", "#//"])
def test_a_reference_that_leads_nowhere_allows_anything(ref: str) -> None:
    assert _expanded({"$ref": ref, "description": "d"}) == {"description": "d"}


def test_names_with_slashes_are_found() -> None:
    assert _expanded({"$ref": "#/components/schemas/a~1b~0c%20d"}, **{"a/b~c d": {"type": "null"}}) == {"type": "null"}


def test_schemas_that_double_at_each_level_stay_small() -> None:
    schemas: Any = {
        f"S{n}": {"type": "object", "properties": {"a": _ref(f"S{n + 1}"), "b": _ref(f"S{n + 1}")}} for n in range(35)
    }
    made = _expanded(_ref("S0"), **schemas, S35={"type": "string"})
    assert len(json.dumps(made)) < 100_000
    assert made["properties"]["b"]["properties"]["a"]["properties"]["b"]["type"] == "object"


def test_a_hundred_thousand_fields_are_cut() -> None:
    made = _expanded({"properties": {f"f{n}": {"description": "d" * 500} for n in range(100_000)}})
    assert len(made["properties"]) == 1_000
    assert sum(len(each.get("description", "")) for each in made["properties"].values()) == 100_000


def test_what_is_deep_is_cut() -> None:
    written: Any = {"type": "string"}
    for _ in range(190):
        written = {"items": written}
    assert json.dumps(_expanded(written)).count("items") == 61


_WORDS = [
    *("type", "enum", "const", "default", "properties", "required", "items", "additionalProperties", "allOf", "anyOf"),
    *("not", "minimum", "maxLength", "multipleOf", "exclusiveMinimum", "pattern", "nullable", "description", "example"),
    *("examples", "prefixItems", "uniqueItems"),
]


@pytest.mark.parametrize("nonsense", [7, "x", None, [], {"a": []}, [7], {"$ref": {}}, True])
def test_nonsense_makes_no_invalid_schema(nonsense: Any) -> None:
    made = _expanded(dict.fromkeys(_WORDS, nonsense))
    jsonschema.Draft202012Validator.check_schema(made)
    json.dumps(made)


def test_long_values_are_no_examples() -> None:
    assert _expanded({"example": "x" * 2_000, "default": ["y"] * 900, "enum": [*range(5_000)]}) == {}


async def test_a_pattern_that_takes_for_ever_is_told_but_not_tried() -> None:
    tool = await one(operation({"name": "q", "in": "query", "schema": {"type": "string", "pattern": "(a+)+$"}}))
    assert schema(tool)["properties"]["q"]["pattern"] == "(a+)+$"
    with anyio.fail_after(2):
        await shown(tool, q="a" * 40 + "!")


async def test_patterns_of_names_do_not_forbid_what_they_may_allow() -> None:
    written = {"type": "object", "patternProperties": {"(a+)+$": {}}, "additionalProperties": False}
    tool = await one(operation(requestBody={"content": {"application/json": {"schema": written}}}))
    assert "{'aaa': 1}" in await shown(tool, body={"aaa": 1})


async def test_a_long_value_is_not_repeated_in_its_error() -> None:
    tool = await one(operation({"name": "q", "in": "query", "schema": {"type": "integer"}}))
    with pytest.raises(ToolError) as raised:
        await shown(tool, q="x" * 100_000)
    assert len(str(raised.value)) < 500
