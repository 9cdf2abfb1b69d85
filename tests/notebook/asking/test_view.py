"""A question on its way to the browser, and an answer on its way back."""

from __future__ import annotations

import time

import pytest

from agentnb.masking import Mask
from agentnb.messages import Audio, Data, Image, JSONObject, Text
from agentnb.notebook.asking.view import pieces, reply, view
from agentnb.tools.base import Choice, Question, Reply

SCHEMA: JSONObject = {
    "properties": {"path": {"type": "string"}, "n": {"type": "integer"}, "key": {"type": "string"}},
    "required": ["path"],
}
CHOICES = (
    Choice("approve", "Approve", "primary"),
    Choice("edit", "Edit arguments", fields=True),
    Choice("deny", "Deny", "danger", reason=True),
)
BIG = 2**60 + 1


def question(**values: object) -> Question:
    return Question("Allow save?", (), SCHEMA, dict(values), CHOICES)  # type: ignore[arg-type]  # JSON, all of it


def test_blocks_are_shown_as_what_they_are() -> None:
    body = (Text("--- a\n+++ b\n+new\n"), Text("x\x1b[31m = 1"), Data({"a": 1}), Image(b"png"), Audio(b"1234"))
    shown = view(Question("Look", body))["body"]
    assert shown == [
        {"kind": "diff", "text": "--- a\n+++ b\n+new"},
        {"kind": "text", "text": "x␛[31m = 1"},
        {"kind": "text", "text": '{\n  "a": 1\n}'},
        {"kind": "image", "src": "data:image/png;base64,cG5n", "text": ""},
        {"kind": "text", "text": "[audio/wav, 4 bytes]"},
    ]


def test_a_picture_of_a_kind_that_may_hold_a_script_is_only_named() -> None:
    shown = view(Question("Look", (Image(b"<svg/>", "image/svg+xml"),)))["body"]
    assert shown == [{"kind": "text", "text": "[image/svg+xml, 6 bytes]"}]


def test_without_a_field_there_is_nothing_to_edit() -> None:
    choices = view(Question("Allow now?", (), {"properties": {}}, {}, CHOICES))["choices"]
    assert isinstance(choices, list)
    assert [each["id"] for each in choices if isinstance(each, dict)] == ["approve", "deny"]


def test_a_form_without_fields_can_still_be_accepted() -> None:
    accept = Choice("accept", "Send", "primary", fields=True)
    asked = Question("Ready?", (), {"properties": {}}, None, (accept,))
    assert view(asked)["choices"] == [
        {"id": "accept", "label": "Send", "style": "primary", "reason": False, "fields": False}
    ]
    assert reply(asked, {"type": "reply", "choice": "accept"}) == Reply("accept", {})


def test_an_answer_says_only_what_was_touched_and_all_else_stays_exact() -> None:
    asked = question(path="a", n=BIG, other=[1])
    given = {"type": "reply", "choice": "edit", "changed": {"path": "b"}, "cleared": [], "reason": "ignored"}
    assert reply(asked, given) == Reply("edit", {"path": "b", "n": BIG, "other": [1]})


def test_what_is_cleared_is_left_out_and_what_is_no_field_is_ignored() -> None:
    given = {"type": "reply", "choice": "edit", "changed": {"no_field": 1}, "cleared": ["n"]}
    assert reply(question(path="a", n=1), given) == Reply("edit", {"path": "a"})


def test_a_reason_comes_with_the_choice_that_takes_one() -> None:
    given = {"type": "reply", "choice": "deny", "reason": " not \x1b[1mnow "}
    assert reply(question(), given) == Reply("deny", None, "not now")


def test_what_is_no_answer_is_none() -> None:
    for message in (None, "approve", {"type": "ready"}, {"type": "reply", "choice": "other"}, {"type": "reply"}):
        assert reply(question(), message) is None


def test_a_secret_is_not_shown_and_goes_through_where_it_is_not_touched() -> None:
    mask = Mask("sk-secret-123", "123456")
    asked = question(path="sk-secret-123.md", key="sk-secret-123", n=123456)
    shown = view(asked, mask)
    assert "sk-secret-123" not in str(shown)
    given = {"type": "reply", "choice": "edit", "changed": {"path": "b"}, "cleared": []}
    assert reply(asked, given) == Reply("edit", {"path": "b", "key": "sk-secret-123", "n": 123456})


def test_code_is_shown_without_its_fences_and_none_of_it_is_lost() -> None:
    body = (Text("In /tmp:\n````python\nx = '```'\n\ny\n````\n"), Text("```a b\nx\n```"))
    assert view(Question("Look", body))["body"] == [
        {"kind": "text", "text": "In /tmp:"},
        {"kind": "code", "language": "python", "text": "x = '```'\n\ny"},
        {"kind": "text", "text": "```a b\nx\n```"},
    ]
    diff = "--- a\n+++ b\n ```python\n+x\n ```"
    assert view(Question("Look", (Text(diff),)))["body"] == [{"kind": "diff", "text": diff}]


@pytest.mark.parametrize("line", ["```python\n", "```\n", "```a\n```\n", "`" * 50 + "a\n"])
def test_fences_without_an_end_take_no_time(line: str) -> None:
    text = line * 50_000
    begun = time.process_time()
    assert list(pieces(text))
    assert time.process_time() - begun < 1
