"""One life of a browser: its gate, playwright's driver, Chromium with a fresh profile, and the end of all three."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.errors import MissingExtra, UsageError
from agentnb.sandbox.browser_address import shown
from agentnb.sandbox.browser_find import ARGUMENTS, find_browser, own_sandbox
from agentnb.sandbox.browser_gate import Gate
from agentnb.sandbox.browser_tabs import Tabs

if TYPE_CHECKING:
    from playwright.async_api import Browser as Chromium
    from playwright.async_api import Playwright

#: What a page is laid out for, in CSS pixels: as large as a model looks at and a card shows.
VIEWPORT = (1024, 768)
_START, _STOP = 30, 5
_SECRET = re.compile(r"key|token|secret|passw|credential", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Setup:
    """How a browser is started. `patience` is the time an action may take, in seconds; `debugging` opens a CDP port;
    `videos` is the folder for films of what the pages show."""

    environ: Mapping[str, str]
    downloads: Path
    patience: float = 30
    debugging: bool = False
    videos: Path | None = None


class Process:
    """A running browser. `start` it; `close` ends it, whatever state it is in."""

    def __init__(self, gate: Gate, chromium: Chromium, tabs: Tabs, port: int | None, ends: AsyncExitStack) -> None:
        self.gate = gate
        self.tabs = tabs
        self.debugging_port = port
        self._chromium = chromium
        self._ends = ends

    @classmethod
    async def start(cls, setup: Setup, allowed: set[tuple[str, int]]) -> Process:
        """Start one. Raises UsageError where there is none, or it does not start."""
        try:
            from playwright.async_api import async_playwright
        except ImportError:
            raise MissingExtra("A browser", "sandbox") from None
        program = find_browser(setup.environ)
        gate = Gate(allowed)
        async with AsyncExitStack() as ends:
            try:
                async with asyncio.timeout(_START):
                    ends.push_async_callback(_quietly, gate.close)
                    proxy = await gate.open()
                    playwright = await async_playwright().start()
                    ends.push_async_callback(_quietly, playwright.stop)
                    port = _free_port() if setup.debugging else None
                    chromium = await _launch(playwright, program, setup, proxy, port)
                    ends.push_async_callback(_quietly, chromium.close)
                    tabs = await _tabs(chromium, setup)
                    if setup.videos:
                        ends.push_async_callback(_quietly, tabs.context.close)  # which ends the films
                        await _film(tabs)
            except TimeoutError as error:
                raise UsageError(f"{program} did not start within {_START} s.") from error
            return cls(gate, chromium, tabs, port, ends.pop_all())

    @property
    def alive(self) -> bool:
        """Whether Chromium is still there."""
        return self._chromium.is_connected()

    async def close(self) -> None:
        """End it. The driver kills a Chromium that does not close by itself."""
        await self._ends.aclose()


async def _launch(playwright: Playwright, program: str, setup: Setup, proxy: str, port: int | None) -> Chromium:
    from playwright.async_api import Error

    arguments = [*ARGUMENTS, *([] if port is None else [f"--remote-debugging-port={port}"])]
    # No page can read the environment; what is not there cannot leak in another way either.
    environ = {name: value for name, value in setup.environ.items() if not _SECRET.search(name)}
    try:
        return await playwright.chromium.launch(
            executable_path=program,
            args=arguments,
            proxy={"server": proxy},
            env=dict[str, str | float | bool](environ),
            chromium_sandbox=own_sandbox(),
            # The stop button is for the run: the browser stays.
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
            timeout=_START * 1000,
        )
    except Error as error:
        raise UsageError(_why(program, str(error))) from error


async def _tabs(chromium: Chromium, setup: Setup) -> Tabs:
    width, height = VIEWPORT
    context = await chromium.new_context(
        viewport={"width": width, "height": height},
        accept_downloads=True,
        service_workers="block",
        record_video_dir=setup.videos,
        record_video_size={"width": width, "height": height} if setup.videos else None,
    )
    context.set_default_timeout(min(10, setup.patience) * 1000)
    context.set_default_navigation_timeout(setup.patience * 1000)
    return Tabs(context, setup.downloads, setup.patience)


async def _film(tabs: Tabs) -> None:
    """Raises UsageError where films cannot be made."""
    from playwright.async_api import Error

    try:
        await tabs.new()
    except Error as error:
        if "ffmpeg" not in str(error):
            raise
        raise UsageError(
            "Films need playwright's own ffmpeg, which is not here. Run: playwright install ffmpeg. "
            "Or leave out video=True: a picture is kept after each action all the same."
        ) from error


def _why(program: str, message: str) -> str:
    if "No usable sandbox" in message or "setuid sandbox" in message:
        return (
            f"{program} cannot set up its own sandbox here: the system allows no user namespaces. "
            "Allow them (kernel.unprivileged_userns_clone=1), or install a Chromium with its setuid sandbox."
        )
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    telling = next((line for line in lines if "error" in line.lower() and "launch" not in line.lower()), lines[0])
    return f"{program} did not start: {shown(telling)}"


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


async def _quietly(end: Callable[[], Coroutine[object, object, object]]) -> None:
    """An end that may find nothing to end, or hang."""
    from playwright.async_api import Error

    with contextlib.suppress(Error, TimeoutError, OSError):
        async with asyncio.timeout(_STOP):
            await end()
