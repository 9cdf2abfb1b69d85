"""What servers do wrong: each ends in a clear error, the others go on, and nothing is left behind."""

from __future__ import annotations

import asyncio
import sys
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from agentnb.errors import ToolError
from agentnb.mcp.hub import McpHub
from agentnb.mcp.server import McpServer
from agentnb.messages import Text
from tests.mcp.conftest import NASTY, Seen, answers, gone, nasty

pytestmark = pytest.mark.anyio


async def _still_answers(hub: McpHub) -> None:
    """The loop on which all of this happens is free at once."""
    if "other" not in hub.servers:
        hub.add("other", {"command": sys.executable, "args": [NASTY]})
    with anyio.fail_after(1):
        await hub.server("other").on_loop(lambda: asyncio.sleep(0))
    with anyio.fail_after(5):
        assert answers(await hub.call("other", "echo", {"text": "fine"})) == "fine"


async def test_a_command_that_is_not_there(hub: McpHub) -> None:
    server = hub.add("lost", {"command": "no-such-command-anywhere"})
    with pytest.raises(ToolError) as caught:
        await server.ready()
    assert str(caught.value) == (
        "MCP server 'lost' cannot start: no command 'no-such-command-anywhere'. Install it, or give its full path."
    )
    assert (server.state, server.known()) == ("failed", ())
    await _still_answers(hub)


async def test_a_folder_that_is_not_there(hub: McpHub, tmp_path: Path) -> None:
    server = nasty(hub, cwd=str(tmp_path / "gone"))
    with pytest.raises(ToolError, match="there is no folder"):
        await server.ready()


async def test_a_file_that_cannot_be_run(hub: McpHub, tmp_path: Path) -> None:
    file = tmp_path / "server"
    file.write_text("no program")
    server = hub.add("file", {"command": str(file)})
    with pytest.raises(ToolError, match=r"cannot start .*Permission denied"):
        await server.ready()


async def test_a_server_that_dies_at_its_start_says_why(hub: McpHub) -> None:
    server = nasty(hub, "die")
    with pytest.raises(ToolError) as caught:
        await server.call("echo", {}, Seen().context())
    assert str(caught.value) == "MCP server 'nasty' exited (code 1): no database here."
    await _still_answers(hub)


async def test_a_server_that_never_starts_is_given_up(hub: McpHub) -> None:
    server = hub.add("silent", replace(nasty(hub, "silent").settings, name="silent", start=0.3))
    with pytest.raises(ToolError, match=r"MCP server 'silent' did not start within 0\.3 s\."):
        await server.ready()
    await server.stop()
    await _still_answers(hub)


async def test_a_server_that_hangs_in_a_call_is_named(hub: McpHub) -> None:
    server = nasty(hub, timeout=1)
    await server.ready()
    with pytest.raises(ToolError, match=r"MCP server 'nasty' did not answer within 1 s.*cancelled"):
        await server.call("hang", {}, Seen().context())
    assert "cancelled" in answers(await server.call("heard", {}, Seen().context()))
    await _still_answers(hub)


async def test_lines_that_are_not_json_are_skipped(hub: McpHub) -> None:
    server = nasty(hub, "chatty")
    assert answers(await server.call("junk", {}, Seen().context())) == "after the junk"
    assert answers(await server.call("echo", {"text": "on"}, Seen().context())) == "on"


async def test_an_answer_in_broken_characters_is_still_an_answer(server: McpServer) -> None:
    assert answers(await server.call("odd", {}, Seen().context())) == "caf\ufffd \ufffd \ufffd 🐧"


async def test_a_result_that_is_none_is_refused(server: McpServer) -> None:
    with pytest.raises(ToolError, match="MCP server 'nasty' answered wrongly"):
        await server.call("wrong", {}, Seen().context())
    assert answers(await server.call("echo", {"text": "on"}, Seen().context())) == "on"


@pytest.mark.parametrize(
    ("tool", "says"),
    [
        ("flood", r"floods its output: \d+ MB that answer nothing"),
        ("noise", r"floods its output: \d+ MB that answer nothing"),
        ("endless", "sent a line of more than 256 MiB"),
    ],
)
async def test_a_flood_is_stopped_with_its_server(hub: McpHub, server: McpServer, tool: str, says: str) -> None:
    pid = int(answers(await server.call("pid", {}, Seen().context())))
    with pytest.raises(ToolError, match=f"MCP server 'nasty' {says}"), anyio.fail_after(15):
        await server.call(tool, {}, Seen().context())
    await gone(pid)
    await _still_answers(hub)
    assert answers(await server.call("echo", {"text": "on"}, Seen().context())) == "on"


async def test_a_hundred_megabytes_arrive_and_are_kept(
    hub: McpHub, server: McpServer, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = Seen()
    await server.ready()
    tracemalloc.start()
    began = time.perf_counter()
    with anyio.fail_after(20):
        result = await server.call("big", {"size": 100}, seen.context())
    took, (_, peak) = time.perf_counter() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    with capsys.disabled():
        sys.stdout.write(f"\n100 MB in one line: {took:.2f} s, at most {peak / 1e6:.0f} MB of Python's memory\n")
    await _still_answers(hub)
    assert result.handle == "big_1"
    assert seen.namespace["big_1"] == "z" * 100_000_000
    assert len(answers(result)) < 41_000
    assert "all of it is notebook variable `big_1`" in answers(result)
    assert answers(await server.call("echo", {"text": "on"}, seen.context())) == "on"


async def test_a_picture_that_is_too_large_is_kept_and_not_shown(server: McpServer) -> None:
    seen = Seen()
    result = await server.call("picture", {"size": 30}, seen.context())
    assert result.content == (Text("(image/png, 22,500,000 bytes: in notebook variable `picture_1`)"),)
    assert seen.namespace["picture_1"] == b"\0" * 22_500_000


async def test_a_server_that_resists_is_killed_with_all_it_started(
    hub: McpHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentnb.mcp.groups.end.__defaults__", (0.3,))
    server = nasty(hub, "stubborn")
    pids = [int(answers(await server.call(tool, {}, Seen().context()))) for tool in ("pid", "child")]
    with anyio.fail_after(6):
        await server.stop()
        for pid in pids:
            await gone(pid)


async def test_a_kernel_that_ends_leaves_no_server(tmp_path: Path) -> None:
    code = f"""
import asyncio, sys
from agentnb.mcp.hub import McpHub
hub = McpHub()
hub.add("nasty", {{"command": sys.executable, "args": [{NASTY!r}, "chatty"]}})
for tool in ("pid", "child"):
    print(asyncio.run(hub.call("nasty", tool)).content[0].text)
"""
    ran = await anyio.run_process([sys.executable, "-c", code], cwd=tmp_path)
    pids = [int(line) for line in ran.stdout.split()]
    assert len(pids) == 2
    for pid in pids:
        await gone(pid)


async def test_a_disabled_server_is_not_started(hub: McpHub) -> None:
    server = nasty(hub, disabled=True)
    assert (server.state, await server.ready()) == ("disabled", ())
    with pytest.raises(ToolError, match="'nasty' is disabled"):
        await server.call("echo", {}, Seen().context())


async def test_arguments_that_are_no_object_are_ours_to_refuse(server: McpServer) -> None:
    tool = (await server.ready())[0]
    with pytest.raises(ToolError, match="not a JSON object"):
        await tool.call(["x"], Seen().context())  # type: ignore[arg-type]
