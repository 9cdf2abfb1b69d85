"""Ollama's dialect over HTTP: where it is asked, and what a refusal teaches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from agentnb import messages
from agentnb.errors import RequestRefused
from agentnb.models.base import Request
from agentnb.models.dialect import Quirks
from agentnb.models.http import Http
from agentnb.models.options import Options
from agentnb.models.remote import RemoteModel
from agentnb.transcript import fold
from tests.contract.ollama_script import chunk, stream
from tests.provider import Answer, Asked, Provider, document, provider
from tests.remote import remote
from tests.streams import collect

pytestmark = pytest.mark.anyio
HI = (messages.user("hi"),)
HELLO = stream(chunk("Hello"), chunk(done="stop"))


@asynccontextmanager
async def _model(
    answer: Answer | Callable[[Asked], Answer], path: str = ""
) -> AsyncIterator[tuple[RemoteModel, Provider]]:
    async with provider(answer) as server:
        http = Http()
        base = server.url.removesuffix("/v1").removeprefix("http://") + path
        yield remote("m", http=http, base_url=base, dialect="ollama", quirks=Quirks("ollama", forced=False)), server
        await http.aclose()


@pytest.mark.parametrize("path", ["", "/", "/v1", "/api"])
async def test_it_is_asked_at_one_path_however_the_server_is_named(path: str) -> None:
    async with _model(HELLO, path) as (model, server):
        got, error = await collect(model, Request(HI))
    assert error is None
    assert fold(got).text == "Hello"
    assert [asked.path for asked in server.requests] == ["/api/chat"]


async def test_a_connection_is_used_again() -> None:
    async with _model(HELLO) as (model, server):
        for _ in range(3):
            await collect(model, Request(HI))
    assert server.connections == 1


async def test_a_model_that_only_thinks_or_does_not_is_told_that_from_then_on() -> None:
    def answer(asked: Asked) -> Answer:
        if isinstance(asked.json["think"], str):
            return document({"error": 'think value "high" is not supported for this model'}, 400)
        return HELLO

    async with _model(answer) as (model, server):
        for _ in range(2):
            _, error = await collect(model, Request(HI, options=Options(thinking="high")))
            assert error is None
    assert [asked.json["think"] for asked in server.requests] == ["high", True, True]


async def test_a_model_that_does_not_think_is_not_asked_again() -> None:
    async with _model(document({"error": '"m" does not support thinking'}, 400)) as (model, server):
        _, error = await collect(model, Request(HI, options=Options(thinking="on")))
    assert isinstance(error, RequestRefused)
    assert '"m" does not support thinking' in str(error)
    assert len(server.requests) == 1


async def test_a_model_that_is_not_there_is_a_refusal_with_its_name() -> None:
    async with _model(document({"error": "model 'llama9' not found"}, 404)) as (model, server):
        _, error = await collect(model, Request(HI))
    assert isinstance(error, RequestRefused)
    assert (error.status, error.retryable) == (404, False)
    assert "model 'llama9' not found" in str(error)
    assert len(server.requests) == 1
