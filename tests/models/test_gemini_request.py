from __future__ import annotations

import typing
from typing import Any

import orjson
import pytest
from inline_snapshot import snapshot

from agentnb import messages
from agentnb.errors import UsageError
from agentnb.messages import Audio, Data, File, Image, Message, Opaque, Text, Thinking, ToolCall, ToolResult, ToolSpec
from agentnb.models.base import OutputSpec, Request
from agentnb.models.dialect import Quirks
from agentnb.models.gemini import DIALECT, format_request
from agentnb.models.options import Options
from agentnb.models.wire import WireCache

ADD = ToolSpec("add", "Add two numbers.", {"type": "object", "properties": {"x": {"type": "integer"}}})
SIGNED: dict[str, Any] = {"thoughtSignature": "c2ln"}
GEMINI = Quirks("gemini")


def _body(*conversation: Message, model: str = "gemini-2.5-pro", quirks: Quirks = GEMINI, **options: Any) -> Any:
    return orjson.loads(format_request(Request(conversation, **options), model=model, quirks=quirks))


def _contents(*conversation: Message, **options: Any) -> list[tuple[str, list[dict[str, Any]]]]:
    return [(content["role"], content["parts"]) for content in _body(*conversation, **options)["contents"]]


def _calls(*ids: str, **options: Any) -> Message:
    return messages.assistant(*(ToolCall(i, "add", '{"x": 1}') for i in ids), finish="tool_calls", **options)


def _results(*results: ToolResult) -> Message:
    return Message("tool", results)


def _result(call_id: str, *content: Any, **options: Any) -> ToolResult:
    return ToolResult(call_id, "add", content or (Text("1"),), **options)


def test_a_plain_request() -> None:
    request = _body(
        messages.system("Be brief."),
        messages.user("Hi"),
        tools=(ADD,),
        options=Options(temperature=0.5, top_p=0.9, top_k=40, max_tokens=10, seed=1, stop=("END",), presence_penalty=1),
    )
    assert request == snapshot(
        {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "tools": [
                {
                    "functionDeclarations": [
                        {
                            "name": "add",
                            "description": "Add two numbers.",
                            "parametersJsonSchema": {"type": "object", "properties": {"x": {"type": "integer"}}},
                        }
                    ]
                }
            ],
            "generationConfig": {
                "temperature": 0.5,
                "topP": 0.9,
                "topK": 40,
                "maxOutputTokens": 10,
                "presencePenalty": 1,
                "seed": 1,
                "stopSequences": ["END"],
            },
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        }
    )


def test_a_question_alone_is_all_there_is() -> None:
    assert _body(messages.user("Hi")) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", None),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ("add", {"mode": "ANY", "allowedFunctionNames": ["add"]}),
    ],
)
def test_a_tool_choice_is_sent_only_with_tools(choice: str, sent: object) -> None:
    with_tools = _body(messages.user("Hi"), tools=(ADD,), tool_choice=choice)
    assert with_tools.get("toolConfig") == (sent and {"functionCallingConfig": sent})
    assert "toolConfig" not in _body(messages.user("Hi"), tool_choice=choice)


@pytest.mark.parametrize(
    ("thinking", "sent"),
    [
        ("off", {"thinkingBudget": 0}),
        (0, {"thinkingBudget": 0}),
        ("on", {"includeThoughts": True, "thinkingBudget": -1}),
        (2048, {"includeThoughts": True, "thinkingBudget": 2048}),
        ("low", {"includeThoughts": True, "thinkingLevel": "low"}),
        ("max", {"includeThoughts": True, "thinkingLevel": "high"}),
    ],
)
def test_thinking_is_shown_whenever_it_is_asked_for(thinking: Any, sent: object) -> None:
    config = _body(messages.user("Hi"), options=Options(thinking=thinking))["generationConfig"]
    assert config == {"thinkingConfig": sent}


def test_a_model_that_refuses_levels_is_given_a_budget() -> None:
    refusal = b'{"error": {"message": "thinking level is not supported for this model."}}'
    learned = DIALECT.adapt(GEMINI, 400, refusal)
    assert learned is not None
    assert DIALECT.adapt(learned, 400, refusal) is None
    assert DIALECT.adapt(GEMINI, 429, refusal) is None
    config = _body(messages.user("Hi"), quirks=learned, options=Options(thinking="medium"))["generationConfig"]
    assert config == {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 8192}}


def test_a_schema_is_asked_for_natively() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}}
    request = _body(messages.user("Hi"), output=OutputSpec("City", schema), options=Options(seed=1))
    assert request["generationConfig"] == {
        "seed": 1,
        "responseMimeType": "application/json",
        "responseJsonSchema": schema,
    }


def test_own_words_are_added_to_ours() -> None:
    body: Any = {
        "generationConfig": {"responseModalities": ["TEXT"], "seed": 2},
        "tools": [{"googleSearch": {}}],
        "safetySettings": [],
        "contents": [],
    }
    request = _body(messages.user("Hi"), tools=(ADD,), options=Options(seed=1, top_k=3, body=body))
    assert request["generationConfig"] == {"seed": 2, "topK": 3, "responseModalities": ["TEXT"]}
    assert [list(tool) for tool in request["tools"]] == [["functionDeclarations"], ["googleSearch"]]
    assert request["safetySettings"] == []
    assert len(request["contents"]) == 1


def test_what_is_not_json_is_refused_before_it_is_sent() -> None:
    body: Any = {"x": {1, 2}}
    with pytest.raises(UsageError, match="not JSON"):
        _body(messages.user("Hi"), options=Options(body=body))
    value: Any = object()
    for role in typing.get_args(messages.Role)[:2]:
        with pytest.raises(UsageError, match="not JSON"):
            _body(Message(role, (Data(value),)))


def test_neighbours_of_one_role_are_one_content() -> None:
    sent = _contents(
        messages.user("a"),
        Message("assistant", ()),
        messages.user("b", Data({"n": 1})),
        messages.system("From now on in French."),
        messages.assistant("c"),
        messages.assistant("d"),
    )
    assert sent == [
        ("user", [{"text": "a"}, {"text": "b"}, {"text": '{"n":1}'}, {"text": "From now on in French."}]),
        ("model", [{"text": "c"}, {"text": "d"}]),
    ]


def test_media_go_as_data_and_addresses_as_addresses() -> None:
    film = File("f", url="https://example.org/film.mp4", media_type="video/mp4")
    sent = _contents(messages.user(Image(b"x"), Audio(b"x"), File("a.pdf", b"x", "application/pdf"), film, "?"))
    assert sent == snapshot(
        [
            (
                "user",
                [
                    {"inlineData": {"mimeType": "image/png", "data": "eA=="}},
                    {"inlineData": {"mimeType": "audio/wav", "data": "eA=="}},
                    {"inlineData": {"mimeType": "application/pdf", "data": "eA=="}},
                    {"fileData": {"fileUri": "https://example.org/film.mp4", "mimeType": "video/mp4"}},
                    {"text": "?"},
                ],
            )
        ]
    )


def test_all_results_of_a_round_are_one_content_in_the_order_of_the_calls() -> None:
    sent = _contents(
        messages.user("go"),
        _calls("a", "b", "c", "d"),
        messages.user("meanwhile"),
        _results(_result("c", Data({"n": 1})), _result("stray")),
        _results(_result("b", Text("no"), is_error=True), _result("a", Text("see"), Image(b"x"))),
        messages.assistant("done"),
    )
    assert [role for role, _ in sent] == ["user", "model", "user", "model"]
    assert [part["functionCall"] for part in sent[1][1]] == [
        {"id": call_id, "name": "add", "args": {"x": 1}} for call_id in "abcd"
    ]
    assert sent[2][1] == snapshot(
        [
            {"functionResponse": {"id": "a", "name": "add", "response": {"output": "see\n(1 attached below)"}}},
            {"functionResponse": {"id": "b", "name": "add", "response": {"error": "no"}}},
            {"functionResponse": {"id": "c", "name": "add", "response": {"output": {"n": 1}}}},
            {"functionResponse": {"id": "d", "name": "add", "response": {"error": "This call was not run."}}},
            {"text": "From add (a):"},
            {"inlineData": {"mimeType": "image/png", "data": "eA=="}},
            {"text": "meanwhile"},
        ]
    )


@pytest.mark.parametrize("broken", ["", "{", '{"x": 1', "[1]", "null"])
def test_arguments_that_the_dialect_has_no_word_for_are_sent_empty(broken: str) -> None:
    (_, parts) = _contents(messages.user("go"), messages.assistant(ToolCall("a", "add", broken)))[1]
    assert parts[0]["functionCall"]["args"] == {}


def test_what_a_provider_made_goes_back_to_it_alone() -> None:
    said = (
        Thinking("t", "s"),
        Text("a", SIGNED),
        Text("", SIGNED),
        ToolCall("c", "add", "{}", SIGNED),
        Opaque("gemini", {"executableCode": {"code": "1"}}),
        Opaque("anthropic", {"type": "redacted_thinking"}),
    )
    own = _contents(messages.user("q"), messages.assistant(*said, model="gemini:m"))[1][1]
    foreign = _contents(messages.user("q"), messages.assistant(*said, model="anthropic:m"))[1][1]
    call = {"functionCall": {"id": "c", "name": "add", "args": {}}}
    assert own == [
        {"text": "t", "thought": True, "thoughtSignature": "s"},
        {"text": "a", **SIGNED},
        {"text": "", **SIGNED},
        {**call, **SIGNED},
        {"executableCode": {"code": "1"}},
    ]
    assert foreign == [{"text": "a"}, call, {"executableCode": {"code": "1"}}]


def test_a_call_that_gemini_never_made_has_the_signature_it_wants_instead() -> None:
    def signatures(asked: str) -> list[str | None]:
        sent = _contents(messages.user("q"), _calls("a", "b", model="openai:m"), _results(), model=asked)
        return [part.get("thoughtSignature") for part in sent[1][1]]

    assert signatures("gemini-3-pro-preview") == ["skip_thought_signature_validator", None]
    assert signatures("models/gemini-3.1-flash-lite")[0] is not None
    assert signatures("gemini-2.5-pro") == [None, None]


def test_a_signature_of_a_text_that_was_changed_meanwhile_stays_with_what_is_left() -> None:
    signs = Opaque("gemini", {"signs": 9, **SIGNED})
    assert _contents(messages.user("q"), messages.assistant("abc", signs))[1][1] == [{"text": "abc", **SIGNED}]
    assert _contents(messages.user("q"), messages.assistant(signs))[1][1] == [{"text": "", **SIGNED}]


@pytest.mark.parametrize(("name", "sent"), [("a.b-c:d", "a.b-c:d"), ("1 x/ü", "_1_x__"), ("x" * 99, "x" * 64)])
def test_a_tool_is_named_as_the_dialect_allows(name: str, sent: str) -> None:
    request = _body(messages.user("Hi"), tools=(ToolSpec(name, "", {}),))
    assert request["tools"][0]["functionDeclarations"][0]["name"] == sent


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("https://generativelanguage.googleapis.com", "https://generativelanguage.googleapis.com/v1beta"),
        ("https://generativelanguage.googleapis.com/v1beta/", "https://generativelanguage.googleapis.com/v1beta"),
        (
            "https://generativelanguage.googleapis.com/v1alpha/models",
            "https://generativelanguage.googleapis.com/v1alpha",
        ),
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
        (
            "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google",
            "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google",
        ),
        (
            "https://proxy.example.org/v1internal-tools/gemini",
            "https://proxy.example.org/v1internal-tools/gemini/v1beta",
        ),
    ],
)
def test_a_base_url_gets_a_version_where_it_has_none(given: str, base: str) -> None:
    assert DIALECT.bases(given) == (base,)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gemini-2.5-pro", "models/gemini-2.5-pro"),
        ("models/gemini-2.5-pro", "models/gemini-2.5-pro"),
        ("tunedModels/mine", "tunedModels/mine"),
        ("a b?c", "models/a%20b%3Fc"),
    ],
)
def test_the_model_is_in_the_path(model: str, name: str) -> None:
    whole = Request((), options=Options(stream=False))
    assert DIALECT.path(Request(()), model, GEMINI) == f"/{name}:streamGenerateContent?alt=sse"
    assert DIALECT.path(whole, model, GEMINI) == f"/{name}:generateContent"


def test_cached_bytes_are_the_same_bytes() -> None:
    cache: WireCache[bytes] = WireCache()
    loop = (messages.user("go"), _calls("a", model="gemini:m"), _results(_result("a")))
    longer = (*loop, messages.assistant("b"), messages.user("next"), messages.assistant("c"), messages.user("last"))
    other = (loop[0], messages.assistant("else"), messages.user("where"))
    for conversation in (loop, longer, other, loop, longer):
        for quirks in (GEMINI, Quirks("vertex")):
            for model in ("gemini-2.5-pro", "gemini-3-pro"):
                request = Request(conversation)
                cached = format_request(request, model=model, quirks=quirks, cache=cache)
                assert cached == format_request(request, model=model, quirks=quirks)


class CountingCache(WireCache[bytes]):
    """Counts what had to be made, and looked up."""

    made = looked = 0

    def keep(self, message: Message, variant: str, value: bytes) -> bytes:
        self.made += 1
        return super().keep(message, variant, value)

    def get(self, message: Message, variant: str) -> bytes | None:
        self.looked += 1
        return super().get(message, variant)


def test_a_message_is_serialized_once_though_it_is_sent_at_every_round() -> None:
    cache = CountingCache()
    history = [messages.system("Be brief."), messages.user("go")]
    looked = 0
    for i in range(20):
        cache.looked = 0
        format_request(Request(tuple(history)), model="m", quirks=GEMINI, cache=cache)
        looked = cache.looked
        history += [_calls(f"c{i}"), _results(_result(f"c{i}"))]
    format_request(Request(tuple(history)), model="m", quirks=GEMINI, cache=cache)
    assert cache.made == len(history) - 1 == len(cache)
    assert looked <= 6
