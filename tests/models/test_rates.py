from __future__ import annotations

import pytest

from agentnb.errors import UsageError
from agentnb.models.rates import Rate, Window, parse_rates

S, M, H, D = 1.0, 60.0, 3600.0, 86400.0


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("3/s", [Rate(3, "requests", S)]),
        ("3/s, 60/m", [Rate(3, "requests", S), Rate(60, "requests", M)]),
        ("10000 tokens/m", [Rate(10_000, "tokens", M)]),
        ("1e6 tokens/d; 5 req/h", [Rate(1e6, "tokens", D), Rate(5, "requests", H)]),
        ("60 requests per minute", [Rate(60, "requests", M)]),
        ("1 request/second,", [Rate(1, "requests", S)]),
        ("10 tps, 20tpm, 30 tph, 40 tpd", [Rate(10 * n, "tokens", s) for n, s in ((1, S), (2, M), (3, H), (4, D))]),
        ("2 rps, 3 rpm", [Rate(2, "requests", S), Rate(3, "requests", M)]),
        ("tpm=90k, rps: 2, rpd 1_000", [Rate(90_000, "tokens", M), Rate(2, "requests", S), Rate(1000, "requests", D)]),
        ("1.5M tok/day", [Rate(1.5e6, "tokens", D)]),
        ("0.5/s", [Rate(1, "requests", 2)]),
    ],
)
def test_rates_are_read_as_people_write_them(text: str, rates: list[Rate]) -> None:
    assert list(parse_rates(text)) == rates


@pytest.mark.parametrize(
    "text", ["", " , ", "fast", "10", "10/y", "-1/s", "0/s", "1e999/s", "10 apples/s", "/s", "10//s"]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a rate\. Write requests or tokens"):
        parse_rates(text)


def test_a_rate_says_what_it_is() -> None:
    assert [str(rate) for rate in parse_rates("1/s, 1e6 tokens/d, 0.3/m")] == [
        "1 request per second",
        "1000000 tokens per day",
        "1 request per 200 s",
    ]


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="greater than 0"):
        Rate(0, "requests", 1)


def test_a_window_lets_no_more_through_than_its_rate_whenever_one_looks() -> None:
    window, now = Window(Rate(10, "requests", 1.0)), 0.0
    spent: list[float] = []
    while now < 5:
        if (wait := window.wait(1, now)) > 0:
            now += wait
            continue
        window.spend(1, now)
        spent.append(now)
        now += 0.013
    for at in spent:
        assert sum(at - 1 + 1e-5 < other <= at for other in spent) <= 10
    assert len(spent) >= 48


def test_a_window_forgets_what_is_past_and_takes_little_room() -> None:
    window = Window(Rate(1e9, "tokens", 60.0))
    for second in range(10_000):
        assert window.wait(1, second) == 0
        window.spend(1, second)
    assert len(window._sums) <= 65
    assert 59 <= sum(spent.amount for spent in window._sums) <= 62


def test_what_was_not_spent_after_all_is_given_back() -> None:
    window = Window(Rate(10, "tokens", 1.0))
    spent = window.spend(9, 0.0)
    assert window.wait(5, 0.5) == 0.5
    window.correct(spent, -6, 0.5)
    assert window.wait(5, 0.5) == 0
    window.correct(spent, 4, 0.5)
    assert window.wait(5, 0.5) == 0.5
    assert window.wait(10, 0.5) == 1.0
