"""Gemini's dialect over HTTP: the key, the path, and what a refusal teaches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agentnb import events, messages
from agentnb.errors import RequestRefused
from agentnb.messages import ToolSpec
from agentnb.models.base import OutputSpec, Request
from agentnb.models.dialect import Quirks
from agentnb.models.http import Http
from agentnb.models.options import Options
from agentnb.models.remote import RemoteModel
from agentnb.transcript import fold
from tests.contract.gemini_script import call, chunk, stream
from tests.provider import Answer, Asked, Provider, document, provider
from tests.remote import remote
from tests.streams import collect

pytestmark = pytest.mark.anyio
HI = (messages.user("hi"),)


@asynccontextmanager
async def _model(answer: Answer | Callable[[Asked], Answer]) -> AsyncIterator[tuple[RemoteModel, Provider]]:
    async with provider(answer) as server:
        http = Http()
        base = server.url.removesuffix("/v1")
        environ = {"GEMINI_API_KEY": "AIza-secret"}
        yield (
            remote(
                "models/m",
                http=http,
                base_url=base,
                key_name="GEMINI_API_KEY",
                environ=environ,
                dialect="gemini",
                quirks=Quirks("gemini"),
            ),
            server,
        )
        await http.aclose()


async def test_the_key_goes_in_its_own_header_and_stands_nowhere_else() -> None:
    async with _model(stream(chunk("Hello", finish="STOP"))) as (model, server):
        got, error = await collect(model, Request(HI))
    assert error is None
    assert fold(got).text == "Hello"
    (asked,) = server.requests
    assert asked.headers["x-goog-api-key"] == "AIza-secret"
    assert "authorization" not in asked.headers
    assert asked.path == "/v1beta/models/m:streamGenerateContent?alt=sse"


async def test_what_is_added_to_the_query_follows_what_is_there() -> None:
    async with _model(stream(chunk("Hello", finish="STOP"))) as (model, server):
        await collect(model, Request(HI, options=Options(query={"trace": "1"})))
    assert server.requests[0].path.endswith("?alt=sse&trace=1")


async def test_a_whole_answer_is_asked_for_at_another_path_and_gives_the_same_events() -> None:
    async with _model(stream(chunk("Hello", finish="STOP"))) as (model, _):
        streamed = await collect(model, Request(HI))
    async with _model(document(chunk("Hello", finish="STOP"))) as (model, server):
        whole = await collect(model, Request(HI, options=Options(stream=False)))
    assert whole == streamed
    assert server.requests[0].path == "/v1beta/models/m:generateContent"


async def test_a_model_that_takes_no_schema_beside_tools_is_asked_by_a_tool() -> None:
    def answer(asked: Asked) -> Answer:
        if "responseMimeType" in asked.json.get("generationConfig", {}):
            said = "Function calling with a response mime type: 'application/json' is unsupported"
            return document({"error": {"code": 400, "message": said, "status": "INVALID_ARGUMENT"}}, 400)
        return stream(chunk(call("final_answer", city="Paris")), chunk("", finish="STOP"))

    schema: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = ToolSpec("add", "Add.", {"type": "object"})
    async with _model(answer) as (model, server):
        got, error = await collect(model, Request(HI, (tool,), output=OutputSpec("City", schema)))
    assert error is None
    assert fold(got).text == '{"city":"Paris"}'
    names = [each["name"] for each in server.requests[1].json["tools"][0]["functionDeclarations"]]
    assert names == ["add", "final_answer"]
    assert server.requests[1].json["toolConfig"]["functionCallingConfig"] == {"mode": "ANY"}


async def test_a_model_that_knows_no_level_of_thinking_is_told_by_a_budget_from_then_on() -> None:
    def answer(asked: Asked) -> Answer:
        if "thinkingLevel" in asked.json["generationConfig"]["thinkingConfig"]:
            error = {"code": 400, "message": "Thinking level is not supported for this model.", "status": "X"}
            return document({"error": error}, 400)
        return stream(chunk({"text": "Hm", "thought": True}), chunk("Hello", finish="STOP"))

    async with _model(answer) as (model, server):
        for _ in range(2):
            got, error = await collect(model, Request(HI, options=Options(thinking="high")))
            assert error is None
            assert got[0] == events.ThinkingDelta("Hm")
    assert len(server.requests) == 3


async def test_a_refusal_keeps_its_words_and_not_the_key() -> None:
    error = {"code": 429, "message": "Quota exceeded for AIza-secret.", "status": "RESOURCE_EXHAUSTED"}
    async with _model(document([{"error": error}], 429, headers={"retry-after": "7"})) as (model, _):
        got, refusal = await collect(model, Request(HI))
    assert got == []
    assert isinstance(refusal, RequestRefused)
    assert (refusal.status, refusal.retryable, refusal.retry_after) == (429, True, 7)
    assert "Quota exceeded for [key]" in str(refusal)


async def test_an_option_that_gemini_does_not_have_is_refused_before_anything_is_sent() -> None:
    async with _model(stream(chunk("Hello", finish="STOP"))) as (model, server):
        _, error = await collect(model, Request(HI, options=Options(parallel_tool_calls=False)))
    assert "parallel_tool_calls" in str(error)
    assert server.requests == []
