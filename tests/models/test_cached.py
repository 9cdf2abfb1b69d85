from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from agentnb import events, messages
from agentnb.errors import StreamBroken, UsageError
from agentnb.messages import Message, Opaque, ToolResult, ToolSpec
from agentnb.models.base import Request
from agentnb.models.cached import CacheModel
from agentnb.models.fake import FakeModel, call
from agentnb.models.options import Options
from agentnb.transcript import fold
from tests.streams import collect

pytestmark = pytest.mark.anyio
ASK = Request((messages.user("How many penguins are there?"),))


async def _text(model: CacheModel, request: Request = ASK) -> str:
    got, error = await collect(model, request)
    assert error is None
    return fold(got).text


async def test_the_same_request_is_asked_once() -> None:
    fake = FakeModel("There are 344 of them.", "Others.")
    model = CacheModel(fake)
    first, _ = await collect(model, ASK)
    again, _ = await collect(model, ASK)
    assert fold(again).messages == fold(first).messages
    assert len(fake.requests) == 1
    assert [type(event) for event in again] == [events.TextDelta, events.Usage, events.MessageEnd]
    assert model.name == fake.name


async def test_an_answer_from_the_cache_costs_nothing() -> None:
    model = CacheModel(FakeModel("There are 344 of them."))
    assert fold((await collect(model, ASK))[0]).usage.total > 0
    assert fold((await collect(model, ASK))[0]).usage == messages.Usage(usd=0.0)


@pytest.mark.parametrize(
    "other",
    [
        Request((messages.user("How many are there?"),)),
        replace(ASK, options=Options(temperature=1.0)),
        replace(ASK, options=Options(headers={"x-route": "b"})),
        replace(ASK, options=Options(query={"route": "b"})),
    ],
)
async def test_another_request_is_asked_too(other: Request) -> None:
    model = CacheModel(FakeModel("One", "Two"))
    assert [await _text(model), await _text(model, other)] == ["One", "Two"]


@pytest.mark.parametrize(
    "acting",
    [
        replace(ASK, tools=(ToolSpec("add", "Adds.", {}),)),
        Request((*ASK.messages, messages.assistant(call("add")))),
        Request((*ASK.messages, Message("tool", (ToolResult("1", "add"),)))),
        Request((*ASK.messages, messages.assistant(Opaque("anthropic", {"type": "web_search_tool_result"})))),
    ],
)
async def test_where_tools_are_in_play_nothing_is_kept(acting: Request) -> None:
    store: dict[str, bytes] = {}
    model = CacheModel(FakeModel("One", "Two"), store)
    assert [await _text(model, acting), await _text(model, acting)] == ["One", "Two"]
    assert store == {}


async def test_only_whole_answers_are_kept() -> None:
    class Filtered:
        name = "fake:filtered"

        async def stream(self, _: Request) -> AsyncGenerator[events.ModelEvent, None]:
            yield events.MessageEnd("content_filter")

    store: dict[str, bytes] = {}
    await collect(CacheModel(FakeModel(["Hel", StreamBroken("Gone.")]), store), ASK)
    await collect(CacheModel(Filtered(), store), ASK)
    async with aclosing(CacheModel(FakeModel("Hello you there"), store).stream(ASK)) as stream:
        await anext(stream)
    assert store == {}


async def test_equal_requests_at_once_are_one() -> None:
    fake = FakeModel("There are 344 of them.", pace=0.001)
    model = CacheModel(fake)
    texts = await asyncio.gather(*(_text(model) for _ in range(5)))
    assert texts == ["There are 344 of them."] * 5
    assert len(fake.requests) == 1


async def test_where_the_one_that_asks_fails_the_next_asks() -> None:
    begun, going = asyncio.Event(), asyncio.Event()

    class Slow:
        name = "fake:slow"

        def __init__(self) -> None:
            self.asked = 0

        async def stream(self, _: Request) -> AsyncGenerator[events.ModelEvent, None]:
            self.asked += 1
            begun.set()
            await going.wait()
            yield events.TextDelta("Hello")
            yield events.MessageEnd("stop")

    slow = Slow()
    model = CacheModel(slow)
    first, second, third = (asyncio.create_task(_text(model)) for _ in range(3))
    with anyio.fail_after(5):
        await begun.wait()
        first.cancel()
        await asyncio.wait({first})
        going.set()
        assert list(await asyncio.gather(second, third)) == ["Hello", "Hello"]
    assert slow.asked == 2


async def test_a_folder_keeps_answers_for_the_next_process(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "cache"
    assert await _text(CacheModel(FakeModel("Hello"), folder)) == "Hello"
    assert await _text(CacheModel(FakeModel(), str(folder))) == "Hello"
    (file,) = folder.iterdir()
    assert len(file.stem) == 64
    assert "Hello" in json.dumps(json.loads(file.read_bytes()))


@pytest.mark.parametrize("torn", [b"", b'[{"type":"text_del', b"{}", b'[{"type":"of a newer version"}]', b"\xff"])
async def test_a_torn_file_is_asked_for_again(tmp_path: Path, torn: bytes) -> None:
    await _text(CacheModel(FakeModel("Hello"), tmp_path))
    (file,) = tmp_path.iterdir()
    file.write_bytes(torn)
    model = CacheModel(FakeModel("Hello again"), tmp_path)
    assert [await _text(model), await _text(model)] == ["Hello again"] * 2


async def test_a_file_that_cannot_be_written_loses_no_answer(tmp_path: Path) -> None:
    model = CacheModel(FakeModel("One", "Two"), tmp_path / "cache")
    (tmp_path / "cache").rmdir()
    (tmp_path / "cache").write_text("in the way")
    assert [await _text(model), await _text(model)] == ["One", "Two"]


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be a folder"):
        CacheModel(FakeModel(), tmp_path / "file")


async def test_memory_is_bounded() -> None:
    fake = FakeModel(script={"": [lambda request: request.messages[0].text]})
    model = CacheModel(fake)
    oldest, old = Request((messages.user("0"),)), Request((messages.user("1"),))
    for number in range(1000):
        await _text(model, Request((messages.user(str(number)),)))
    await _text(model, oldest)
    await _text(model, Request((messages.user("1000"),)))
    assert len(fake.requests) == 1001
    await _text(model, oldest)
    assert len(fake.requests) == 1001
    await _text(model, old)
    assert len(fake.requests) == 1002


async def test_a_file_that_holds_no_whole_answer_is_asked_for_again(tmp_path: Path) -> None:
    assert await _text(CacheModel(FakeModel("One"), tmp_path)) == "One"
    (file,) = tmp_path.iterdir()
    for held in (b"[]", b'[{"type": "text_delta", "text": "O"}]'):
        file.write_bytes(held)
        assert await _text(CacheModel(FakeModel("Two"), tmp_path)) == "Two"


async def test_who_reads_two_equal_streams_in_turn_waits_for_neither() -> None:
    model = CacheModel(FakeModel("Hello there.", "Hello again."))
    with anyio.fail_after(5):
        async with aclosing(model.stream(ASK)) as one, aclosing(model.stream(ASK)) as two:
            await anext(one)
            assert fold([event async for event in two]).text == "Hello again."
            await anext(one)
    assert await _text(model) == "Hello again."
