"""Put what a model needs around it in the one order that makes sense.

From the inside out:

    timeouts   bound one attempt, not the waits around it
    limits     count every attempt, as the provider does, and let a request that waits for its retry hold no place
    balance    the next attempt may go to another one
    retries    end before another model is asked
    fallbacks  each with its own timeouts, limits and retries
    cache      one answer, whoever gave it
    cassette   what was answered, at the first attempt or the third
    checks     first and last: what they take out is in no file, what they refuse is sent to nobody
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypedDict

from agentnb.errors import UsageError
from agentnb.models.balance import BalanceModel
from agentnb.models.base import Model
from agentnb.models.cached import CacheModel, Store
from agentnb.models.cassette import CassetteModel, Mode
from agentnb.models.checks import CheckModel, CheckRequest, CheckResponse
from agentnb.models.fallback import FallbackModel
from agentnb.models.limits import LimitModel
from agentnb.models.rates import Rate, parse_rates
from agentnb.models.recording import Mask
from agentnb.models.retry import RetryModel
from agentnb.models.timeouts import TimeoutModel

RETRIES = 2
Cache: TypeAlias = "bool | Path | str | Store"


class StackOptions(TypedDict, total=False):
    """The keyword arguments of `stack`."""

    fallbacks: Sequence[Model]
    balance: Mapping[Model, float]
    retries: int
    concurrency: int
    rates: Iterable[Rate]
    first: float
    idle: float
    total: float
    cache: Cache
    cassette: Path
    record: Path
    replay: Path
    check_request: CheckRequest
    check_response: CheckResponse
    mask: Mask


def stack(
    model: Model,
    *,
    fallbacks: Sequence[Model] = (),
    balance: Mapping[Model, float] | None = None,
    retries: int = RETRIES,
    concurrency: int | None = None,
    rates: str | Iterable[Rate] = (),
    first: float | None = None,
    idle: float | None = None,
    total: float | None = None,
    cache: Cache = False,
    cassette: Path | str | None = None,
    record: Path | str | None = None,
    replay: Path | str | None = None,
    check_request: CheckRequest | None = None,
    check_response: CheckResponse | None = None,
    mask: Mask | None = None,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Model:
    """A model with everything around it that is asked for; without any, with retries alone.

    The retries that a model brings (one opened by name does) are left out: these take their place. Timeouts (seconds)
    are of one attempt; limits and rates are each model's own. `balance` are models that share the
    work, with their weights (that of `model` is 1 unless it is among them). `cassette` answers what a file holds and
    records the rest, `record` begins a new file, `replay` asks nobody; `mask` takes secrets out of what they write.
    """
    each = _Each(retries, concurrency, _rates(rates), first, idle, total, sleep)
    asked = each.bounded(model)
    if balance:
        weights = {model: 1.0, **balance}
        asked = BalanceModel((asked if m is model else each.bounded(m), weight) for m, weight in weights.items())
    asked = each.patient(asked)
    if fallbacks:
        asked = FallbackModel(asked, *(each.patient(each.bounded(other)) for other in fallbacks))
    if cache is not False:
        asked = CacheModel(asked, None if cache is True else cache)
    asked = _recorded(asked, {"auto": cassette, "record": record, "replay": replay}, mask)
    if check_request or check_response:
        asked = CheckModel(asked, request=check_request, response=check_response)
    return asked


@dataclass(frozen=True, slots=True)
class _Each:
    """What each of the models has around it."""

    retries: int
    concurrency: int | None
    rates: tuple[Rate, ...]
    first: float | None
    idle: float | None
    total: float | None
    sleep: Callable[[float], Awaitable[object]]

    def bounded(self, model: Model) -> Model:
        if isinstance(model, RetryModel):
            model = model.model
        if (self.first, self.idle, self.total) != (None, None, None):
            model = TimeoutModel(model, first=self.first, idle=self.idle, total=self.total)
        if self.concurrency is not None or self.rates:
            model = LimitModel(model, concurrency=self.concurrency, rates=self.rates, sleep=self.sleep)
        return model

    def patient(self, model: Model) -> Model:
        return RetryModel(model, retries=self.retries, sleep=self.sleep) if self.retries else model


def _rates(rates: str | Iterable[Rate]) -> tuple[Rate, ...]:
    return parse_rates(rates) if isinstance(rates, str) else tuple(rates)


def _recorded(model: Model, paths: Mapping[Mode, Path | str | None], mask: Mask | None) -> Model:
    given = [(mode, path) for mode, path in paths.items() if path is not None]
    if len(given) > 1:
        raise UsageError("A model has one cassette: use only one of cassette, record and replay.")
    for mode, path in given:
        return CassetteModel(model, path, mode=mode, mask=mask)
    return model
