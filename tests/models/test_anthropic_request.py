from __future__ import annotations

from typing import Any

import orjson
import pytest
from inline_snapshot import snapshot

from agentnb import messages
from agentnb.errors import UsageError
from agentnb.messages import (
    JSON,
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
from agentnb.models.anthropic_options import strict_schema
from agentnb.models.anthropic_request import Wire, format_request
from agentnb.models.base import OutputSpec, Request
from agentnb.models.options import Options
from agentnb.models.wire import WireCache

ADD = ToolSpec("add", "Add two numbers.", {"type": "object", "properties": {"x": {"type": "integer"}}})
MINE = "anthropic:m"
ADAPTIVE = {"type": "adaptive", "display": "summarized"}


def _body(*conversation: Message, **options: Any) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(format_request(Request(conversation, **options), model="m"))
    return body


def _sent(*conversation: Message) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = _body(*conversation)["messages"]
    return turns


def _said(*conversation: Message) -> list[tuple[str, list[Any]]]:
    """Role and texts (or types) of each turn."""
    return [(m["role"], [b.get("text") or b["type"] for b in m["content"]]) for m in _sent(*conversation)]


def _calls(*ids: str, **options: Any) -> Message:
    return messages.assistant(*(ToolCall(i, "add", '{"x":1}') for i in ids), finish="tool_calls", **options)


def _results(*results: ToolResult) -> Message:
    return Message("tool", results)


def _result(call_id: str, *content: Any, **options: Any) -> ToolResult:
    return ToolResult(call_id, "add", content, **options)


def test_a_plain_request() -> None:
    request = _body(messages.system("Be brief."), messages.user("Hi"), tools=(ADD,), options=Options(temperature=0.5))
    assert request == snapshot(
        {
            "system": "Be brief.",
            "model": "m",
            "max_tokens": 4096,
            "stream": True,
            "temperature": 0.5,
            "tools": [
                {
                    "name": "add",
                    "description": "Add two numbers.",
                    "input_schema": {"type": "object", "properties": {"x": {"type": "integer"}}},
                }
            ],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        }
    )


def test_all_system_messages_are_one_and_stand_apart() -> None:
    body = _body(messages.system("a"), messages.user("x"), messages.system(" "), messages.system("b"))
    assert body["system"] == "a\n\nb"
    assert len(body["messages"]) == 1
    assert "system" not in _body(messages.user("x"))


@pytest.mark.parametrize(
    ("choice", "parallel", "sent"),
    [
        ("auto", None, None),
        ("auto", False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("none", False, {"type": "none"}),
        ("required", None, {"type": "any"}),
        ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
        ("a.dd", True, {"type": "tool", "name": "a_dd"}),
    ],
)
def test_a_tool_choice_is_sent_only_with_tools(choice: str, parallel: bool | None, sent: object) -> None:
    options = Options(parallel_tool_calls=parallel)
    body = _body(messages.user("x"), tools=(ADD,), tool_choice=choice, options=options)
    assert body.get("tool_choice") == sent
    assert "tool_choice" not in _body(messages.user("x"), tool_choice=choice, options=options)


@pytest.mark.parametrize(
    ("thinking", "sent"),
    [
        (None, {}),
        ("off", {"thinking": {"type": "disabled"}}),
        ("on", {"thinking": ADAPTIVE}),
        ("high", {"thinking": ADAPTIVE, "output_config": {"effort": "high"}}),
        ("minimal", {"thinking": ADAPTIVE, "output_config": {"effort": "low"}}),
        (1024, {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
    ],
)
def test_thinking_is_off_free_an_effort_or_a_budget(thinking: Any, sent: dict[str, object]) -> None:
    body = _body(messages.user("x"), options=Options(thinking=thinking))
    assert {k: body[k] for k in ("thinking", "output_config") if k in body} == sent


def test_a_budget_leaves_room_for_the_answer_and_demands_no_call() -> None:
    options = Options(thinking=4096, max_tokens=100)
    body = _body(messages.user("x"), tools=(ADD,), tool_choice="required", options=options)
    assert body["max_tokens"] == 4196
    assert "tool_choice" not in body
    assert _body(messages.user("x"), options=Options(thinking=2000))["max_tokens"] == 4096
    assert _body(messages.user("x"), tools=(ADD,), tool_choice="none", options=options)["tool_choice"] == {
        "type": "none"
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(thinking=1023), "budget of 1023 tokens is too small for anthropic:m"),
        (Options(thinking=2000, temperature=0.5), "anthropic:m takes neither a temperature"),
        (Options(thinking=2000, top_k=5), "top_k with a thinking budget"),
        (Options(body={"odd": {1, 2}}), "is not JSON"),  # type: ignore[dict-item]  # the mistake under test
    ],
)
def test_what_cannot_go_together_is_refused_before_it_is_sent(options: Options, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        _body(messages.user("x"), options=options)


def test_text_that_is_no_unicode_is_refused_before_it_is_sent() -> None:
    with pytest.raises(UsageError, match="is not JSON"):
        _body(messages.user("\ud800"))


def test_options_are_sent_in_the_dialects_words() -> None:
    options = Options(
        top_p=0.5,
        top_k=3,
        max_tokens=9,
        stop=("a",),
        stream=False,
        body={"metadata": {"user_id": "u"}, "messages": [], "tools": [{"type": "web_search_20250305"}]},
    )
    assert _body(messages.user("x"), tools=(ADD,), options=options) == snapshot(
        {
            "model": "m",
            "max_tokens": 9,
            "stream": False,
            "top_p": 0.5,
            "top_k": 3,
            "stop_sequences": ["a"],
            "tools": [
                {
                    "name": "add",
                    "description": "Add two numbers.",
                    "input_schema": {"type": "object", "properties": {"x": {"type": "integer"}}},
                },
                {"type": "web_search_20250305"},
            ],
            "metadata": {"user_id": "u"},
            "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
        }
    )
    assert _body(messages.user("x"), options=Options(thinking=1024, temperature=1))["temperature"] == 1


def test_caching_marks_the_tools_the_system_and_the_end() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    conversation = (messages.system("s"), messages.user("x", "y"))
    body = _body(*conversation, tools=(ADD, ADD), options=Options(cache="1h"))
    assert [tool.get("cache_control") for tool in body["tools"]] == [None, mark]
    assert body["system"] == [{"type": "text", "text": "s", "cache_control": mark}]
    (turn,) = body["messages"]
    assert [block.get("cache_control") for block in turn["content"]] == [None, mark]
    assert b"cache_control" not in format_request(Request(conversation, (ADD,)), model="m")


def test_what_was_thought_is_never_marked_for_caching() -> None:
    paused = messages.assistant(
        "a", Opaque("anthropic", {"data": "x", "type": "redacted_thinking"}), Thinking("t", "sig"), model=MINE
    )
    body = _body(messages.user("x"), paused, options=Options(cache="5m"))
    assert [b["type"] for b in body["messages"][1]["content"] if "cache_control" in b] == ["text"]


def test_a_mark_of_one_round_is_not_kept_for_the_next() -> None:
    cache: WireCache[Wire] = WireCache()
    conversation = [messages.user("x")]
    for i in range(3):
        request = Request(tuple(conversation), options=Options(cache="5m"))
        assert format_request(request, model="m", cache=cache).count(b"cache_control") == 1
        conversation += [_calls(f"c{i}"), _results(_result(f"c{i}", Text("ok")))]


def test_neighbours_of_one_role_are_one_turn_and_the_user_begins() -> None:
    assert _said(messages.assistant("a"), messages.assistant("b"), messages.user("c"), messages.user("d")) == [
        ("user", ["(The conversation goes on.)"]),
        ("assistant", ["a", "b"]),
        ("user", ["c", "d"]),
    ]


def test_all_answers_come_first_in_one_turn_in_the_order_of_the_calls() -> None:
    sent = _sent(
        messages.user("go"),
        _calls("a", "b", "c"),
        messages.user("meanwhile"),
        _results(_result("b", Text("two"))),
        _results(_result("a", Text("one"), is_error=True), _result("z", Text("nobody asked"))),
        messages.assistant("done"),
    )
    assert [m["role"] for m in sent] == ["user", "assistant", "user", "assistant"]
    assert sent[2]["content"] == snapshot(
        [
            {
                "type": "tool_result",
                "tool_use_id": "a",
                "content": [{"type": "text", "text": "one"}],
                "is_error": True,
            },
            {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "two"}]},
            {
                "type": "tool_result",
                "tool_use_id": "c",
                "content": [{"type": "text", "text": "This call was not run."}],
                "is_error": True,
            },
            {"type": "text", "text": "meanwhile"},
        ]
    )


def test_a_result_holds_media_and_words_and_is_left_empty_where_there_are_none() -> None:
    results = _results(
        _result("a", Text("see"), Data({"n": 1}), Image(b"png")),
        _result("b", Text(" ")),
        _result("c", is_error=True),
        _result("d", Audio(b"wav")),
    )
    turn = _sent(messages.user("go"), _calls("a", "b", "c", "d"), results)[-1]
    assert [block.get("content") for block in turn["content"]] == snapshot(
        [
            [
                {"type": "text", "text": "see"},
                {"type": "text", "text": '{"n":1}'},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "cG5n"}},
            ],
            None,
            "It failed and gave no reason.",
            [{"type": "text", "text": "(audio/wav cannot be sent to this model. Send a picture, a PDF or text.)"}],
        ]
    )


def test_media_of_a_question_go_in_place() -> None:
    content = (
        "look",
        Image(b"png"),
        Image(url="http://x/y.png"),
        File("a.pdf", b"pdf", "application/pdf"),
        File("", url="http://x/y.pdf", media_type="application/pdf"),
    )
    (turn,) = _sent(messages.user(*content, " \n"))
    assert turn["content"] == snapshot(
        [
            {"type": "text", "text": "look"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "cG5n"}},
            {"type": "image", "source": {"type": "url", "url": "http://x/y.png"}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "cGRm"},
                "title": "a.pdf",
            },
            {"type": "document", "source": {"type": "url", "url": "http://x/y.pdf"}},
        ]
    )


@pytest.mark.parametrize("block", [Audio(b"wav"), File("a.zip", b"zip", "application/zip")])
def test_media_that_cannot_be_sent_are_named(block: messages.Block) -> None:
    with pytest.raises(UsageError, match=r"(audio/wav|application/zip) cannot be sent"):
        _sent(messages.user(block))


def test_what_was_thought_goes_back_unchanged_in_order_to_the_model_that_thought_it() -> None:
    redacted: dict[str, JSON] = {"data": "secret", "type": "redacted_thinking"}
    search: dict[str, JSON] = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "é"}}
    content = (
        Thinking("hm", "sig"),
        Opaque("anthropic", redacted),
        Thinking("", "sig2"),
        Opaque("anthropic", search),
        Opaque("openai", {"reasoning_details": []}),
        Thinking("unsigned"),
        ToolCall("c", "add", '{"x": 1.0, "y": 12345678901}', {"caller": {"type": "direct"}}),
    )
    thought = [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        redacted,
        {"type": "thinking", "thinking": "", "signature": "sig2"},
    ]
    call = {"type": "tool_use", "id": "c", "name": "add", "input": {"x": 1.0, "y": 12345678901}}
    own = {**call, "caller": {"type": "direct"}}

    def back(model: str | None) -> Any:
        return _sent(messages.user("x"), messages.assistant(*content, model=model))[1]["content"]

    assert back(MINE) == [*thought, search, own]
    assert back("anthropic:other") == [search, own]
    assert back("bedrock:m") == [call]
    assert back(None) == [call]


def test_a_call_of_the_providers_own_tool_that_was_cut_off_goes_back_only_to_be_continued() -> None:
    search = Opaque("anthropic", {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})
    found = Opaque("anthropic", {"type": "web_search_tool_result", "tool_use_id": "s", "content": []})

    def kinds(*content: Any, finish: str, then: tuple[Message, ...] = ()) -> list[str]:
        said = messages.assistant("a", *content, model=MINE, finish=finish)
        return [block["type"] for block in _sent(messages.user("x"), said, *then)[1]["content"]]

    more = (messages.user("y"),)
    assert kinds(search, finish="length", then=more) == ["text"]
    assert kinds(search, found, finish="stop", then=more) == ["text", "server_tool_use", "web_search_tool_result"]
    assert kinds(search, finish="stop") == ["text", "server_tool_use"]
    # The result comes later where the provider's tool waits for ours.
    called = (search, ToolCall("c", "add"))
    assert kinds(*called, finish="tool_calls", then=more) == ["text", "server_tool_use", "tool_use"]


def test_citations_go_back_with_their_words() -> None:
    cited: dict[str, JSON] = {"type": "text", "text": "It rained.", "citations": [{"url": "http://x"}]}
    said = messages.assistant(Text("So: It rained."), Opaque("anthropic", cited), Text(" Bye."), model=MINE)
    assert _sent(messages.user("?"), said)[1]["content"] == [
        {"type": "text", "text": "So: "},
        cited,
        {"type": "text", "text": " Bye."},
    ]
    moved = messages.assistant(Text("Changed."), Opaque("anthropic", cited), model=MINE)
    assert _said(messages.user("?"), moved)[1] == ("assistant", ["Changed."])


@pytest.mark.parametrize("arguments", ["", '{"x": ', "[1]", "nonsense", "12", '{"x":"\\ud800"}'])
def test_arguments_that_are_no_object_go_back_as_an_empty_one(arguments: str) -> None:
    turn = _sent(messages.user("x"), messages.assistant(ToolCall("c", "add", arguments)))[1]
    assert turn["content"][0]["input"] == {}


def test_ids_and_names_of_other_providers_are_made_to_fit() -> None:
    called = messages.assistant(ToolCall("functions.add:0", "my tool"), ToolCall("", ""))
    turns = _sent(messages.user("x"), called, _results(_result("functions.add:0", Text("1")), _result("", Text("2"))))
    assert [(b["id"], b["name"]) for b in turns[1]["content"]] == [("functions_add_0", "my_tool"), ("_", "_")]
    assert [(b["tool_use_id"], b["content"][0]["text"]) for b in turns[2]["content"]] == [
        ("functions_add_0", "1"),
        ("_", "2"),
    ]


def test_an_answer_to_be_continued_ends_without_blanks_and_an_empty_one_is_left_out() -> None:
    assert _said(messages.user("x"), messages.assistant("a \n", "b \n"))[1] == ("assistant", ["a \n", "b"])
    assert _said(messages.user("x"), messages.assistant("a \n"), messages.user("y"))[1] == ("assistant", ["a \n"])
    assert _said(messages.user("x"), messages.assistant("a", " \n"))[1] == ("assistant", ["a"])
    assert _said(messages.user("x"), messages.assistant(" "), messages.user("y")) == [("user", ["x", "y"])]
    assert _said(messages.user("x"), messages.assistant(), messages.user(" ")) == [("user", ["x"])]


def test_output_is_asked_for_with_a_strict_schema_and_the_schema_given_stays_as_it_is() -> None:
    city: dict[str, JSON] = {"type": "object", "properties": {"minimum": {"type": "integer", "minimum": 0}}}
    spec = OutputSpec("city", city)
    body = _body(messages.user("x"), output=spec, options=Options(thinking="low"))
    assert body["output_config"] == snapshot(
        {
            "effort": "low",
            "format": {
                "type": "json_schema",
                "schema": {
                    "type": "object",
                    "properties": {"minimum": {"type": "integer", "description": "(minimum: 0)"}},
                    "additionalProperties": False,
                },
            },
        }
    )
    assert city == {"type": "object", "properties": {"minimum": {"type": "integer", "minimum": 0}}}


def test_a_schema_is_made_strict_in_all_its_parts() -> None:
    thing: JSON = {"type": "object", "properties": {"pattern": {"type": "string", "pattern": "^a", "description": "A"}}}
    assert strict_schema(
        {
            "$defs": {"thing": thing},
            "type": "object",
            "properties": {
                "many": {"type": "array", "items": thing, "minItems": 1, "maxItems": 3},
                "one": {"oneOf": [thing, {"type": "string", "format": "uuid"}, {"type": "string", "format": "odd"}]},
                "open": {"type": "object", "additionalProperties": {"type": "integer"}},
                "choice": {"enum": [{"properties": 1}]},
            },
        }
    ) == snapshot(
        {
            "$defs": {
                "thing": {
                    "type": "object",
                    "properties": {"pattern": {"type": "string", "description": "A (pattern: ^a)"}},
                    "additionalProperties": False,
                }
            },
            "type": "object",
            "properties": {
                "many": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"pattern": {"type": "string", "description": "A (pattern: ^a)"}},
                        "additionalProperties": False,
                    },
                    "minItems": 1,
                    "description": "(maxItems: 3)",
                },
                "one": {
                    "anyOf": [
                        {
                            "type": "object",
                            "properties": {"pattern": {"type": "string", "description": "A (pattern: ^a)"}},
                            "additionalProperties": False,
                        },
                        {"type": "string", "format": "uuid"},
                        {"type": "string", "description": "(format: odd)"},
                    ]
                },
                "open": {"type": "object", "additionalProperties": {"type": "integer"}},
                "choice": {"enum": [{"properties": 1}]},
            },
            "additionalProperties": False,
        }
    )


def test_a_round_costs_the_same_however_long_the_conversation_is() -> None:
    cache: WireCache[Wire] = WireCache()
    conversation = [messages.system("s"), messages.user("go")]
    looked = []
    for i in range(20):
        request = Request(tuple(conversation))
        assert format_request(request, model="m", cache=cache) == format_request(request, model="m")
        known = cache.prefix(request.messages, MINE)
        looked.append(len(request.messages) - len(known.messages))
        conversation += [_calls(f"c{i}", model=MINE), _results(_result(f"c{i}", Text("ok")))]
    assert set(looked[2:]) == {2}


def test_a_kept_beginning_fits_whatever_follows_it() -> None:
    cache: WireCache[Wire] = WireCache()
    begin = (messages.user("go"), _calls("a"), _results(_result("a", Text("1"))), messages.assistant("so"))
    for more in (
        (),
        (messages.user("x"), messages.assistant("y ")),
        (messages.assistant("z"), messages.user("x")),
        (messages.user("x"), messages.assistant(" "), messages.user("y")),
        (messages.user("x"), messages.assistant(" "), messages.user("y"), _calls("b")),
    ):
        request = Request(begin + more)
        assert format_request(request, model="m", cache=cache) == format_request(request, model="m")


def test_own_words_are_added_to_ours() -> None:
    spec = OutputSpec("C", {"type": "object", "properties": {}})
    options = Options(body={"output_config": {"effort": "low"}, "stop_sequences": ["B"]}, stop=("A",))
    body = _body(messages.user("Hi"), output=spec, options=options)
    assert body["output_config"]["effort"] == "low"
    assert body["output_config"]["format"]["type"] == "json_schema"
    assert body["stop_sequences"] == ["A", "B"]
