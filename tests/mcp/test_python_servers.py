"""The servers that PyPI has for the time and for fetching pages, as people start them."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from agentnb.mcp.hub import McpHub
from agentnb.messages import Data
from tests.mcp.conftest import answers

pytestmark = pytest.mark.anyio


@pytest.fixture
def page() -> Iterator[str]:
    """The address of a page."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html><body><h1>Penguins</h1><p>Adelie, <b>Gentoo</b>.</p></body></html>")

        def log_message(self, *args: object) -> None:
            """Nothing is printed."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


async def test_the_time_server_tells_the_time(hub: McpHub) -> None:
    hub.add("time", {"command": "python", "args": ["-m", "mcp_server_time", "--local-timezone", "UTC"]})
    assert await hub.tools("time") == ["get_current_time", "convert_time"]
    asked = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}
    result = await hub.call("time", "convert_time", asked)
    assert isinstance(result.content[0], Data)
    assert "T21:00:00+09:00" in str(result.content[0].value)
    wrong = await hub.call("time", "get_current_time", {"timezone": "Moon/Base"})
    assert wrong.is_error
    assert "Moon/Base" in answers(wrong)


async def test_the_fetch_server_reads_a_page(hub: McpHub, page: str) -> None:
    hub.add(
        "fetch", {"command": "python", "args": ["-m", "mcp_server_fetch", "--ignore-robots-txt", "--allow-private-ips"]}
    )
    result = await hub.call("fetch", "fetch", {"url": page, "raw": True})
    assert not result.is_error
    assert "Gentoo" in str(result.content)
