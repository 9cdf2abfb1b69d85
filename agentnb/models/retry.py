"""Ask again when a provider is briefly unable to answer, as long as nothing of the answer was shown."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from agentnb.errors import ModelError, RequestRefused, UsageError
from agentnb.events import ModelEvent, Waiting
from agentnb.models.attempt import Around, shows, whole
from agentnb.models.base import Model, Request

#: Seconds: the first wait (doubled each time), the longest of ours, the longest that a server may ask for.
_FIRST, _LONGEST, _LONGEST_ASKED = 0.5, 8.0, 60.0


class RetryModel(Around):
    """A model that asks `model` again, at most `retries` times, after errors that may pass.

    It waits as long as the server asks, otherwise 0.5, 1, 2 … 8 seconds less up to a quarter at random, and says so
    by a `Waiting` event first. A server that asks for more than a minute is not waited for: RequestRefused.
    """

    def __init__(
        self,
        model: Model,
        *,
        retries: int = 2,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        if retries < 0:
            raise UsageError(f"The number of retries cannot be {retries}. Use 0 for none.")
        super().__init__(model)
        self._retries = retries
        self._sleep = sleep
        self._jitter = jitter

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The wrapped model's answer. Raises its last error."""
        for attempt in range(self._retries + 1):
            begun = False
            try:
                async with aclosing(whole(self.model, request)) as events:
                    async for event in events:
                        begun = begun or shows(event)
                        yield event
                return
            except ModelError as error:
                if begun or not error.retryable or attempt == self._retries:
                    raise
                reason, seconds = str(error), self._wait(error, attempt)
            yield Waiting(f"{reason} Trying again in {seconds:.1f} s.", seconds)
            await self._sleep(seconds)

    def _wait(self, error: ModelError, attempt: int) -> float:
        asked = error.retry_after
        if asked is None:
            return min(_LONGEST, _FIRST * 2.0 ** min(attempt, 10)) * (1 - 0.25 * self._jitter())
        if asked > _LONGEST_ASKED:
            raise RequestRefused(
                f"{self.name} asks to wait {asked:.0f} s before the next request. Run again then, or choose another "
                f"model. ({error})",
                status=error.status,
                code=error.code,
                retry_after=asked,
            ) from error
        return asked
