from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from inline_snapshot import snapshot

from agentnb import messages
from agentnb.errors import UsageError
from agentnb.messages import (
    Audio,
    Data,
    File,
    Image,
    Message,
    Opaque,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from agentnb.models.base import Request
from agentnb.models.dialect import Quirks
from agentnb.models.openai_request import Wire, format_request
from agentnb.models.options import Options
from agentnb.models.wire import WireCache

ADD = ToolSpec("add", "Add two numbers.", {"type": "object", "properties": {"x": {"type": "integer"}}})


def _body(*conversation: Message, quirks: Quirks | None = None, **options: Any) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(format_request(Request(conversation, **options), model="m", quirks=quirks))
    return body


def _sent(*conversation: Message, quirks: Quirks | None = None) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = _body(*conversation, quirks=quirks)["messages"]
    return sent


def _calls(*ids: str, **options: Any) -> Message:
    return messages.assistant(*(ToolCall(i, "add", '{"x":1}') for i in ids), finish="tool_calls", **options)


def _results(*results: ToolResult) -> Message:
    return Message("tool", results)


def test_a_plain_request() -> None:
    request = _body(messages.system("Be brief."), messages.user("Hi"), tools=(ADD,), options=Options(temperature=0.5))
    assert request == snapshot(
        {
            "model": "m",
            "stream": True,
            "stream_options": {"include_usage": True},
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
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        }
    )


def test_options_go_through_as_they_are_and_win() -> None:
    body = _body(messages.user("x"), options=Options(seed=1, stream=False, body={"messages": [], "seed": 2, "n": 1}))
    assert (body["seed"], body["n"]) == (2, 1)
    assert "stream_options" not in body
    assert len(body["messages"]) == 1
    with pytest.raises(UsageError, match="is not JSON"):
        _body(messages.user("x"), options=Options(body={"stop": {1, 2}}))  # type: ignore[dict-item]  # the mistake under test


def test_a_speaker_has_a_name_where_names_are_known() -> None:
    conversation = [Message("user", (Text("hi"),), name="Ada L."), Message("assistant", (Text("ho"),), name="bot")]
    assert [m.get("name") for m in _sent(*conversation)] == ["Ada_L_", "bot"]
    assert [m.get("name") for m in _sent(*conversation, quirks=Quirks(without=("name",)))] == [None, None]


def test_a_picture_that_the_model_made_goes_back_to_it_as_one_that_is_shown() -> None:
    made = messages.assistant(Image(b"png"), ToolCall("a", "add"), model="p:m")
    sent = _sent(messages.assistant("here", Image(b"png")), messages.user("bluer"), made, messages.user("and"))
    assert [(m["role"], m["content"] if isinstance(m["content"], str) else len(m["content"])) for m in sent] == [
        ("assistant", "here\n(1 attached below)"),
        ("user", 2),
        ("user", "bluer"),
        ("assistant", "(1 attached below)"),
        ("tool", "This call was not run."),
        ("user", 2),
        ("user", "and"),
    ]
    assert sent[1]["content"][1] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}}


def test_thoughts_in_the_answer_go_back_in_it() -> None:
    loop = (messages.user("go"), messages.assistant(Thinking("hm"), "let me", ToolCall("a", "add"), model="p:m"))
    sent = _sent(*loop, quirks=Quirks("p", think_tags=True, reasoning_field="content"))
    assert sent[1]["content"] == "<think>\nhm\n</think>\n\nlet me"


@pytest.mark.parametrize("medium", [Audio(url="https://x/y.wav"), File("y.pdf", url="https://x/y.pdf")])
def test_a_url_that_cannot_be_sent_is_refused(medium: Audio | File) -> None:
    with pytest.raises(UsageError, match=r"cannot be sent to this model as a URL\. Give its bytes"):
        _sent(messages.user("hear", medium))


@pytest.mark.parametrize("odd", [Text("half a character: \ud800"), Data({"when": object()})])  # type: ignore[dict-item]  # the mistake under test
def test_a_message_that_is_no_json_is_refused(odd: Text | Data) -> None:
    with pytest.raises(UsageError, match="A message of the conversation cannot be sent as JSON"):
        _sent(messages.user(odd))


def test_a_dialect_changes_the_system_role_and_leaves_out_stream_options() -> None:
    body = _body(messages.system("s"), quirks=Quirks(system_role="developer", stream_options=False))
    assert body["messages"][0]["role"] == "developer"
    assert "stream_options" not in body


def test_media_go_as_parts_and_words_as_one_string() -> None:
    (sent,) = _sent(messages.user("a", Data({"b": 1}), "c"))
    assert sent["content"] == 'a{"b":1}c'
    (sent,) = _sent(
        messages.user(
            "look",
            Image(b"png", "image/png"),
            Image(url="http://x/y.png"),
            Audio(b"wav", "audio/x-wav"),
            Audio(b"mp3", "audio/mpeg"),
            File("a.pdf", b"pdf", "application/pdf"),
            Data([1]),
        )
    )
    assert sent["content"] == snapshot(
        [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}},
            {"type": "image_url", "image_url": {"url": "http://x/y.png"}},
            {"type": "input_audio", "input_audio": {"data": "d2F2", "format": "wav"}},
            {"type": "input_audio", "input_audio": {"data": "bXAz", "format": "mp3"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,cGRm"}},
            {"type": "text", "text": "[1]"},
        ]
    )
    with pytest.raises(UsageError, match="audio/ogg cannot be sent"):
        _sent(messages.user(Audio(b"", "audio/ogg")))


def test_results_are_text_and_their_media_follow_in_a_user_message() -> None:
    picture = Image(b"png", "image/png")
    sent = _sent(
        messages.user("go"),
        _calls("a", "b"),
        _results(
            ToolResult("a", "plot", (Text("done"), picture, Data({"n": 1}))),
            ToolResult("b", "talk", (Audio(b"x", "audio/ogg"),), is_error=True),
        ),
        messages.assistant("ok"),
    )
    assert [m["role"] for m in sent] == ["user", "assistant", "tool", "tool", "user", "assistant"]
    assert sent[2:5] == snapshot(
        [
            {"role": "tool", "tool_call_id": "a", "content": 'done\n{"n":1}\n(1 attached below)'},
            {"role": "tool", "tool_call_id": "b", "content": "(1 attached below)"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "From plot (a):"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}},
                    {"type": "text", "text": "From talk (b):"},
                    {
                        "type": "text",
                        "text": "(Sound of type audio/ogg cannot be sent to this model. Convert it to WAV or MP3.)",
                    },
                ],
            },
        ]
    )


def test_every_call_is_answered_right_after_it_was_asked() -> None:
    a, b = ToolResult("a", "add", (Text("1"),)), ToolResult("b", "add", (Text("2"),))
    sent = _sent(
        messages.user("go"),
        _calls("a", "b", "c"),
        _results(b),
        messages.user("hurry"),
        _results(a),
        messages.assistant("ok"),
        _results(ToolResult("stray", "add", (Text("x"),))),
        messages.user("more"),
        _calls("d"),
    )
    assert [(m["role"], m.get("tool_call_id") or m["content"]) for m in sent] == snapshot(
        [
            ("user", "go"),
            ("assistant", None),
            ("tool", "a"),
            ("tool", "b"),
            ("tool", "c"),
            ("user", "hurry"),
            ("assistant", "ok"),
            ("user", "more"),
            ("assistant", None),
            ("tool", "d"),
        ]
    )
    assert sent[4]["content"] == "This call was not run."


@pytest.mark.parametrize("broken", ["", '{"x": 1', "nonsense", "[1]", '"x"', "null"])
def test_arguments_that_servers_would_refuse_are_sent_empty(broken: str) -> None:
    sent = _sent(messages.assistant(ToolCall("a", "my tool!", broken)))
    assert sent[0]["tool_calls"][0]["function"] == {"name": "my_tool_", "arguments": "{}"}


def test_arguments_that_are_valid_are_sent_as_they_came() -> None:
    sent = _sent(messages.assistant(ToolCall("a", "add", '{"x" :  1}')))
    assert sent[0]["tool_calls"][0]["function"]["arguments"] == '{"x" :  1}'


def test_reasoning_goes_back_only_within_a_loop_of_calls_and_only_where_it_is_wanted() -> None:
    conversation = (
        messages.user("one"),
        messages.assistant(Thinking("old"), "answer", model="p:m"),
        messages.user("two"),
        messages.assistant(Thinking("new"), ToolCall("a", "add"), model="p:m"),
        _results(ToolResult("a", "add", (Text("1"),))),
    )
    sent = _sent(*conversation, quirks=Quirks("p", reasoning_field="reasoning_content"))
    assert [m.get("reasoning_content") for m in sent] == [None, None, None, "new", None]
    assert all("reasoning_content" not in m for m in _sent(*conversation, quirks=Quirks("p")))


def test_what_a_provider_made_goes_back_to_it_alone() -> None:
    details: dict[str, Any] = {"reasoning_details": [{"type": "reasoning.encrypted", "data": "…"}]}
    call = ToolCall("a", "add", "{}", extra={"extra_content": {"signature": "s"}})
    message = messages.assistant(Opaque("p", details), call, model="p:m")
    own, other = _sent(message, quirks=Quirks("p"))[0], _sent(message, quirks=Quirks("q"))[0]
    assert own["reasoning_details"] == details["reasoning_details"]
    assert own["tool_calls"][0]["extra_content"] == {"signature": "s"}
    assert "reasoning_details" not in other
    assert "extra_content" not in other["tool_calls"][0]


def test_an_answer_that_never_began_is_left_out() -> None:
    sent = _sent(messages.user("a"), messages.assistant(Thinking("hm"), finish="interrupted"), messages.user("b"))
    assert [m["role"] for m in sent] == ["user", "user"]


def test_cached_bytes_are_the_same_bytes_and_depend_on_the_place_and_the_dialect() -> None:
    cache: WireCache[Wire] = WireCache()
    spoken_here = Quirks("p", reasoning_field="reasoning")
    loop = (messages.user("go"), messages.assistant(Thinking("t"), ToolCall("a", "add"), model="p:m"))
    longer = (*loop, _results(ToolResult("a", "add", (Text("1"),))), messages.user("next"))
    for conversation in (loop, longer, loop):
        for spoken in (spoken_here, Quirks("q")):
            request = Request(conversation)
            cached = format_request(request, model="m", quirks=spoken, cache=cache)
            assert cached == format_request(request, model="m", quirks=spoken)


class CountingCache(WireCache[Wire]):
    """Counts what had to be made."""

    made = 0

    def keep(self, message: Message, variant: str, value: Wire) -> Wire:
        self.made += 1
        return super().keep(message, variant, value)


def test_a_message_is_serialized_once_though_it_is_sent_at_every_round() -> None:
    cache = CountingCache()
    history = [messages.user("go")]
    for i in range(20):
        format_request(Request(tuple(history)), model="m", cache=cache)
        history += [_calls(f"c{i}"), _results(ToolResult(f"c{i}", "add", (Text("1"),)))]
    format_request(Request(tuple(history)), model="m", cache=cache)
    assert cache.made == len(history) == len(cache)


def test_an_id_that_a_server_refuses_is_another_one_in_call_and_result_alike() -> None:
    theirs = "toolu_01AAAAAAAAAAAAAAAAAAAAAA"
    called = messages.assistant(ToolCall(theirs, "f"), ToolCall("a1B2c3D4e", "f"), model="anthropic:m")
    answered = Message("tool", (ToolResult(theirs, "f", (Text("1"),)),))
    request = Request((messages.user("x"), called, answered, messages.user("y")))
    sent = orjson.loads(format_request(request, model="m", quirks=Quirks("mistral", call_id="[A-Za-z0-9]{9}")))
    first, second = [call["id"] for call in sent["messages"][1]["tool_calls"]]
    assert re.fullmatch("[a-z0-9]{9}", first)
    assert second == "a1B2c3D4e"
    assert [m["tool_call_id"] for m in sent["messages"] if m["role"] == "tool"] == [first, second]
    as_they_are = orjson.loads(format_request(request, model="m", quirks=Quirks("openai", call_id=".{1,40}")))
    assert as_they_are["messages"][1]["tool_calls"][0]["id"] == theirs
