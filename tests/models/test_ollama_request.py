from __future__ import annotations

from typing import Any

import orjson
import pytest
from inline_snapshot import snapshot

from agentnb import messages
from agentnb.errors import UsageError
from agentnb.messages import Audio, Data, File, Image, Message, Text, Thinking, ToolCall, ToolResult, ToolSpec
from agentnb.models.base import OutputSpec, Request
from agentnb.models.dialect import Quirks
from agentnb.models.ollama import DIALECT, format_request, ollama_base
from agentnb.models.options import Options
from agentnb.models.wire import WireCache

ADD = ToolSpec("add", "Add two numbers.", {"type": "object", "properties": {"x": {"type": "integer"}}})
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}}
OLLAMA = Quirks("ollama")


def _body(*conversation: Message, quirks: Quirks = OLLAMA, **options: Any) -> Any:
    return orjson.loads(format_request(Request(conversation, **options), model="m", quirks=quirks))


def _sent(*conversation: Message, **options: Any) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = _body(*conversation, **options)["messages"]
    return sent


def _calls(*ids: str, **options: Any) -> Message:
    return messages.assistant(*(ToolCall(i, "add", '{"x": 1}') for i in ids), finish="tool_calls", **options)


def _results(*results: ToolResult) -> Message:
    return Message("tool", results)


def test_a_plain_request() -> None:
    request = _body(
        messages.system("Be brief."),
        messages.user("Hi"),
        tools=(ADD,),
        options=Options(temperature=0.5, top_p=0.9, top_k=40, max_tokens=10, seed=1, stop=("END",)),
    )
    assert request == snapshot(
        {
            "model": "m",
            "stream": True,
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
            "options": {
                "temperature": 0.5,
                "top_p": 0.9,
                "top_k": 40,
                "num_predict": 10,
                "seed": 1,
                "stop": ["END"],
                "num_ctx": 8192,
            },
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        }
    )


@pytest.mark.parametrize(
    ("choice", "offered"), [("auto", ["add", "mul"]), ("none", None), ("required", ["add", "mul"]), ("mul", ["mul"])]
)
def test_a_choice_of_tools_is_what_is_offered(choice: str, offered: list[str] | None) -> None:
    request = _body(messages.user("Hi"), tools=(ADD, ToolSpec("mul", "", {})), tool_choice=choice)
    tools = request.get("tools")
    assert (tools and [tool["function"]["name"] for tool in tools]) == offered
    assert "tool_choice" not in request


@pytest.mark.parametrize(
    ("thinking", "level", "switch"),
    [
        ("off", False, False),
        (0, False, False),
        ("on", True, True),
        (2048, True, True),
        ("minimal", "low", True),
        ("medium", "medium", True),
        ("max", "high", True),
    ],
)
def test_thinking_is_a_switch_or_a_level(thinking: Any, level: object, switch: object) -> None:
    options = Options(thinking=thinking)
    refusal = b'{"error":"think value \\"low\\" is not supported for this model"}'
    learned = DIALECT.adapt(OLLAMA, 400, refusal)
    assert learned is not None
    assert DIALECT.adapt(learned, 400, refusal) is None
    assert _body(messages.user("Hi"), options=options)["think"] == level
    assert _body(messages.user("Hi"), options=options, quirks=learned)["think"] == switch


def test_a_schema_is_the_format_where_there_are_no_tools() -> None:
    assert _body(messages.user("Hi"), output=OutputSpec("City", SCHEMA))["format"] == SCHEMA
    hidden = _body(messages.user("Hi"), output=OutputSpec("City", SCHEMA), tools=(ADD,), tool_choice="none")
    assert hidden["format"] == SCHEMA


def test_beside_tools_a_schema_is_asked_for_in_words_before_everything_else() -> None:
    talk = (messages.system("Be brief."), messages.user("Hi"))
    request = _body(*talk, output=OutputSpec("City", SCHEMA), tools=(ADD,))
    assert "format" not in request
    first, *rest = request["messages"]
    assert first["role"] == "system"
    assert orjson.dumps(SCHEMA) in first["content"].replace(" ", "").encode()
    assert rest == _sent(*talk)


def test_own_words_are_added_to_ours() -> None:
    body: Any = {"keep_alive": "5m", "options": {"num_ctx": 4096, "mirostat": 1}, "messages": []}
    request = _body(messages.user("Hi"), options=Options(seed=1, body=body))
    assert request["options"] == {"seed": 1, "num_ctx": 4096, "mirostat": 1}
    assert request["keep_alive"] == "5m"
    assert len(request["messages"]) == 1


@pytest.mark.parametrize(
    ("characters", "options", "context"),
    [
        (10, Options(), 8192),
        (18_000, Options(), 8192),
        (24_000, Options(), 16384),
        (10, Options(max_tokens=9000), 16384),
        (300_000, Options(), 131072),
    ],
)
def test_the_context_is_a_power_of_two_that_holds_the_conversation(
    characters: int, options: Options, context: int
) -> None:
    assert _body(messages.user("x" * characters), options=options)["options"]["num_ctx"] == context


def test_a_picture_counts_as_a_picture_and_not_as_its_bytes() -> None:
    photo = Image(b"x" * 1_000_000)
    assert _body(messages.user("What is this?", photo, photo))["options"]["num_ctx"] == 8192
    assert _body(messages.user(*[photo] * 8))["options"]["num_ctx"] == 16384


def test_what_is_not_json_is_refused_before_it_is_sent() -> None:
    body: Any = {"x": {1, 2}}
    with pytest.raises(UsageError, match="not JSON"):
        _body(messages.user("Hi"), options=Options(body=body))


def test_pictures_are_bare_base64_beside_the_words() -> None:
    assert _sent(messages.user("What is this?", Image(b"x"), Data([1]))) == [
        {"role": "user", "content": "What is this?[1]", "images": ["eA=="]}
    ]


@pytest.mark.parametrize("block", [Audio(b"x"), File("a.pdf", b"x"), Image(url="https://example.org/a.png")])
def test_what_ollama_cannot_see_is_refused_and_of_a_tool_the_model_is_told(block: Any) -> None:
    with pytest.raises(UsageError, match="only"):
        _sent(messages.user("What is this?", block))
    result = ToolResult("a", "add", (Text("see"), block))
    told = _sent(messages.user("q"), _calls("a"), _results(result))[-1]
    assert told["role"] == "tool"
    assert told["content"].startswith("see\n(")


def test_results_follow_in_the_order_of_the_calls_and_their_pictures_after_them() -> None:
    sent = _sent(
        messages.user("go"),
        _calls("a", "b", "c"),
        messages.user("meanwhile"),
        _results(ToolResult("b", "two", (Data({"n": 1}),)), ToolResult("stray", "x", ())),
        _results(ToolResult("a", "one", (Text("see"), Image(b"x")))),
        messages.assistant("done"),
    )
    assert sent[2:] == snapshot(
        [
            {"role": "tool", "tool_name": "one", "tool_call_id": "a", "content": "see\n(1 attached below)"},
            {"role": "tool", "tool_name": "two", "tool_call_id": "b", "content": '{"n":1}'},
            {"role": "tool", "tool_name": "add", "tool_call_id": "c", "content": "This call was not run."},
            {"role": "user", "content": "From one:", "images": ["eA=="]},
            {"role": "user", "content": "meanwhile"},
            {"role": "assistant", "content": "done"},
        ]
    )
    function = {"name": "add", "arguments": {"x": 1}}
    assert sent[1]["tool_calls"] == [{"id": name, "type": "function", "function": function} for name in "abc"]


@pytest.mark.parametrize("broken", ["", "{", '{"x": 1', "[1]", "null"])
def test_arguments_that_the_dialect_has_no_word_for_are_sent_empty(broken: str) -> None:
    sent = _sent(messages.user("go"), messages.assistant(ToolCall("a", "add", broken)))
    assert sent[1]["tool_calls"][0]["function"]["arguments"] == {}


def test_reasoning_goes_back_to_its_own_provider_alone() -> None:
    said = (Thinking("Hm"), ToolCall("c", "add", "{}"))
    own, foreign = (
        _sent(messages.user("q"), messages.assistant(*said, model=model))[1] for model in ("ollama:m", "openai:m")
    )
    assert own["thinking"] == "Hm"
    assert "thinking" not in foreign


def test_an_answer_that_never_began_is_left_out() -> None:
    assert [m["role"] for m in _sent(messages.user("a"), Message("assistant", ()), messages.user("b"))] == ["user"] * 2


def test_cached_bytes_are_the_same_bytes() -> None:
    cache: WireCache[bytes] = WireCache()
    loop = (messages.system("s"), messages.user("go"), _calls("a"), _results(ToolResult("a", "add", (Text("1"),))))
    longer = (*loop, messages.assistant("b"), messages.user("next"), messages.assistant("c"), messages.user("last"))
    for conversation in (loop, longer, loop[:2], longer):
        request = Request(conversation)
        cached = format_request(request, model="m", quirks=OLLAMA, cache=cache)
        assert cached == format_request(request, model="m", quirks=OLLAMA)


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("http://127.0.0.1:11434/api", "http://127.0.0.1:11434"),
        ("http://127.0.0.1:11434/v1/", "http://127.0.0.1:11434"),
        ("http://127.0.0.1:11434/api/chat", "http://127.0.0.1:11434"),
        ("https://example.org/ollama/api", "https://example.org:443/ollama"),
        ("https://me:pw@example.org", "https://me:pw@example.org:443"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:1234", "http://[::1]:1234"),
        ("::1", "http://[::1]:11434"),
        (" 'example.org' ", "http://example.org:11434"),
        ("example.org:66000", "http://example.org:11434"),
        ("http://example.org:none", "http://example.org:80"),
    ],
)
def test_every_way_to_write_the_address_is_one_address(given: str, base: str) -> None:
    assert ollama_base(given) == base
    assert DIALECT.bases(given) == (base,)


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "0.0.0.0:11434", "http://0.0.0.0:11434/", ":11434", "[::]:11434"])
def test_a_server_that_listens_everywhere_is_asked_on_this_machine(everywhere: str) -> None:
    assert DIALECT.bases(everywhere) == ("http://127.0.0.1:11434",)


def test_it_is_asked_at_its_own_path() -> None:
    assert DIALECT.path(Request(()), "m", OLLAMA) == "/api/chat"
