"""What can be done in a browser. Each function is a tool: its hints and docstring are what a model is told."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentnb.errors import ToolError
from agentnb.messages import Image
from agentnb.sandbox.browser_address import parse_address
from agentnb.sandbox.browser_look import look, look_at, picture
from agentnb.sandbox.browser_snapshot import LONGEST, bounded, page_content
from agentnb.sandbox.browser_tabs import Tabs, go
from agentnb.tools.base import Approval

#: What a verb has to say beside what the page looks like afterwards.
Said: TypeAlias = str | Image | None

_LONGEST_WAIT = 60
_TYPED = 2_000


@dataclass(frozen=True, slots=True)
class Verb:
    """A function as a tool: whether it asks, whether the page is looked at afterwards, how long it may take (s).

    `act` gets the tabs where it acts `in_page`, else the browser.
    """

    act: Callable[..., Awaitable[Said]]
    approval: Approval = "ask"
    looks: bool = True
    seconds: float | None = None
    in_page: bool = True

    @property
    def name(self) -> str:
        """The function's."""
        return self.act.__name__.rstrip("_")


async def navigate(tabs: Tabs, url: str) -> None:
    """Open a web page, and see it.

    Args:
        url: an http, https or data: URL, or about:blank.
    """
    await go(await tabs.current(), parse_address(url).url, tabs.patience)


async def back(tabs: Tabs) -> None:
    """Go back to the page before."""
    page = await tabs.current()
    if await page.go_back(wait_until="domcontentloaded") is None and page.url == "about:blank":
        raise ToolError("there is no page before this one.")


async def forward(tabs: Tabs) -> None:
    """Go forward again after going back."""
    await (await tabs.current()).go_forward(wait_until="domcontentloaded")


async def reload(tabs: Tabs) -> None:
    """Load the page again."""
    await (await tabs.current()).reload(wait_until="domcontentloaded")


async def click(tabs: Tabs, ref: str, button: Literal["left", "right", "middle"] = "left") -> None:
    """Click an element.

    Args:
        ref: its ref in the last snapshot, such as e12.
        button: the mouse button.
    """
    await (await tabs.element(ref)).click(button=button)


async def dblclick(tabs: Tabs, ref: str) -> None:
    """Double-click an element.

    Args:
        ref: its ref in the last snapshot.
    """
    await (await tabs.element(ref)).dblclick()


async def drag(tabs: Tabs, start: str, end: str) -> None:
    """Drag one element onto another.

    Args:
        start: the ref of what is dragged.
        end: the ref of where it is dropped.
    """
    await (await tabs.element(start)).drag_to(await tabs.element(end))


async def hover(tabs: Tabs, ref: str) -> None:
    """Move the mouse over an element.

    Args:
        ref: its ref in the last snapshot.
    """
    await (await tabs.element(ref)).hover()


async def type_(tabs: Tabs, ref: str, text: str, submit: bool = False) -> None:
    """Type text key by key into a field, after what is there. For long texts use browser_fill.

    Args:
        ref: the field's ref in the last snapshot.
        text: at most 2,000 characters.
        submit: press Enter afterwards.
    """
    if len(text) > _TYPED:
        raise ToolError(f"{len(text):,} characters are too many to type; use browser_fill.")
    field = await tabs.element(ref)
    await field.press_sequentially(text)
    if submit:
        await field.press("Enter")


async def press(tabs: Tabs, keys: str) -> None:
    """Press a key or a chord in the page.

    Args:
        keys: such as Enter, Tab, PageDown, Escape, Control+A.
    """
    await (await tabs.current()).keyboard.press(keys)


async def fill(tabs: Tabs, ref: str, text: str) -> None:
    """Put text into a field, in place of what is there.

    Args:
        ref: the field's ref in the last snapshot.
        text: what it shall hold.
    """
    await (await tabs.element(ref)).fill(text)


async def select_option(tabs: Tabs, ref: str, values: list[str]) -> None:
    """Choose in a drop-down list.

    Args:
        ref: the list's ref in the last snapshot.
        values: the options' values or labels; several where the list allows it.
    """
    await (await tabs.element(ref)).select_option(values)


async def snapshot(tabs: Tabs, ref: str | None = None, depth: int | None = None) -> str:
    """Read the page as a tree of elements with refs. Refs hold until the next snapshot.

    Args:
        ref: read only this element; the refs of all others are stale then.
        depth: how deep to go.
    """
    if ref is None and depth is None:
        return (await look(tabs, longest=LONGEST)).text
    return await look_at(tabs, ref, depth, LONGEST)


async def screenshot(tabs: Tabs, full: bool = False) -> Image:
    """See the page as a picture. To act, use browser_snapshot: a picture has no refs.

    Args:
        full: all of the page, not only what is in view.
    """
    taken = await picture(await tabs.current(), full=full)
    if taken is None:
        raise ToolError("no picture could be taken of this page.")
    return Image(taken, "image/jpeg", alt="screenshot")


async def title(tabs: Tabs) -> str:
    """The title and address of the page."""
    page = await tabs.current()
    return page_content(f"{(await page.title())[:500]}\n{page.url[:2000]}")


async def tabs(tabs: Tabs) -> str:
    """List the open tabs."""
    return page_content("\n".join(await tabs.listed()))


async def tab_new(tabs: Tabs, url: str = "about:blank") -> None:
    """Open a new tab.

    Args:
        url: what to open there.
    """
    address = parse_address(url)
    await go(await tabs.new(), address.url, tabs.patience)


async def tab_select(tabs: Tabs, number: int) -> None:
    """Bring a tab to the front.

    Args:
        number: its number in browser_tabs.
    """
    await tabs.select(number)


async def tab_close(tabs: Tabs, number: int | None = None) -> None:
    """Close a tab.

    Args:
        number: its number in browser_tabs; the one in front where none is given.
    """
    await tabs.close(number)


async def wait_for(tabs: Tabs, text: str | None = None, gone: str | None = None, seconds: float | None = None) -> None:
    """Wait until a text shows, until it has gone, or for some seconds.

    Args:
        text: the text that shall show.
        gone: the text that shall go.
        seconds: how long to wait, at most 60; for a text 10 where nothing is given.
    """
    page = await tabs.current()
    longest = min(_LONGEST_WAIT, max(0.0, 10 if seconds is None else seconds)) * 1000
    if text is not None:
        await page.get_by_text(text).first.wait_for(state="visible", timeout=longest)
    if gone is not None:
        await page.get_by_text(gone).first.wait_for(state="hidden", timeout=longest)
    if text is None and gone is None:
        await page.wait_for_timeout(longest if seconds is not None else 1000)


async def evaluate(tabs: Tabs, expression: str, ref: str | None = None) -> str:
    """Run JavaScript in the page; gives its value.

    Args:
        expression: an expression, or a function such as () => document.links.length or (element) => element.value.
        ref: the element that the function gets.
    """
    where = await tabs.current() if ref is None else await tabs.element(ref)
    value = await where.evaluate(expression)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return page_content(bounded(text, LONGEST, "Ask for less."))


async def console_messages(tabs: Tabs) -> str:
    """What the pages have written to the console lately, errors included."""
    return page_content(bounded("\n".join(tabs.console) or "(nothing)", LONGEST, "These are the oldest."))


async def dialogs(tabs: Tabs, accept: bool, text: str = "") -> str:
    """Say how the questions that pages ask in dialogs (confirm, prompt) are answered from now on.

    Args:
        accept: yes or no; it is no where nothing was said.
        text: what to enter where a text is asked for.
    """
    tabs.accepting, tabs.prompt_text = accept, text
    return f"Dialogs are {'accepted' if accept else 'dismissed'} from now on."


VERBS = (
    Verb(navigate),
    Verb(back),
    Verb(forward),
    Verb(reload),
    Verb(click),
    Verb(dblclick),
    Verb(drag),
    Verb(hover),
    Verb(type_),
    Verb(press),
    Verb(fill),
    Verb(select_option),
    Verb(snapshot, "always", looks=False),
    Verb(screenshot, "always", looks=False),
    Verb(title, "always", looks=False),
    Verb(tabs, "always", looks=False),
    Verb(tab_new),
    Verb(tab_select),
    Verb(tab_close),
    Verb(wait_for, "always", seconds=_LONGEST_WAIT + 15),
    Verb(evaluate),
    Verb(console_messages, "always", looks=False),
    Verb(dialogs, looks=False),
)
