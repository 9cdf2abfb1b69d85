from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator

import pytest

from agentnb import events, messages
from agentnb.errors import ConnectionFailed, ModelError, StreamBroken, UsageError
from agentnb.models.base import Model, Request
from agentnb.models.fake import FakeModel
from agentnb.models.retry import RetryModel
from agentnb.models.timeouts import TimeoutModel
from agentnb.transcript import fold
from tests.streams import collect

pytestmark = pytest.mark.anyio
ASK = Request((messages.user("hi"),))
#: Seconds that are over before anybody notices.
SOON = 0.01


class Quiet:
    """Gives these events, then nothing for ever; remembers whether it was closed."""

    name = "fake:quiet"

    def __init__(self, *given: events.ModelEvent) -> None:
        self._given = given
        self.closed = False

    async def stream(self, _: Request) -> AsyncGenerator[events.ModelEvent, None]:
        try:
            for event in self._given:
                yield event
            await asyncio.Event().wait()
        finally:
            self.closed = True


async def test_a_model_that_does_not_begin_is_given_up() -> None:
    quiet = Quiet(events.Waiting("Loading."))
    _, error = await collect(TimeoutModel(quiet, first=SOON), ASK)
    assert isinstance(error, ConnectionFailed)
    assert error.retryable
    assert str(error) == ("fake:quiet did not begin to answer within 0.01 s. Try again, or allow it more time (first).")
    assert quiet.closed


async def test_a_model_that_falls_silent_is_given_up_with_what_it_said() -> None:
    quiet = Quiet(events.TextDelta("Hel"))
    got, error = await collect(TimeoutModel(quiet, first=60, idle=SOON), ASK)
    assert fold(got).text == "Hel"
    assert isinstance(error, StreamBroken)
    assert error.retryable
    assert str(error) == "fake:quiet fell silent for 0.01 s in the middle of its answer. Run again."
    assert quiet.closed


async def test_silence_counts_only_once_the_answer_has_begun() -> None:
    quiet = Quiet()
    _, error = await collect(TimeoutModel(quiet, first=2 * SOON, idle=SOON / 100), ASK)
    assert "(first)" in str(error)


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ((), ConnectionFailed, "did not begin to answer within 0.01 s. Try again, or allow it more time (total)."),
        (
            (events.TextDelta("Hel"),),
            StreamBroken,
            "did not end its answer within 0.01 s. Allow it more time (total), or ask for less.",
        ),
    ],
)
async def test_the_whole_answer_has_its_time(
    given: tuple[events.ModelEvent, ...], kind: type[ModelError], said: str
) -> None:
    quiet = Quiet(*given)
    _, error = await collect(TimeoutModel(quiet, first=60, idle=60, total=SOON), ASK)
    assert type(error) is kind
    assert str(error) == f"fake:quiet {said}"
    assert quiet.closed


async def test_an_answer_in_time_is_unchanged() -> None:
    plain, bounded = FakeModel("Hello you"), TimeoutModel(FakeModel("Hello you"), first=5, idle=5, total=5)
    assert await collect(bounded, ASK) == await collect(plain, ASK)
    assert bounded.name == plain.name


async def test_another_timeout_is_left_alone() -> None:
    model = TimeoutModel(FakeModel(TimeoutError("not ours")), first=5)
    with pytest.raises(TimeoutError, match="not ours"):
        await collect(model, ASK)


async def test_a_model_that_does_not_begin_is_asked_again() -> None:
    streams: Iterator[Model] = iter([Quiet(), FakeModel("Hello")])

    class Both:
        name = "fake:both"

        def stream(self, request: Request) -> AsyncGenerator[events.ModelEvent, None]:
            return next(streams).stream(request)

    async def at_once(_: float) -> None: ...

    got, error = await collect(RetryModel(TimeoutModel(Both(), first=SOON), sleep=at_once), ASK)
    assert error is None
    assert fold(got).text == "Hello"


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_times_that_are_none_are_refused(seconds: float) -> None:
    with pytest.raises(UsageError, match="'idle' takes seconds greater than 0"):
        TimeoutModel(FakeModel(), idle=seconds)
