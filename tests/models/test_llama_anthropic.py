"""Anthropic's dialect against a real server with a real model: llama.cpp's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest

from agentnb import events, messages
from agentnb.errors import CredentialError
from agentnb.messages import Message, ToolCall, ToolResult, ToolSpec
from agentnb.models.base import Model, Request
from agentnb.models.dialect import Quirks
from agentnb.models.http import Http
from agentnb.models.options import Options
from agentnb.transcript import fold
from tests.llama import LlamaServer, llama_server
from tests.remote import remote
from tests.streams import collect as collect_within

pytestmark = [pytest.mark.anyio, pytest.mark.model, pytest.mark.xdist_group("model")]

ASK = Request((messages.user("What is the capital of France?"),), options=Options(max_tokens=24, temperature=0))
ADD = ToolSpec(
    "add",
    "Add two numbers.",
    {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}, "required": ["x", "y"]},
)


#: A real model on a busy machine takes its time.
collect = partial(collect_within, seconds=30)


@pytest.fixture(scope="module")
def server() -> Iterator[LlamaServer]:
    with llama_server() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    opened = Http()
    yield opened
    await opened.aclose()


def _model(http: Http, server: LlamaServer, *, key: str | None = None, path: str = "/v1") -> Model:
    return remote(
        "anything",
        http=http,
        base_url=server.url + path,
        dialect="anthropic",
        quirks=Quirks("anthropic"),
        key_name="MY_KEY",
        environ={"MY_KEY": key or server.key},
    )


@pytest.mark.parametrize("path", ["/v1", ""])
async def test_a_real_answer_streams_from_a_base_url_with_v1_or_without(
    path: str, server: LlamaServer, http: Http
) -> None:
    got, error = await collect(_model(http, server, path=path), ASK)
    assert error is None
    assert sum(isinstance(event, events.TextDelta) for event in got) > 3
    assert [event for event in got if isinstance(event, events.MessageEnd)] == [got[-1]]
    assert fold(got).messages[-1].finish in ("stop", "length")
    assert fold(got).usage.input > 10
    assert 3 < fold(got).usage.output <= 24


async def test_a_whole_answer_says_the_same(server: LlamaServer, http: Http) -> None:
    whole = Request(ASK.messages, options=Options(max_tokens=24, temperature=0, stream=False))
    said = [fold((await collect(_model(http, server), request))[0]) for request in (whole, ASK)]
    assert said[0].text == said[1].text != ""
    assert said[0].messages[-1].finish == said[1].messages[-1].finish


async def test_a_wrong_key_names_its_variable_and_shows_itself_nowhere(server: LlamaServer, http: Http) -> None:
    got, error = await collect(_model(http, server, key="sk-llama-secret-2"), ASK)
    assert got == []
    assert isinstance(error, CredentialError)
    assert "MY_KEY" in str(error)
    assert "secret" not in f"{error!s} {error!r}"


async def test_a_server_takes_tools_and_a_call_with_its_result(server: LlamaServer, http: Http) -> None:
    # So small a model calls no tool by itself, so it is told that it did.
    called = Message("assistant", (ToolCall("c1", "add", '{"x": 3, "y": 4}'),), finish="tool_calls")
    result = Message("tool", (ToolResult("c1", "add", (messages.Text("7"),)),))
    conversation = (messages.system("Be brief."), messages.user("Add 3 and 4."), called, result)
    got, error = await collect(_model(http, server), Request(conversation, (ADD,), options=ASK.options))
    assert error is None
    assert fold(got).text or fold(got).messages[-1].calls
    assert fold(got).messages[-1].finish in ("stop", "length", "tool_calls")
