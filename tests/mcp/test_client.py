"""The ways to a server: in this process, over HTTP of the newer kind and the older ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import anyio
import pytest

from agentnb.errors import ToolError
from agentnb.mcp.hub import McpHub
from agentnb.messages import Data
from agentnb.tools.base import Reply
from tests.mcp.conftest import Person, Seen, answers
from tests.mcp.web import Gate, served, shop

pytestmark = pytest.mark.anyio


@pytest.fixture
def web() -> Iterator[tuple[Gate, str]]:
    gate = Gate(shop().streamable_http_app())
    with served(gate) as address:
        yield gate, f"{address}/mcp"


async def test_a_server_object_runs_in_this_process(hub: McpHub) -> None:
    server = hub.add("shop", shop())
    assert (await hub.call("shop", "add", {"a": 1, "b": 2})).content == (Data({"result": 3}),)
    assert (server.transport, server.state, server.pid) == ("object", "running", None)
    assert answers(await hub.call("shop", "report")) == "reported"


async def test_sixty_four_calls_of_a_server_run_at_once(hub: McpHub) -> None:
    hub.add("shop", shop())
    tool = next(tool for tool in await hub.server("shop").ready() if tool.name == "slow")
    context = Seen().context()
    began = time.perf_counter()
    async with asyncio.TaskGroup() as calls:
        for number in range(64):
            calls.create_task(tool.call({"text": str(number)}, context))
    assert time.perf_counter() - began < 64 * 0.05 / 2


async def test_a_url_is_spoken_to_over_http(web: tuple[Gate, str], hub: McpHub) -> None:
    server = hub.add("web", {"url": web[1], "headers": {"X-Team": "physics"}})
    seen = Seen()
    result = await hub.call("web", "headers", {}, seen.context())
    assert "physics" in str(result.content)
    assert answers(await hub.call("web", "report", {}, seen.context())) == "reported"
    assert seen.progress == [(1.0, 2.0, "half")]
    assert server.state == "running"


@pytest.mark.parametrize("older", [False, True])
async def test_the_person_is_asked_over_http_too(web: tuple[Gate, str], hub: McpHub, older: bool) -> None:
    web[0].older = older
    hub.add("web", {"url": web[1]})
    persons = [Person(Reply("accept", {"user": name})) for name in ("Ada", "Bob")]
    said = [answers(await hub.call("web", "login", {}, Seen().context(person))) for person in persons]
    assert ["user='Ada', pin=1234" in said[0], "user='Bob', pin=1234" in said[1]] == [True, True]


async def test_changes_are_heard_of_over_http(web: tuple[Gate, str], hub: McpHub) -> None:
    server = hub.add("web", {"url": web[1]})
    await hub.call("web", "grow")
    with anyio.fail_after(5):
        while "grown" not in [tool.name for tool in server.known()]:
            await server.ready()
            await anyio.sleep(0.01)


async def test_a_large_result_comes_in_one_event(web: tuple[Gate, str], hub: McpHub) -> None:
    hub.add("web", {"url": web[1], "type": "http"})
    seen = Seen()
    result = await hub.call("web", "big", {"size": 3_000_000}, seen.context())
    assert seen.namespace[result.handle or ""] == "z" * 3_000_000


async def test_a_forgotten_session_is_begun_anew(web: tuple[Gate, str], hub: McpHub) -> None:
    gate, url = web
    gate.older = True
    hub.add("web", {"url": url})
    assert (await hub.call("web", "add", {"a": 1, "b": 2})).content == (Data({"result": 3}),)
    gate.forget = True
    assert (await hub.call("web", "add", {"a": 2, "b": 2})).content == (Data({"result": 4}),)
    assert not gate.forget


async def test_a_refusal_says_the_status(web: tuple[Gate, str], hub: McpHub) -> None:
    gate, url = web
    gate.key = "Bearer sesame"
    hub.add("web", {"url": url})
    with pytest.raises(
        ToolError, match=r"MCP server 'web' refused the request: HTTP 401 Unauthorized\. Check its head"
    ):
        await hub.tools("web")
    hub.add("web", {"url": url, "headers": {"Authorization": "Bearer sesame"}})
    assert "add" in await hub.tools("web")


async def test_the_older_http_is_found_out(hub: McpHub) -> None:
    with served(shop().sse_app()) as address:
        hub.add("old", {"url": f"{address}/sse"})
        assert (await hub.call("old", "add", {"a": 1, "b": 2})).content == (Data({"result": 3}),)
        hub.add("said", {"url": f"{address}/sse", "type": "sse"})
        assert (await hub.call("said", "add", {"a": 1, "b": 2})).content == (Data({"result": 3}),)
        await hub.server("old").stop()
        await hub.server("said").stop()


async def test_what_is_no_server_of_either_kind_is_said(hub: McpHub) -> None:
    with served(shop().sse_app()) as address:
        hub.add("none", {"url": f"{address}/nothing"})
        with pytest.raises(ToolError, match=r"no MCP server of the newer kind \(HTTP 404 Not Found\) nor of the older"):
            await hub.tools("none")


async def test_a_server_that_is_gone_is_an_error_and_found_again(hub: McpHub) -> None:
    with served(shop().streamable_http_app()) as address:
        server = hub.add("web", {"url": f"{address}/mcp"})
        assert "add" in await hub.tools("web")
    context = Seen().context()
    with pytest.raises(ToolError, match="MCP server 'web'"):
        await server.call("add", {"a": 1, "b": 2}, context)
    with pytest.raises(ToolError, match="MCP server 'web' cannot be reached"):
        await server.call("add", {"a": 1, "b": 2}, context)
    assert server.state == "failed"


async def test_a_call_that_takes_too_long_is_cancelled_over_http(web: tuple[Gate, str], hub: McpHub) -> None:
    server = hub.add("web", {"url": web[1], "timeout": 0.1})
    await server.ready()
    with pytest.raises(ToolError, match=r"did not answer within 0\.1 s"):
        await server.call("stuck", {}, Seen().context())
