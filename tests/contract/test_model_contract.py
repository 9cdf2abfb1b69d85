"""What every model keeps to. Add one by a factory in `MODELS`: an async context manager that gives a `Case`."""

from __future__ import annotations

import asyncio
import functools
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from agentnb import events, messages
from agentnb.errors import StreamBroken
from agentnb.messages import ToolSpec
from agentnb.models.base import Model, Request
from agentnb.models.cassette import CassetteModel
from agentnb.models.fake import FakeModel, call
from agentnb.models.http import Http
from agentnb.transcript import fold
from tests.contract import (
    anthropic_script,
    dashscope_script,
    gemini_script,
    ollama_script,
    openai_chat_script,
    responses_script,
)
from tests.contract.wrappers import WRAPPERS
from tests.provider import Answer, Asked, provider
from tests.remote import remote
from tests.streams import collect

pytestmark = pytest.mark.anyio

TOOL = ToolSpec("add", "Add two numbers.", {"type": "object", "properties": {"x": {"type": "integer"}}})
TEXT = Request((messages.user("say it"),))
CALLS = Request((messages.user("call twice"),), tools=(TOOL,), tool_choice="required")
CUT = Request((messages.user("break off"),))
SILENT = Request((messages.user("begin and fall silent"),))


@dataclass(frozen=True)
class Case:
    """A model to try. `closed` returns once its far side saw the stream close (None: there is no far side).

    `breaks` and `silent` say whether it can be asked to break off, and to fall silent half-way.
    """

    model: Model
    closed: Callable[[], Awaitable[object]] | None = None
    breaks: bool = True
    silent: bool = True


@asynccontextmanager
async def _remote(
    dialect: str, answer: Callable[[Asked], Answer], wrap: Callable[[Model], Model] = lambda model: model
) -> AsyncIterator[Case]:
    """A model of this dialect, at a server whose answers a script of `tests/contract` gives."""
    async with provider(answer) as server:
        http = Http()
        yield Case(wrap(remote("m", http=http, base_url=server.url, dialect=dialect)), server.disconnected.wait)
        await http.aclose()


@asynccontextmanager
async def _fake() -> AsyncIterator[Case]:
    script = {
        "call twice": [[call("add", x=1), call("add", x=2)]],
        "break off": [["half", StreamBroken("cut off")]],
        "": [lambda request: f"You said: {request.messages[-1].text}"],
    }
    yield Case(FakeModel(script=script, chunk=3), silent=False)


@asynccontextmanager
async def _recording() -> AsyncIterator[Case]:
    with tempfile.TemporaryDirectory() as folder:
        wrap = functools.partial(CassetteModel, path=Path(folder, "cassette.json"), mode="record")
        async with _remote("openai_chat", openai_chat_script.answer, wrap) as case:
            yield case


@asynccontextmanager
async def _replayed() -> AsyncIterator[Case]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cassette.json")
        async with _remote("openai_chat", openai_chat_script.answer) as case:
            recording = CassetteModel(case.model, path, mode="record")
            asked = [TEXT, CALLS, CUT, *(Request((messages.user(f"number {i}"),)) for i in range(5))]
            await asyncio.gather(*(collect(recording, request) for request in asked))
        yield Case(CassetteModel(None, path, mode="replay"), silent=False)


MODELS: dict[str, Callable[[], AbstractAsyncContextManager[Case]]] = {
    "openai_chat": lambda: _remote("openai_chat", openai_chat_script.answer),
    "anthropic": lambda: _remote("anthropic", anthropic_script.answer),
    "dashscope": lambda: _remote("dashscope", dashscope_script.answer),
    "gemini": lambda: _remote("gemini", gemini_script.answer),
    "ollama": lambda: _remote("ollama", ollama_script.answer),
    "responses": lambda: _remote("responses", responses_script.answer),
    **{
        name: functools.partial(_remote, "openai_chat", openai_chat_script.answer, wrap)
        for name, wrap in WRAPPERS.items()
    },
    "recording": _recording,
    "replayed": _replayed,
    "fake": _fake,
}


@pytest.fixture(params=MODELS)
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    async with MODELS[request.param]() as made:
        yield made


async def _all(model: Model, request: Request) -> list[events.ModelEvent]:
    got, error = await collect(model, request)
    assert error is None
    return got


async def test_a_stream_ends_exactly_once_and_last(case: Case) -> None:
    got = await _all(case.model, TEXT)
    ends = [event for event in got if isinstance(event, events.MessageEnd)]
    assert ends == [got[-1]]
    assert ends[0].finish == "stop"
    assert ends[0].model == case.model.name
    assert fold(got).text
    assert fold(got).usage.output > 0


async def test_calls_arrive_in_order_each_with_whole_arguments(case: Case) -> None:
    got = await _all(case.model, CALLS)
    message = fold(got).messages[-1]
    assert message.finish == "tool_calls"
    assert [c.name for c in message.calls] == ["add"] * len(message.calls)
    assert [json.loads(c.arguments) for c in message.calls] == [{"x": 1}, {"x": 2}][: len(message.calls)]
    ids = [c.id for c in message.calls]
    assert len(set(ids)) == len(ids) > 0
    for call_id in ids:
        own = [type(e) for e in got if getattr(e, "call_id", None) == call_id]
        assert own[0] is events.ToolCallStart
        assert own[-1] is events.ToolCallEnd
        assert set(own[1:-1]) == {events.ToolCallArgs}
    started = [e.call_id for e in got if isinstance(e, events.ToolCallStart)]
    assert started == ids


async def test_runs_at_the_same_time_do_not_mix(case: Case) -> None:
    prompts = [f"number {i}" for i in range(5)]
    runs = await asyncio.gather(*(_all(case.model, Request((messages.user(p),))) for p in prompts))
    assert [fold(run).text for run in runs] == [f"You said: {p}" for p in prompts]


async def test_an_answer_that_is_cut_off_fails_with_what_came_before_it(case: Case) -> None:
    if not case.breaks:
        pytest.skip("this model cannot be made to break off")
    got, error = await collect(case.model, CUT)
    assert isinstance(error, StreamBroken)
    assert fold(got).text == "half"
    assert not any(isinstance(event, events.MessageEnd) for event in got)


async def test_closing_a_stream_early_leaves_at_once(case: Case) -> None:
    with anyio.fail_after(5):
        async with aclosing(case.model.stream(SILENT if case.silent else TEXT)) as stream:
            async for event in stream:
                assert isinstance(event, events.TextDelta)
                break
        if case.closed is not None:
            await case.closed()


async def test_cancelling_a_silent_stream_leaves_at_once(case: Case) -> None:
    if not case.silent:
        pytest.skip("this model is never silent")
    begun = asyncio.Event()

    async def run() -> None:
        async with aclosing(case.model.stream(SILENT)) as stream:
            async for _ in stream:
                begun.set()

    with anyio.fail_after(5):
        task = asyncio.create_task(run())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if case.closed is not None:
            await case.closed()
