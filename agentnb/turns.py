"""How runs that outlive their cells take turns on the thread where notebook code runs."""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import TypeVar

from agentnb.bridge import Foreground

T = TypeVar("T")

#: Seconds after which a function that does not get its turn is worth a word.
_PATIENCE = 0.3


class Turns(Foreground):
    """The runner of one background run: all of them take turns on the notebook's thread, as it becomes free."""

    def __init__(self, shared: Foreground) -> None:
        super().__init__(lasting=True)
        self._shared = shared
        self._queued: dict[object, float] = {}

    async def run_sync(self, function: Callable[[], T]) -> T:
        with self._waiting() as begin:

            def work() -> T:
                begin()
                return function()

            return await self._shared.run_sync(work)

    async def run_async(self, function: Callable[[], Coroutine[object, object, T]]) -> T:
        with self._waiting() as begin:

            async def work() -> T:
                begin()
                return await function()

            return await self._shared.run_async(work)

    async def attend(self, run: concurrent.futures.Future[T], tick: Callable[[], object]) -> None:
        await self._shared.attend(run, tick)

    def attend_blocked(self, run: concurrent.futures.Future[T], tick: Callable[[], object]) -> None:
        self._shared.attend_blocked(run, tick)

    @property
    def in_function(self) -> bool:
        return self._shared.in_function

    @property
    def queued(self) -> bool:
        """Whether a function waits for the notebook's thread."""
        return bool(self._queued)

    @property
    def waits(self) -> bool:
        """The same, where it takes longer than a look."""
        return any(since < time.monotonic() - _PATIENCE for since in list(self._queued.values()))

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[Callable[[], object]]:
        key = object()
        self._queued[key] = time.monotonic()
        try:
            yield lambda: self._queued.pop(key, None)
        finally:
            self._queued.pop(key, None)
