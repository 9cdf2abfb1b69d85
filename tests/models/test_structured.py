from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from agentnb import events, messages
from agentnb.errors import RequestRefused
from agentnb.messages import ToolSpec
from agentnb.models import openai_chat
from agentnb.models.base import OutputSpec, Request
from agentnb.models.dialect import Quirks
from agentnb.models.fake import FakeModel, call
from agentnb.models.http import Http, Reply
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


async def test_a_tool_of_the_persons_that_is_called_as_ours_stays_theirs() -> None:
    theirs = ToolSpec(ANSWER, "Theirs.", {"type": "object", "properties": {}})
    called = Answer([sse(chunk(tool_calls=[tool_call(0, "{}", "c1", ANSWER)]), chunk("tool_calls"))])
    async with _server(lambda _: called, Quirks()) as (model, _):
        got, error = await collect(model, replace(ASK, tools=(theirs,)))
    assert error is None
    assert [each.name for each in fold(got).messages[-1].calls] == [ANSWER]
    assert prepared(replace(ASK, tools=(theirs,)), "tool").tools == (theirs,)
    assert '"name"' in prepared(replace(ASK, tools=(theirs,)), "tool").messages[0].text


async def test_an_answer_that_is_left_half_way_leaves_nothing_open() -> None:
    left: list[Any] = []
    called = [chunk(tool_calls=[tool_call(0, piece, "c1", ANSWER)]) for piece in ('{"name"', ': "Bern"')]
    hooks = sys.get_asyncgen_hooks()
    async with _server(lambda _: Answer([sse(*called, done=False)], end="silent"), Quirks()) as (model, _):
        sys.set_asyncgen_hooks(finalizer=left.append)
        try:
            async with aclosing(model.stream(replace(ASK, tools=(ADD,)))) as stream:
                await anext(stream)
            del stream
            gc.collect()
        finally:
            sys.set_asyncgen_hooks(*hooks)
    assert not [each.__name__ for each in left if "agentnb" in each.ag_code.co_filename]


class _Late(Http):
    """Sends a question without a schema only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.waits, self.go = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def post_stream(
        self, url: str, *, headers: Mapping[str, str], body: bytes, connect: float | None = None
    ) -> AsyncIterator[Reply]:
        if b"Bern has" not in body:
            self.waits.set()
            await self.go.wait()
        async with super().post_stream(url, headers=headers, body=body, connect=connect) as reply:
            yield reply


async def test_what_one_run_learned_is_not_forgotten_for_another_that_began_before_it() -> None:
    ask = replace(ASK, messages=(messages.user("Bern has?"),))
    async with provider(_only_tools) as server, asyncio.TaskGroup() as group:
        http = _Late()
        model = remote("m", http=http, base_url=server.url)
        early = group.create_task(collect(model, Request((messages.user("Hello"),))))
        await http.waits.wait()
        await collect(model, ask)
        http.go.set()
        await early
        await collect(model, ask)
        await http.aclose()
    assert ["response_format" in asked.json for asked in server.requests].count(True) == 1


async def test_a_lesson_that_teaches_nothing_new_ends_in_the_refusal() -> None:
    stubborn = replace(openai_chat.DIALECT, adapt=lambda quirks, _status, _said: quirks)
    async with provider(lambda _: document({"error": {"message": "no"}}, 400)) as server:
        http = Http()
        _, error = await collect(remote("m", http=http, base_url=server.url, dialect=stubborn), ASK)
        await http.aclose()
    assert isinstance(error, RequestRefused)
    assert len(server.requests) == 1
