"""A browser of the workspace's own: started at first use, stopped when idle, replaced when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import shutil
import tempfile
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from agentnb.errors import ToolError, UsageError
from agentnb.jobs import LoopThread
from agentnb.messages import Image
from agentnb.sandbox import browser_verbs as verbs
from agentnb.sandbox.browser_address import Address, parse_address, shown
from agentnb.sandbox.browser_gate import leads_inside
from agentnb.sandbox.browser_look import look
from agentnb.sandbox.browser_process import Process, Setup
from agentnb.sandbox.browser_recordings import Recording, Recordings
from agentnb.sandbox.browser_snapshot import Seen, describe
from agentnb.sandbox.browser_tabs import Tabs

T = TypeVar("T")

#: Seconds without use after which the browser stops; its tabs go with it.
IDLE = 600.0
_CLOSE = 12
#: What Chromium says where its proxy, our gate, reached nobody.
_NO_TUNNEL = "ERR_TUNNEL_CONNECTION_FAILED"


class Browser:
    """One Chromium with a fresh profile. Its methods may be awaited on any loop.

    `idle` and `patience` (what one action may take) are seconds; `allow` are private addresses that may be opened
    unasked (`http://localhost:8000`); `debugging` opens a port for the Chrome DevTools Protocol; `video`
    films the tabs, where playwright's ffmpeg is installed; recordings are saved into `folder`.
    """

    def __init__(
        self,
        background: LoopThread | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
        idle: float = IDLE,
        patience: float = 30,
        allow: Sequence[str] = (),
        debugging: bool = False,
        video: bool = False,
        folder: Path | None = None,
    ) -> None:
        self.recordings = Recordings()
        self.allowed = {parse_address(url).place for url in allow}
        self.debugging = debugging
        self.patience = patience
        self.folder = folder or Path.cwd()
        self._video = video
        self._background = background or LoopThread("agentnb-browser")
        self._environ = environ
        self._idle = idle
        self._lock = asyncio.Lock()
        self._process: Process | None = None
        self._recording: Recording | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stops: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<browser, {'running' if self.running else 'not running'}>"

    @functools.cached_property
    def downloads(self) -> Path:
        """The private folder that downloads go to; it is deleted when Python ends."""
        return self._private_folder("downloads")

    @property
    def running(self) -> bool:
        """Whether a Chromium runs now."""
        return self._process is not None and self._process.alive

    # For a person

    async def open(self, url: str) -> Seen:
        """Open a page: whoever calls this wants it, also where the address is private. Raises AgentnbError."""
        self.permit(url)
        return await self.see(f"open {url}", lambda tabs: verbs.navigate(tabs, url))

    async def see(self, action: str = "look", verb: Callable[[Tabs], Awaitable[object]] | None = None) -> Seen:
        """The page in front, after something was done there. Raises AgentnbError."""
        return (await self.do(action, verb or _nothing, looks=True))[1]

    async def snapshot(self) -> str:
        """What a model would read of the page in front. Raises AgentnbError."""
        return await self.run("snapshot", verbs.snapshot)

    async def screenshot(self, *, full: bool = False) -> Image:
        """A picture of the page in front: of what is in view, or of all of it. Raises AgentnbError."""
        return await self.run("screenshot", functools.partial(verbs.screenshot, full=full))

    async def tabs(self) -> list[str]:
        """The open tabs, one line each. Raises AgentnbError."""
        return await self.run("tabs", lambda tabs: tabs.listed())

    async def cdp_url(self) -> str:
        """Where other programs reach this browser by the Chrome DevTools Protocol. Raises AgentnbError."""
        if not self.debugging:
            raise UsageError("This browser has no debugging port. Start one with Browser(debugging=True).")
        return await self._background.do(self._cdp_url)

    async def close(self) -> None:
        """Stop the browser; the next use starts a fresh one."""
        await self._background.do(self._close)

    def shut(self) -> None:
        """Close it from any thread, and wait until it is closed, at most 12 s; on its own thread, only begin to."""
        if self._process is None and not self._lock.locked():
            return
        loop = self._background.loop
        if _running_loop() is loop:
            self._stops.add(loop.create_task(self._close()))
            return
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._close(), loop).result(_CLOSE)

    # For tools

    @property
    def url(self) -> str:
        """The address of the page that was seen last, or an empty text."""
        return self._process.tabs.seen_url if self._process else ""

    def described(self, ref: str) -> str:
        """What the last snapshot says of a ref, for a person: `button "Send"`; an empty text where nothing."""
        tree = self._process.tabs.tree if self._process else ""
        return describe(tree, ref)

    async def is_private(self, address: Address) -> bool:
        """Whether a URL leads into this machine or its network."""
        return await self._background.do(lambda: leads_inside(address))

    def permit(self, url: str) -> None:
        """Let the browser reach a private address from now on. Raises ToolError for what is no URL."""
        self.allowed.add(parse_address(url).place)

    async def run(self, action: str, verb: Callable[[Tabs], Awaitable[T]], *, seconds: float | None = None) -> T:
        """Do something in the browser; `action` names it in errors. Raises ToolError."""
        return (await self.do(action, verb, seconds=seconds))[0]

    async def do(
        self, action: str, verb: Callable[[Tabs], Awaitable[T]], *, seconds: float | None = None, looks: bool = False
    ) -> tuple[T, Seen]:
        """The same, with what the page looks like afterwards where it `looks`; one thing at a time."""
        return await self._background.do(lambda: self._do(action, verb, seconds or self.patience, looks))

    async def _do(
        self, action: str, verb: Callable[[Tabs], Awaitable[T]], seconds: float, looks: bool
    ) -> tuple[T, Seen]:
        async with self._lock:
            self._rest(None)
            process = await self._opened()
            process.gate.refused.clear()
            try:
                return await self._bounded(process, action, verb, seconds, looks)
            finally:
                self._rest(self._idle)

    async def _bounded(
        self, process: Process, action: str, verb: Callable[[Tabs], Awaitable[T]], seconds: float, looks: bool
    ) -> tuple[T, Seen]:
        from playwright.async_api import Error

        try:
            async with asyncio.timeout(seconds):
                done = await verb(process.tabs)
            seen = await look(process.tabs) if looks else Seen("")
        except (TimeoutError, Error) as error:
            raise ToolError(await self._explained(process, action, error)) from error
        if seen.picture and self._recording:
            self.recordings.add(self._recording, action, seen.url, seen.picture)
        return done, seen

    async def _explained(self, process: Process, action: str, error: Exception) -> str:
        """What went wrong in one line, after what is broken has been put aside."""
        if not process.alive:
            await self._close_process()
            return f"the browser ended during {action}. The next call starts a fresh one: navigate first."
        if not await process.tabs.alive():
            try:
                await process.tabs.replace()
            except TimeoutError:
                await self._close_process()
                return f"the page hung during {action}, and the browser with it. The next call starts a fresh one."
            return f"the page hung or crashed during {action} and was closed. A blank page is in front: navigate first."
        if process.gate.refused:
            return f"{action} did not work: {process.gate.refused[-1]}. Only a person can: browser_navigate there asks."
        words = str(error).partition("Call log:")[0].strip() or "it took too long"
        if _NO_TUNNEL in words:
            words = "nothing answers there. Check the address, and the network."
        told = " ".join(process.tabs.told())
        return f"{action} did not work: {shown(words)}{f' ({told})' if told else ''}"

    async def _opened(self) -> Process:
        if self._process is not None and not self._process.alive:
            await self._close_process()
        if self._process is None:
            films = self._private_folder("films") if self._video else None
            setup = Setup(self._environ, self.downloads, self.patience, self.debugging, films)
            try:
                self._process = await _started(setup, self.allowed)
            except UsageError as error:  # no browser here, or none that starts: a model can tell the person
                raise ToolError(str(error)) from error
            self._recording = self.recordings.begin(films)
        return self._process

    def _private_folder(self, name: str) -> Path:
        folder = tempfile.mkdtemp(prefix=f"agentnb-{name}-")
        weakref.finalize(self, shutil.rmtree, folder, True)
        return Path(folder)

    async def _cdp_url(self) -> str:
        async with self._lock:
            return f"http://127.0.0.1:{(await self._opened()).debugging_port}"

    def _rest(self, seconds: float | None) -> None:
        """Stop after so many seconds without use; None: not now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None and self._process is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._stop_idle)

    def _stop_idle(self) -> None:
        if not self._lock.locked():
            task = asyncio.get_running_loop().create_task(self._close())
            self._stops.add(task)
            task.add_done_callback(self._stops.discard)

    async def _close(self) -> None:
        # A verb that is going on gets a moment; then it loses its browser.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._lock.acquire(), 0.5)
            self._lock.release()
        self._rest(None)
        await self._close_process()

    async def _close_process(self) -> None:
        process, self._process, self._recording = self._process, None, None
        if process is not None:
            await process.close()


async def _nothing(tabs: Tabs) -> None:
    await tabs.current()


async def _started(setup: Setup, allowed: set[tuple[str, int]]) -> Process:
    """A browser; what does not start is tried once more."""
    try:
        return await Process.start(setup, allowed)
    except UsageError as error:
        if "did not start" not in str(error):
            raise
        return await Process.start(setup, allowed)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
