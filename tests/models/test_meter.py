from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from itertools import count

import pytest
from inline_snapshot import snapshot

from agentnb import events, messages
from agentnb.errors import BudgetExceeded, ConnectionFailed, StreamBroken, UsageError
from agentnb.events import MessageEnd, ModelEvent, TextDelta, Waiting
from agentnb.messages import File, Image, ToolResult, ToolSpec, Usage
from agentnb.models.base import OutputSpec, Request
from agentnb.models.cached import CacheModel
from agentnb.models.cards import Card, Cards, Price
from agentnb.models.estimate import estimate
from agentnb.models.fake import FakeModel
from agentnb.models.fallback import FallbackModel
from agentnb.models.meter import Budget, BudgetModel, metered
from agentnb.models.options import Options
from agentnb.models.retry import RetryModel
from tests.streams import collect

pytestmark = pytest.mark.anyio

#: A dollar for a million tokens in, ten for a million out: 0.001 USD are 100 tokens of answer.
CARD = Card("x:m", price=Price(1, 10), output=100_000)
CARDS = Cards([CARD])
ASK = Request((messages.user("x" * 400),))  # 100 tokens


class Says:
    """A model that gives these events (or raises), and remembers what it was asked."""

    def __init__(self, *script: ModelEvent | Exception, name: str = "x:m") -> None:
        self.name = name
        self.asked: list[Request] = []
        self._script = script

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        self.asked.append(request)
        for event in self._script:
            if isinstance(event, Exception):
                raise event
            yield event


def answer(text: str = "Hello", *, read: int = 100, written: int = 50, model: str | None = "x:m") -> list[ModelEvent]:
    return [TextDelta(text), events.Usage(Usage(read, written)), MessageEnd("stop", None, model)]


def ticks() -> Callable[[], float]:
    """A clock that goes on by a second whenever somebody looks."""
    seconds: Iterator[int] = count()
    return lambda: float(next(seconds))


async def passed(*script: ModelEvent, cards: Cards = CARDS, name: str = "") -> list[ModelEvent]:
    stream = metered(Says(*script).stream(ASK), cards=cards, name=name, clock=ticks())
    async with aclosing(stream) as opened:
        return [event async for event in opened]


def usages(got: list[ModelEvent]) -> list[Usage]:
    return [event.usage for event in got if isinstance(event, events.Usage)]


async def test_the_last_usage_has_seconds_first_and_usd() -> None:
    got = await passed(Waiting("loads"), TextDelta("a"), TextDelta("b"), *answer("c"))
    assert [type(event).__name__ for event in got] == snapshot(
        ["Waiting", "TextDelta", "TextDelta", "TextDelta", "Usage", "Usage", "MessageEnd"]
    )
    assert usages(got)[-1] == Usage(100, 50, seconds=3.0, first=1.0, usd=0.0006)
    assert usages(got)[0].first == 1.0


async def test_a_model_that_counts_nothing_still_took_seconds() -> None:
    got = await passed(TextDelta("a"), MessageEnd("stop", None, "x:m"))
    assert usages(got) == [Usage(seconds=2.0, first=1.0)]


async def test_the_model_that_answers_has_the_price() -> None:
    cards = Cards([CARD, Card("y:dear", price=Price(100, 1000))])
    got = await passed(*answer(model="y:dear"), cards=cards, name="x:m")
    assert [usage.usd for usage in usages(got)] == pytest.approx([0.0006, 0.06])


async def test_until_the_end_the_price_is_that_of_the_model_that_was_asked() -> None:
    got = await passed(events.Usage(Usage(100)), cards=CARDS, name="x:m")
    assert usages(got)[0].usd == pytest.approx(0.0001)


async def test_what_the_provider_says_of_the_price_counts() -> None:
    got = await passed(events.Usage(Usage(100, 50, usd=0.5)), MessageEnd("stop", None, "x:m"))
    assert [usage.usd for usage in usages(got)] == [0.5, 0.5]


async def test_without_a_card_the_price_is_not_known() -> None:
    got = await passed(*answer(model="nobody:x"))
    assert usages(got)[-1].usd is None


async def test_an_error_passes_as_it_is() -> None:
    model = Says(TextDelta("half"), StreamBroken("cut off"))
    with pytest.raises(StreamBroken, match="cut off"):
        async for _ in metered(model.stream(ASK), cards=CARDS):
            pass


async def test_closing_a_metered_stream_closes_the_model_s() -> None:
    closed = asyncio.Event()

    async def stream() -> AsyncGenerator[ModelEvent, None]:
        try:
            yield TextDelta("a")
            yield TextDelta("b")
        finally:
            closed.set()

    async with aclosing(metered(stream(), cards=CARDS)) as opened:
        await anext(opened)
    assert closed.is_set()


def test_an_estimate_counts_everything_that_is_sent() -> None:
    def of(*content: str | messages.Block) -> int:
        return estimate(Request((messages.user(*content),)))

    assert of("x" * 400) == 100
    assert of("\ud800" * 4) > 0
    assert of(ToolResult("c", "add", (messages.Text("x" * 400), messages.Data({"x": "y" * 400})))) > 200
    assert of(Image(b"png")) > 1000
    assert of(File("a.txt", b"x" * 40_000, "text/plain")) == 10_000
    assert of(File("a.pdf", b"x" * 200_000, "application/pdf")) == 10_000
    spec = ToolSpec("add", "Add numbers.", {"type": "object"})
    assert estimate(Request((messages.user("hi"),), tools=(spec,))) > of("hi")
    assert estimate(Request((messages.user("hi"),), output=OutputSpec("city", {"type": "object"}))) > of("hi")


async def test_spending_follows_what_the_provider_counts() -> None:
    budget = Budget(1.0)
    model = BudgetModel(Says(*answer()), budget, cards=CARDS)
    assert model.name == "x:m"
    _, error = await collect(model, ASK)
    assert error is None
    assert budget.spent == pytest.approx(0.0006)
    assert budget.left == pytest.approx(0.9994)


async def test_the_call_that_would_break_the_cap_is_not_sent() -> None:
    budget = Budget(0.0002, of="this notebook")
    inner = Says(*answer())
    budget.settle(0, 0.0001)
    _, error = await collect(BudgetModel(inner, budget, cards=CARDS), ASK)
    assert isinstance(error, BudgetExceeded)
    assert str(error) == snapshot(
        "The cap of $0.0002 for this notebook would be broken, so nothing was sent: $0.0001 is spent, "
        "and this call of x:m costs at least $0.0003. Raise the cap with --max-cost, or choose a cheaper model."
    )
    assert inner.asked == []
    assert budget.spent == 0.0001


async def test_an_answer_is_bounded_to_what_is_still_affordable() -> None:
    inner = Says(*answer())
    await collect(BudgetModel(inner, Budget(0.0051), cards=CARDS), ASK)
    assert inner.asked[0].options.max_tokens == 500


async def test_a_bound_that_is_affordable_stays_as_it_is() -> None:
    for options, limit in ((Options(max_tokens=300), 0.0051), (Options(), 1.5)):
        inner = Says(*answer())
        request = Request(ASK.messages, options=options)
        await collect(BudgetModel(inner, Budget(limit), cards=CARDS), request)
        assert inner.asked == [request]


async def test_a_bound_that_is_not_is_lowered() -> None:
    inner = Says(*answer())
    request = Request(ASK.messages, options=Options(max_tokens=900, temperature=0.5))
    await collect(BudgetModel(inner, Budget(0.0051), cards=CARDS), request)
    assert inner.asked[0].options == Options(max_tokens=500, temperature=0.5)


async def test_a_thinking_budget_must_be_affordable() -> None:
    inner = Says(*answer())
    request = Request(ASK.messages, options=Options(thinking=2000))
    _, error = await collect(BudgetModel(inner, Budget(0.02), cards=CARDS), request)
    assert isinstance(error, BudgetExceeded)
    _, error = await collect(BudgetModel(inner, Budget(0.03), cards=CARDS), request)
    assert error is None
    assert inner.asked[0].options == Options(thinking=2000, max_tokens=2990)


async def test_what_is_put_into_a_cache_is_paid_as_that() -> None:
    cards = Cards([Card("x:m", price=Price(1, 10, written=5), output=100_000)])
    inner = Says(*answer())
    request = Request(ASK.messages, options=Options(cache="5m"))
    await collect(BudgetModel(inner, Budget(0.0055), cards=cards), request)
    assert inner.asked[0].options.max_tokens == 500


async def test_a_model_without_a_price_is_refused_under_a_cap() -> None:
    for name in ("nobody:x", "x:m"):
        inner = Says(*answer(), name=name)
        _, error = await collect(BudgetModel(inner, Budget(5), cards=Cards([Card("x:m")])), ASK)
        assert isinstance(error, BudgetExceeded)
        assert f"No price is known for {name}, so the cap of $5 for this run cannot be kept." in str(error)
        assert inner.asked == []


async def test_what_costs_nothing_passes_an_empty_purse() -> None:
    budget = Budget(0)
    _, error = await collect(BudgetModel(FakeModel("Hello"), budget, cards=Cards()), ASK)
    assert error is None
    assert budget.spent == 0


async def test_an_answer_that_broke_off_is_paid_by_what_there_was() -> None:
    budget = Budget(1)
    model = BudgetModel(Says(TextDelta("x" * 400), StreamBroken("cut off")), budget, cards=CARDS)
    _, error = await collect(model, ASK)
    assert isinstance(error, StreamBroken)
    assert budget.spent == pytest.approx(0.0011)
    assert budget.left == pytest.approx(1 - 0.0011)


async def test_an_answer_that_was_left_early_is_paid_too() -> None:
    budget = Budget(1)
    model = BudgetModel(Says(events.Usage(Usage(300)), TextDelta("x" * 400), TextDelta("y")), budget, cards=CARDS)
    async with aclosing(model.stream(ASK)) as stream:
        await anext(stream)
        await anext(stream)
        assert budget.left == 0
    assert budget.spent == pytest.approx(0.0013)


async def test_a_provider_that_counts_nothing_is_paid_by_the_estimate() -> None:
    budget = Budget(1)
    model = BudgetModel(Says(TextDelta("x" * 40), MessageEnd("stop", None, "x:m")), budget, cards=CARDS)
    await collect(model, ASK)
    assert budget.spent == pytest.approx(0.0002)


async def test_a_call_that_never_began_costs_nothing() -> None:
    budget = Budget(1)
    _, error = await collect(BudgetModel(Says(Waiting("w"), ConnectionFailed("no")), budget, cards=CARDS), ASK)
    assert isinstance(error, ConnectionFailed)
    assert (budget.spent, budget.left) == (0, 1)


async def test_another_model_that_answered_is_paid_at_its_price() -> None:
    budget = Budget(1)
    cards = Cards([CARD, Card("y:dear", price=Price(100, 1000))])
    await collect(BudgetModel(Says(*answer(model="y:dear")), budget, cards=cards), ASK)
    assert budget.spent == pytest.approx(0.06)
    await collect(BudgetModel(Says(*answer(model="nobody:z")), budget, cards=cards), ASK)
    assert budget.spent == pytest.approx(0.0606)


async def test_the_provider_s_own_price_counts() -> None:
    budget = Budget(1)
    says = Says(TextDelta("a"), events.Usage(Usage(1, 1, usd=0.25)), MessageEnd("stop", None, "x:m"))
    await collect(BudgetModel(says, budget, cards=CARDS), ASK)
    assert budget.spent == 0.25


async def test_two_caps_hold_at_once() -> None:
    run, notebook = Budget(0.0051), Budget(0.0031, of="this notebook", raise_by="%usage --cap")
    inner = Says(*answer())
    model = BudgetModel(BudgetModel(inner, run, cards=CARDS), notebook, cards=CARDS)
    await collect(model, ASK)
    assert inner.asked[0].options.max_tokens == 300
    assert run.spent == notebook.spent == pytest.approx(0.0006)
    notebook.settle(0, 0.0025)
    _, error = await collect(model, ASK)
    assert "for this notebook would be broken" in str(error)
    assert "%usage --cap" in str(error)
    assert run.spent == pytest.approx(0.0006)
    run.settle(0, 1)
    notebook.settle(0, -0.0025)
    _, error = await collect(model, ASK)
    assert isinstance(error, BudgetExceeded)
    assert "for this run" in str(error)
    assert notebook.left == pytest.approx(0.0025)


async def test_calls_at_the_same_time_do_not_break_the_cap_together() -> None:
    budget = Budget(0.003)
    inner = Says(*answer(written=100))
    model = BudgetModel(inner, budget, cards=CARDS)
    request = Request(ASK.messages, options=Options(max_tokens=100))  # 0.0011 USD at most
    async with aclosing(model.stream(request)) as one, aclosing(model.stream(request)) as two:
        await anext(one)
        await anext(two)
        async with aclosing(model.stream(request)) as three:
            await anext(three)
            assert [asked.options.max_tokens for asked in inner.asked] == [100, 100, 70]
            _, error = await collect(model, request)
            assert isinstance(error, BudgetExceeded)
            assert "calls in progress may take $0.0030" in str(error)
            assert len(inner.asked) == 3
    assert 0 < budget.spent <= 0.003
    assert budget.left == pytest.approx(0.003 - budget.spent)


async def test_without_a_cap_all_is_sent_and_what_it_cost_is_added_up() -> None:
    budget = Budget()
    cards = Cards([CARD])
    for name in ("x:m", "nobody:x"):
        inner = Says(*answer(model=name), name=name)
        _, error = await collect(BudgetModel(inner, budget, cards=cards), ASK)
        assert error is None
        assert inner.asked == [ASK]
    assert budget.spent == pytest.approx(0.0006)
    budget.limit = 0.0007
    _, error = await collect(BudgetModel(Says(*answer()), budget, cards=cards), ASK)
    assert isinstance(error, BudgetExceeded)


@pytest.mark.parametrize("limit", [-1, float("nan"), float("inf")])
def test_a_cap_that_is_none_is_refused(limit: float) -> None:
    with pytest.raises(UsageError, match="A cap on cost is a number of USD"):
        Budget(limit)


async def test_a_cap_holds_for_every_model_that_may_answer() -> None:
    cards = Cards([Card("x:free", price=Price(0, 0)), CARD])
    free, dear = Says(ConnectionFailed("no"), name="x:free"), Says(*answer())
    model = RetryModel(FallbackModel(free, dear))
    _, error = await collect(BudgetModel(model, Budget(0.0001), cards=cards), ASK)
    assert isinstance(error, BudgetExceeded)
    await collect(BudgetModel(model, Budget(0.0051), cards=cards), ASK)
    assert [asked.options.max_tokens for asked in dear.asked] == [500]
    unknown = FallbackModel(free, Says(*answer(), name="nobody:x"))
    _, error = await collect(BudgetModel(unknown, Budget(1), cards=cards), ASK)
    assert "No price is known for nobody:x" in str(error)


async def test_an_answer_from_the_cache_spends_nothing_where_nothing_was_counted() -> None:
    budget = Budget(5)
    model = BudgetModel(CacheModel(Says(TextDelta("Hello"), MessageEnd("stop", None, "x:m"))), budget, cards=CARDS)
    await collect(model, ASK)
    spent = budget.spent
    await collect(model, ASK)
    assert budget.spent == spent > 0
