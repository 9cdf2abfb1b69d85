"""The fold: events in, messages out."""

from __future__ import annotations

from agentnb import events, messages
from agentnb.conversation import answered
from agentnb.messages import Message, Text, Thinking, ToolCall, Usage, assistant, user
from agentnb.transcript import Folder, fold


def test_deltas_become_one_message_with_its_blocks_in_order() -> None:
    run = fold(
        [
            events.RunStarted("fake:m", run_id="r1", parent_id="r0"),
            events.ThinkingDelta("let me "),
            events.ThinkingDelta("see", signature="sig"),
            events.TextDelta("The ans"),
            events.TextDelta("wer"),
            events.ToolCallStart("c1", "add"),
            events.ToolCallArgs("c1", '{"a":'),
            events.ToolCallArgs("c1", " 1}"),
            events.ToolCallEnd("c1"),
            events.Usage(Usage(3, 4)),
            events.MessageEnd("tool_calls", "m1", "fake:m"),
        ]
    )
    assert run.run_id == "r1"
    assert run.parent_id == "r0"
    assert run.messages == (
        Message(
            "assistant",
            (Thinking("let me see", "sig"), Text("The answer"), ToolCall("c1", "add", '{"a": 1}')),
            id="m1",
            model="fake:m",
            finish="tool_calls",
        ),
    )
    assert run.usage == Usage(3, 4)
    assert run.tools["c1"].status == "pending"


def test_thinking_after_a_signature_is_another_block() -> None:
    run = fold([events.ThinkingDelta("a", signature="s1"), events.ThinkingDelta("b"), events.MessageEnd("stop")])
    assert run.messages[0].content == (Thinking("a", "s1"), Thinking("b"))


def test_text_around_a_call_stays_in_two_blocks() -> None:
    run = fold(
        [events.TextDelta("a"), events.ToolCallStart("c", "f"), events.TextDelta("b"), events.MessageEnd("stop")]
    )
    assert [type(block) for block in run.messages[0].content] == [Text, ToolCall, Text]


def test_an_unfinished_message_is_there_without_a_finish() -> None:
    folder = Folder()
    folder.feed(events.TextDelta("par"))
    before = folder.transcript()
    folder.feed(events.TextDelta("tial"))
    assert before.messages == (Message("assistant", (Text("par"),)),)
    assert folder.transcript().text == "partial"


def test_usage_is_the_last_total_of_each_turn_summed_over_turns() -> None:
    turn = [
        events.TextDelta("x"),
        events.Usage(Usage(5, 1)),
        events.Usage(Usage(5, 2)),
        events.MessageEnd("stop"),
    ]
    assert fold([*turn, *turn]).usage == Usage(10, 4)


def test_results_of_a_round_are_one_message_in_the_order_of_the_calls() -> None:
    second = messages.ToolResult("c2", "g", (Text("2"),))
    first = messages.ToolResult("c1", "f", (Text("1"),), is_error=True)
    run = fold(
        [
            events.ToolCallStart("c1", "f"),
            events.ToolCallStart("c2", "g"),
            events.MessageEnd("tool_calls"),
            events.ToolStarted("c2"),
            events.ToolOutput("c2", Text("half")),
            events.ToolResult(second),
            events.ToolResult(first),
            events.TextDelta("done"),
            events.MessageEnd("stop"),
        ]
    )
    assert [message.role for message in run.messages] == ["assistant", "tool", "assistant"]
    assert run.messages[1].content == (first, second)
    assert run.tools["c1"].status == "error"
    assert run.tools["c2"].output == (Text("half"),)


def test_a_run_that_fails_keeps_what_there_was_and_says_why() -> None:
    run = fold([events.TextDelta("half"), events.Usage(Usage(1, 1)), events.RunError("Cut.", "StreamBroken")])
    assert run.messages == (Message("assistant", (Text("half"),), finish="error"),)
    assert (run.outcome, run.error, run.usage) == ("error", "Cut.", Usage(1, 1))


def test_waiting_is_over_when_something_comes() -> None:
    folder = Folder()
    folder.feed(events.Waiting("retrying", 2))
    assert folder.transcript().waiting == "retrying"
    folder.feed(events.TextDelta("x"))
    assert folder.transcript().waiting is None


def test_every_open_call_of_a_history_gets_an_answer() -> None:
    open_call = assistant(ToolCall("c1", "f"), ToolCall("c2", "g"), finish="interrupted")
    half = Message("tool", (messages.ToolResult("c1", "f", (Text("1"),)),))
    conversation = answered([user("hi"), open_call, half, user("go on")])
    ids = {block.call_id for message in conversation for block in message.content if hasattr(block, "call_id")}
    assert ids == {"c1", "c2"}
    assert conversation[1] is open_call
    assert [message.role for message in conversation[2:]] == ["tool", "user"]


def test_a_closed_history_is_left_alone() -> None:
    conversation = (user("hi"), assistant("hello"))
    assert answered(conversation) == conversation
