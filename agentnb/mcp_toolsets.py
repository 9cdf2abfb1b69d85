"""The toolsets that `agentnb mcp NAME` serves: what they are, and how each is opened and ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from agentnb.errors import UsageError
from agentnb.jobs import LoopThread
from agentnb.mcp_server import McpServer, serve
from agentnb.sandbox.browser import Browser
from agentnb.sandbox.browser_tools import browser_tools
from agentnb.sandbox.sandboxes import Sandboxes, Wanted
from agentnb.sandbox.tools import interpreter_tools
from agentnb.tools.base import Tool


@dataclass(frozen=True, slots=True)
class Served:
    """How a toolset is served: code with the `network`, or `unsafe`: in a subprocess that nothing locks up."""

    network: bool = False
    unsafe: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One toolset: what it is in a line, what its client's model is told, and its tools for as long as they serve."""

    about: str
    instructions: str
    open: Callable[[Served], AbstractAsyncContextManager[Sequence[Tool]]]


async def serve_toolset(name: str, how: Served) -> None:
    """Serve one of `TOOLSETS` over the standard streams, until the client goes. Raises UsageError, MissingExtra.

    A signal ends what was started, and then the process, with status 130.
    """
    row = TOOLSETS[name]
    async with row.open(how) as tools:
        stopped = asyncio.ensure_future(_stop())
        serving = asyncio.ensure_future(serve(McpServer(f"agentnb-{name}", tools, instructions=row.instructions)))
        await asyncio.wait([serving, stopped], return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        # Nothing interrupts the thread that reads the standard input, and Python would wait for it.
        os._exit(130)
    stopped.cancel()
    await serving


async def _stop() -> None:
    """Until the process is told to stop."""
    told = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # on Windows
            asyncio.get_running_loop().add_signal_handler(each, told.set)
    await told.wait()


@contextlib.asynccontextmanager
async def _sandbox(how: Served) -> AsyncIterator[Sequence[Tool]]:
    background = LoopThread()
    sandboxes = Sandboxes(background)
    wanted = Wanted("local") if how.unsafe else Wanted(network=how.network)
    if not how.unsafe and sandboxes.unavailable:
        reason = sandboxes.unavailable.rstrip(".")
        raise UsageError(f"{reason}. Or run it unprotected, in a plain subprocess: agentnb mcp sandbox --unsafe")
    try:
        yield interpreter_tools(lambda: sandboxes.open(wanted))
    finally:
        await asyncio.to_thread(sandboxes.close)
        background.close()


@contextlib.asynccontextmanager
async def _browser(how: Served) -> AsyncIterator[Sequence[Tool]]:
    if how != Served():
        raise UsageError("The browser takes no options: --network and --unsafe go with the sandbox.")
    background = LoopThread()
    browser = Browser(background)
    try:
        yield browser_tools(browser)
    finally:
        await browser.close()
        background.close()


TOOLSETS: Mapping[str, Row] = {
    "sandbox": Row(
        "Python and a shell in a sandbox of their own",
        "Runs Python and shell commands in a sandbox whose files stay. Variables stay too where you create a context.",
        _sandbox,
    ),
    "browser": Row(
        "a browser with a fresh profile",
        "Drives one browser. Take a snapshot first: the other tools name elements by its refs.",
        _browser,
    ),
}
