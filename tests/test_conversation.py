"""A conversation that goes to a model leaves no call open, and keeps the results of a message's calls together."""

from __future__ import annotations

from agentnb.conversation import answered, unanswered
from agentnb.messages import Message, Text, ToolCall, ToolResult, user

CALLS = Message("assistant", (ToolCall("a", "f"), ToolCall("b", "f")))
FIRST = ToolResult("a", "f", (Text("1"),))


def test_a_call_that_got_no_result_gets_one_beside_those_that_were_given() -> None:
    asked, calls, results, after = answered([user("go"), CALLS, Message("tool", (FIRST,)), user("and?")])
    assert (asked.text, calls, after.text) == ("go", CALLS, "and?")
    given, added = results.content
    assert given is FIRST
    assert isinstance(added, ToolResult)
    assert (added.call_id, added.is_error) == ("b", True)
    assert unanswered([asked, calls, results]) == ()


def test_calls_without_any_result_get_theirs_at_once() -> None:
    for rest in ([], [user("and?")]):
        answers = answered([user("go"), CALLS, *rest])[2]
        assert [block.call_id for block in answers.content if isinstance(block, ToolResult)] == ["a", "b"]


def test_what_is_complete_stays_the_same_objects() -> None:
    whole = [user("go"), CALLS, Message("tool", (FIRST, ToolResult("b", "f"))), Message("assistant", (Text("3"),))]
    assert all(mine is theirs for mine, theirs in zip(answered(whole), whole, strict=True))
