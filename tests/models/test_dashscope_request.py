from __future__ import annotations

from typing import Any

import orjson
import pytest
from inline_snapshot import snapshot

from agentnb import messages
from agentnb.errors import UsageError
from agentnb.messages import Audio, Data, File, Image, Message, Opaque, Text, Thinking, ToolCall, ToolResult, ToolSpec
from agentnb.models.base import OutputSpec, Request
from agentnb.models.dashscope import format_request
from agentnb.models.dialect import Quirks
from agentnb.models.options import Options
from agentnb.models.wire import WireCache

ADD = ToolSpec("add", "Add two numbers.", {"type": "object", "properties": {"x": {"type": "integer"}}})
SUB = ToolSpec("sub", "Subtract.", {"type": "object"})


def _body(*conversation: Message, quirks: Quirks | None = None, **options: Any) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(format_request(Request(conversation, **options), model="m", quirks=quirks))
    return body


def _sent(*conversation: Message, quirks: Quirks | None = None) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = _body(*conversation, quirks=quirks)["input"]["messages"]
    return sent


def _parameters(**options: Any) -> dict[str, Any]:
    parameters: dict[str, Any] = _body(messages.user("x"), **options)["parameters"]
    return parameters


def test_a_plain_request() -> None:
    request = _body(messages.system("Be brief."), messages.user("Hi"), tools=(ADD,), options=Options(temperature=0.5))
    assert request == snapshot(
        {
            "model": "m",
            "parameters": {
                "result_format": "message",
                "incremental_output": True,
                "tools": [
                    {
                        "type": "function",
                        "function": {
                            "name": "add",
                            "description": "Add two numbers.",
                            "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}},
                        },
                    }
                ],
                "temperature": 0.5,
            },
            "input": {
                "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
            },
        }
    )


@pytest.mark.parametrize(
    ("tools", "choice", "sent"),
    [
        ((ADD,), "auto", None),
        ((ADD,), "none", "none"),
        ((ADD,), "required", {"type": "function", "function": {"name": "add"}}),
        ((ADD, SUB), "required", "required"),
        ((ADD, SUB), "sub", {"type": "function", "function": {"name": "sub"}}),
        ((), "required", None),
    ],
)
def test_a_tool_choice_is_sent_only_with_tools(tools: tuple[ToolSpec, ...], choice: str, sent: object) -> None:
    assert _parameters(tools=tools, tool_choice=choice).get("tool_choice") == sent


def test_options_are_said_in_its_words() -> None:
    options = Options(
        temperature=0.1,
        top_p=0.9,
        top_k=20,
        max_tokens=100,
        presence_penalty=0.5,
        seed=7,
        stop=("END",),
        parallel_tool_calls=True,
        headers={"x-a": "b"},
        stream=False,
    )
    assert _parameters(options=options) == snapshot(
        {
            "result_format": "message",
            "temperature": 0.1,
            "top_p": 0.9,
            "top_k": 20,
            "max_tokens": 100,
            "presence_penalty": 0.5,
            "seed": 7,
            "stop": ["END"],
            "parallel_tool_calls": True,
        }
    )


@pytest.mark.parametrize(
    ("thinking", "sent"),
    [
        ("off", {"enable_thinking": False}),
        ("on", {"enable_thinking": True}),
        (500, {"enable_thinking": True, "thinking_budget": 500}),
        ("low", {"enable_thinking": True, "thinking_budget": 2048}),
        ("max", {"enable_thinking": True}),
    ],
)
def test_thinking_is_a_switch_and_a_budget(thinking: Any, sent: dict[str, object]) -> None:
    parameters = _parameters(options=Options(thinking=thinking))
    assert {name: value for name, value in parameters.items() if "think" in name} == sent


def test_what_a_person_adds_goes_among_the_parameters_and_wins() -> None:
    body: dict[str, Any] = {"enable_search": True, "parameters": {"n": 2}, "model": "other", "input": {"messages": []}}
    request = _body(messages.user("x"), options=Options(body=body))
    assert request["parameters"] == snapshot(
        {"result_format": "message", "incremental_output": True, "enable_search": True, "n": 2}
    )
    assert request["model"] == "m"
    assert len(request["input"]["messages"]) == 1
    with pytest.raises(UsageError, match="is not JSON"):
        _body(messages.user("x"), options=Options(body={"stop": {1, 2}}))  # type: ignore[dict-item]  # the mistake under test


def test_text_that_is_no_unicode_is_an_error() -> None:
    with pytest.raises(UsageError, match="is not JSON"):
        _body(messages.user("\ud800"))


def test_a_schema_is_asked_for_natively() -> None:
    output = OutputSpec("city", {"type": "object"})
    assert _parameters(output=output)["response_format"] == snapshot(
        {"type": "json_schema", "json_schema": {"name": "city", "schema": {"type": "object"}, "strict": False}}
    )


def test_media_make_a_list_of_parts_and_words_one_string() -> None:
    (sent,) = _sent(messages.user("a", Data({"b": 1}), "c"))
    assert sent["content"] == 'a{"b":1}c'
    (sent,) = _sent(
        messages.user(
            "look",
            Image(b"png", "image/png"),
            Image(url="http://x/y.png"),
            Audio(b"wav", "audio/wav"),
            Audio(url="http://x/y.mp3"),
            File("v.mp4", b"mp4", "video/mp4"),
            File("v.mp4", media_type="video/mp4", url="http://x/v.mp4"),
            Data([1]),
        )
    )
    assert sent["content"] == snapshot(
        [
            {"text": "look"},
            {"image": "data:image/png;base64,cG5n"},
            {"image": "http://x/y.png"},
            {"audio": "data:audio/wav;base64,d2F2"},
            {"audio": "http://x/y.mp3"},
            {"video": "data:video/mp4;base64,bXA0"},
            {"video": "http://x/v.mp4"},
            {"text": "[1]"},
        ]
    )
    with pytest.raises(UsageError, match=r"a\.pdf \(application/pdf\) cannot be sent"):
        _sent(messages.user(File("a.pdf", b"", "application/pdf")))


def _calls(*ids: str) -> Message:
    return messages.assistant(*(ToolCall(i, "add", '{"x":1}') for i in ids), finish="tool_calls")


def _results(*results: ToolResult) -> Message:
    return Message("tool", results)


def test_calls_are_answered_in_their_order_and_media_follow() -> None:
    sent = _sent(
        messages.user("go"),
        _calls("a", "b", "c"),
        messages.user("meanwhile"),
        _results(ToolResult("b", "talk", (Text("one"), Data(2), File("x.pdf", b"", "application/pdf")))),
        _results(ToolResult("a", "plot", (Image(b"png", "image/png"),), is_error=True)),
        messages.assistant("ok"),
        _results(ToolResult("z", "lost", (Text("nobody asked"),))),
    )
    assert sent[1:] == snapshot(
        [
            {
                "role": "assistant",
                "content": [],
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "add", "arguments": '{"x":1}'}},
                    {"id": "b", "type": "function", "function": {"name": "add", "arguments": '{"x":1}'}},
                    {"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"x":1}'}},
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "(1 attached below)", "name": "plot"},
            {"role": "tool", "tool_call_id": "b", "content": "one\n2\n(1 attached below)", "name": "talk"},
            {"role": "tool", "tool_call_id": "c", "content": "This call was not run.", "name": "add"},
            {
                "role": "user",
                "content": [
                    {"text": "From plot (a):"},
                    {"image": "data:image/png;base64,cG5n"},
                    {"text": "From talk (b):"},
                    {"text": "(x.pdf (application/pdf) cannot be sent to DashScope. Send its text instead.)"},
                ],
            },
            {"role": "user", "content": "meanwhile"},
            {"role": "assistant", "content": "ok"},
        ]
    )


def test_what_was_thought_stays_here_and_a_broken_call_is_mended() -> None:
    thinks = messages.assistant(Thinking("hm"), ToolCall("a", "add", '{"x'), Opaque("anthropic", {}))
    sent = _sent(messages.user("go"), thinks, _results(ToolResult("a", "add", (Text("2"),))))
    assert sent[1] == snapshot(
        {
            "role": "assistant",
            "content": [],
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "add", "arguments": "{}"}}],
        }
    )


def test_an_answer_that_holds_nothing_is_left_out() -> None:
    assert [m["role"] for m in _sent(messages.user("a"), messages.assistant(Thinking("hm")), messages.user("b"))] == [
        "user",
        "user",
    ]


def test_each_message_is_serialized_once() -> None:
    cache: WireCache[bytes] = WireCache()
    conversation = (messages.user("a"), messages.assistant("b"), messages.user("c"))
    first = format_request(Request(conversation), model="m", cache=cache)
    made = [cache.get(message, "dashscope") for message in conversation]
    assert None not in made
    assert format_request(Request(conversation), model="m", cache=cache) == first
    assert all(cache.get(m, "dashscope") is wire for m, wire in zip(conversation, made, strict=True))


def test_a_tool_that_is_not_offered_cannot_be_chosen() -> None:
    with pytest.raises(UsageError, match="no tool 'ad' to choose"):
        _body(messages.user("x"), tools=(ADD,), tool_choice="ad")
