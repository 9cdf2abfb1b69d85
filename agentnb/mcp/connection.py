"""One life of a server, from its start to its end: one task enters and leaves the SDK's contexts."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TYPE_CHECKING

from agentnb.errors import ToolError
from agentnb.mcp.client import Callbacks, Way, connected, in_words
from agentnb.mcp.settings import Settings
from agentnb.mcp.signin import SignIn
from agentnb.mcp.underway import CURRENT, Underway
from agentnb.messages import JSONObject

if TYPE_CHECKING:
    import mcp_types
    from mcp.client import Client, ClientRequestContext, IncomingMessage
    from mcp.shared.exceptions import MCPError

    from agentnb.mcp.client import ServerObject

#: Pages of a list of tools; a list without an end is no list.
_MOST_PAGES = 100
#: How the SDK calls a 404 to a session that was known.
_SESSION_GONE = "Session terminated"
#: Seconds for the reason of an end to become known.
_SETTLES = 1.0


class SessionGone(Exception):
    """The server has forgotten this connection; the call was not made."""


class Connection:
    """A server that runs. `latest` gives the newest call under way, `listed` is told of new lists of tools."""

    def __init__(
        self,
        settings: Settings,
        server: ServerObject | None,
        running: set[int],
        latest: Callable[[], Underway | None],
        listed: Callable[[list[mcp_types.Tool]], None],
        signin: SignIn | None = None,
    ) -> None:
        self._settings = settings
        self._server = server
        self._running = running
        self._latest = latest
        self._listed = listed
        self._way = Way(signin)
        if signin is not None:
            signin.hold = self._held
        self._starting: asyncio.Timeout | None = None
        self._client: Client | None = None
        self._owner: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._closing = asyncio.Event()
        self._trouble = ""

    @property
    def alive(self) -> bool:
        """Whether calls may go by it."""
        process = self._way.process
        gone = process is not None and process.ended.is_set()
        return self._client is not None and not gone and not self._closing.is_set()

    @property
    def pid(self) -> int | None:
        """The server's process, where it has one."""
        return self._way.process.pid if self._way.process else None

    @property
    def trouble(self) -> str:
        """What ended it, as the end of "MCP server 'x' …"; empty where nothing went wrong."""
        process = self._way.process
        if process and process.ended.is_set() and not self._closing.is_set():
            return process.fate()
        return self._trouble

    async def open(self) -> None:
        """Start, shake hands, list the tools. Raises ToolError that names the server and what it said last."""
        # Without the context of whoever is first: the server serves all.
        self._owner = asyncio.create_task(self._own(), context=contextvars.Context())
        try:
            async with asyncio.timeout(self._settings.start) as self._starting:
                await self._ready.wait()
        except TimeoutError:
            words = self._way.process.last_words() if self._way.process else ""
            self._trouble = f"did not start within {self._settings.start:g} s{f': {words}' if words else ''}"
            self._trouble += '. A longer "timeout" may be set for it'
            self._owner.cancel()
        except asyncio.CancelledError:
            self._owner.cancel()
            raise
        finally:
            self._starting = None
        if not self.alive:
            raise ToolError(f"MCP server {self._settings.name!r} {self.trouble or 'ended'}.")

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """While the person signs in, neither the start nor a call runs out of time."""
        underway = CURRENT.get() or self._latest()
        with underway.waiting() if underway else contextlib.nullcontext():
            if self._starting is not None:
                self._starting.reschedule(None)
            try:
                yield
            finally:
                if self._starting is not None:
                    self._starting.reschedule(asyncio.get_running_loop().time() + self._settings.start)

    async def close(self) -> None:
        """End it: the session, then its processes. It takes some seconds where they resist."""
        self._closing.set()
        if self._owner is not None:
            if self._client is None:
                self._owner.cancel()
            await asyncio.wait({self._owner})

    async def fresh(self) -> None:
        """Wait for a list of tools that is under way."""
        if self._refreshing is not None:
            await asyncio.wait({self._refreshing})

    async def call(self, tool: str, arguments: JSONObject, underway: Underway) -> mcp_types.CallToolResult:
        """Have the server run a tool. Raises ToolError that names it, SessionGone where it should be asked again."""
        from mcp.shared.exceptions import MCPError
        from pydantic import ValidationError

        assert self._client is not None  # it is alive
        try:
            async with underway.bounded():
                return await self._client.call_tool(tool, arguments, progress_callback=underway.progress)
        except MCPError as error:
            raise await self._refusal(error) from error
        except (ValidationError, RuntimeError) as error:  # the SDK's words for an answer that breaks the rules
            first = str(error).strip().partition("\n")[0]
            raise ToolError(f"MCP server {self._settings.name!r} answered wrongly: {first[:500]}") from error

    async def _refusal(self, error: MCPError) -> Exception:
        from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST, URL_ELICITATION_REQUIRED

        name = self._settings.name
        if error.code == INVALID_REQUEST and error.message == _SESSION_GONE:
            self._closing.set()
            return SessionGone()
        if error.code == CONNECTION_CLOSED and (ended := await self._ended()):
            return ToolError(f"MCP server {name!r} {ended}. The call has failed; the next one starts the server again.")
        if error.code == URL_ELICITATION_REQUIRED and isinstance(error.data, dict):
            links = [str(each.get("url")) for each in error.data.get("elicitations", []) if isinstance(each, dict)]
            return ToolError(f"{error.message} Open {' and '.join(links)}, then call again.")
        return ToolError(f"MCP server {name!r} {in_words(error, self._way)}")

    async def _ended(self) -> str:
        """What ended the connection; empty where it goes on."""
        if self._way.process:
            await self._way.process.settled()
        elif self._owner is not None:
            await asyncio.wait({self._owner}, timeout=_SETTLES)
        return self.trouble or ("" if self.alive else "was stopped")

    async def _own(self) -> None:
        callbacks = Callbacks(self._elicit, self._log, self._notice)
        try:
            async with connected(self._settings, self._server, callbacks, self._way, self._running) as client:
                await self._list(client)
                self._client = client
                self._way.status = None  # refusals on the way here have been dealt with
                self._ready.set()
                async with self._following(client):
                    await self._until_end()
        except Exception as error:
            # Whatever it was is said to whoever calls: a transport's failures have no common name.
            self._trouble = self._trouble or await self._words(error)
        finally:
            self._client = None
            self._ready.set()

    async def _words(self, error: BaseException) -> str:
        process = self._way.process
        if process and process.ended.is_set():
            await process.settled()
            return process.fate()
        return in_words(error, self._way)

    async def _until_end(self) -> None:
        ends = [self._closing] + ([self._way.process.ended] if self._way.process else [])
        waits = [asyncio.create_task(end.wait()) for end in ends]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _list(self, client: Client) -> None:
        tools: list[mcp_types.Tool] = []
        cursor = None
        if client.server_capabilities.tools is not None:
            for _ in range(_MOST_PAGES):
                page = await client.list_tools(cursor=cursor)
                tools += page.tools
                cursor = page.next_cursor
                if cursor is None:
                    break
        self._listed(tools)

    async def _list_again(self) -> None:
        from mcp.shared.exceptions import MCPError
        from pydantic import ValidationError

        client = self._client
        if client is not None:
            with contextlib.suppress(MCPError, ValidationError, TimeoutError):  # the tools stay as they were
                async with asyncio.timeout(self._settings.timeout):
                    await self._list(client)

    @contextlib.asynccontextmanager
    async def _following(self, client: Client) -> AsyncGenerator[None, None]:
        """From 2026 on a client hears of changes only where it listens for them."""
        tools = client.server_capabilities.tools
        task = asyncio.create_task(_follow(client)) if tools is not None and tools.list_changed else None
        try:
            yield
        finally:
            for each in (task, self._refreshing):
                if each is not None:
                    each.cancel()
                    await asyncio.wait({each})

    async def _notice(self, message: IncomingMessage) -> None:
        from mcp_types import ToolListChangedNotification

        if isinstance(message, ToolListChangedNotification):
            self._refreshing = asyncio.create_task(self._list_again())

    async def _log(self, params: mcp_types.LoggingMessageNotificationParams) -> None:
        if underway := CURRENT.get() or self._latest():
            underway.log(params)

    async def _elicit(
        self, context: ClientRequestContext, params: mcp_types.ElicitRequestParams
    ) -> mcp_types.ElicitResult:
        from mcp_types import ElicitResult

        del context
        underway = CURRENT.get() or self._latest()
        return await underway.elicit(params) if underway else ElicitResult(action="decline")


async def _follow(client: Client) -> None:
    from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
    from mcp.shared.exceptions import MCPError

    # Where nothing is told, the tools are those of the start.
    with contextlib.suppress(ListenNotSupportedError, SubscriptionLost, MCPError, TimeoutError):
        async with client.listen(tools_list_changed=True) as changes:
            async for _ in changes:
                pass  # the notification itself has come to `_notice`
