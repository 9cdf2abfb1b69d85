"""A server made with the SDK, in this process or at a URL of 127.0.0.1, of the newer kind and of the older ones."""

from __future__ import annotations

import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Annotated, Any

import anyio
import uvicorn
from mcp.server.mcpserver import Context, Elicit, ElicitationResult, MCPServer, Resolve
from pydantic import BaseModel

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


class Login(BaseModel):
    user: str
    pin: int = 1234


def who() -> Elicit[Login]:
    return Elicit("Who are you?", Login)


def shop() -> MCPServer:
    """A shop that counts, asks, reports and grows."""
    server = MCPServer("shop")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    async def login(who: Annotated[ElicitationResult[Login], Resolve(who)]) -> str:
        return str(who)

    @server.tool()
    async def report(context: Context) -> str:
        await context.report_progress(1, 2, "half")
        return "reported"

    @server.tool()
    async def slow(text: str) -> str:
        await anyio.sleep(0.05)
        return text

    @server.tool()
    async def stuck() -> str:
        await anyio.sleep(30)
        return "free"

    @server.tool()
    def headers(context: Context) -> dict[str, str]:
        return dict(context.headers or {})

    @server.tool()
    async def grow(context: Context) -> str:
        server.add_tool(lambda: "new", name="grown", description="It came later.")
        await context.notify_tools_changed()
        return "grown"

    @server.tool()
    def big(size: int) -> str:
        return "z" * size

    return server


class Gate:
    """Stands before a server: as one of an older kind, that forgets sessions, that wants a key."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.older = False
        self.forget = False
        self.key = ""

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers", ()))
        status = 0
        if scope["type"] == "http":
            if self.key and headers.get(b"authorization", b"").decode() != self.key:
                status = 401
            elif self.older and headers.get(b"mcp-method") == b"server/discover":
                status = 404
            elif self.forget and b"mcp-session-id" in headers and scope["method"] == "POST":
                status, self.forget = 404, False
        if not status:
            await self.app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})


@contextmanager
def served(app: App) -> Iterator[str]:
    """The address of an app that runs on a thread of its own."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="none", timeout_graceful_shutdown=1, port=0))
    listening = server.config.bind_socket()
    listening.listen()  # who asks before the server is ready, waits
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
