"""Rates such as "10/s" or "10000 tokens/m": how they are written, and how much of one is left."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeAlias

from agentnb.errors import UsageError

Unit: TypeAlias = Literal["requests", "tokens"]

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PERIODS = {1.0: "second", 60.0: "minute", 3600.0: "hour", 86400.0: "day"}
_NUMBER = r"(?P<number>\d[\d_]*(?:\.\d+)?(?:e\d+)?)\s*(?P<times>[kM]?)"
_PERIOD = r"(?P<period>s|sec|seconds?|m|min|minutes?|h|hours?|d|days?)"
_UNIT = r"(?P<unit>r|reqs?|requests?|t|toks?|tokens?|)"
_SHORT = r"(?P<unit>[rt])p(?P<period>[smhd])"
#: "10/s", "2000 tokens/m", "60 requests per minute"; "2000 tpm"; "tpm=2000".
_FORMS = (
    re.compile(rf"{_NUMBER}\s*{_UNIT}\s*(?:/|per\b)\s*{_PERIOD}"),
    re.compile(rf"{_NUMBER}\s*{_SHORT}"),
    re.compile(rf"{_SHORT}\s*[=: ]\s*{_NUMBER}"),
)
#: Into how many parts a window is divided: so much later than in theory something leaves it, at worst.
_PARTS = 64
#: Seconds too few to wait for: what is left when a clock adds up fractions.
_MOMENT = 1e-6


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `amount` of `unit` within any `seconds`."""

    amount: float
    unit: Unit
    seconds: float

    def __post_init__(self) -> None:
        if not (0 < self.amount < float("inf") and 0 < self.seconds < float("inf")):
            raise UsageError(
                f"A rate takes an amount and seconds greater than 0, not {self.amount} and {self.seconds}."
            )

    def __str__(self) -> str:
        unit = self.unit.removesuffix("s") if self.amount == 1 else self.unit
        amount = f"{self.amount:.0f}" if self.amount >= 1 and self.amount % 1 == 0 else f"{self.amount:g}"
        return f"{amount} {unit} per {_PERIODS.get(self.seconds) or f'{self.seconds:g} s'}"


def parse_rates(text: str) -> tuple[Rate, ...]:
    """Rates from text: "3/s, 10000 tokens/m" (also written "3 rps, tpm=10k"). Raises UsageError."""
    parts = [part.strip() for part in re.split(r"[,;]", text)]
    return tuple(_rate(part) for part in parts if part) or _fail(text)


def _rate(text: str) -> Rate:
    found = next((match for form in _FORMS if (match := form.fullmatch(text))), None)
    if found is None:
        _fail(text)
    amount = float(found["number"]) * {"": 1.0, "k": 1e3, "M": 1e6}[found["times"]]
    seconds = _SECONDS[found["period"][0]]
    if not 0 < amount < float("inf"):
        _fail(text)
    if found["unit"].startswith("t"):
        return Rate(amount, "tokens", seconds)
    # Half a request a second is a request in two.
    return Rate(amount, "requests", seconds) if amount >= 1 else Rate(1.0, "requests", seconds / amount)


def _fail(text: str) -> NoReturn:
    raise UsageError(
        f"{text[:60]!r} is not a rate. Write requests or tokens per second, minute, hour or day: '10/s', "
        "'60 requests/m, 1e6 tokens/d', '90000 tpm'."
    )


class Window:
    """What was spent of a rate within its time: as a few sums, so that a day takes no more room than a second."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._sums: deque[Spent] = deque()

    def wait(self, need: float, now: float) -> float:
        """The seconds until `need` may be spent; 0 where it may be now."""
        while self._sums and self._sums[0].until <= now + _MOMENT:
            self._sums.popleft()
        over = sum(spent.amount for spent in self._sums) + need - self.rate.amount
        for spent in self._sums:
            if over <= 0:
                break
            over -= spent.amount
            if over <= 0:
                return spent.until - now
        return 0.0

    def spend(self, amount: float, now: float) -> Spent:
        """Count it; gives the sum it went into, for a correction."""
        last = self._sums[-1] if self._sums else None
        if last is None or now - last.since >= self.rate.seconds / _PARTS:
            self._sums.append(last := Spent(now))
        last.amount += amount
        last.until = now + self.rate.seconds
        return last

    def correct(self, spent: Spent, by: float, now: float) -> None:
        """Count `by` more now; where it is less than nothing, it was never spent."""
        if by > 0:
            self.spend(by, now)
        else:
            spent.amount += by


class Spent:
    """What was spent at about the same time, and until when it counts."""

    __slots__ = ("amount", "since", "until")

    def __init__(self, since: float) -> None:
        self.since = self.until = since
        self.amount = 0.0
