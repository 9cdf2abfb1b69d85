from __future__ import annotations

import pytest

from agentnb import messages
from agentnb.errors import RequestRefused, StreamBroken, UsageError
from agentnb.models.balance import BalanceModel
from agentnb.models.base import Model, Request
from agentnb.models.fake import FakeModel
from agentnb.transcript import fold
from tests.streams import collect

pytestmark = pytest.mark.anyio
ASK = Request((messages.user("hi"),))
BUSY = RequestRefused("Busy.", retryable=True)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _says(word: str) -> FakeModel:
    return FakeModel(script={"": [lambda _: word]}, name=f"fake:{word}")


async def _text(model: Model) -> str:
    return fold((await collect(model, ASK))[0]).text


async def test_each_is_asked_as_often_as_its_weight_says_and_evenly_spread() -> None:
    model = BalanceModel({_says("a"): 3, _says("b"): 1, _says("c"): 2})
    assert "".join([await _text(model) for _ in range(12)]) == "acabca" * 2
    assert model.name == "fake:a"


async def test_who_is_asked_can_be_chosen_otherwise() -> None:
    seen: list[list[float]] = []

    def last(weights: object) -> int:
        assert isinstance(weights, list)
        seen.append(weights)
        return len(weights) - 1

    model = BalanceModel([(_says("a"), 3), (_says("b"), 1)], choose=last)
    assert await _text(model) == "b"
    assert seen == [[3, 1]]


async def test_one_that_fails_is_replaced_at_once_and_rests() -> None:
    clock = Clock()
    failing = FakeModel(BUSY, "a again")
    model = BalanceModel([(failing, 100), (_says("b"), 1)], rest=30, clock=clock)
    assert [await _text(model) for _ in range(3)] == ["b", "b", "b"]
    assert len(failing.requests) == 1
    clock.now = 30.0
    assert await _text(model) == "a again"


async def test_one_rests_as_long_as_its_server_asks() -> None:
    clock = Clock()
    failing = FakeModel(RequestRefused("Busy.", retryable=True, retry_after=90.0), "a again")
    model = BalanceModel([(failing, 100), (_says("b"), 1)], rest=30, clock=clock)
    await _text(model)
    clock.now = 60.0
    assert await _text(model) == "b"
    clock.now = 90.0
    assert await _text(model) == "a again"


async def test_an_error_that_stays_is_no_reason_to_rest() -> None:
    failing = FakeModel(UsageError("No such option."), "a")
    model = BalanceModel([(failing, 100), (_says("b"), 1)], clock=Clock())
    assert [await _text(model), await _text(model)] == ["b", "a"]


async def test_where_all_rest_the_one_that_may_soonest_is_asked() -> None:
    clock = Clock()
    one, two = FakeModel(BUSY, "one"), FakeModel(BUSY, "two")
    model = BalanceModel([(one, 1), (two, 1)], clock=clock)
    _, error = await collect(model, ASK)
    assert str(error) == "Busy. Asked before: fake:script: Busy."
    assert await _text(model) == "one"


async def test_nothing_is_asked_again_once_something_was_shown() -> None:
    other = _says("b")
    got, error = await collect(BalanceModel([(FakeModel(["Hel", StreamBroken("Gone.")]), 2), (other, 1)]), ASK)
    assert (fold(got).text, str(error), other.requests) == ("Hel", "Gone.", [])


@pytest.mark.parametrize("weights", [[], [0.0], [1.0, -1.0]])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(UsageError, match="at least one model, each with a weight"):
        BalanceModel([(_says("a"), weight) for weight in weights])
