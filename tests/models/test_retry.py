from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import anyio
import pytest

from agentnb import events, messages
from agentnb.errors import ConnectionFailed, ModelError, RequestRefused, StreamBroken, UsageError
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


class _Scripted:
    """A model whose streams are lists of events and errors, in turn."""

    name = "fake:scripted"

    def __init__(self, *streams: list[events.ModelEvent | Exception]) -> None:
        self._streams = list(streams)

    async def stream(self, _: Request) -> AsyncGenerator[events.ModelEvent, None]:
        for event in self._streams.pop(0):
            if isinstance(event, Exception):
                raise event
            yield event


async def test_waits_and_counts_of_the_wrapped_model_show_nothing_of_the_answer() -> None:
    spent = events.Usage(messages.Usage(3, 0))
    failing: list[events.ModelEvent | Exception] = [
        events.Waiting("Loading."),
        spent,
        StreamBroken("Empty.", retryable=True),
    ]
    model = _Scripted(failing, [events.TextDelta("Hi"), events.MessageEnd("stop")])
    got, error = await collect(RetryModel(model, sleep=Clock().sleep), ASK)
    assert error is None
    assert fold(got).text == "Hi"


async def test_an_answer_without_an_end_is_a_broken_one() -> None:
    model = _Scripted([], [events.TextDelta("Hi")])
    got, error = await collect(RetryModel(model, sleep=Clock().sleep), ASK)
    assert fold(got).text == "Hi"
    assert isinstance(error, StreamBroken)
    assert "stopped in the middle" in str(error)


async def test_many_retries_wait_no_longer_than_eight_seconds() -> None:
    clock = Clock()
    busy = [RequestRefused("Busy.", retryable=True)] * 1101
    await collect(RetryModel(FakeModel(*busy), retries=1100, sleep=clock.sleep, jitter=lambda: 0.0), ASK)
    assert clock.slept[-1] == 8.0


def test_less_than_no_retries_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot be -1"):
        RetryModel(FakeModel(), retries=-1)
