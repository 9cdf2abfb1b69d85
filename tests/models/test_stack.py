from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from agentnb import events, messages
from agentnb.errors import ConnectionFailed, RequestRefused, UsageError
from agentnb.messages import Message
from agentnb.models.attempt import who_may_answer
from agentnb.models.base import Request
from agentnb.models.cassette import CassetteModel
from agentnb.models.fake import FakeModel
from agentnb.models.multi_agent import MultiAgentModel
from agentnb.models.options import Options
from agentnb.models.preset import PresetModel
from agentnb.models.retry import RetryModel
from agentnb.models.stack import stack
from agentnb.transcript import fold
from tests.streams import collect

pytestmark = pytest.mark.anyio
ASK = Request((messages.user("hi"),))
BUSY = RequestRefused("Busy.", retryable=True)


async def _at_once(_: float) -> None: ...


def test_alone_it_is_retries() -> None:
    fake = FakeModel()
    assert isinstance(stack(fake), RetryModel)
    assert stack(fake, retries=0) is fake


async def test_a_model_is_asked_again_before_another_is_asked() -> None:
    first, second = FakeModel(BUSY, BUSY, BUSY, name="fake:first"), FakeModel(BUSY, "Hello", name="fake:second")
    got, error = await collect(stack(first, fallbacks=[second], sleep=_at_once), ASK)
    assert error is None
    assert fold(got).text == "Hello"
    assert (len(first.requests), len(second.requests)) == (3, 2)


async def test_those_that_share_the_work_stand_in_for_each_other_at_once() -> None:
    first, second, last = FakeModel(BUSY), FakeModel("Hello"), FakeModel()
    got, _ = await collect(stack(first, balance={second: 1}, fallbacks=[last]), ASK)
    assert fold(got).text == "Hello"
    assert last.requests == []


async def test_the_first_model_may_have_a_weight_of_its_own() -> None:
    first, second = FakeModel("a"), FakeModel(*"bbb")
    model = stack(first, balance={first: 1, second: 3})
    assert "".join([fold((await collect(model, ASK))[0]).text for _ in range(4)]) == "babb"


async def test_a_timeout_is_of_one_attempt_and_tried_again() -> None:
    class Late:
        name = "fake:late"
        asked = 0

        async def stream(self, _: Request) -> AsyncGenerator[events.ModelEvent, None]:
            self.asked += 1
            if self.asked < 3:
                await asyncio.Event().wait()
            yield events.TextDelta("Hello")
            yield events.MessageEnd("stop")

    late = Late()
    got, error = await collect(stack(late, first=0.01, sleep=_at_once), ASK)
    assert error is None
    assert fold(got).text == "Hello"
    assert late.asked == 3


async def test_every_attempt_counts_for_the_rate() -> None:
    model = stack(FakeModel(BUSY, "Hello"), rates="1/h", sleep=_at_once)
    async with aclosing(model.stream(ASK)) as stream:
        waits = [await anext(stream), await anext(stream)]
    reasons = [wait.reason for wait in waits if isinstance(wait, events.Waiting)]
    assert reasons[0].startswith("Busy. Trying again in")
    assert reasons[1] == "fake:script may get 1 request per hour: waiting 3600.0 s."


async def test_a_failed_answer_is_not_kept_and_a_whole_one_is(tmp_path: Path) -> None:
    fake = FakeModel(ConnectionFailed("Gone."), "Hello")
    model = stack(fake, retries=0, cache=tmp_path)
    await collect(model, ASK)
    assert [fold((await collect(model, ASK))[0]).text for _ in range(3)] == ["Hello"] * 3
    assert len(fake.requests) == 2


async def test_what_a_check_takes_out_is_in_no_file(tmp_path: Path) -> None:
    def change(_: Request) -> Request:
        return Request((messages.user("something else"),))

    model = stack(FakeModel("Hello"), record=tmp_path / "c.json", cache=tmp_path / "cache", check_request=change)
    await collect(model, Request((messages.user("hush"),)))
    assert "hush" not in (tmp_path / "c.json").read_text()
    assert "something else" in (tmp_path / "c.json").read_text()


async def test_a_mask_is_for_the_cassette(tmp_path: Path) -> None:
    model = stack(FakeModel("hush"), record=tmp_path / "c.json", mask=lambda text: text.replace("hush", "[key]"))
    await collect(model, ASK)
    assert "hush" not in (tmp_path / "c.json").read_text()


async def test_a_replay_asks_nobody_and_is_still_checked(tmp_path: Path) -> None:
    await collect(stack(FakeModel("Hello"), record=tmp_path / "c.json"), ASK)
    nobody = FakeModel(name="fake:nobody")
    model = stack(nobody, replay=tmp_path / "c.json", check_response=lambda text, _: text)
    _, error = await collect(model, ASK)
    assert "A check stopped the answer of fake:script: Hello." in str(error)
    assert nobody.requests == []


async def test_a_cassette_answers_what_it_holds(tmp_path: Path) -> None:
    await collect(stack(FakeModel("Hello"), cassette=tmp_path / "c.json"), ASK)
    model = stack(FakeModel(), cassette=tmp_path / "c.json")
    assert isinstance(model, CassetteModel)
    assert fold((await collect(model, ASK))[0]).text == "Hello"


def test_a_model_has_one_cassette(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="only one of cassette, record and replay"):
        stack(FakeModel(), record=tmp_path / "a", cassette=tmp_path / "b")


async def test_everything_together_answers() -> None:
    def fine(_text: str, _message: Message) -> None: ...

    model = stack(
        FakeModel("Hello"),
        fallbacks=[FakeModel()],
        concurrency=1,
        rates="10/s, 1000 tpm",
        first=5,
        idle=5,
        total=5,
        cache={},
        check_request=lambda _: None,
        check_response=fine,
    )
    got, error = await collect(model, ASK)
    assert error is None
    assert fold(got).text == "Hello"
    assert model.name == "fake:script"


@pytest.mark.parametrize(("retries", "asked"), [(0, 1), (3, 4)])
async def test_the_retries_that_a_model_brings_are_not_multiplied(retries: int, asked: int) -> None:
    fake = FakeModel(*[BUSY] * 20)
    opened = RetryModel(fake, sleep=_at_once)
    await collect(stack(opened, retries=retries, sleep=_at_once), ASK)
    assert len(fake.requests) == asked


async def test_models_that_bring_retries_stand_in_for_each_other_at_once() -> None:
    first, second = FakeModel(BUSY, BUSY, BUSY), FakeModel("Hello", name="fake:second")
    model = stack(RetryModel(first), balance={RetryModel(second): 1}, concurrency=1, sleep=_at_once)
    got, _ = await collect(model, ASK)
    assert fold(got).text == "Hello"
    assert len(first.requests) == 1


def test_who_may_answer_is_known_through_all_that_is_around_it(tmp_path: Path) -> None:
    a, b, c = (FakeModel(name=f"fake:{name}") for name in "abc")
    model = stack(
        a,
        balance={b: 1},
        fallbacks=[c],
        concurrency=1,
        total=9,
        cache=True,
        record=tmp_path / "c.json",
        check_request=lambda _: None,
    )
    assert who_may_answer(PresetModel(MultiAgentModel(model), Options())) == ("fake:a", "fake:b", "fake:c")
    assert who_may_answer(a) == ("fake:a",)
