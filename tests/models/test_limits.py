from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
import pytest

from agentnb import events, messages
from agentnb.errors import StreamBroken, UsageError
from agentnb.messages import Image, ToolResult, ToolSpec
from agentnb.models.base import Request
from agentnb.models.estimate import estimate
from agentnb.models.fake import FakeModel, call
from agentnb.models.limits import LimitModel
from agentnb.models.rates import Rate
from agentnb.tokens import count_tokens
from agentnb.transcript import fold
from tests.streams import collect

pytestmark = pytest.mark.anyio


def _ask(text: str = "hi") -> Request:
    return Request((messages.user(text),))


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds


class Held:
    """Begins, and ends when it is let go; remembers how many were at it at once, and in which order they came."""

    name = "fake:held"

    def __init__(self) -> None:
        self.going = asyncio.Event()
        self.inside = self.most = 0
        self.came: list[str] = []

    async def stream(self, request: Request) -> AsyncGenerator[events.ModelEvent, None]:
        self.came.append(request.messages[0].text)
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            yield events.TextDelta("Hel")
            await self.going.wait()
            yield events.MessageEnd("stop", None, self.name)
        finally:
            self.inside -= 1


async def _settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_so_many_are_asked_at_once_and_in_order() -> None:
    held = Held()
    model = LimitModel(held, concurrency=2)
    runs = [asyncio.create_task(collect(model, _ask(str(n)))) for n in range(6)]
    await _settled()
    assert held.inside == 2
    held.going.set()
    got = await asyncio.gather(*runs)
    assert held.most == 2
    assert held.came == list("012345")
    waits = [[event.reason for event in run if isinstance(event, events.Waiting)] for run, _ in got]
    assert waits[0] == waits[1] == []
    assert waits[2] == ["fake:held is asked at most 2 at once."]
    assert waits[5][0] == "fake:held has 3 requests to take before this one."


async def test_a_place_is_given_back_when_a_stream_is_closed_or_fails_or_is_cancelled() -> None:
    held = Held()
    model = LimitModel(held, concurrency=1)
    async with aclosing(model.stream(_ask())) as stream:
        await anext(stream)
    running = asyncio.create_task(collect(model, _ask()))
    await _settled()
    running.cancel()
    await asyncio.wait({running})
    failing = LimitModel(FakeModel(StreamBroken("Gone."), "Hello"), concurrency=1)
    await collect(failing, _ask())
    held.going.set()
    assert (await collect(model, _ask()))[1] is None
    assert fold((await collect(failing, _ask()))[0]).text == "Hello"


async def test_one_that_gives_up_waiting_lets_the_others_pass() -> None:
    held = Held()
    model = LimitModel(held, concurrency=1)
    first, second, third = (asyncio.create_task(collect(model, _ask(n))) for n in "123")
    await _settled()
    second.cancel()
    await _settled()
    held.going.set()
    with anyio.fail_after(5):
        await asyncio.gather(first, third)
    assert held.came == ["1", "3"]


async def test_requests_keep_to_their_rate() -> None:
    clock = Clock()
    model = LimitModel(FakeModel(*["Hi"] * 5), rates="2/s, 3/m", clock=clock, sleep=clock.sleep)
    runs = [await collect(model, _ask()) for _ in range(5)]
    assert clock.slept == [1.0, 59.0]
    waits = [event for run, _ in runs for event in run if isinstance(event, events.Waiting)]
    assert [(wait.reason, wait.seconds) for wait in waits] == [
        ("fake:script may get 2 requests per second: waiting 1.0 s.", 1.0),
        ("fake:script may get 3 requests per minute: waiting 59.0 s.", 59.0),
    ]


async def test_tokens_are_estimated_and_then_counted() -> None:
    clock = Clock()
    # 400 characters are about 100 tokens; what the scripted model reports is that and 200 of its own.
    model = LimitModel(FakeModel("a" * 800, "b"), rates="350 tokens/m", clock=clock, sleep=clock.sleep)
    await collect(model, _ask("x" * 400))
    assert clock.slept == []
    await collect(model, _ask("x" * 400))
    assert clock.slept == [60.0]


async def test_an_estimate_that_was_too_high_is_given_back() -> None:
    clock = Clock()
    model = LimitModel(
        FakeModel("Hello", "Hello"), rates="350 tokens/m", estimate=lambda _: 300, clock=clock, sleep=clock.sleep
    )
    await collect(model, _ask())
    await collect(model, _ask())
    assert clock.slept == []


async def test_a_request_that_never_fits_is_refused_at_once() -> None:
    fake = FakeModel("Hi")
    _, error = await collect(LimitModel(fake, rates="50 tokens/s"), _ask("x" * 400))
    assert str(error) == (
        "The request is about 100 tokens, more than fake:script may get: 50 tokens per second. Shorten it, or raise "
        "the rate."
    )
    assert fake.requests == []


async def test_a_wait_for_a_rate_can_be_cancelled() -> None:
    clock, waiting = Clock(), asyncio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    model = LimitModel(FakeModel("Hi", "Hi"), rates=[Rate(1, "requests", 60)], clock=clock, sleep=sleep)
    await collect(model, _ask())
    second = asyncio.create_task(collect(model, _ask()))
    with anyio.fail_after(5):
        await waiting.wait()
        second.cancel()
        await asyncio.wait({second})
    clock.now = 60.0
    assert (await collect(model, _ask()))[1] is None


async def test_several_event_loops_share_one_limit() -> None:
    most = inside = 0

    class Counted:
        name = "fake:counted"

        async def stream(self, _: Request) -> AsyncGenerator[events.ModelEvent, None]:
            nonlocal most, inside
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1
            yield events.MessageEnd("stop")

    model = LimitModel(Counted(), concurrency=1)
    ended: list[object] = []

    def run() -> None:
        async def ask() -> None:
            ended.extend(await asyncio.gather(*(collect(model, _ask()) for _ in range(50))))

        asyncio.run(ask())

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join, 5)
    assert len(ended) == 150
    assert most == 1


async def test_a_loop_that_died_in_the_queue_holds_nobody_up() -> None:
    held = Held()
    model = LimitModel(held, concurrency=1)
    running = asyncio.create_task(collect(model, _ask("1")))
    await _settled()

    def leave() -> None:
        # The stream is dropped with its loop, without being closed.
        loop = asyncio.new_event_loop()
        dropped.append(stream := model.stream(_ask("2")))
        loop.run_until_complete(anext(stream))
        loop.close()

    dropped: list[object] = []
    await asyncio.to_thread(leave)
    third = asyncio.create_task(collect(model, _ask("3")))
    held.going.set()
    with anyio.fail_after(5):
        await asyncio.gather(running, third)
    assert held.came == ["1", "3"]


def test_at_least_one_must_be_allowed() -> None:
    with pytest.raises(UsageError, match="At least 1"):
        LimitModel(FakeModel(), concurrency=0)


def test_everything_that_is_sent_is_estimated() -> None:
    said = (
        messages.user("x" * 40, Image(b"png")),
        messages.assistant(messages.Thinking("x" * 40), call("add", x=1), messages.Opaque("a", {"k": 1})),
        messages.Message("tool", (ToolResult("1", "add", (messages.Data([1, 2]), messages.Text("x" * 40))),)),
    )
    tool = ToolSpec("add", "Adds.", {"type": "object"})
    assert estimate(Request(said)) == count_tokens(said) > 2000 + 30
    assert estimate(Request(said, (tool,))) == count_tokens(said) + count_tokens(tool)
    assert estimate(Request(())) == 0


async def test_a_schema_and_a_large_document_count_for_the_rate() -> None:
    large = Request((messages.user(messages.File("a.pdf", b"x" * 200_000, "application/pdf")),))
    _, error = await collect(LimitModel(FakeModel("Hello"), rates="9000 tokens/m"), large)
    assert "The request is about 10000 tokens" in str(error)
