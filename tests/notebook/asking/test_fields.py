"""A JSON Schema as a form: kinds, what is required, what a person's words mean."""

from __future__ import annotations

import pytest

from agentnb.messages import JSON, JSONObject
from agentnb.notebook.asking.fields import Field, Kind, Option, read_fields


def one(schema: JSON, **more: JSON) -> Field:
    """The only field of an object."""
    (field,) = read_fields({"type": "object", "properties": {"it": schema}, **more})
    return field


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string"}, "text"),
        ({"type": "string", "format": "multiline"}, "multiline"),
        ({"type": "string", "format": "password"}, "secret"),
        ({"type": "integer"}, "integer"),
        ({"type": "number"}, "number"),
        ({"type": "boolean"}, "boolean"),
        ({"enum": [1, 2]}, "choice"),
        ({"oneOf": [{"const": "a", "title": "A"}]}, "choice"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, "several"),
        ({"type": "array", "items": {"type": "string"}}, "json"),
        ({"type": "object"}, "json"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "integer"),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "json"),
        ({"$ref": "#/$defs/Size"}, "choice"),
        ({"$ref": "#/$defs/Circle"}, "json"),
        ({"$ref": "elsewhere.json"}, "json"),
        (True, "json"),
    ],
)
def test_a_schema_has_a_kind_of_field(schema: JSON, kind: Kind) -> None:
    defs: JSONObject = {"Size": {"enum": ["s", "l"]}, "Circle": {"$ref": "#/$defs/Circle"}}
    assert one(schema, **{"$defs": defs}).kind == kind


def test_fields_know_what_is_required_and_where_they_begin() -> None:
    schema: JSONObject = {
        "properties": {"n": {"type": "integer", "default": 3, "minimum": 1, "description": "How many."}, "x": {}},
        "required": ["x"],
    }
    n, x = read_fields(schema)
    assert (n.required, n.has_default, n.default, n.least, n.description) == (False, True, 3, 1.0, "How many.")
    assert (x.required, x.has_default) == (True, False)


def test_a_value_that_is_long_or_no_text_gets_room() -> None:
    schema: JSONObject = {"properties": {"words": {"type": "string"}}}
    assert read_fields(schema, {"words": "one\ntwo"})[0].kind == "multiline"
    assert read_fields(schema, {"words": ["not", "a", "text"]})[0].kind == "json"


def test_labels_are_names_unless_a_title_says_more() -> None:
    assert one({"title": "It"}).label == "it"
    assert one({"title": "How it goes"}).label == "How it goes"


def test_named_values_are_offered_by_their_names() -> None:
    field = one({"enum": [1, 2], "enumNames": ["one", "two"]})
    assert field.options == (Option(1, "one"), Option(2, "two"))
    assert field.read("two") == 2


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "string"}, " as it is ", " as it is "),
        ({"type": "string"}, '""', ""),
        ({"type": "string", "format": "multiline"}, '"two\\nlines"', "two\nlines"),
        ({"type": "string", "format": "multiline"}, '"she" said', '"she" said'),
        ({"type": "integer"}, " 12 ", 12),
        ({"type": "integer"}, "123456789012345678901", 123456789012345678901),
        ({"type": "number"}, "1e3", 1000.0),
        ({"type": "boolean"}, "Yes", True),
        ({"type": "boolean"}, "0", False),
        ({"enum": ["a", 1]}, "1", 1),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, "b, a", ["b", "a"]),
        ({"type": "object"}, '{"a": [1]}', {"a": [1]}),
    ],
)
def test_words_become_values(schema: JSON, text: str, value: JSON) -> None:
    assert one(schema).read(text) == value


@pytest.mark.parametrize(
    ("schema", "text", "complaint"),
    [
        ({"type": "integer"}, "1.5", "it is a whole number, not '1.5'."),
        ({"type": "number"}, "nan", "it is a number, not 'nan'."),
        ({"type": "integer", "minimum": 1}, "0", "it is at least 1."),
        ({"type": "number", "maximum": 2.5}, "3", "it is at most 2.5."),
        ({"type": "boolean"}, "maybe", "yes or no, not 'maybe'."),
        ({"enum": ["a", "b"]}, "c", "it is one of a, b."),
        ({"type": "array"}, "{}", "it is a JSON list: […]."),
        ({"type": "object"}, "[]", "it is a JSON object: {…}."),
        ({"type": "object"}, "{", "it is not valid JSON"),
    ],
)
def test_words_that_mean_nothing_are_refused_with_what_would(schema: JSON, text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=r"^it|^yes") as refused:
        one(schema).read(text)
    assert str(refused.value).startswith(complaint)


def test_a_bound_that_no_number_reaches_is_none() -> None:
    schema: JSONObject = {"properties": {"n": {"type": "integer", "minimum": 10**400, "maximum": 2}}}
    [field] = read_fields(schema)
    assert (field.least, field.most) == (None, 2.0)


def test_no_schema_is_no_form() -> None:
    assert read_fields(None) == ()
    assert read_fields({"type": "object"}) == ()
