"""The browser as tools of an agent: what a model is told, what a person is asked, and a run that uses them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import pytest

from agentnb.agent import Agent
from agentnb.errors import ToolError
from agentnb.messages import Image, JSONObject, Text, ToolResult
from agentnb.models.base import Request
from agentnb.models.fake import FakeModel, call
from agentnb.sandbox.browser import Browser
from agentnb.sandbox.browser_tools import BrowserTools, VerbTool, browser_tools
from agentnb.tools.base import InlineRunner, ToolContext, traits
from tests.sandbox.browsing import browsing, ref_of
from tests.sandbox.site import Site, serve_site

pytestmark = pytest.mark.anyio

#: What only reads the page in front, and so needs nobody's word.
READING = {
    "browser_snapshot", "browser_screenshot", "browser_title", "browser_tabs", "browser_wait_for",
    "browser_console_messages", "browser_recordings", "browser_vnc_url",
}  # fmt: skip


@pytest.fixture(scope="module")
def site() -> Generator[Site]:
    with serve_site() as running:
        yield running


@pytest.fixture(scope="module")
def browser(site: Site) -> Generator[Browser]:
    with browsing(allow=[site.url]) as running:
        yield running


def context() -> ToolContext:
    return ToolContext(lambda _: None, {}, InlineRunner())


def named(browser: Browser, name: str) -> VerbTool:
    tool = next(tool for tool in browser_tools(browser) if tool.name == name)
    assert isinstance(tool, VerbTool)
    return tool


def test_every_tool_is_named_and_described_for_a_model() -> None:
    tools = browser_tools(Browser())
    assert len({tool.name for tool in tools}) == len(tools) == 27
    for tool in tools:
        spec = tool.spec({})
        assert spec.name.startswith("browser_")
        assert spec.description
        properties = spec.parameters["properties"]
        assert isinstance(properties, dict)
        assert all(isinstance(each, dict) and each.get("description") for each in properties.values()), spec.name


def test_what_acts_asks_and_what_reads_does_not() -> None:
    tools = browser_tools(Browser(debugging=True))
    assert {tool.name for tool in tools if traits(tool).approval == "always"} == READING
    assert {traits(tool).approval for tool in tools} == {"always", "ask"}
    assert all(traits(tool).source == "browser" for tool in tools)
    assert traits(tools[0]).id == "browser-navigate"
    assert "browser_cdp_url" in [tool.name for tool in tools]


async def test_the_toolset_is_known_without_a_browser_and_off_at_first() -> None:
    browser = Browser()
    toolset = BrowserTools(browser)
    assert (toolset.name, toolset.off_by_default) == ("browser", True)
    assert [tool.name for tool in toolset.known()] == [tool.name for tool in await toolset.ready()]
    assert not browser.running


async def test_arguments_that_do_not_fit_are_refused_before_a_browser_starts() -> None:
    browser = Browser()
    with pytest.raises(ToolError, match="ref"):
        await named(browser, "browser_click").call({"element": "e1"}, context())
    with pytest.raises(ToolError, match="button"):
        named(browser, "browser_click").check({"ref": "e1", "button": "side"}, context())
    with pytest.raises(ToolError, match="does not open file:"):
        await named(browser, "browser_navigate").preview({"url": "file:///etc/passwd"}, context())
    assert not browser.running


async def test_code_is_shown_before_it_runs() -> None:
    shown = await named(Browser(), "browser_evaluate").preview({"expression": "1 +\n1"}, context())
    assert shown == (Text("expression = 1 +\n1"),)


async def test_nothing_of_code_or_of_an_address_is_left_out_for_a_person() -> None:
    browser = Browser()
    shown = await named(browser, "browser_evaluate").preview({"expression": "// harmless\rsteal()"}, context())
    assert shown == (Text("expression = // harmless␍steal()"),)
    url = f"https://1.1.1.1/{'a' * 300}?secret=1"
    assert await named(browser, "browser_navigate").preview({"url": url}, context()) == (Text(f"Open {url}"),)


async def test_what_was_shown_of_one_call_allows_no_later_call_of_its_id() -> None:
    navigate = named(Browser(), "browser_navigate")
    inside: JSONObject = {"url": "http://127.0.0.1:9/"}
    first = replace(context(), call_id="1")
    await navigate.preview(inside, first)  # and refused
    await navigate.preview({"url": "https://1.1.1.1/"}, replace(context(), call_id="2"))
    with pytest.raises(ToolError, match="nobody allowed it"):
        await navigate.call(inside, first)


@pytest.mark.browser
async def test_a_person_sees_which_element_is_meant(browser: Browser, site: Site) -> None:
    await browser.open(site.url)
    click = named(browser, "browser_click")
    ref = ref_of(await browser.snapshot(), 'button "Send"')
    [shown] = await click.preview({"ref": ref}, context())
    assert isinstance(shown, Text)
    assert shown.text == f'ref = {ref}\n{ref}: button "Send"\non {site.url}/'


def last(request: Request) -> str:
    """The last result that the model reads."""
    [result] = [block for block in request.messages[-1].content if isinstance(block, ToolResult)]
    return result.text


@pytest.mark.browser
async def test_an_agent_reads_fills_in_and_sends_a_page(browser: Browser, site: Site) -> None:
    model = FakeModel(
        call("browser_navigate", url=site.url),
        call("browser_click", ref="e999"),
        call("browser_snapshot"),
        lambda request: call("browser_fill", ref=ref_of(last(request), 'textbox "Name"'), text="Ada"),
        lambda request: call("browser_click", ref=ref_of(last(request), 'button "Send"')),
        call("browser_screenshot"),
        "It was sent.",
    )
    agent = Agent(model, tools=[BrowserTools(browser)], namespace={}, approve="auto")
    result = await agent.run("Order something for Ada.")
    assert result.text == "It was sent."
    results = [block for message in result.messages for block in message.content if isinstance(block, ToolResult)]
    assert [each.is_error for each in results] == [False, True, False, False, False, False]
    assert "e999 is stale" in results[1].text
    assert "Got name=Ada" in results[4].text
    assert isinstance(results[5].content[0], Image)


async def test_an_agent_does_not_act_where_nobody_can_be_asked(site: Site) -> None:
    browser = Browser(allow=[site.url])
    model = FakeModel(call("browser_navigate", url=site.url), "No.")
    result = await Agent(model, tools=[BrowserTools(browser)], namespace={}).run("Go.")
    [refused] = [block for message in result.messages for block in message.content if isinstance(block, ToolResult)]
    assert "nobody can be asked" in refused.text
    assert not browser.running
