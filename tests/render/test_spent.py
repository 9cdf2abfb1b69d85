from __future__ import annotations

import pytest

from agentnb.messages import Usage
from agentnb.render.spent import money, spent, usd


def test_a_run_says_its_tokens_its_time_and_its_price() -> None:
    usage = Usage(1234, 56, cached=1000, reasoning=40, seconds=2.34, first=0.41, usd=0.00123)
    assert spent(usage) == [
        "1,290 tokens: 1,234 in (1,000 cached), 56 out (40 thinking)",
        "2.3 s, first after 0.4 s",
        "$0.0012",
    ]


def test_what_is_nothing_is_not_said() -> None:
    assert spent(Usage()) == []
    assert spent(Usage(1, 0, seconds=0.01, first=0.01, usd=0.0)) == ["1 token: 1 in, 0 out"]


@pytest.mark.parametrize(
    ("usd", "said"), [(None, ""), (0.0, ""), (0.00001, "< $0.0001"), (0.0456, "$0.0456"), (1234.5, "$1,234.50")]
)
def test_money_has_as_many_digits_as_say_something(usd: float | None, said: str) -> None:
    assert money(usd) == said


@pytest.mark.parametrize(
    ("amount", "said"),
    [(0, "$0"), (1, "$1"), (0.5, "$0.50"), (0.1234, "$0.1234"), (1e-7, "$0.0000001"), (1234.5, "$1,234.50")],
)
def test_an_amount_is_said_as_it_was_set(amount: float, said: str) -> None:
    assert usd(amount) == said
