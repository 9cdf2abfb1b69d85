"""JSON in and out."""

from __future__ import annotations

import pytest

from agentnb import codec, events, messages
from agentnb.messages import Message, Text, Usage
from agentnb.protocol import FromPanel, PanelState, SetTool

BLOCKS = [
    Text("é\u2028", extra={"id": "x"}),
    messages.Thinking("hm", "sig", {"format": "a"}),
    messages.ToolCall("c1", "f", '{"a": 1}'),
    messages.ToolResult("c1", "f", (Text("1"), messages.Image(b"\x00\xff")), is_error=True, handle="f_1"),
    messages.Image(b"\x89PNG", "image/png", alt="a plot"),
    messages.Audio(b"RIFF"),
    messages.File("a.pdf", b"%PDF"),
    messages.Data({"a": [1, None]}),
    messages.Opaque("openrouter", {"reasoning_details": [{"type": "reasoning.encrypted"}]}),
]
EVENTS = [
    events.RunStarted("m", "a", run_id="r", parent_id="p"),
    events.ThinkingDelta("x", signature="s"),
    events.ToolOutput("c1", messages.Image(b"\x01")),
    events.BlockAdded(BLOCKS[-1]),
    events.MessageAdded(Message("user", tuple(BLOCKS))),
    events.ApprovalRequested(("c1", "c2")),
    events.RunStarted("m", "delegate", "c1", 2, run_id="r2", parent_id="r"),
    events.MessageChanged(messages.assistant("Other words.")),
    events.ToolProgress("c1", 1.5, None, "half"),
    events.RunFinished("max_rounds", Usage(1, 2, 3, 4)),
    events.RunFinished("paused", Usage()),
    events.RunError("Cut.", "StreamBroken"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_an_event_comes_back_as_it_was(event: events.Event) -> None:
    assert codec.load_json(events.Event, codec.dump_json(event)) == event


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.type)
def test_a_message_comes_back_as_it_was(block: messages.Block) -> None:
    message = Message("assistant", (block,), id="m1", model="p:m", finish="stop")
    assert codec.load(Message, codec.dump(message)) == message


def test_bytes_are_url_safe_base64() -> None:
    assert codec.dump(messages.Image(b"\xff\xfe"))["data"] == "__4="


def test_what_the_panel_says_is_told_apart_by_its_type() -> None:
    assert codec.load(FromPanel, {"type": "set_tool", "name": "f", "enabled": False}) == SetTool("f", False)


@pytest.mark.parametrize("data", [None, {"type": "set_tool"}, {"type": "shutdown"}, "stop"])
def test_anything_else_is_a_value_error(data: object) -> None:
    with pytest.raises(ValueError, match="validation error"):
        codec.load(FromPanel, data)


def test_the_schema_defines_every_type_that_a_state_holds() -> None:
    assert {"PanelState", "PanelTool", "PanelRun"} <= set(codec.schema(PanelState)["$defs"])
