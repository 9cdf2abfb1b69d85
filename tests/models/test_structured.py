from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from agentnb import events, messages
from agentnb.errors import RequestRefused
from agentnb.messages import ToolSpec
from agentnb.models.base import OutputSpec, Request
from agentnb.models.dialect import Quirks
from agentnb.models.fake import FakeModel, call
from agentnb.models.http import Http
from agentnb.models.remote import RemoteModel
from agentnb.models.structured import ANSWER, prepared, unwrapped
from agentnb.transcript import fold
from tests.provider import Answer, Asked, Provider, chunk, document, provider, says, sse, tool_call
from tests.remote import remote
from tests.streams import collect

pytestmark = pytest.mark.anyio

CITY = OutputSpec(
    "City",
    {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": False},
    "A city.",
)
ADD = ToolSpec("add", "Add.", {"type": "object", "properties": {}})
ASK = Request((messages.system("Be brief."), messages.user("Bern?")), output=CITY)
BERN = '{"name": "Bern"}'


def test_a_schema_goes_as_it_is_where_the_provider_has_one() -> None:
    assert prepared(ASK, "native") is ASK
    plain = replace(ASK, output=None)
    assert prepared(plain, "tool") is plain


def test_a_tool_that_must_be_called_stands_for_the_answer() -> None:
    asked = prepared(ASK, "tool")
    assert asked.output is None
    assert [tool.name for tool in asked.tools] == [ANSWER]
    assert asked.tools[0].parameters == CITY.schema
    assert asked.tool_choice == ANSWER


def test_beside_other_tools_any_must_be_called_and_it_comes_last() -> None:
    asked = prepared(replace(ASK, tools=(ADD,)), "tool")
    assert [tool.name for tool in asked.tools] == ["add", ANSWER]
    assert asked.tool_choice == "required"
    assert prepared(replace(ASK, tools=(ADD,)), "tool", forced=False).tool_choice == "auto"


def test_in_words_the_schema_is_part_of_the_system_prompt() -> None:
    asked = prepared(ASK, "text")
    assert asked.messages[0].text.startswith("Be brief.\n\nGive the final answer, City, in structured form. A city.")
    assert '"additionalProperties": false' in asked.messages[0].text
    bare = prepared(replace(ASK, messages=ASK.messages[1:]), "text")
    assert [message.role for message in bare.messages] == ["system", "user"]


async def _unwrapped(*pieces: object) -> list[events.ModelEvent]:
    model = FakeModel(list(pieces))  # type: ignore[arg-type]  # pieces of a turn
    return [event async for event in unwrapped(model.stream(ASK))]


async def test_the_arguments_of_the_answer_stream_as_its_text() -> None:
    got = await _unwrapped(call(ANSWER, name="Bern in the middle of Switzerland"))
    message = fold(got).messages[-1]
    assert message.text == '{"name":"Bern in the middle of Switzerland"}'
    assert not message.calls
    assert message.finish == "stop"
    assert sum(isinstance(event, events.TextDelta) for event in got) > 1


async def test_calls_beside_the_answer_stay_calls() -> None:
    message = fold(await _unwrapped(call("add"), call(ANSWER, name="Bern"))).messages[-1]
    assert [each.name for each in message.calls] == ["add"]
    assert message.finish == "tool_calls"


async def test_an_answer_that_is_given_twice_counts_once() -> None:
    message = fold(await _unwrapped(call(ANSWER, name="Bern"), call(ANSWER, name="Oslo"))).messages[-1]
    assert message.text == '{"name":"Bern"}'
    assert message.finish == "stop"


async def test_words_and_calls_of_others_pass() -> None:
    message = fold(await _unwrapped("Bern, ", "I think.")).messages[-1]
    assert message.text == "Bern, I think."


@asynccontextmanager
async def _server(answer: Callable[[Asked], Answer], quirks: Quirks) -> AsyncIterator[tuple[RemoteModel, Provider]]:
    async with provider(answer) as server:
        http = Http()
        yield remote("m", http=http, base_url=server.url, quirks=quirks), server
        await http.aclose()


def _only_tools(asked: Asked) -> Answer:
    if "response_format" in asked.json:
        return document({"error": {"message": "'response_format' is not supported"}}, 400)
    if asked.json.get("tools"):
        return Answer([sse(chunk(tool_calls=[tool_call(0, BERN, "c1", ANSWER)]), chunk("tool_calls"))])
    return says("no tool?")


async def test_a_provider_that_refuses_a_schema_is_asked_by_a_tool_and_that_is_remembered() -> None:
    async with _server(_only_tools, Quirks()) as (model, server):
        first, error = await collect(model, ASK)
        assert error is None
        await collect(model, ASK)
    assert fold(first).text == BERN
    assert ["response_format" in asked.json for asked in server.requests] == [True, False, False]


def _only_words(asked: Asked) -> Answer:
    if "response_format" in asked.json or "tool_choice" in asked.json:
        return document({"error": {"message": "no"}}, 400)
    if asked.json.get("tools"):
        return document({"error": {"message": "tools are not supported"}}, 422)
    return says(BERN)


async def test_a_provider_that_refuses_tools_too_is_asked_in_words() -> None:
    async with _server(_only_words, Quirks()) as (model, server):
        got, error = await collect(model, ASK)
        assert error is None
        await collect(model, ASK)
    assert fold(got).text == BERN
    assert len(server.requests) == 5
    assert "JSON Schema" in server.requests[-1].json["messages"][0]["content"]


async def test_where_every_way_is_refused_the_refusal_is_said_and_nothing_is_learned() -> None:
    async with _server(lambda _: document({"error": {"message": "out of order"}}, 400), Quirks()) as (model, server):
        _, error = await collect(model, ASK)
        count = len(server.requests)
        await collect(model, ASK)
    assert isinstance(error, RequestRefused)
    assert "out of order" in str(error)
    assert "response_format" in server.requests[count].json


async def test_a_wrong_key_is_not_taken_for_a_refused_schema() -> None:
    async with _server(lambda _: document({"error": {"message": "no"}}, 401), Quirks()) as (model, server):
        _, error = await collect(model, ASK)
    assert len(server.requests) == 1
    assert error is not None
