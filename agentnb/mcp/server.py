"""A server by its name: started at first use, shared by all, started again after its end."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from agentnb.errors import ToolError
from agentnb.jobs import LoopThread
from agentnb.mcp.client import require
from agentnb.mcp.connection import Connection, SessionGone
from agentnb.mcp.results import to_tool_return
from agentnb.mcp.settings import Settings
from agentnb.mcp.signin import SignIn
from agentnb.mcp.tool import McpTool, model_name
from agentnb.mcp.underway import CURRENT, Underway
from agentnb.messages import JSONObject
from agentnb.tools.base import ToolContext, ToolReturn, Traits
from agentnb.tools.references import keep

if TYPE_CHECKING:
    import mcp_types

    from agentnb.mcp.client import ServerObject

T = TypeVar("T")
State: TypeAlias = Literal["stopped", "running", "failed", "disabled"]


def _unseen(name: str, url: str) -> None:
    """Nobody is there to open links."""
    del name, url


class McpServer:
    """A toolset: the tools of one server. Everything happens on the loop of `background`, whoever asks.

    `running` holds the process groups that must not outlive the kernel, `changed` is called when its state or its
    tools are different, `clock` gives seconds. `links` is given the name and a link where the person must sign in.
    """

    def __init__(
        self,
        settings: Settings,
        background: LoopThread,
        *,
        server: ServerObject | None = None,
        running: set[int] | None = None,
        changed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        links: Callable[[str, str], object] = _unseen,
    ) -> None:
        self.settings = settings
        self.name = settings.name
        self.last_error = ""
        self._background = background
        self._server = server
        self._running: set[int] = set() if running is None else running
        self._changed = changed
        self._clock = clock
        self._used = clock()
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()
        self._underway: list[Underway] = []
        self._numbers = itertools.count(1)
        self._leaving: set[asyncio.Task[None]] = set()
        self._tools: tuple[McpTool, ...] = ()
        self._links = links
        self._signin = SignIn(settings, self._link) if settings.url else None

    def __repr__(self) -> str:
        return f"<MCP server {self.name}: {self.state}, {self.transport}, {len(self._tools)} tools>"

    @property
    def transport(self) -> str:
        """How it is reached: stdio, http, sse, auto, or object."""
        return "object" if self._server is not None else self.settings.transport

    @property
    def state(self) -> State:
        """What it does now."""
        if self.settings.disabled:
            return "disabled"
        if self._connection is not None and self._connection.alive:
            return "running"
        return "failed" if self.last_error or (self._connection and self._connection.trouble) else "stopped"

    @property
    def trouble(self) -> str:
        """Why it failed; empty where it did not."""
        return self.last_error or (self._connection.trouble if self._connection else "")

    @property
    def pid(self) -> int | None:
        """Its process, where it runs in one."""
        return self._connection.pid if self._connection and self._connection.alive else None

    @property
    def idle(self) -> float | None:
        """Seconds since it was last used; None where it does not run, or a call is under way."""
        return self._clock() - self._used if self.state == "running" and not self._underway else None

    def known(self) -> tuple[McpTool, ...]:
        """The tools of its last list; none before it was first started."""
        return self._tools

    @property
    def live(self) -> bool:
        """Whether it runs, so that asking it anew for its tools costs nothing."""
        return self.state == "running"

    async def ready(self) -> tuple[McpTool, ...]:
        """Its tools, after it was started; none where it is disabled. Raises ToolError that says why it cannot be."""
        if self.settings.disabled:
            return ()

        async def listed() -> tuple[McpTool, ...]:
            await (await self._connected()).fresh()
            return self._tools

        return await self.on_loop(listed)

    async def call(self, tool: str, arguments: JSONObject, context: ToolContext) -> ToolReturn:
        """Call a tool by its own name. Raises ToolError that names the server."""
        home = asyncio.get_running_loop()

        async def called() -> mcp_types.CallToolResult:
            underway = Underway(self.name, context, self.settings.timeout, home)
            try:
                return await self._call(tool, arguments, underway)
            except SessionGone:  # it was restarted behind our back
                try:
                    return await self._call(tool, arguments, underway)
                except SessionGone:
                    raise ToolError(f"MCP server {self.name!r} ends every session at once.") from None

        result = await self.on_loop(called)
        stem = model_name(tool)
        return to_tool_return(result, lambda value: keep(value, stem, self._numbers, context.namespace))

    async def stop(self) -> None:
        """End it; its tools stay known, and the next call starts it again."""

        async def stopped() -> None:
            async with self._opening:
                connection, self._connection = self._connection, None
                self.last_error = ""
                if connection is not None:
                    await connection.close()
            if self._leaving:
                await asyncio.wait(self._leaving)
            self._changed()

        await self.on_loop(stopped)

    async def restart(self) -> tuple[McpTool, ...]:
        """End it and start it. Raises ToolError."""
        await self.stop()
        return await self.ready()

    async def on_loop(self, work: Callable[[], Coroutine[object, object, T]]) -> T:
        """Do it on the loop that the connections live on; a cancelled wait cancels it there."""
        return await self._background.do(work)

    async def _call(self, tool: str, arguments: JSONObject, underway: Underway) -> mcp_types.CallToolResult:
        connection = await self._connected()
        with self._counted(underway):
            return await connection.call(tool, arguments, underway)

    @contextmanager
    def _counted(self, underway: Underway) -> Iterator[None]:
        self._underway.append(underway)
        try:
            yield
        finally:
            self._underway.remove(underway)
            self._used = self._clock()

    async def _connected(self) -> Connection:
        """The connection that lives, or a new one."""
        if self.settings.disabled:
            raise ToolError(f"MCP server {self.name!r} is disabled in its settings.")
        async with self._opening:
            self._used = self._clock()
            if self._connection is not None:
                if self._connection.alive:
                    return self._connection
                self._leave(self._connection)
                self._connection = None
            return await self._open()

    async def _open(self) -> Connection:
        await asyncio.to_thread(require)  # it takes its time, at first
        connection = Connection(self.settings, self._server, self._running, self._latest, self._list, self._signin)
        try:
            await connection.open()
            self._connection = connection
        finally:
            self.last_error = connection.trouble
            if self._connection is not connection:
                self._leave(connection)
            self._changed()
        return connection

    def _leave(self, connection: Connection) -> None:
        """Let a connection end by itself: whoever waits for another must not wait for that."""
        task = asyncio.create_task(connection.close())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _link(self, url: str) -> None:
        if underway := CURRENT.get() or self._latest():
            underway.link(url)
        self._links(self.name, url)

    def _latest(self) -> Underway | None:
        return self._underway[-1] if self._underway else None

    def _list(self, tools: list[mcp_types.Tool]) -> None:
        made: dict[str, McpTool] = {}
        for tool in tools:
            name = model_name(tool.name)
            for number in itertools.count(2):
                if name not in made:
                    break
                name = model_name(f"{tool.name}_{number}")
            made[name] = self._tool(name, tool)
        self._tools = tuple(made.values())
        self._changed()

    def _tool(self, name: str, tool: mcp_types.Tool) -> McpTool:
        known = self.settings
        traits = Traits(f"mcp-{self.name}-{tool.name}", self.name, known.approves(tool.name), known.origin)
        about = tool.description or tool.title or f"Tool {tool.name} of the server {self.name}."
        return McpTool(name, tool.name, about, dict(tool.input_schema), traits, self.call)
