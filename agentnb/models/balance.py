"""Share requests among several models by weight, leaving out for a while those that fail."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import TypeAlias, TypeVar

from agentnb.errors import ModelError, UsageError
from agentnb.events import ModelEvent
from agentnb.models.attempt import Around
from agentnb.models.base import Model, Request
from agentnb.models.fallback import FallbackModel

M = TypeVar("M", bound=Model)
#: From the weights of those that may be asked, the place of the one that is.
Choose: TypeAlias = Callable[[Sequence[float]], int]


class BalanceModel:
    """A model that asks one of several, each as often as its weight says.

    They take turns in a fixed order that spreads them evenly (weights 2 and 1: a, b, a); `choose` may choose
    otherwise, for example at random: `lambda weights: random.choices(range(len(weights)), weights)[0]`. Where the
    chosen one fails before its first token, the next is asked. One that failed in a way that may pass rests for
    `rest` seconds, or as long as its server asked.
    """

    def __init__(
        self,
        models: Mapping[M, float] | Iterable[tuple[Model, float]],
        *,
        choose: Choose | None = None,
        rest: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        pairs: list[tuple[Model, float]] = list(models.items() if isinstance(models, Mapping) else models)
        if not pairs or not all(weight > 0 for _, weight in pairs):
            raise UsageError("To balance takes at least one model, each with a weight greater than 0.")
        self.members = tuple(_Member(model, weight, rest, clock) for model, weight in pairs)
        self._choose = choose
        self._clock = clock

    @property
    def name(self) -> str:
        """The first one's."""
        return self.members[0].name

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The answer of the chosen one, or of the next that gives one. Raises the last one's error."""
        async with aclosing(FallbackModel(*self._order()).stream(request)) as events:
            async for event in events:
                yield event

    def _order(self) -> list[_Member]:
        """All of them, the chosen one first; those that rest come last, the one that rests least before the others."""
        now = self._clock()
        awake = [member for member in self.members if member.rests_until <= now]
        resting = sorted((m for m in self.members if m not in awake), key=lambda member: member.rests_until)
        if not awake:
            return resting
        chosen = awake[self._choose([member.weight for member in awake])] if self._choose else _next(awake)
        return [chosen, *(member for member in awake if member is not chosen), *resting]


class _Member(Around):
    """One of the models: its weight, how much of it is due, and until when it rests."""

    def __init__(self, model: Model, weight: float, rest: float, clock: Callable[[], float]) -> None:
        super().__init__(model)
        self.weight = weight
        self.due = 0.0
        self.rests_until = float("-inf")
        self._rest = rest
        self._clock = clock

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        try:
            async with aclosing(self.model.stream(request)) as events:
                async for event in events:
                    yield event
        except ModelError as error:
            if error.retryable:
                self.rests_until = self._clock() + max(self._rest, error.retry_after or 0.0)
            raise


def _next(members: Sequence[_Member]) -> _Member:
    """Smooth weighted round robin: everybody gains its weight, the one with most goes and pays for all."""
    for member in members:
        member.due += member.weight
    chosen = max(members, key=lambda member: member.due)
    chosen.due -= sum(member.weight for member in members)
    return chosen
