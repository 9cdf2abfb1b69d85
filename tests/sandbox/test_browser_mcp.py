"""The browser over MCP: `agentnb mcp browser`, driven by the official client."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp_types import ImageContent, TextContent

from agentnb.errors import UsageError
from agentnb.sandbox.browser_find import find_browser
from tests.sandbox.site import Site, serve_site

pytestmark = [pytest.mark.browser, pytest.mark.anyio]


@pytest.fixture(scope="module")
def site() -> Generator[Site]:
    with serve_site() as running:
        yield running


async def test_a_client_sees_a_page_and_reaches_nothing_private(site: Site) -> None:
    try:
        find_browser(os.environ)
    except UsageError as error:
        pytest.skip(str(error))
    command = StdioServerParameters(command=sys.executable, args=["-m", "agentnb", "mcp", "browser"])
    with anyio.fail_after(60):
        async with Client(command) as client:
            assert "browser_navigate" in {tool.name for tool in (await client.list_tools()).tools}
            page = "data:text/html,<title>Here</title><button>Press</button>"
            opened = await client.call_tool("browser_navigate", {"url": page})
            [text] = [block for block in opened.content if isinstance(block, TextContent)]
            assert 'button "Press"' in text.text
            assert not opened.is_error
            seen = await client.call_tool("browser_screenshot", {})
            assert isinstance(seen.content[0], ImageContent)
            refused = await client.call_tool("browser_navigate", {"url": site.url})
            assert refused.is_error
    assert site.asked == []
