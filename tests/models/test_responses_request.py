from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from inline_snapshot import snapshot

from agentnb import messages
from agentnb.errors import UsageError
from agentnb.messages import Audio, Data, File, Image, Message, Opaque, Text, Thinking, ToolCall, ToolResult, ToolSpec
from agentnb.models.base import OutputSpec, Request
from agentnb.models.dialect import Quirks
from agentnb.models.options import Options
from agentnb.models.responses_request import format_request
from agentnb.models.wire import WireCache

ADD = ToolSpec("add", "Add two numbers.", {"type": "object", "properties": {"x": {"type": "integer"}}})
HERE = Quirks("here")
THOUGHT: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "…"}


def _body(*conversation: Message, quirks: Quirks = HERE, **options: Any) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(format_request(Request(conversation, **options), model="m", quirks=quirks))
    return body


def _sent(*conversation: Message, quirks: Quirks = HERE) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = _body(*conversation, quirks=quirks)["input"]
    return sent


def test_a_request_keeps_nothing_at_the_server() -> None:
    options = Options(
        temperature=0.5, top_p=0.9, max_tokens=100, thinking="high", parallel_tool_calls=False, stream=False
    )
    body = _body(messages.system("Be brief."), messages.user("Hi"), tools=(ADD,), tool_choice="add", options=options)
    assert body == snapshot(
        {
            "model": "m",
            "stream": False,
            "store": False,
            "temperature": 0.5,
            "top_p": 0.9,
            "max_output_tokens": 100,
            "include": ["reasoning.encrypted_content"],
            "reasoning": {"effort": "high", "summary": "auto"},
            "tools": [
                {
                    "type": "function",
                    "name": "add",
                    "description": "Add two numbers.",
                    "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}},
                    "strict": False,
                }
            ],
            "tool_choice": {"type": "function", "name": "add"},
            "parallel_tool_calls": False,
            "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        }
    )


@pytest.mark.parametrize(
    ("thinking", "way", "include", "reasoning"),
    [
        (None, "effort", True, {"summary": "auto"}),
        ("off", "effort", True, {"effort": "none"}),
        (0, "effort", True, {"effort": "none"}),
        ("on", "effort", True, {"effort": "medium", "summary": "auto"}),
        (20_000, "effort", True, {"effort": "high", "summary": "auto"}),
        (None, "unsummarized", True, None),
        ("low", "unsummarized", True, {"effort": "low"}),
        (None, "unseen", False, None),
    ],
)
def test_thinking_is_asked_for_and_shown_where_it_can_be(
    thinking: Any, way: str, include: bool, reasoning: Any
) -> None:
    body = _body(messages.user("x"), quirks=Quirks(thinking=way), options=Options(thinking=thinking))
    assert ("include" in body, body.get("reasoning")) == (include, reasoning)


@pytest.mark.parametrize(("choice", "sent"), [("auto", None), ("none", "none"), ("required", "required")])
def test_a_tool_choice_is_sent_only_with_tools(choice: str, sent: str | None) -> None:
    assert _body(messages.user("x"), tools=(ADD,), tool_choice=choice).get("tool_choice") == sent
    assert "tool_choice" not in _body(messages.user("x"), tool_choice=choice)
    with pytest.raises(UsageError, match="There is no tool 'other' to choose"):
        _body(messages.user("x"), tools=(ADD,), tool_choice="other")


def test_a_schema_is_the_format_of_the_text() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"x": {"type": "integer"}}}
    options = Options(body={"text": {"verbosity": "low"}, "include": ["more"], "tools": [{"type": "web_search"}]})
    body = _body(messages.user("x"), tools=(ADD,), output=OutputSpec("x", schema), options=options)
    assert body["text"]["format"]["type"] == "json_schema"
    assert body["text"]["format"]["strict"] is True
    assert body["text"]["verbosity"] == "low"
    assert body["include"] == ["reasoning.encrypted_content", "more"]
    assert [tool["type"] for tool in body["tools"]] == ["function", "web_search"]


def test_each_block_is_an_item_in_its_place() -> None:
    sent = _sent(
        messages.user("go"),
        messages.assistant(
            Thinking("hm"),
            Opaque("here", THOUGHT),
            "I ",
            "look.",
            Opaque("here", {"type": "web_search_call", "id": "ws_1"}),
            Opaque("elsewhere", {"type": "reasoning"}),
            ToolCall("a", "my tool!", '{"x":  1}'),
            ToolCall("b", "add", "broken"),
            model="here:m",
        ),
        Message("tool", (ToolResult("b", "add", (Text("2"), Data([3]))),)),
    )
    assert sent == snapshot(
        [
            {"role": "user", "content": "go"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "…"},
            {"role": "assistant", "content": "I look."},
            {"type": "web_search_call", "id": "ws_1"},
            {"type": "function_call", "call_id": "a", "name": "my_tool_", "arguments": '{"x":  1}'},
            {"type": "function_call", "call_id": "b", "name": "add", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": "This call was not run."},
            {
                "type": "function_call_output",
                "call_id": "b",
                "output": """\
2
[3]\
""",
            },
        ]
    )


def test_what_was_thought_goes_back_only_with_what_came_of_it() -> None:
    stopped = messages.assistant(Opaque("here", THOUGHT), finish="interrupted")
    assert _sent(messages.user("a"), stopped, messages.user("b")) == [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
    ]


def test_media_go_as_parts_also_in_results() -> None:
    picture = Image(b"png", "image/png")
    conversation = (
        messages.user("look", picture, Image(url="http://x/y.png"), File("a.pdf", b"pdf", "application/pdf")),
        messages.user(File("b.pdf", url="http://x/b.pdf"), Data({"n": 1})),
        messages.assistant(ToolCall("a", "plot")),
        Message("tool", (ToolResult("a", "plot", (Text("done"), picture, Audio(b"x"))),)),
    )
    sent = _sent(*conversation)
    assert sent[0]["content"] == snapshot(
        [
            {"type": "input_text", "text": "look"},
            {"type": "input_image", "image_url": "data:image/png;base64,cG5n", "detail": "auto"},
            {"type": "input_image", "image_url": "http://x/y.png", "detail": "auto"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,cGRm"},
        ]
    )
    assert sent[1]["content"] == snapshot(
        [{"type": "input_file", "file_url": "http://x/b.pdf"}, {"type": "input_text", "text": '{"n":1}'}]
    )
    assert sent[3]["output"] == snapshot(
        [
            {"type": "input_text", "text": "done"},
            {"type": "input_image", "image_url": "data:image/png;base64,cG5n", "detail": "auto"},
            {
                "type": "input_text",
                "text": "(This model takes no sound through Responses. Ask it through Chat Completions: openai:…)",
            },
        ]
    )
    with pytest.raises(UsageError, match="takes no sound through Responses"):
        _sent(messages.user(Audio(b"x")))


def test_a_picture_that_the_model_made_goes_back_to_it_as_its_own_and_to_others_as_one_that_is_shown() -> None:
    made = Opaque("here", {"type": "image_generation_call", "id": "ig_1", "status": "completed", "size": "big"})
    answer = messages.assistant(Image(b"png"), made, "there", model="here:m")
    assert _sent(answer) == snapshot(
        [
            {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "cG5n"},
            {"role": "assistant", "content": "there"},
        ]
    )
    other = _sent(answer, quirks=Quirks("there"))
    assert [item["role"] for item in other] == ["assistant", "user"]
    assert other[1]["content"][1]["type"] == "input_image"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"conversation": (messages.user("\ud800"),)}, "A message of the conversation cannot be sent as JSON"),
        ({"conversation": (), "options": Options(body={"x": {1}})}, "An option of the request is not JSON"),  # type: ignore[dict-item]  # the mistake under test
    ],
)
def test_what_is_no_json_is_refused(wrong: dict[str, Any], says: str) -> None:
    conversation = wrong.pop("conversation")
    with pytest.raises(UsageError, match=says):
        _body(*conversation, **wrong)


def test_cached_bytes_are_the_same_bytes() -> None:
    cache: WireCache[bytes] = WireCache()
    loop = (messages.user("go"), messages.assistant(Opaque("here", THOUGHT), ToolCall("a", "add"), model="here:m"))
    longer = (*loop, Message("tool", (ToolResult("a", "add", (Text("1"),)),)), messages.user("next"))
    for conversation in (loop, longer, loop):
        for quirks in (HERE, Quirks("there")):
            request = Request(conversation)
            cached = format_request(request, model="m", quirks=quirks, cache=cache)
            assert cached == format_request(request, model="m", quirks=quirks)


def test_what_was_thought_in_secret_is_left_out_where_the_server_cannot_read_it() -> None:
    # It was asked for no secrets after it refused one: such as another account's, in a session that was kept.
    shown: dict[str, Any] = {
        "type": "reasoning",
        "id": "rs_2",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "hm"}],
    }
    said = messages.assistant(Opaque("here", THOUGHT), Opaque("here", shown), "Yes.", model="here:m")
    cache: WireCache[bytes] = WireCache()
    for quirks, kinds in ((HERE, [THOUGHT, shown]), (replace(HERE, thinking="unseen"), [shown])):
        request = Request((messages.user("Hi"), said, messages.user("And?")))
        sent = orjson.loads(format_request(request, model="m", quirks=quirks, cache=cache))["input"]
        assert [item for item in sent if item.get("type") == "reasoning"] == kinds
