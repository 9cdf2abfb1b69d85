"""Ollama's dialect against a server with a real model: ollama-proxy, with llama.cpp behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentnb import events, messages
from agentnb.errors import RequestRefused
from agentnb.messages import Message, ToolCall, ToolResult, ToolSpec
from agentnb.models.base import OutputSpec, Request
from agentnb.models.dialect import Quirks
from agentnb.models.http import Http
from agentnb.models.options import Options
from agentnb.models.remote import RemoteModel
from agentnb.models.resolve import open_model
from agentnb.transcript import fold
from tests.ollama import OllamaServer, ollama_server
from tests.remote import remote
from tests.streams import collect as collect_within

pytestmark = [pytest.mark.anyio, pytest.mark.model, pytest.mark.xdist_group("model")]

BRIEF = Options(max_tokens=24, temperature=0)
ASK = Request((messages.user("What is the capital of France?"),), options=BRIEF)
#: A real model on a busy machine takes its time.
collect = partial(collect_within, seconds=30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OllamaServer]:
    folder: Path = tmp_path_factory.mktemp("proxy")
    with ollama_server(folder) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    opened = Http()
    yield opened
    await opened.aclose()


def _model(server: OllamaServer, http: Http, *, name: str = "", path: str = "") -> RemoteModel:
    quirks = Quirks("ollama", forced=False)
    return remote(name or server.model, http=http, base_url=server.url + path, dialect="ollama", quirks=quirks)


@pytest.mark.parametrize("path", ["", "/", "/api", "/v1"])
async def test_a_real_answer_streams(path: str, server: OllamaServer, http: Http) -> None:
    model = _model(server, http, path=path)
    got, error = await collect(model, ASK)
    assert error is None
    assert sum(isinstance(event, events.TextDelta) for event in got) > 3
    assert [event for event in got if isinstance(event, events.MessageEnd)] == [got[-1]]
    assert fold(got).messages[-1].model == model.name == f"ollama:{server.model}"
    assert fold(got).usage.output > 0


async def test_the_variable_of_the_server_is_enough(server: OllamaServer, http: Http) -> None:
    environ = {"OLLAMA_HOST": server.url.removeprefix("http://")}
    got, error = await collect(open_model(f"ollama:{server.model}", http=http, environ=environ), ASK)
    assert error is None
    assert fold(got).text


async def test_a_whole_answer_is_the_streamed_one(server: OllamaServer, http: Http) -> None:
    model = _model(server, http)
    streamed, _ = await collect(model, ASK)
    whole, error = await collect(model, Request(ASK.messages, options=Options(stream=False).over(BRIEF)))
    assert error is None
    assert fold(whole).text == fold(streamed).text
    assert fold(whole).messages[-1].finish == fold(streamed).messages[-1].finish


async def test_an_answer_is_json_of_the_schema(server: OllamaServer, http: Http) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]}
    request = Request(ASK.messages, options=BRIEF, output=OutputSpec("City", schema))
    got, error = await collect(_model(server, http), request)
    assert error is None
    assert fold(got).text.replace(" ", "").replace("\n", "") == '{"city":"Paris"}'


async def test_it_lists_its_model(server: OllamaServer) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        listed = (await client.get(f"{server.url}/api/tags")).json()
    assert server.model in [each["name"] for each in listed["models"]]


async def test_an_unknown_model_is_refused(server: OllamaServer, http: Http) -> None:
    got, error = await collect(_model(server, http, name="nobody/nothing"), ASK)
    assert got == []
    assert isinstance(error, RequestRefused)
    assert "nobody" in str(error)


async def test_tools_and_a_call_with_its_result_are_taken(server: OllamaServer, http: Http) -> None:
    add = ToolSpec("add", "Add two numbers.", {"type": "object", "properties": {"x": {"type": "integer"}}})
    called = Message("assistant", (ToolCall("c1", "add", '{"x": 3}'),), finish="tool_calls")
    result = Message("tool", (ToolResult("c1", "add", (messages.Text("7"),)),))
    request = Request((messages.user("Add 3 and 4."), called, result), (add,), options=BRIEF)
    got, error = await collect(_model(server, http), request)
    assert error is None, error
    assert fold(got).messages[-1].finish in ("stop", "length", "tool_calls")
