from __future__ import annotations

import asyncio

import anyio
import pytest

from agentnb import events, messages
from agentnb.errors import ConnectionFailed, ModelError, RequestRefused, StreamBroken
from agentnb.models.base import Request
from agentnb.models.fake import FakeModel
from agentnb.models.retry import RetryModel
from agentnb.transcript import fold
from tests.streams import collect

pytestmark = pytest.mark.anyio
ASK = Request((messages.user("hi"),))


class Clock:
    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def test_an_error_that_may_pass_is_waited_out_and_said() -> None:
    clock = Clock()
    fake = FakeModel(
        ConnectionFailed("Nothing there.", retryable=True), RequestRefused("Busy.", retryable=True), "Hello"
    )
    got, error = await collect(RetryModel(fake, sleep=clock.sleep, jitter=lambda: 0.0), ASK)
    assert error is None
    assert fold(got).text == "Hello"
    assert clock.slept == [0.5, 1.0]
    waits = [event for event in got if isinstance(event, events.Waiting)]
    assert [w.seconds for w in waits] == [0.5, 1.0]
    assert waits[0].reason == "Nothing there. Trying again in 0.5 s."


async def test_waits_grow_to_eight_seconds_less_a_quarter_at_random() -> None:
    clock = Clock()
    busy = [RequestRefused("Busy.", retryable=True)] * 7
    _, error = await collect(RetryModel(FakeModel(*busy), retries=6, sleep=clock.sleep, jitter=lambda: 1.0), ASK)
    assert clock.slept == [0.375, 0.75, 1.5, 3.0, 6.0, 6.0]
    assert str(error) == "Busy."


async def test_the_servers_wait_is_honoured() -> None:
    clock = Clock()
    fake = FakeModel(RequestRefused("Busy.", retryable=True, retry_after=7.0), "Hello")
    await collect(RetryModel(fake, sleep=clock.sleep), ASK)
    assert clock.slept == [7.0]


async def test_a_long_wait_is_refused_plainly() -> None:
    clock = Clock()
    fake = FakeModel(RequestRefused("Busy.", status=429, retryable=True, retry_after=3600.0))
    _, error = await collect(RetryModel(fake, sleep=clock.sleep), ASK)
    assert isinstance(error, RequestRefused)
    assert "fake:script asks to wait 3600 s" in str(error)
    assert (error.status, error.retry_after, clock.slept) == (429, 3600.0, [])


async def test_nothing_is_tried_again_once_something_was_shown() -> None:
    clock = Clock()
    fake = FakeModel(["Hel", StreamBroken("Gone.", retryable=True)], "Hello")
    got, error = await collect(RetryModel(fake, sleep=clock.sleep), ASK)
    assert fold(got).text == "Hel"
    assert isinstance(error, StreamBroken)
    assert len(fake.requests) == 1


async def test_an_error_that_stays_is_raised_at_once() -> None:
    fake = FakeModel(ModelError("No."), "Hello")
    _, error = await collect(RetryModel(fake, sleep=Clock().sleep), ASK)
    assert str(error) == "No."
    assert len(fake.requests) == 1


async def test_a_wait_can_be_cancelled() -> None:
    waiting = asyncio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    fake = FakeModel(RequestRefused("Busy.", retryable=True), "Hello")
    with anyio.fail_after(5):
        task = asyncio.create_task(collect(RetryModel(fake, sleep=sleep), ASK))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
