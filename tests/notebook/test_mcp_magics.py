"""`%mcp` and `%%mcp`: servers of a notebook, in words."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from agentnb.notebook.complete import Completer
from tests.mcp.conftest import NASTY, is_there
from tests.mcp.web import served, shop
from tests.notebook.conftest import Notebook

TIME = f"{sys.executable} -m mcp_server_time"


def test_a_server_is_added_and_says_what_it_can(notebook: Notebook) -> None:
    assert notebook.says("%mcp") == "No MCP servers yet. %mcp add NAME COMMAND ARGS… adds one; see %mcp --help"
    assert notebook.says(f"%mcp add time {TIME}") == "time: 2 tools: get_current_time, convert_time"
    lines = notebook.says("%mcp list").replace(sys.executable, "PYTHON").splitlines()
    assert [line.split() for line in lines] == [
        ["server", "state", "by", "tools", "where"],
        ["time", "running", "stdio", "2", "PYTHON"],
    ]
    assert notebook.says("%mcp show time") == snapshot(
        """\
get_current_time(timezone)  ask
    Get current time in a specific timezone
convert_time(source_timezone, time, target_timezone)  ask
    Convert time between timezones\
"""
    )
    assert "get_current_time" in notebook.says("%tool")


def test_options_are_ours_and_what_follows_two_dashes_is_the_commands(notebook: Notebook) -> None:
    said = notebook.says(f"%mcp add --always n --env A=${{HOME}} --timeout 5 -- {sys.executable} {NASTY} --env X=1")
    assert said.startswith("n: 23 tools: echo, big")
    settings = notebook.workspace.mcp.server("n").settings
    assert settings.args == (NASTY, "--env", "X=1")
    assert (dict(settings.env), settings.timeout) == ({"A": str(Path.home())}, 5.0)
    assert settings.approves("echo") == "always"


def test_a_server_at_a_url_is_added_with_its_headers(notebook: Notebook) -> None:
    with served(shop().streamable_http_app()) as address:
        said = notebook.says(f"%mcp add shop {address}/mcp --header X-Team=physics --type http --always")
        assert said == "shop: 8 tools: add, login, report, slow, stuck, headers, grow, big"
        settings = notebook.workspace.mcp.server("shop").settings
        assert (dict(settings.headers), settings.transport) == ({"X-Team": "physics"}, "http")
        assert notebook.says("%mcp").splitlines()[1].split() == ["shop", "running", "http", "8", f"{address}/mcp"]
        notebook.says("%mcp rm shop")


def test_a_server_is_stopped_restarted_and_forgotten(notebook: Notebook) -> None:
    notebook.says(f"%mcp add n {sys.executable} {NASTY}")
    server = notebook.workspace.mcp.server("n")
    first = server.pid
    assert notebook.says("%mcp stop n") == "n is stopped. It starts again when one of its tools is called."
    assert server.state == "stopped"
    assert notebook.says("%mcp restart n").startswith("n: 23 tools")
    assert server.pid not in (None, first)
    last = server.pid or 0
    assert notebook.says("%mcp rm n") == "n is forgotten."
    assert not is_there(last)
    assert "echo" not in notebook.workspace.toolbox.all()


def test_a_cell_of_json_starts_what_it_can(notebook: Notebook) -> None:
    servers = {
        "good": {"command": sys.executable, "args": [NASTY]},
        "bad": {"command": "no-such-command"},
        "off": {"command": "x", "disabled": True},
    }
    lines = notebook.says(f"%%mcp\n{json.dumps({'mcpServers': servers})}").splitlines()
    assert lines[0].startswith("good: 23 tools")
    assert (
        lines[1] == "✗ MCP server 'bad' cannot start: no command 'no-such-command'. Install it, or give its full path."
    )
    assert lines[2] == "off is disabled in its settings."


def test_a_file_is_read(notebook: Notebook, tmp_path: Path) -> None:
    (tmp_path / "my servers.json").write_text(
        json.dumps({"servers": {"n": {"command": sys.executable, "args": [NASTY]}}})
    )
    assert notebook.says("%mcp add 'my servers.json'").startswith("n: 23 tools")
    assert "cannot be read: No such file" in notebook.fails("%mcp add other.json")


def test_a_server_that_cannot_be_is_not_added(notebook: Notebook) -> None:
    assert "no command 'no-such-command'" in notebook.fails("%mcp add x no-such-command")
    assert "exited (code 1): no database here" in notebook.fails(f"%mcp add x {sys.executable} {NASTY} die")
    assert notebook.workspace.mcp.servers == {}


def test_keys_are_not_written_down_nor_shown(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "sk-proj-" + "aB3dE6gH9kL2" * 4
    assert "A key is not written in a notebook" in notebook.fails(f"%mcp add n --env API_KEY={key} x")
    cell = json.dumps({"mcpServers": {"n": {"command": "x", "env": {"API_KEY": key}}}})
    assert "A key is not written in a notebook" in notebook.fails(f"%%mcp\n{cell}")
    monkeypatch.setenv("MY_KEY", "quiet-sesame-99")
    notebook.says(f"%mcp add n --env 'API_KEY=${{env:MY_KEY}}' {sys.executable} {NASTY}")
    assert notebook.workspace.mask("it is quiet-sesame-99") == "it is [key]"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("shw", "%mcp has no verb 'shw'. Did you mean 'show'?"),
        ("show", "%mcp show needs the name of one server"),
        ("show nobody", "No MCP server 'nobody'. %mcp add adds one."),
        ("add", "%mcp add needs a name, and a command or a URL"),
        ("add x", "%mcp add needs a name, and a command or a URL"),
        ("add --tpe http x http://h", "%mcp add has no option --tpe. Did you mean '--type'?"),
        ("add x http://h more", "Nothing stands behind a URL but options, not 'more'"),
        ("add x http://h --header", "--header of %mcp add needs a value: --header K=V"),
        ("add x http://h --header A", "--header of %mcp add takes K=V, not 'A'"),
        ("add x http://h --type stdio", """MCP server 'x': "type": "stdio" goes with a command"""),
        ("add x y --timeout soon", "--timeout takes a number of seconds, not 'soon'"),
        ("add 'x", "A quote in the line of %mcp is never closed"),
    ],
)
def test_what_is_written_wrongly_is_said_in_one_line(notebook: Notebook, line: str, says: str) -> None:
    assert says in notebook.fails(f"%mcp {line}")
    assert notebook.workspace.mcp.servers == {}


def test_help_names_the_options(notebook: Notebook) -> None:
    said = notebook.says("%mcp --help")
    assert "%mcp add NAME URL" in said
    assert "--header K=V" in said
    assert notebook.says("%mcp add --help") == said


def test_tab_knows_verbs_options_and_servers(notebook: Notebook) -> None:
    notebook.workspace.mcp.add("files", {"command": "x"})
    complete = Completer(notebook.workspace)

    def offered(line: str) -> list[str]:
        return list(complete.suggest(line, line, 0))

    assert "restart" in offered("%mcp ")
    assert offered("%mcp show ") == ["files"]
    assert "--header" in offered("%mcp add x --")
    assert offered("%mcp add x --type ") == ["http", "sse", "stdio"]


def test_a_link_to_sign_in_is_shown_while_the_server_waits(notebook: Notebook) -> None:
    code = """
from IPython import get_ipython
from agentnb.notebook.mcp_magics import McpMagics
magics = McpMagics(get_ipython(), get_ipython().run_line_magic("agentnb", ""))
async def start():
    import asyncio
    magics.workspace.mcp.links.append(("shop", "https://login.example.com/x"))
    await asyncio.sleep(0.2)
    return "signed in"
print(magics._wait(start))"""
    assert notebook.says(code) == "Sign in to the MCP server 'shop': https://login.example.com/x\nsigned in"


def test_a_server_is_kept_for_every_notebook_and_had_again_by_its_name(notebook: Notebook) -> None:
    notebook.workspace.mcp.add("files", {"command": "no-such-program", "env": {"API_TOKEN": "t0p-secret"}})
    said = notebook.says("%mcp save files")
    assert (
        said
        == "files is kept. In any notebook: %mcp add files. It asks for API_TOKEN: %agentenv set API_TOKEN --secret"
    )
    assert "t0p-secret" not in str(notebook.workspace.kept("mcp_server"))
    del notebook.workspace.mcp.servers["files"]
    assert "kept" in notebook.says("%mcp")
    assert "API_TOKEN, which is not set" in notebook.fails("%mcp add files")
    assert notebook.says("%mcp rm files") == "files is forgotten."
    assert "No MCP servers yet" in notebook.says("%mcp")
    assert "No MCP server 'files'" in notebook.fails("%mcp rm files")
