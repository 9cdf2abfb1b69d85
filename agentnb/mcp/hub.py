"""The MCP servers of a workspace, by name: one process or connection each, for all of its agents."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.errors import ToolError, UsageError, nearest
from agentnb.jobs import LoopThread
from agentnb.mcp import groups
from agentnb.mcp.expansion import Expansion
from agentnb.mcp.server import McpServer
from agentnb.mcp.settings import Settings, read, read_file, server
from agentnb.messages import JSON, JSONObject
from agentnb.tools.base import Approval, InlineRunner, ToolContext, ToolReturn, Toolset

if TYPE_CHECKING:
    from agentnb.mcp.client import ServerObject

#: Seconds after which a server that nobody uses is stopped, and between two looks.
IDLE, LOOK = 300.0, 60.0


def _nothing(_: object) -> None:
    """Nobody wants to know."""


class McpHub:
    """Servers by name. They run on `background`'s loop, from their first use on.

    `added` and `removed` are told of toolsets that come and go, `secrets` of what settings hold that nobody should
    see, `changed` of everything a panel shows. `idle` is in seconds; 0 lets servers run. `clock` gives seconds.
    `sign_in` is given a server's name and the link where the person must sign in, on the loop; by default they wait in
    `links`.
    """

    def __init__(
        self,
        background: LoopThread | None = None,
        *,
        added: Callable[[Toolset], None] = _nothing,
        removed: Callable[[str], None] = _nothing,
        secrets: Callable[[str], None] = _nothing,
        changed: Callable[[], None] = lambda: None,
        environ: Mapping[str, str] = os.environ,
        idle: float = IDLE,
        clock: Callable[[], float] = time.monotonic,
        sign_in: Callable[[str, str], object] | None = None,
    ) -> None:
        self.servers: dict[str, McpServer] = {}
        self.idle = idle
        self._background = background or LoopThread("agentnb-mcp")
        self._owned = background is None
        self._added = added
        self._removed = removed
        self._secrets = secrets
        self._told = changed
        self._environ = environ
        self._clock = clock
        self._running: set[int] = set()
        self.links: deque[tuple[str, str]] = deque(maxlen=20)
        self._sign_in = sign_in or (lambda name, url: self.links.append((name, url)))
        self._watching: asyncio.Task[None] | None = None
        # At the end of the kernel, or where the workspace is forgotten: no process stays behind.
        self._end = weakref.finalize(self, groups.end_all, self._running, os.getpid())

    def __repr__(self) -> str:
        return f"<MCP servers: {', '.join(self.servers) or 'none'}>"

    def add(
        self, name: str, how: ServerObject | Settings | Mapping[str, JSON], *, approval: Approval = "ask"
    ) -> McpServer:
        """Have a server by this name: settings as in files, or a server object of the SDK that runs in this process.

        `approval` holds for the tools of an object; settings say it themselves. Nothing is started, and one of the same
        name is replaced. Raises UsageError that names the server and the key.
        """
        if isinstance(how, Mapping):
            how = server(name, dict(how), Expansion(self._environ, Path.cwd()))
        if isinstance(how, Settings):
            return self._put(how, None)
        return self._put(Settings(name, approval=approval), how)

    def load(self, source: str | Path | Mapping[str, JSON]) -> list[McpServer]:
        """Have the servers of a file (a Path), a JSON text, or its value. Nothing is started. Raises UsageError."""
        match source:
            case Path():
                found = read_file(source, self._environ)
            case str():
                found = read(source, self._environ)
            case _:
                found = read(json.dumps(source), self._environ)
        return [self._put(settings, None) for settings in found]

    def server(self, name: str) -> McpServer:
        """A server by its name. Raises UsageError for an unknown one."""
        if name not in self.servers:
            known = nearest(name, self.servers) or (f" There are: {', '.join(self.servers)}." if self.servers else "")
            raise UsageError(f"No MCP server {name!r}.{known} %mcp add adds one.")
        return self.servers[name]

    async def tools(self, name: str) -> list[str]:
        """The names of a server's tools; it is started. Raises UsageError, ToolError."""
        return [tool.name for tool in await self.server(name).ready()]

    async def call(
        self, name: str, tool: str, arguments: JSONObject | None = None, context: ToolContext | None = None
    ) -> ToolReturn:
        """Call a server's tool by either of its names, without a model. Raises UsageError, ToolError."""
        known = {each.name: each for each in await self.server(name).ready()}
        known |= {each.remote: each for each in known.values()}
        if tool not in known:
            raise ToolError(f"MCP server {name!r} has no tool {tool!r}.{nearest(tool, known)}")
        return await known[tool].call(arguments or {}, context or ToolContext(_nothing, {}, InlineRunner()))

    async def remove(self, name: str) -> None:
        """Stop a server and forget it. Raises UsageError for an unknown one."""
        gone = self.server(name)
        self._forget(gone)
        await gone.stop()

    async def reap(self) -> list[str]:
        """Stop the servers that nobody has used for `idle` seconds; gives their names. The next call starts them."""
        # A copy at one blow, here and below: cells add servers on another thread.
        idle = [each for each in list(self.servers.values()) if self.idle and (each.idle or 0.0) >= self.idle]
        await asyncio.gather(*(each.stop() for each in idle))
        return [each.name for each in idle]

    def close(self) -> None:
        """Stop all servers and wait for that; what resists is killed."""
        servers = list(self.servers.values())
        if self._running or any(each.state == "running" for each in servers):
            loop = self._background.loop
            with contextlib.suppress(RuntimeError, concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
                if asyncio._get_running_loop() is not loop:
                    asyncio.run_coroutine_threadsafe(_stop(servers), loop).result(groups.GRACE + 5)
        groups.end_all(self._running, os.getpid())
        if self._owned:
            self._background.close()

    def _put(self, settings: Settings, how: ServerObject | None) -> McpServer:
        before = self.servers.get(settings.name)
        if before is not None and how is None and before.settings == settings and before.transport != "object":
            return before  # a cell that is run again does not start everything anew
        for secret in settings.secrets:
            self._secrets(secret)
        made = McpServer(
            settings,
            self._background,
            server=how,
            running=self._running,
            changed=self._changed,
            clock=self._clock,
            links=self._sign_in,
        )
        self.servers[settings.name] = made
        self._added(made)
        if before is not None and before.state == "running":
            asyncio.run_coroutine_threadsafe(before.stop(), self._background.loop)
        self._told()
        return made

    def _forget(self, gone: McpServer) -> None:
        if self.servers.get(gone.name) is gone:
            del self.servers[gone.name]
            self._removed(gone.name)
            self._told()

    def _changed(self) -> None:
        """On the loop: a server has started, ended, or listed its tools anew."""
        if self.idle and (self._watching is None or self._watching.done()):
            self._watching = asyncio.create_task(self._watch())
        self._told()

    async def _watch(self) -> None:
        while any(each.state == "running" for each in list(self.servers.values())):
            await asyncio.sleep(min(LOOK, self.idle or LOOK))
            await self.reap()


async def _stop(servers: list[McpServer]) -> None:
    await asyncio.gather(*(each.stop() for each in servers))
