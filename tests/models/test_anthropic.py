from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agentnb import events, messages
from agentnb.errors import AgentnbError, CredentialError, RequestRefused, StreamBroken
from agentnb.messages import Opaque, Thinking, ToolCall, ToolResult, ToolSpec
from agentnb.models.anthropic import DIALECT
from agentnb.models.base import OutputSpec, Request
from agentnb.models.dialect import Quirks
from agentnb.models.http import Http
from agentnb.models.options import Options
from agentnb.models.providers import Provider as Row
from agentnb.models.remote import RemoteModel
from agentnb.models.wire import WireCache
from agentnb.transcript import fold
from tests.contract.anthropic_script import end, sse, start, tool, words
from tests.provider import Answer, Asked, Provider, document, provider
from tests.remote import remote
from tests.streams import collect

pytestmark = pytest.mark.anyio

ASK = Request((messages.user("Hi"),))
CITY = OutputSpec("city", {"type": "object", "properties": {"name": {"type": "string"}}})
ADAPTIVE = {"type": "adaptive", "display": "summarized"}
HELLO = Answer([sse(start(), *words("Hello"), *end())])


def refusal(status: int, kind: str, said: str) -> Answer:
    return document({"type": "error", "error": {"type": kind, "message": said}}, status)


async def _run(
    server: Provider, request: Request = ASK, **options: Any
) -> tuple[list[events.ModelEvent], AgentnbError | None]:
    http = Http()
    options = {"base_url": server.url, "quirks": Quirks("anthropic"), **options}
    model = remote("m", http=http, dialect="anthropic", **options)
    got = await collect(model, request)
    await http.aclose()
    return got


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/", "/v1/messages", "/anthropic", "/anthropic/v1"])
async def test_a_base_url_may_have_its_version_or_not(suffix: str) -> None:
    async with provider(HELLO) as server:
        got, error = await _run(server, base_url=server.url.removesuffix("/v1") + suffix)
    assert error is None
    assert fold(got).text == "Hello"
    (asked,) = server.requests
    assert asked.path == ("/anthropic/v1/messages" if "anthropic" in suffix else "/v1/messages")


async def test_the_key_and_the_version_go_in_headers_of_their_own() -> None:
    async with provider(HELLO) as server:
        request = Request(ASK.messages, options=Options(headers={"anthropic-beta": "new-things"}))
        await _run(server, request, key_name="MY_KEY", environ={"MY_KEY": "sk-secret"})
    (asked,) = server.requests
    assert asked.headers["x-api-key"] == "sk-secret"
    assert asked.headers["anthropic-version"] == "2023-06-01"
    assert asked.headers["anthropic-beta"] == "new-things"
    assert "authorization" not in asked.headers


async def test_a_wrong_key_names_its_variable() -> None:
    async with provider(refusal(401, "authentication_error", "invalid x-api-key sk-secret")) as server:
        got, error = await _run(server, key_name="MY_KEY", environ={"MY_KEY": "sk-secret"})
    assert got == []
    assert isinstance(error, CredentialError)
    assert "MY_KEY" in str(error)
    assert "sk-secret" not in f"{error} {error!r}"


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, "invalid_request_error", False),
        (404, "not_found_error", False),
        (413, "request_too_large", False),
        (429, "rate_limit_error", True),
        (500, "api_error", True),
        (529, "overloaded_error", True),
    ],
)
async def test_a_refusal_keeps_its_status_and_kind(status: int, kind: str, retryable: bool) -> None:
    async with provider(refusal(status, kind, "No.")) as server:
        _, error = await _run(server)
    assert isinstance(error, RequestRefused)
    assert (error.status, error.code, error.retryable) == (status, kind, retryable)


@pytest.mark.parametrize("streams", [True, False])
async def test_a_loop_of_calls_is_sent_back_as_it_came(streams: bool) -> None:
    calls = tool(0, "c", '{"x": 1}')
    whole = {"id": "msg_1", "content": [{"type": "tool_use", "id": "c", "name": "add", "input": {"x": 1}}]}
    first = Answer([sse(start(), *calls, *end("tool_use"))]) if streams else document(whole)
    request = Request(ASK.messages, (ToolSpec("add", "Add.", {}),), options=Options(stream=streams))
    async with provider(first, HELLO) as server:
        got, _ = await _run(server, request)
        asked = fold(got).messages[-1]
        result = messages.Message("tool", (ToolResult("c", "add", (messages.Text("2"),)),))
        got, error = await _run(server, Request((*ASK.messages, asked, result), request.tools))
    assert error is None
    assert fold(got).text == "Hello"
    assert [asked.json["stream"] for asked in server.requests] == [streams, True]
    assert server.requests[1].json["messages"][1:] == [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "add", "input": {"x": 1}}]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "2"}]}],
        },
    ]


async def test_a_server_that_knows_no_schema_is_asked_by_a_tool() -> None:
    def answer(asked: Asked) -> Answer:
        if "output_config" in asked.json:
            return refusal(400, "invalid_request_error", "output_config: Extra inputs are not permitted")
        return Answer([sse(start(), *tool(0, "c", '{"name":', '"Rome"}', name="final_answer"), *end("tool_use"))])

    async with provider(answer) as server:
        got, error = await _run(server, Request(ASK.messages, output=CITY))
    assert error is None
    assert fold(got).text == '{"name":"Rome"}'
    assert server.requests[1].json["tool_choice"] == {"type": "tool", "name": "final_answer"}


@pytest.mark.parametrize(
    ("said", "structured"),
    [
        (b"output_config: extra inputs are not permitted", "tool"),
        (b"this model does not support structured outputs", "tool"),
        (b"this model does not support effort level 'xhigh'", None),
        (b"output_config.effort: not supported", None),
        (b"max_tokens: too many", None),
    ],
)
def test_only_a_refusal_of_the_schema_teaches_to_do_without(said: bytes, structured: str | None) -> None:
    learned = DIALECT.adapt(Quirks("anthropic"), 400, said)
    assert (learned and learned.structured) == structured
    assert DIALECT.adapt(Quirks("anthropic"), 529, said) is None
    assert DIALECT.adapt(Quirks("anthropic", structured="tool"), 400, said) is None


async def test_options_that_it_does_not_have_are_refused_before_anything_is_sent() -> None:
    async with provider(HELLO) as server:
        _, error = await _run(server, Request(ASK.messages, options=Options(seed=1)))
    assert "anthropic:m has no option 'seed'" in str(error)
    assert server.requests == []


async def test_an_answer_that_breaks_off_keeps_its_calls_from_running() -> None:
    async with provider(Answer([sse(start(), *tool(0, "c", '{"x"', ": 1}"))], end="cut")) as server:
        got, error = await _run(server)
    assert isinstance(error, StreamBroken)
    assert fold(got).messages[-1].calls == (ToolCall("c", "add", '{"x": 1}'),)
    assert not [event for event in got if isinstance(event, events.ToolCallEnd | events.MessageEnd)]


def test_what_it_sends_is_made_once() -> None:
    cache: WireCache[Any] = WireCache()
    bodies = {DIALECT.format_request(ASK, model="m", quirks=Quirks("anthropic"), cache=cache) for _ in range(3)}
    assert len(bodies) == len(cache) == 1


def _only(way: str) -> Callable[[Asked], Answer]:
    """A server whose models think in one way only, and say of others what Anthropic's say."""

    def answer(asked: Asked) -> Answer:
        if "effort" in asked.json.get("output_config", {}) and way == "enabled":
            return refusal(400, "invalid_request_error", "This model does not support the effort parameter.")
        told = asked.json["thinking"]["type"]
        if told == "adaptive" != way:
            return refusal(400, "invalid_request_error", "adaptive thinking is not supported on this model")
        if told == "enabled" != way:
            said = (
                '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
                '"output_config.effort" to control thinking behavior.'
            )
            return refusal(400, "invalid_request_error", said)
        return HELLO

    return answer


@pytest.mark.parametrize(
    ("way", "thinking", "sent"),
    [
        ("enabled", "high", {"thinking": {"type": "enabled", "budget_tokens": 16384}}),
        ("enabled", "on", {"thinking": {"type": "enabled", "budget_tokens": 8192}}),
        ("adaptive", 2000, {"thinking": ADAPTIVE, "output_config": {"effort": "low"}}),
        ("adaptive", 30_000, {"thinking": ADAPTIVE, "output_config": {"effort": "high"}}),
    ],
)
async def test_a_model_is_told_in_its_own_way_how_much_to_think(
    way: str, thinking: Any, sent: dict[str, object]
) -> None:
    async with provider(_only(way)) as server:
        http = Http()
        model = remote("m", http=http, dialect="anthropic", base_url=server.url, quirks=Quirks("anthropic"))
        request = Request(ASK.messages, options=Options(thinking=thinking))
        for _ in range(2):
            _, error = await collect(model, request)
            assert error is None
        await http.aclose()
    first, *others = [asked.json for asked in server.requests]
    assert len(others) == 2
    assert first["thinking"] != sent["thinking"]
    for body in others:
        assert {key: body[key] for key in ("thinking", "output_config") if key in body} == sent


async def test_what_a_model_signed_goes_back_to_it_whatever_its_provider_is_called() -> None:
    signed = messages.assistant(Thinking("hm", "sig"), ToolCall("c", "add"), model="mine:m")
    others = messages.assistant(Opaque("openai", {"type": "secret"}), Thinking("so", "theirs"), "x", model="openai:m")
    async with provider(HELLO) as server:
        http = Http()
        model = RemoteModel("m", provider=Row("mine", server.url, dialect="anthropic"), http=http)
        await collect(model, Request((*ASK.messages, others, *ASK.messages, signed)))
        await http.aclose()
    (asked,) = server.requests
    said = [[block["type"] for block in m["content"]] for m in asked.json["messages"] if m["role"] == "assistant"]
    assert said == [["text"], ["thinking", "tool_use"]]
