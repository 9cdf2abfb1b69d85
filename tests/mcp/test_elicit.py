"""A server's form: what the person sees, and what the server gets."""

from __future__ import annotations

import mcp_types as types
import pytest

from agentnb.mcp.elicit import to_question, to_result
from agentnb.tools.base import Reply

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "Ada"},
        "age": {"type": "integer"},
        "score": {"type": "number"},
        "ok": {"type": "boolean", "default": False},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["age"],
}
FORM = types.ElicitRequestFormParams.model_validate({"message": "Well?", "requestedSchema": SCHEMA})


def content(values: dict[str, object] | None) -> object:
    reply = Reply("accept", values)  # type: ignore[arg-type]
    return to_result(FORM, reply).content


def test_the_form_is_the_servers_and_begins_with_its_defaults() -> None:
    question = to_question("shop", FORM)
    assert question is not None
    assert question.fields is not None
    assert question.fields["properties"] == SCHEMA["properties"]
    assert question.values == {"name": "Ada", "ok": False}
    assert [(choice.id, choice.fields) for choice in question.choices] == [("accept", True), ("decline", False)]


def test_what_is_left_out_is_what_the_server_would_begin_with() -> None:
    assert content(None) == {"name": "Ada", "ok": False}
    assert content({"age": 3, "ok": True}) == {"name": "Ada", "age": 3, "ok": True}


def test_words_become_what_the_field_wants() -> None:
    given = {"name": "", "age": "36", "score": "1.5", "ok": "yes", "tags": "a, b"}
    assert content(given) == {"name": "", "age": 36, "score": 1.5, "ok": True, "tags": ["a", "b"]}
    assert content({"age": "old", "name": "x", "ok": False}) == {"age": "old", "name": "x", "ok": False}


def test_empty_fields_and_others_are_not_sent() -> None:
    assert content({"age": "", "tags": [1], "more": "x", "name": "x", "ok": True}) == {
        "name": "x",
        "ok": True,
        "tags": ["1"],
    }


@pytest.mark.parametrize("reply", [None, Reply("decline"), Reply("decline", {"age": 3})])
def test_anything_but_a_yes_is_a_no(reply: Reply | None) -> None:
    assert to_result(FORM, reply) == types.ElicitResult(action="decline")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "http://", "nothing"])
def test_only_addresses_of_the_web_are_shown(url: str) -> None:
    assert to_question("shop", types.ElicitRequestURLParams(message="Go.", url=url, elicitation_id="1")) is None


def test_a_schema_that_is_none_asks_for_nothing() -> None:
    form = types.ElicitRequestFormParams.model_validate({"message": "Well?", "requestedSchema": {"type": "object"}})
    assert to_result(form, Reply("accept", {"x": 1})).content == {}
