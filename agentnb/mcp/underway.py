"""A call under way: how long it may take, its progress and log lines in the card, and the person it may ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from agentnb.errors import ToolError
from agentnb.mcp.elicit import to_question, to_result
from agentnb.messages import Text
from agentnb.tools.base import Question, Reply, ToolContext
from agentnb.tools.capture import printable

if TYPE_CHECKING:
    from mcp_types import ElicitRequestParams, ElicitResult, LoggingMessageNotificationParams

#: Whose call it is, where a server's question or log line comes by the way the call went.
CURRENT: ContextVar[Underway | None] = ContextVar("agentnb_mcp_call", default=None)
#: Log lines of a call that are shown, and characters of each.
_LINES, _WIDEST = 200, 2_000
#: Seconds after which no sign of life helps any more.
_LONGEST = 3_600.0


class Underway:
    """One call. It may take `seconds`, counted anew at each sign of life; a question to the person stops the clock.

    `home` is the loop on which the context's asker lives.
    """

    def __init__(self, server: str, context: ToolContext, seconds: float, home: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._context = context
        self._seconds = seconds
        self._home = home
        self._clock: asyncio.Timeout | None = None
        self._last = 0.0
        self._asking = 0
        self._logged = 0

    @asynccontextmanager
    async def bounded(self) -> AsyncGenerator[None, None]:
        """Let the time of the call run. Raises ToolError that names the server when it is over."""
        now = asyncio.get_running_loop().time()
        self._last = now + max(_LONGEST, self._seconds)
        reset = CURRENT.set(self)
        try:
            async with asyncio.timeout_at(now + self._seconds) as self._clock:
                yield
        except TimeoutError:
            if self._clock is None or not self._clock.expired():
                raise
            raise ToolError(
                f"MCP server {self._server!r} did not answer within {self._seconds:g} s. "
                'The call was cancelled; a longer "timeout" may be set for the server.'
            ) from None
        finally:
            self._clock = None  # what comes late changes nothing
            CURRENT.reset(reset)

    def _alive(self) -> None:
        """It has shown that it works: the time begins anew."""
        if self._clock is not None and not self._clock.expired() and not self._asking:
            now = asyncio.get_running_loop().time()
            self._clock.reschedule(min(now + self._seconds, max(self._last, now)))

    async def progress(self, progress: float, total: float | None, message: str | None) -> None:
        """How far it is."""
        self._alive()
        self._context.progress(progress, total, printable(message or "")[:_WIDEST])

    def log(self, params: LoggingMessageNotificationParams) -> None:
        """A line of the server's log, into the card."""
        self._logged += 1
        if self._logged <= _LINES:
            data = params.data if isinstance(params.data, str) else json.dumps(params.data, ensure_ascii=False)
            name = f" {params.logger}" if params.logger else ""
            self._context.emit(Text(printable(f"[{params.level}{name}] {data[:_WIDEST]}\n")))
        elif self._logged == _LINES + 1:
            self._context.emit(Text("[further log lines are left out]\n"))

    async def elicit(self, params: ElicitRequestParams) -> ElicitResult:
        """Ask the person; the call's time does not run meanwhile."""
        question = to_question(self._server, params)
        if question is None or self._context.asker is None:
            return to_result(params, None)
        with self.waiting():
            return to_result(params, await self._ask(question))

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for the person: the call's time does not run meanwhile."""
        self._asking += 1
        if self._clock is not None and not self._clock.expired():
            self._clock.reschedule(None)
        try:
            yield
        finally:
            self._asking -= 1
            self._alive()

    def link(self, url: str) -> None:
        """Show a link that the person must open for the call to go on."""
        self._context.emit(Text(f"Sign in to the MCP server {self._server!r}: {url}\n"))

    async def _ask(self, question: Question) -> Reply | None:
        asker = self._context.asker
        assert asker is not None  # seen by the caller
        if asyncio.get_running_loop() is self._home:
            return await asker.ask(question)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asker.ask(question), self._home))
