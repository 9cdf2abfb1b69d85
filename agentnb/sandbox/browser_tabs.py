"""The open pages of a browser: which one is in front, what they said, and what became of dialogs and downloads."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agentnb.errors import ToolError
from agentnb.sandbox.browser_address import shown

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, ConsoleMessage, Dialog, Download, Locator, Page, Request

_REF = re.compile(r"(f\d+)?e\d+")
#: What of a line a page writes is kept, in characters, and how many lines.
_LINE, _LINES = 500, 200
_TABS = 10
#: Seconds within which a page that works answers.
_ALIVE = 1.5
_CLOSE = 5


class Tabs:
    """The pages of one context. `patience` is what an action may take, in seconds."""

    def __init__(self, context: BrowserContext, downloads: Path, patience: float) -> None:
        self.context = context
        self.patience = patience
        self.downloads = downloads
        #: What happened since it was last told.
        self.notes: deque[str] = deque(maxlen=20)
        self.console: deque[str] = deque(maxlen=_LINES)
        #: How the next confirm and prompt dialogs are answered.
        self.accepting = False
        self.prompt_text = ""
        #: The tree and the address that were seen last.
        self.tree = ""
        self.seen_url = ""
        self._current: Page | None = None
        self._crashed: set[Page] = set()
        #: Whether a page went elsewhere since it was last looked at: then it is waited for.
        self.moving = False
        context.on("page", self._opened)
        context.on("request", self._asked)

    @property
    def pages(self) -> list[Page]:
        """The open pages, oldest first."""
        return self.context.pages

    async def current(self) -> Page:
        """The page in front; a blank one where there is none. Raises ToolError for one that has crashed."""
        page = self._current
        if page in self._crashed:
            await self.replace()
            raise ToolError("the page crashed and was closed; a blank one is in front. Navigate to go on.")
        if page is None or page.is_closed():
            page = self.pages[-1] if self.pages else await self.context.new_page()
            self._current = page
        return page

    async def new(self) -> Page:
        """A blank page in front."""
        self._current = await self.context.new_page()
        return self._current

    async def select(self, number: int) -> Page:
        """Bring a page to the front, by its number from 1. Raises ToolError."""
        self._current = page = self._numbered(number)
        await page.bring_to_front()
        return page

    async def close(self, number: int | None = None) -> None:
        """Close a page by its number, or the one in front. Raises ToolError."""
        page = await self.current() if number is None else self._numbered(number)
        await page.close()

    async def replace(self) -> None:
        """Close the page in front, however it is, and put a blank one there. Raises TimeoutError."""
        page, self._current = self._current, None
        async with asyncio.timeout(_CLOSE):
            if page is not None and not page.is_closed():
                await page.close()
                self._crashed.discard(page)
            self._current = await self.context.new_page()

    async def alive(self) -> bool:
        """Whether the page in front still answers: one that computes for ever does not."""
        page = self._current
        if page is None or page.is_closed():
            return True
        if page in self._crashed:
            return False
        try:
            async with asyncio.timeout(_ALIVE):
                # While a page waits for a server, nothing in it answers.
                session = await self.context.new_cdp_session(page)
                await session.send("Page.stopLoading")
                await page.evaluate("1")
                await session.detach()
        except TimeoutError:
            return False
        except browser_errors():
            return page not in self._crashed
        return True

    async def element(self, ref: str) -> Locator:
        """What a ref of the last snapshot stands for. Raises ToolError for a stale one."""
        if not _REF.fullmatch(ref):
            raise ToolError(f"{shown(ref)!r} is no ref. A ref looks like e12 and stands in the last snapshot.")
        found = (await self.current()).locator(f"aria-ref={ref}")
        with contextlib.suppress(browser_errors()):
            if await found.count() == 1:
                return found
        raise ToolError(f"{ref} is stale: the page has changed since. Take browser_snapshot and use a ref from there.")

    async def listed(self) -> list[str]:
        """One line for each page; the one in front is marked."""
        current = await self.current()
        return [
            f"{'→' if page is current else ' '} {number}. {shown(page.url)}"
            for number, page in enumerate(self.pages, 1)
        ]

    def told(self) -> list[str]:
        """What happened since this was last asked."""
        notes = list(self.notes)
        self.notes.clear()
        return notes

    def _numbered(self, number: int) -> Page:
        if not 1 <= number <= len(self.pages):
            raise ToolError(f"there is no tab {number}: the tabs are 1 to {len(self.pages)}.")
        return self.pages[number - 1]

    # What happens in pages

    async def _opened(self, page: Page) -> None:
        page.on("dialog", self._answer)
        page.on("download", self._save)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.console.append(f"error: {str(error)[:_LINE]}"))
        page.on("crash", self._crash)
        if len(self.pages) > _TABS:
            self.notes.append(f"A page opened tab {len(self.pages)}; it was closed, {_TABS} are enough.")
            with contextlib.suppress(browser_errors()):
                await page.close()
        elif await page.opener() is not None:
            self._current = page
            self.notes.append(f"A new tab was opened and is in front: {shown(page.url)}")

    def _asked(self, request: Request) -> None:
        if request.is_navigation_request():
            try:
                self.moving = self.moving or request.frame.parent_frame is None
            except browser_errors():  # of a page that is just being made
                self.moving = True

    async def _answer(self, dialog: Dialog) -> None:
        accept = self.accepting or dialog.type in ("alert", "beforeunload")
        done = "accepted" if accept else "dismissed"
        self.notes.append(f"The page showed a dialog ({dialog.type}): {dialog.message[:_LINE]!r}. It was {done}.")
        with contextlib.suppress(browser_errors()):
            await (dialog.accept(self.prompt_text) if accept else dialog.dismiss())

    async def _save(self, download: Download) -> None:
        name = re.sub(r"[^\w.-]+", "_", download.suggested_filename)[-100:].lstrip(".") or "download"
        path = self.downloads / name
        number = 1
        while path.exists():
            number += 1
            path = self.downloads / f"{number}-{name}"
        path.touch()
        try:
            await download.save_as(path)
        except browser_errors() as error:
            path.unlink(missing_ok=True)
            self.notes.append(f"A download failed: {shown(str(error))}")
        else:
            self.notes.append(f"Downloaded {path.name} ({path.stat().st_size:,} bytes) to {path}")

    def _heard(self, message: ConsoleMessage) -> None:
        kind: Literal["log", "error"] | str = message.type
        self.console.append(f"{kind}: {message.text[:_LINE]}")

    def _crash(self, page: Page) -> None:
        self._crashed.add(page)


def browser_errors() -> type[Exception]:
    """What playwright raises, also for a page that has gone meanwhile."""
    from playwright.async_api import Error

    return Error


async def go(page: Page, url: str, patience: float) -> None:
    """Be there when the server has answered; the rest of the page gets half of the time there is."""
    try:
        await page.goto(url, wait_until="commit")
    except browser_errors() as error:
        if "net::ERR" in str(error):
            # Chromium's own page about it comes a moment later, and would interrupt whoever goes on at once.
            with contextlib.suppress(browser_errors()):
                await page.wait_for_url("chrome-error://**", wait_until="commit", timeout=1000)
        raise
    with contextlib.suppress(browser_errors()):
        await page.wait_for_load_state("domcontentloaded", timeout=patience * 500)
