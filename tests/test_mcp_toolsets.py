"""`agentnb mcp`: toolsets that other programs start and use over MCP."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

from agentnb.__main__ import main
from agentnb.mcp_toolsets import TOOLSETS
from agentnb.sandbox import bwrap

pytestmark = pytest.mark.anyio

COMMAND = ["-m", "agentnb", "mcp", "sandbox", "--unsafe"]


async def test_a_program_runs_code_in_our_interpreter() -> None:
    server = StdioServerParameters(command=sys.executable, args=COMMAND)
    with anyio.fail_after(60):
        async with Client(server) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            assert "sandbox_run_code" in names
            await client.call_tool("sandbox_create_context", {"name": "work"})
            first: Any = await client.call_tool("sandbox_run_code", {"code": "n = 6; print('six')", "context": "work"})
            second: Any = await client.call_tool("sandbox_run_code", {"code": "n * 7", "context": "work"})
    assert "six" in first.content[0].text
    assert "42" in second.content[0].text
    assert not second.is_error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_though_the_client_is_still_there(number: signal.Signals) -> None:
    hello = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'
    with subprocess.Popen([sys.executable, *COMMAND], stdin=-1, stdout=-1, stderr=-1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(hello)
        process.stdin.flush()
        assert b'"id":1' in process.stdout.readline()
        process.send_signal(number)
        assert process.wait(20) == 130


def test_options_of_another_toolset_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mcp", "browser", "--unsafe"]) == 2
    assert "--network and --unsafe go with the sandbox" in capsys.readouterr().err


def test_where_nothing_locks_code_up_it_says_so_and_runs_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bwrap, "unavailable", lambda: "There is no bubblewrap here.")
    assert main(["mcp", "sandbox"]) == 2
    said = capsys.readouterr()
    assert said.err.endswith("in a plain subprocess: agentnb mcp sandbox --unsafe\n")
    assert not said.out


def test_a_toolset_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["mcp", "sandbx"])
    assert raised.value.code == 2
    said = capsys.readouterr().err
    assert all(name in said for name in TOOLSETS)
