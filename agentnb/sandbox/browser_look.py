"""What is seen of a page after something was done: once it has settled, its tree for the model and its picture."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from agentnb.errors import ToolError
from agentnb.sandbox.browser_snapshot import LONGEST_AFTER, Seen, bounded, clean, format_seen, page_content
from agentnb.sandbox.browser_tabs import Tabs

if TYPE_CHECKING:
    from playwright.async_api import Page

_QUALITY = 60
#: Seconds for a page to begin going elsewhere, to have loaded then, and to be read and pictured.
_BREATH, _LOADED, _READ = 0.1, 4, 8
#: The longest full-page picture, in CSS pixels.
_TALLEST = 6_000
_LONGEST_TITLE = 500
#: The largest page that is read as a tree: twice as many elements take several seconds.
_ELEMENTS, _CHARACTERS = 20_000, 5_000_000
_SIZE = "[document.getElementsByTagName('*').length, document.documentElement?.textContent.length ?? 0]"
_BEGINNING = """(longest) => {
  const texts = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  let out = '';
  while (out.length < longest && texts.nextNode()) {
    const inside = texts.currentNode.parentElement?.tagName;
    const words = texts.currentNode.data.trim();
    if (words && inside !== 'SCRIPT' && inside !== 'STYLE' && inside !== 'TITLE') out += words + '\\n';
  }
  return out.slice(0, longest);
}"""


async def look(tabs: Tabs, *, longest: int = LONGEST_AFTER) -> Seen:
    """The page in front. Raises ToolError for a page that cannot be read in time."""
    from playwright.async_api import Error

    page = await tabs.current()
    await _settle(page, tabs)
    page = await tabs.current()  # a popup may have come to the front
    try:
        async with asyncio.timeout(_READ):
            tree = await _tree(page, longest)
            title = await page.title()
    except (TimeoutError, Error) as error:
        if not await tabs.alive():
            raise
        if isinstance(error, TimeoutError):
            raise ToolError(
                f"the page could not be read within {_READ} s: it is too large. Use browser_evaluate."
            ) from error
        tree, title = "(the page is just changing; take browser_snapshot)", ""
    tabs.tree, tabs.seen_url = tree, page.url
    listed = await tabs.listed()
    text = format_seen(tree, url=page.url, title=title, tabs=listed, notes=tabs.told(), longest=longest)
    return Seen(text, page.url, clean(title)[:_LONGEST_TITLE], await picture(page))


async def _tree(page: Page, longest: int) -> str:
    """The page's tree; of one with more elements than can be read in time, the beginning of its text."""
    elements, characters = await page.evaluate(_SIZE)
    if elements <= _ELEMENTS and characters <= _CHARACTERS:
        return await page.aria_snapshot(mode="ai")
    text = await page.evaluate(_BEGINNING, longest)
    return f"(The page is too large for a tree: {elements:,} elements. Use browser_evaluate. It begins:)\n{text}"


async def look_at(tabs: Tabs, ref: str | None, depth: int | None, longest: int) -> str:
    """One part of the page, or all of it to a depth."""
    whole = await tabs.current() if ref is None else await tabs.element(ref)
    tree = await whole.aria_snapshot(mode="ai", depth=depth)
    return page_content(bounded(tree, longest, "A ref of a smaller part, or a depth, shows less."))


async def picture(page: Page, *, full: bool = False) -> bytes | None:
    """A JPEG of what is in view (or of all of the page); None where it cannot be taken."""
    from playwright.async_api import Error

    with contextlib.suppress(TimeoutError, Error):
        async with asyncio.timeout(_READ):
            if not full:
                return await page.screenshot(type="jpeg", quality=_QUALITY, scale="css", caret="initial")
            width, height = await page.evaluate(
                "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
            )
            return await page.screenshot(
                type="jpeg",
                quality=_QUALITY,
                scale="css",
                full_page=True,
                clip={"x": 0, "y": 0, "width": min(float(width), 2_000), "height": min(float(height), _TALLEST)},
            )
    return None


async def _settle(page: Page, tabs: Tabs) -> None:
    """Let what an action has started come to an end, for a while."""
    from playwright.async_api import Error

    await asyncio.sleep(_BREATH)
    if not tabs.moving:
        return
    tabs.moving = False
    with contextlib.suppress(Error):  # also of a page that was closed, or takes longer
        await page.wait_for_load_state("load", timeout=min(_LOADED, tabs.patience / 2) * 1000)
