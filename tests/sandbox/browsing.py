"""A browser for tests, and its tools as an agent would call them."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentnb.errors import UsageError
from agentnb.jobs import LoopThread
from agentnb.messages import Content, Image, Text
from agentnb.sandbox.browser import Browser
from agentnb.sandbox.browser_find import find_browser
from agentnb.sandbox.browser_tools import browser_tools
from agentnb.tools.base import Asker, InlineRunner, ToolContext


@contextmanager
def browsing(
    *,
    allow: Sequence[str] = (),
    folder: Path | None = None,
    patience: float = 5,
    idle: float = 600,
    debugging: bool = False,
    video: bool = False,
) -> Generator[Browser]:
    """A browser on a loop of its own; a skip where no Chromium is installed."""
    try:
        find_browser(os.environ)
    except UsageError as error:
        pytest.skip(str(error))
    background = LoopThread()
    browser = Browser(
        background, allow=allow, folder=folder, patience=patience, idle=idle, debugging=debugging, video=video
    )
    try:
        yield browser
    finally:
        browser.shut()
        background.close()


class Hands:
    """Calls a browser's tools, and keeps what they showed meanwhile."""

    def __init__(self, browser: Browser, asker: Asker | None = None, call_id: str = "") -> None:
        self.tools = {tool.name.removeprefix("browser_"): tool for tool in browser_tools(browser)}
        self.shown: list[Content] = []
        self.context = ToolContext(self.shown.append, {}, InlineRunner(), call_id=call_id, asker=asker)

    async def __call__(self, verb: str, **arguments: str | int | float | bool | list[str]) -> str:
        """The text of a tool's result."""
        returned = await self.tools[verb].call(dict(arguments), self.context)
        return "\n".join(block.text for block in returned.content if isinstance(block, Text))

    async def picture(self, **arguments: bool) -> Image:
        """What the screenshot tool gives."""
        returned = await self.tools["screenshot"].call(dict(arguments), self.context)
        image = returned.content[0]
        assert isinstance(image, Image)
        return image


def ref_of(page: str, what: str) -> str:
    """The ref of an element by its role and name as a snapshot has them: `button "Send"`."""
    found = re.search(rf"- {re.escape(what)}.*? \[ref=(\w+)\]", page)
    assert found, f"no {what} in {page}"
    return found[1]
