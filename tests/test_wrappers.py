"""Models made of models, in one expression."""

from __future__ import annotations

import anyio
import pytest

from agentnb import Agent, wrappers
from agentnb.errors import RequestRefused
from agentnb.models.fake import FakeModel
from agentnb.wrappers import Budget, BudgetModel, CacheModel, FallbackModel, LimitModel, RetryModel, TimeoutModel, stack


def test_every_name_that_is_promised_is_there() -> None:
    assert [name for name in wrappers.__all__ if not hasattr(wrappers, name)] == []


@pytest.mark.anyio
async def test_they_go_into_one_another_and_stay_a_model() -> None:
    def busy() -> RequestRefused:
        return RequestRefused("Busy.", status=503, retryable=False)

    first, second = FakeModel(busy(), busy()), FakeModel("hello", "never")
    model = CacheModel(
        RetryModel(LimitModel(TimeoutModel(FallbackModel(first, second), total=5), concurrency=1), retries=1)
    )
    agent = Agent(model)
    with anyio.fail_after(5):
        answers = [(await agent.run("hi")).text for _ in range(2)]
    assert answers == ["hello", "hello"]
    assert (len(first.requests), len(second.requests)) == (1, 1)
    assert agent.model.name == first.name


@pytest.mark.anyio
async def test_a_stack_is_the_same_in_the_order_that_makes_sense() -> None:
    first, second = FakeModel(RequestRefused("No.", status=400)), FakeModel("hello")
    model = stack(first, fallbacks=[second], retries=0, concurrency=2, rates="100/s", first=5, cache=True)
    with anyio.fail_after(5):
        for _ in range(2):
            assert (await Agent(model).run("hi")).text == "hello"
    assert len(second.requests) == 1


@pytest.mark.anyio
async def test_a_model_that_costs_nothing_fits_any_budget() -> None:
    agent = Agent("local:smollm2-135m")
    budget = Budget(0)
    model = BudgetModel(FakeModel("hello"), budget, cards=agent.cards)
    with anyio.fail_after(5):
        assert (await Agent(model).run("hi")).text == "hello"
    assert budget.spent == 0
