"""What a call takes: its seconds and USD join the stream, and a cap on USD is kept before it is broken."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from agentnb import messages
from agentnb.errors import AgentnbError, BudgetExceeded, UsageError
from agentnb.events import MessageEnd, ModelEvent, TextDelta, ThinkingDelta, ToolCallArgs, Usage, Waiting
from agentnb.models.attempt import Around, who_may_answer
from agentnb.models.base import Model, Request
from agentnb.models.cards import Card, Cards
from agentnb.models.estimate import estimate
from agentnb.tokens import BYTES_PER_TOKEN

#: An answer of fewer tokens is worth nothing, and some providers refuse to give one.
_LEAST_ANSWER = 16
#: No answer is longer, where nothing else is known.
_LONGEST_ANSWER = 128_000


async def metered(
    stream: AsyncGenerator[ModelEvent, None],
    *,
    cards: Cards,
    name: str = "",
    clock: Callable[[], float] = time.perf_counter,
) -> AsyncGenerator[ModelEvent, None]:
    """The events of `stream`, each Usage with its seconds, the seconds until the answer began, and USD.

    A last Usage comes before the end even where the model counts nothing. The price is that of the model that the end
    names; until then, that of `name`, the one that was asked.
    """
    first: float | None = None
    usage = messages.Usage()
    began = clock()
    async with aclosing(stream) as events:
        async for event in events:
            if isinstance(event, Usage):
                usage = event.usage
                event = replace(event, usage=_measured(usage, name, cards, clock() - began, first))
            elif isinstance(event, MessageEnd):
                yield Usage(_measured(usage, event.model or name, cards, clock() - began, first))
            elif first is None and not isinstance(event, Waiting):
                first = clock() - began
            yield event


def _measured(usage: messages.Usage, name: str, cards: Cards, seconds: float, first: float | None) -> messages.Usage:
    usd = usage.usd
    if usd is None and usage.total and (card := cards.find(name)):
        usd = card.cost(usage)
    return replace(usage, seconds=seconds, first=first, usd=usd)


class Budget:
    """A cap in USD (None: there is none), what is spent, and what calls in progress may cost; threads may share it.

    `of` is what it caps and `raise_by` how it is raised, as its error says them.
    """

    def __init__(self, limit: float | None = None, *, of: str = "this run", raise_by: str = "--max-cost") -> None:
        if limit is not None and not 0 <= limit < math.inf:
            raise UsageError(f"A cap on cost is a number of USD from 0 up, not {limit}. Write it as {raise_by} 0.50.")
        self.limit = limit
        self.spent = 0.0
        self.of = of
        self.raise_by = raise_by
        self._held = 0.0
        self._lock = threading.Lock()

    @property
    def left(self) -> float:
        """USD that are not spent, and that no call in progress may spend."""
        return math.inf if self.limit is None else max(0.0, self.limit - self.spent - self._held)

    def hold(self, model: str, *, least: float, most: float) -> float:
        """Set aside what a call may cost: `most`, or what is left. Raises BudgetExceeded where `least` is not left."""
        with self._lock:
            if least > self.left:
                raise BudgetExceeded(self._refusal(model, least))
            held = min(self.left, most)
            self._held += held
            return held

    def settle(self, held: float, spent: float) -> None:
        """End a call: what it cost takes the place of what was set aside."""
        with self._lock:
            self._held -= held
            self.spent += spent

    def _refusal(self, model: str, least: float) -> str:
        others = f", calls in progress may take ${self._held:.4f}" if self._held > 1e-9 else ""
        return (
            f"The cap of ${self.limit:.4g} for {self.of} would be broken, so nothing was sent: ${self.spent:.4f} is "
            f"spent{others}, and this call of {model} costs at least ${least:.4f}. Raise the cap with {self.raise_by}, "
            "or choose a cheaper model."
        )


@dataclass(slots=True)
class _Seen:
    """What is known of a call in progress."""

    begun: bool = False
    bytes: int = 0
    usage: messages.Usage = field(default_factory=messages.Usage)
    end: MessageEnd | None = None

    def see(self, event: ModelEvent) -> None:
        match event:
            case Waiting():
                return
            case TextDelta(text=text) | ThinkingDelta(text=text) | ToolCallArgs(delta=text):
                self.bytes += len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
            case Usage(usage=usage):
                self.usage = usage
            case MessageEnd():
                self.end = event
        self.begun = True


class BudgetModel(Around):
    """A model that asks `model` only as long as the budget lasts: wrap it again for a second cap.

    A call that would break the cap is not sent (BudgetExceeded); of one that might, the answer is bounded to what is
    still affordable. Where several models may answer, it must be affordable from the dearest. What a call cost is what
    the provider counted; of an answer that was cut off, what there was of it. A model whose price is not known is
    refused; one that costs nothing is not.
    """

    def __init__(self, model: Model, budget: Budget, *, cards: Cards) -> None:
        super().__init__(model)
        self._budget = budget
        self._cards = cards

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The wrapped model's answer. Raises BudgetExceeded, and the wrapped model's errors."""
        cards, tokens = self._priced(), estimate(request)
        seen = _Seen()
        bounded, held = self._bounded(request, cards, tokens)
        try:
            async with aclosing(self.model.stream(bounded)) as events:
                async for event in events:
                    seen.see(event)
                    yield event
        except AgentnbError:
            if not seen.begun:
                tokens = 0  # refused: nobody asks money for that
            raise
        finally:
            self._budget.settle(held, self._cost(cards, seen, tokens))

    def _priced(self) -> Sequence[Card]:
        """The cards of the models that may answer."""
        cards, limit = [self._cards.find(name) or Card(name) for name in who_may_answer(self.model)], self._budget.limit
        for card in cards:
            if card.price is None and limit is not None:
                raise BudgetExceeded(
                    f"No price is known for {card.name}, so the cap of ${limit:.4g} for {self._budget.of} cannot be "
                    f"kept. Choose a model with a price, add its card, or leave {self._budget.raise_by} out."
                )
        return cards

    def _bounded(self, request: Request, cards: Sequence[Card], tokens: int) -> tuple[Request, float]:
        """The request, its answer no longer than can be paid; and what is set aside for it."""
        options = request.options
        written = tokens if options.cache else 0

        def cost(output: int) -> float:
            return _dearest(cards, messages.Usage(tokens, output, written=written))

        longest = options.max_tokens or max(card.output or card.context or _LONGEST_ANSWER for card in cards)
        # A thinking budget is part of the bound, which must leave something for the answer.
        thinking = options.thinking if isinstance(options.thinking, int) else 0
        least = min(longest, thinking + _LEAST_ANSWER)
        held = self._budget.hold(self.name, least=cost(least), most=cost(longest))
        if held >= cost(longest):
            return request, held
        # A millionth of a token more: fractions of a dollar do not add up to the last digit.
        affordable = math.floor(longest * (held - cost(0)) / (cost(longest) - cost(0)) + 1e-6)
        return replace(request, options=replace(options, max_tokens=max(least, affordable))), held

    def _cost(self, cards: Sequence[Card], seen: _Seen, tokens: int) -> float:
        usage = seen.usage
        if seen.end is not None and usage.usd is not None:
            return usage.usd
        if seen.end is None or not usage.total:
            answer = math.ceil(seen.bytes / BYTES_PER_TOKEN)
            usage = replace(usage, input=usage.input or tokens, output=max(usage.output, answer))
        answering = self._cards.find(seen.end.model or "") if seen.end else None
        cost = answering.cost(usage) if answering else None
        return cost if cost is not None else _dearest(cards, usage)


def _dearest(cards: Iterable[Card], usage: messages.Usage) -> float:
    """USD of these tokens where they cost most, as far as prices are known."""
    return max(card.cost(usage) or 0.0 for card in cards)
