"""Stops what nobody has used for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager


class Idle:
    """Calls `stop` once nothing has been busy for so many seconds."""

    def __init__(self, seconds: float, stop: Callable[[], Coroutine[object, object, None]]) -> None:
        self._seconds = seconds
        self._stop = stop
        self._busy = 0
        self._timer: asyncio.TimerHandle | None = None
        self._stopping: set[asyncio.Task[None]] = set()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Something is going on, for the time of the block."""
        self._busy += 1
        self.cancel()
        try:
            yield
        finally:
            self._busy -= 1
            if self._busy == 0:
                self.cancel()
                self._timer = asyncio.get_running_loop().call_later(self._seconds, self._due)

    def cancel(self) -> None:
        """Forget what was due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        if self._busy == 0:
            task = asyncio.ensure_future(self._stop())
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)
