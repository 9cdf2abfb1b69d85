"""What stays in the notebook of a question."""

from __future__ import annotations

from agentnb.messages import JSONObject, Text
from agentnb.notebook.asking.trace import trace
from agentnb.tools.base import Choice, Question, Reply

SCHEMA: JSONObject = {"properties": {"path": {"type": "string"}, "key": {"type": "string", "format": "password"}}}
CHOICES = (
    Choice("approve", "Approve", "primary"),
    Choice("edit", "Edit arguments", fields=True),
    Choice("deny", "Deny", "danger", reason=True),
)
ASKED = Question("Allow <i>save</i>?", (Text("path = <b>a</b>"),), SCHEMA, {"path": "a", "key": "k"}, CHOICES)


def test_an_approval_is_one_line_with_what_was_asked_below_it() -> None:
    kept = trace(ASKED, Reply("approve"))
    assert kept["text/plain"] == "✓ Allow <i>save</i>? → you: Approve"
    html = str(kept["text/html"])
    assert "Allow &lt;i&gt;save&lt;/i&gt;?" in html
    assert "path = &lt;b&gt;a&lt;/b&gt;" in html
    assert "<b>" not in html


def test_an_edit_shows_what_was_changed_but_no_secret() -> None:
    kept = trace(ASKED, Reply("edit", {"path": "b", "key": "hush"}))
    assert kept["text/plain"] == "✓ Allow <i>save</i>? → you: Edit arguments\nanswered:\npath: b\nkey: •••"
    assert "hush" not in str(kept)


def test_a_field_that_was_emptied_is_named() -> None:
    assert "path: left out" in str(trace(ASKED, Reply("edit", {"key": "k"}))["text/plain"])


def test_a_denial_says_why() -> None:
    kept = trace(ASKED, Reply("deny", None, "not now"))
    assert kept["text/plain"] == "✗ Allow <i>save</i>? → you: Deny (not now)\nreason:\nnot now"


def test_a_question_that_was_left_open_says_so() -> None:
    assert trace(ASKED, None)["text/plain"] == "■ Allow <i>save</i>? → not answered"


def test_code_that_was_asked_about_stands_without_its_fences() -> None:
    html = str(trace(Question("Allow python?", (Text("```python\nx = 1\n```"),)), None)["text/html"])
    assert "x = 1" in html
    assert "```" not in html
