"""Keep to what a provider allows: so many requests at once, so many requests and tokens in a time."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing

from agentnb import messages
from agentnb.errors import UsageError
from agentnb.events import ModelEvent, Usage, Waiting
from agentnb.models.attempt import Around
from agentnb.models.base import Model, Request
from agentnb.models.estimate import estimate as estimated
from agentnb.models.rates import Rate, Spent, Window, parse_rates


class LimitModel(Around):
    """A model that is asked at most `concurrency` times at once, and within `rates` ("10/s, 2000 tokens/m").

    Requests go in the order in which they came, and wait as long as it takes (a `Waiting` event says for what). A
    request holds its place until its stream ends or is closed. Its tokens are estimated when it goes, and corrected
    by the usage it reports.
    """

    def __init__(
        self,
        model: Model,
        *,
        concurrency: int | None = None,
        rates: str | Iterable[Rate] = (),
        estimate: Callable[[Request], int] = estimated,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        if concurrency is not None and concurrency < 1:
            raise UsageError(f"At least 1 request must be allowed at once, not {concurrency}.")
        super().__init__(model)
        self._rates = parse_rates(rates) if isinstance(rates, str) else tuple(rates)
        self._gate = _Gate(concurrency, [Window(rate) for rate in self._rates], clock)
        self._estimate = estimate
        self._sleep = sleep

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The wrapped model's answer, when it is its turn. Raises UsageError for a request that no wait makes fit."""
        usage: messages.Usage | None = None
        place = _Place(self._tokens(request))
        self._gate.join(place)
        try:
            while (wait := self._gate.enter(place)) is not None:
                seconds, reason = wait
                yield Waiting(f"{self.name} {reason}", 0.0 if math.isinf(seconds) else seconds)
                await (place.called.wait() if math.isinf(seconds) else self._sleep(seconds))
            async with aclosing(self.model.stream(request)) as events:
                async for event in events:
                    if isinstance(event, Usage):
                        usage = event.usage
                    yield event
        finally:
            self._gate.leave(place, usage)

    def _tokens(self, request: Request) -> int:
        rates = [rate for rate in self._rates if rate.unit == "tokens"]
        tokens = self._estimate(request) if rates else 0
        for rate in rates:
            if tokens > rate.amount:
                raise UsageError(
                    f"The request is about {tokens} tokens, more than {self.name} may get: {rate}. Shorten it, or "
                    "raise the rate."
                )
        return tokens


class _Place:
    """A request in the queue, then inside."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.loop = asyncio.get_running_loop()
        #: Set when it is worth asking again.
        self.called = asyncio.Event()
        self.spent: Sequence[Spent] | None = None


class _Gate:
    """Who may go, in the order of joining. Safe from several threads, each with its own event loop."""

    def __init__(self, slots: int | None, windows: Sequence[Window], clock: Callable[[], float]) -> None:
        self._lock = threading.Lock()
        self._queue: deque[_Place] = deque()
        self._slots = slots
        self._inside = 0
        self._windows = windows
        self._clock = clock

    def join(self, place: _Place) -> None:
        with self._lock:
            self._queue.append(place)

    def enter(self, place: _Place) -> tuple[float, str] | None:
        """None: it is inside, and counted. Else the seconds to wait (infinity: until it is called), and for what."""
        with self._lock:
            place.called.clear()
            if self._queue[0] is not place:
                before = self._queue.index(place)
                return math.inf, f"has {before} request{'s' if before > 1 else ''} to take before this one."
            if self._slots is not None and self._inside >= self._slots:
                return math.inf, f"is asked at most {self._slots} at once."
            now = self._clock()
            waits = [(window.wait(_need(window, place), now), str(window.rate)) for window in self._windows]
            seconds, rate = max(waits, default=(0.0, ""))
            if seconds > 0:
                return seconds, f"may get {rate}: waiting {seconds:.1f} s."
            self._queue.popleft()
            self._inside += 1
            place.spent = [window.spend(_need(window, place), now) for window in self._windows]
            self._call_next()
            return None

    def leave(self, place: _Place, usage: messages.Usage | None) -> None:
        with self._lock:
            if place.spent is None:
                if place in self._queue:
                    self._queue.remove(place)
            else:
                self._inside -= 1
                self._correct(place, usage)
            self._call_next()

    def _correct(self, place: _Place, usage: messages.Usage | None) -> None:
        # No tokens at all: a server that does not count them.
        if usage is None or not usage.total:
            return
        for window, spent in zip(self._windows, place.spent or (), strict=True):
            if window.rate.unit == "tokens":
                window.correct(spent, usage.total - place.tokens, self._clock())

    def _call_next(self) -> None:
        while self._queue:
            try:
                self._queue[0].loop.call_soon_threadsafe(self._queue[0].called.set)
            except RuntimeError:
                self._queue.popleft()  # its event loop is gone, and it with it
            else:
                return


def _need(window: Window, place: _Place) -> float:
    return place.tokens if window.rate.unit == "tokens" else 1
