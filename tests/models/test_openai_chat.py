from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import pytest

from agentnb import events, messages
from agentnb.errors import ConnectionFailed, CredentialError, RequestRefused, StreamBroken, UsageError
from agentnb.models.base import OutputSpec, Request
from agentnb.models.dialect import Quirks
from agentnb.models.http import Http
from agentnb.models.options import Options
from agentnb.models.remote import RemoteModel
from agentnb.transcript import fold
from tests.provider import Answer, Asked, Provider, chunk, document, provider, says, sse, tool_call
from tests.remote import remote
from tests.streams import collect

pytestmark = pytest.mark.anyio
ASK = Request((messages.system("Be brief."), messages.user("hi")))


@asynccontextmanager
async def _model(
    *answers: Answer | Callable[[Asked], Answer], base: str = "/v1", **options: Any
) -> AsyncIterator[tuple[RemoteModel, Provider]]:
    async with provider(*answers) as server:
        http = Http()
        url = server.url.removesuffix("/v1") + base
        yield remote("m", http=http, base_url=url, **{"key_name": None, **options}), server
        await http.aclose()


def _text(got: list[events.ModelEvent]) -> str:
    return fold(got).text


async def test_a_request_carries_the_key_and_the_answer_comes_back() -> None:
    environ = {"MY_KEY": " sk-1 "}
    async with _model(says("Hello"), key_name="MY_KEY", environ=environ) as (model, server):
        got, error = await collect(model, ASK)
        environ["MY_KEY"] = "sk-2"
        await collect(model, ASK)
    assert error is None
    assert _text(got) == "Hello"
    assert fold(got).usage == messages.Usage(5, 2)
    assert [asked.headers["authorization"] for asked in server.requests] == ["Bearer sk-1", "Bearer sk-2"]
    assert server.requests[0].path == "/v1/chat/completions"
    assert server.requests[0].json["messages"][0] == {"role": "system", "content": "Be brief."}
    assert model.name == "openai:m"


async def test_a_connection_is_used_again() -> None:
    async with _model(says("Hello")) as (model, server):
        for _ in range(3):
            await collect(model, ASK)
    assert server.connections == 1


@pytest.mark.parametrize("environ", [{}, {"MY_KEY": " "}])
async def test_a_missing_key_names_its_variable_and_sends_nothing(environ: dict[str, str]) -> None:
    async with _model(says("x"), key_name="MY_KEY", environ=environ) as (model, server):
        _, error = await collect(model, ASK)
    assert isinstance(error, CredentialError)
    assert "MY_KEY is not set" in str(error)
    assert server.requests == []


async def test_a_key_that_cannot_be_one_is_not_sent_and_not_shown() -> None:
    async with _model(says("x"), key_name="MY_KEY", environ={"MY_KEY": "sk-ü\nx"}) as (model, _):
        _, error = await collect(model, ASK)
    assert isinstance(error, CredentialError)
    assert "ü" not in str(error)


async def test_a_refused_key_names_its_variable_and_is_not_shown() -> None:
    refusal = document({"error": {"message": "Incorrect API key provided: sk-secret"}}, 401)
    async with _model(refusal, key_name="MY_KEY", environ={"MY_KEY": "sk-secret"}) as (model, _):
        _, error = await collect(model, ASK)
    assert isinstance(error, CredentialError)
    assert "sk-secret" not in f"{error} {error!r} {model!r}"
    assert "MY_KEY" in str(error)


async def test_counts_in_streams_that_a_server_refuses_are_not_asked_for_again() -> None:
    def answer(asked: Asked) -> Answer:
        if "stream_options" in asked.json:
            return document({"error": {"message": "Unrecognized request argument supplied: stream_options"}}, 400)
        return says("Hello")

    async with _model(answer) as (model, server):
        for _ in range(2):
            got, error = await collect(model, ASK)
            assert error is None
            assert _text(got) == "Hello"
    assert ["stream_options" in asked.json for asked in server.requests] == [True, False, False]


@pytest.mark.parametrize("refused", [("system",), ("system", "developer")])
async def test_a_system_role_that_a_server_refuses_is_replaced_and_remembered(refused: tuple[str, ...]) -> None:
    def answer(asked: Asked) -> Answer:
        role = asked.json["messages"][0]["role"]
        if role in refused:
            text = f"Unsupported value: 'messages[0].role' does not support '{role}' with this model."
            return document({"error": {"message": text}}, 400)
        return says("Hello")

    async with _model(answer) as (model, server):
        for _ in range(2):
            assert _text((await collect(model, ASK))[0]) == "Hello"
    roles = [asked.json["messages"][0]["role"] for asked in server.requests]
    last = ("system", "developer", "user")[len(refused)]
    assert roles == [*refused, last, last]


@pytest.mark.parametrize(
    ("word", "other", "text"),
    [
        ("max_tokens", "max_completion_tokens", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'."),
        ("max_completion_tokens", "max_tokens", "Unrecognized request argument supplied: max_completion_tokens"),
        ("max_completion_tokens", "max_tokens", "[{'loc': ['body', 'max_completion_tokens'], 'msg': 'Extra inputs'}]"),
    ],
)
async def test_the_other_word_for_the_bound_of_an_answer_is_tried_and_remembered(
    word: str, other: str, text: str
) -> None:
    def answer(asked: Asked) -> Answer:
        return document({"error": {"message": text}}, 400) if word in asked.json else says("Hello")

    async with _model(answer, quirks=Quirks(max_tokens=word)) as (model, server):
        for _ in range(2):
            assert _text((await collect(model, replace(ASK, options=Options(max_tokens=9))))[0]) == "Hello"
    assert [asked.json.get(other) for asked in server.requests] == [None, 9, 9]


async def test_a_server_that_refuses_both_words_is_not_asked_for_ever() -> None:
    def answer(asked: Asked) -> Answer:
        word = "max_tokens" if "max_tokens" in asked.json else "max_completion_tokens"
        other = "max_completion_tokens" if word == "max_tokens" else "max_tokens"
        return document({"error": {"message": f"Unsupported: {word}. Use {other}, not max_completion_tokens"}}, 400)

    for word in ("max_tokens", "max_completion_tokens"):
        async with _model(answer, quirks=Quirks(max_tokens=word)) as (model, server):
            _, error = await collect(model, replace(ASK, options=Options(max_tokens=9)))
        assert isinstance(error, RequestRefused)
        assert len(server.requests) <= 3


async def test_a_bound_that_is_too_large_is_refused_and_not_sent_in_another_word() -> None:
    text = "max_completion_tokens is too large: 99. This model supports at most 9 completion tokens."
    refusal = document({"error": {"message": text}}, 400)
    async with _model(refusal, quirks=Quirks(max_tokens="max_completion_tokens")) as (model, server):
        _, error = await collect(model, replace(ASK, options=Options(max_tokens=99)))
    assert text.rstrip(".") in str(error)
    assert len(server.requests) == 1


async def test_a_schema_that_a_server_refuses_becomes_a_tool_that_must_be_called() -> None:
    def answer(asked: Asked) -> Answer:
        if "response_format" in asked.json:
            return document({"error": {"message": "response_format json_schema is unavailable"}}, 400)
        call = tool_call(0, '{"x": 1}', "a", asked.json["tool_choice"]["function"]["name"])
        return Answer([sse(chunk(tool_calls=[call]), chunk("tool_calls"))])

    schema: dict[str, Any] = {"type": "object", "properties": {"x": {"type": "integer"}}}
    async with _model(answer) as (model, server):
        for _ in range(2):
            got, error = await collect(model, replace(ASK, output=OutputSpec("x", schema)))
            assert error is None
            assert _text(got) == '{"x": 1}'
    assert ["response_format" in asked.json for asked in server.requests] == [True, False, False]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Options(temperature=1.5), "Unsupported value: 'temperature' does not support 1.5 with this model"),
        (Options(parallel_tool_calls=False), "'parallel_tool_calls' is not supported"),
    ],
)
async def test_an_option_that_a_model_refuses_is_not_dropped(options: Options, said: str) -> None:
    async with _model(document({"error": {"message": said}}, 400)) as (model, server):
        _, error = await collect(model, replace(ASK, options=options))
    assert said in str(error)
    assert len(server.requests) == 1


async def test_an_option_that_a_provider_does_not_have_is_refused_before_anything_is_sent() -> None:
    async with _model(says("x"), quirks=Quirks("p", without=("top_k",))) as (model, server):
        _, error = await collect(model, replace(ASK, options=Options(top_k=3)))
    assert isinstance(error, UsageError)
    assert "p:m has no option 'top_k'" in str(error)
    assert server.requests == []


async def test_a_refusal_about_something_else_is_raised_at_once() -> None:
    refusal = document({"error": {"message": "Bad temperature", "code": "bad"}}, 400)
    async with _model(refusal) as (model, server):
        _, error = await collect(model, ASK)
    assert isinstance(error, RequestRefused)
    assert (error.status, error.code, error.retryable) == (400, "bad", False)
    assert len(server.requests) == 1


async def test_a_busy_server_says_how_long_to_wait() -> None:
    refusal = document({"error": {"message": "Slow down"}}, 429, headers={"Retry-After": "3"})
    async with _model(refusal) as (model, _):
        _, error = await collect(model, ASK)
    assert isinstance(error, RequestRefused)
    assert (error.status, error.retryable, error.retry_after) == (429, True, 3.0)


@pytest.mark.parametrize(
    ("base", "serves", "asked"),
    [
        ("", "/v1/chat/completions", ["/v1/chat/completions"] * 2),
        ("/", "/v1/chat/completions", ["/v1/chat/completions"] * 2),
        ("/v1/", "/v1/chat/completions", ["/v1/chat/completions"] * 2),
        ("/v1/chat/completions", "/v1/chat/completions", ["/v1/chat/completions"] * 2),
        ("", "/chat/completions", ["/v1/chat/completions", "/chat/completions", "/chat/completions"]),
        ("/api", "/api/chat/completions", ["/api/chat/completions"] * 2),
        ("/api", "/api/v1/chat/completions", ["/api/chat/completions", *["/api/v1/chat/completions"] * 2]),
    ],
)
async def test_a_base_url_works_with_its_version_and_without(base: str, serves: str, asked: list[str]) -> None:
    def answer(request: Asked) -> Answer:
        return says("Hello") if request.path == serves else document({"detail": "Not Found"}, 404)

    async with _model(answer, base=base) as (model, server):
        for _ in range(2):
            assert _text((await collect(model, ASK))[0]) == "Hello"
    assert [request.path for request in server.requests] == asked


async def test_an_unknown_model_is_not_looked_for_elsewhere() -> None:
    refusal = document({"error": {"message": "No model m", "code": "model_not_found"}}, 404)
    async with _model(refusal, base="") as (model, server):
        _, error = await collect(model, ASK)
    assert "Check the model's name" in str(error)
    assert len(server.requests) == 1


async def test_a_redirect_is_refused_with_its_cause() -> None:
    async with _model(Answer([b"moved"], 308, "text/plain", {"location": "http://127.0.0.1:1/"})) as (model, _):
        _, error = await collect(model, ASK)
    assert "it points somewhere else" in str(error)


async def test_a_whole_answer_or_an_error_where_a_stream_was_asked_for() -> None:
    whole = {"id": "w", "choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
    async with _model(document(whole), document({"error": {"message": "Overloaded", "type": "server_error"}})) as (
        model,
        _,
    ):
        assert _text((await collect(model, ASK))[0]) == "Hello"
        _, error = await collect(model, ASK)
    assert isinstance(error, RequestRefused)
    assert error.retryable


async def test_reasoning_between_tags_is_told_apart_where_the_dialect_says_so() -> None:
    async with _model(says("<think>hm</think>Hello"), quirks=Quirks("p", think_tags=True)) as (model, _):
        got, _ = await collect(model, ASK)
    assert _text(got) == "Hello"
    assert model.name == "p:m"


async def test_a_server_that_stays_open_after_the_end_does_not_hold_the_answer() -> None:
    async with _model(Answer([sse(chunk(content="Hello"), chunk("stop"))], end="silent")) as (model, server):
        with anyio.fail_after(2):
            got, error = await collect(model, ASK)
            await server.disconnected.wait()
    assert error is None
    assert _text(got) == "Hello"


async def test_a_connection_that_is_cut_keeps_what_came_before() -> None:
    async with _model(Answer([sse(chunk(content="Hel"), done=False)], end="cut")) as (model, server):
        got, error = await collect(model, ASK)
    host = server.url.split("/")[2]
    assert isinstance(error, StreamBroken)
    assert str(error) == f"{host} closed the connection in the middle of its answer. Run again."
    assert _text(got) == "Hel"


async def test_nobody_there_says_so() -> None:
    async with provider(says("x")) as gone:
        pass
    http = Http()
    _, error = await collect(remote("m", http=http, base_url=gone.url), ASK)
    await http.aclose()
    assert isinstance(error, ConnectionFailed)
    assert error.retryable
    assert "Nothing answers at 127.0.0.1:" in str(error)


async def test_leaving_an_adapted_request_closes_its_connection() -> None:
    async with _model(Answer([sse(chunk(content="Hel"), done=False)], end="silent")) as (model, server):
        with anyio.fail_after(5):
            async with aclosing(model.stream(ASK)) as stream:
                async for _ in stream:
                    break
            await server.disconnected.wait()
