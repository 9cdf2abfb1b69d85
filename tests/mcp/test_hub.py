"""The servers of a workspace by name: what comes, goes, is told, and ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path

import anyio
import pytest

from agentnb import FakeModel
from agentnb.errors import ToolError, UsageError
from agentnb.jobs import LoopThread
from agentnb.mcp.hub import McpHub
from agentnb.messages import ToolCall, ToolResult, user
from agentnb.workspace import Workspace
from tests.mcp.conftest import NASTY, answers, gone, is_there, nasty
from tests.mcp.web import shop

pytestmark = pytest.mark.anyio


def test_a_hub_starts_nothing_by_itself() -> None:
    background = LoopThread()
    hub = McpHub(background)
    hub.add("nasty", {"command": sys.executable, "args": [NASTY]})
    assert repr(hub) == "<MCP servers: nasty>"
    assert background._loop is None
    hub.close()
    assert background._loop is None


async def test_servers_come_from_files_texts_and_values(hub: McpHub, tmp_path: Path) -> None:
    value = {
        "mcpServers": {"a": {"command": sys.executable, "args": [NASTY]}, "b": {"url": "http://h", "disabled": True}}
    }
    (tmp_path / "mcp.json").write_text(json.dumps(value))
    for source in (tmp_path / "mcp.json", json.dumps(value), value):
        assert [server.name for server in hub.load(source)] == ["a", "b"]
    assert [hub.server(name).state for name in "ab"] == ["stopped", "disabled"]
    assert answers(await hub.call("a", "echo", {"text": "hi"})) == "hi"


async def test_the_same_settings_keep_what_runs_and_others_replace_it(hub: McpHub) -> None:
    first = nasty(hub)
    pid = int(answers(await hub.call("nasty", "pid")))
    assert nasty(hub) is first
    assert nasty(hub, env={"A": "1"}) is not first
    await gone(pid)
    assert answers(await hub.call("nasty", "pid")) != str(pid)


async def test_it_tells_what_came_went_and_changed() -> None:
    told: list[object] = []
    hub = McpHub(
        added=lambda toolset: told.append(("added", toolset.name)),
        removed=lambda name: told.append(("removed", name)),
        secrets=lambda secret: told.append(("secret", secret)),
        changed=lambda: told.append("changed"),
    )
    hub.add("nasty", {"command": sys.executable, "args": [NASTY], "env": {"API_KEY": "sesame-open"}})
    assert told == [("secret", "sesame-open"), ("added", "nasty"), "changed"]
    await hub.tools("nasty")
    assert told[3:] == ["changed", "changed"]  # its tools, and that it runs
    await hub.remove("nasty")
    assert told[5:7] == [("removed", "nasty"), "changed"]
    hub.close()


async def test_unknown_names_have_the_nearest(hub: McpHub) -> None:
    nasty(hub)
    with pytest.raises(UsageError, match=r"No MCP server 'nasti'\. Did you mean 'nasty'"):
        hub.server("nasti")
    with pytest.raises(ToolError, match=r"MCP server 'nasty' has no tool 'ecko'\. Did you mean 'echo'"):
        await hub.call("nasty", "ecko")


async def test_a_removed_server_is_stopped(hub: McpHub) -> None:
    nasty(hub)
    pid = int(answers(await hub.call("nasty", "pid")))
    await hub.remove("nasty")
    assert hub.servers == {}
    await gone(pid)


async def test_close_ends_all_servers_at_once() -> None:
    hub = McpHub()
    for name in "abc":
        hub.add(name, {"command": sys.executable, "args": [NASTY, "stubborn-not"]})
    pids = [int(answers(await hub.call(name, "pid"))) for name in "abc"]
    began = time.monotonic()
    await anyio.to_thread.run_sync(hub.close)
    assert time.monotonic() - began < 3
    assert not any(map(is_there, pids))


async def test_an_idle_server_is_stopped_by_itself() -> None:
    hub = McpHub(idle=0.1)
    server = nasty(hub)
    pid = int(answers(await hub.call("nasty", "pid")))
    await gone(pid)
    assert (server.state, server.trouble) == ("stopped", "")
    hub.close()


async def test_close_on_the_loop_itself_kills_what_is_left() -> None:
    background = LoopThread()
    hub = McpHub(background)
    nasty(hub)
    pid = int(answers(await hub.call("nasty", "pid")))

    async def close() -> None:
        hub.close()

    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(close(), background.loop))
    background.close()
    await gone(pid)


async def test_a_call_that_is_interrupted_while_the_server_starts_leaves_nothing(hub: McpHub) -> None:
    server = nasty(hub, "silent")
    start = asyncio.create_task(server.ready())
    with anyio.fail_after(5):
        while not hub._running:  # noqa: ASYNC110  # nobody is told of it
            await anyio.sleep(0.01)
    (pid,) = hub._running
    start.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await start
    await gone(pid)


async def test_an_agent_uses_the_tools_of_a_server(tmp_path: Path) -> None:
    workspace = Workspace(base_dir=tmp_path, environ={})
    server = workspace.mcp.add("shop", shop(), approval="always")
    assert "add" not in workspace.toolbox.all()
    await server.ready()
    assert "add" in workspace.toolbox.all()
    calls = [ToolCall("1", "add", '{"a": 20, "b": 22}')]
    model = FakeModel(calls, "It is 42.")
    agent = workspace.agent(model=model, tools=[tool for tool in server.known() if tool.name == "add"])
    run = workspace.run(agent, user("Add."))
    run.start()
    await anyio.to_thread.run_sync(lambda: run.done.result(10))
    results = [
        block for message in run.transcript().messages for block in message.content if isinstance(block, ToolResult)
    ]
    assert [str(result.content) for result in results] == ["(Data(value={'result': 42}, type='data'),)"]
    await anyio.to_thread.run_sync(workspace.close)
    assert server.state == "stopped"


async def test_a_tool_that_appears_during_a_run_can_be_called_in_its_next_round(tmp_path: Path) -> None:
    workspace = Workspace({}, base_dir=tmp_path, environ={})
    workspace.mcp.add("nasty", {"command": sys.executable, "args": [NASTY], "alwaysAllow": ["*"]})
    model = FakeModel([ToolCall("1", "grow", '{"text": "fresh"}')], [ToolCall("2", "fresh", '{"text": "hi"}')], "Done.")
    run = workspace.run(workspace.agent(model=model), user("Grow."))
    run.start()
    await anyio.to_thread.run_sync(lambda: run.done.result(10))
    offered = [{spec.name for spec in request.tools} for request in model.requests]
    assert ["fresh" in names for names in offered] == [False, True, True]
    given = [b for m in run.transcript().messages for b in m.content if isinstance(b, ToolResult)]
    assert "not found" not in given[1].text
    await anyio.to_thread.run_sync(workspace.close)
