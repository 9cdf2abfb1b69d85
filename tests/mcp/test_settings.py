"""Settings as the files of others have them, and errors that name the server and the key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentnb.errors import UsageError
from agentnb.mcp.settings import Settings, read, read_file

ENVIRON = {"TOKEN": "tok-12345678", "PLACE": "here"}


def one(value: object) -> Settings:
    return read(json.dumps({"mcpServers": {"x": value}}), ENVIRON)[0]


def fails(value: object) -> str:
    with pytest.raises(UsageError) as caught:
        one(value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_of_claude_is_read(tmp_path: Path) -> None:
    file = tmp_path / "claude_desktop_config.json"
    file.write_text('{"mcpServers": {"fs": {"command": "npx", "args": ["-y", "fs", "/tmp"], "env": {"A": "1"}}}}')
    (server,) = read_file(file, {})
    assert (server.name, server.command, server.args) == ("fs", "npx", ("-y", "fs", "/tmp"))
    assert (server.env, server.transport, server.timeout, server.approval) == ({"A": "1"}, "stdio", 60.0, "ask")


def test_a_file_of_vs_code_is_read_with_its_comments_and_folder(tmp_path: Path) -> None:
    folder = tmp_path / ".vscode"
    folder.mkdir()
    (folder / "mcp.json").write_text(
        """{
        // the servers
        "servers": {
            "web": {"type": "http", "url": "https://example.com/mcp?a=//b", "headers": {"X": "${env:TOKEN}"}}, /* and */
            "here": {"type": "stdio", "command": "${workspaceFolder}/serve", "args": ["${userHome}"], },
        },
        "inputs": []
    }"""
    )
    web, here = read_file(folder / "mcp.json", ENVIRON)
    assert (web.url, web.transport, web.headers) == ("https://example.com/mcp?a=//b", "http", {"X": "tok-12345678"})
    assert (here.command, here.args) == (f"{tmp_path}/serve", (str(Path.home()),))


def test_other_places_of_the_servers_are_found() -> None:
    plain = {"x": {"url": "http://h/sse", "type": "sse"}}
    for value in (plain, {"servers": plain}, {"mcp": {"servers": plain}}, {"mcpServers": plain}):
        assert [each.transport for each in read(json.dumps(value), {})] == ["sse"]


def test_variables_are_filled_in_everywhere() -> None:
    server = one(
        {
            "command": "${PLACE}/run",
            "args": ["--token=${env:TOKEN}", "${NONE:-fallback}", 3],
            "env": {"A": "${TOKEN}", "N": 1, "GONE": None},
            "cwd": "${PLACE}",
        }
    )
    assert (server.command, server.args) == ("here/run", ("--token=tok-12345678", "fallback", "3"))
    assert (server.env, server.cwd) == ({"A": "tok-12345678", "N": "1"}, "here")


def test_no_secret_is_in_a_repr() -> None:
    server = one(
        {"url": "https://u:pw@h/mcp?key=${TOKEN}", "headers": {"Authorization": "Bearer sesame-open", "X-Team": "us"}}
    )
    assert not any(secret in repr(server) + server.place for secret in ("tok-", "sesame", "pw", "key="))
    assert server.place == "https://h/mcp"
    assert server.secrets == {"tok-12345678", "Bearer sesame-open", "sesame-open"}


def test_a_url_without_a_type_may_speak_either_way() -> None:
    assert one({"url": "http://h/mcp"}).transport == "auto"
    assert one({"serverUrl": "http://h/mcp", "type": "streamable-http"}).transport == "http"


def test_what_runs_unasked_is_said_by_tool_or_for_all() -> None:
    some = one({"command": "x", "alwaysAllow": ["read"], "autoApprove": ["list"]})
    assert [some.approves(tool) for tool in ("read", "list", "write")] == ["always", "always", "ask"]
    assert one({"command": "x", "alwaysAllow": True}).approves("write") == "always"
    assert one({"command": "x", "approval": "never"}).approves("write") == "never"


@pytest.mark.parametrize(("given", "seconds"), [(30, 30.0), (0.5, 0.5), (3600, 3600.0), (600_000, 600.0)])
def test_a_timeout_is_seconds_unless_it_must_be_milliseconds(given: float, seconds: float) -> None:
    server = one({"command": "x", "timeout": given})
    assert (server.timeout, server.start) == (seconds, max(seconds, 60.0))


def test_a_disabled_server_needs_nothing_else() -> None:
    server = one({"command": "${env:NOT_SET_AT_ALL}", "disabled": True})
    assert server.disabled


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("x", "MCP server 'x' should be an object"),
        ({}, """MCP server 'x' has neither "command" nor "url"."""),
        ({"comand": "x"}, "Did you mean 'command'?"),
        ({"command": "x", "url": "http://h"}, 'has both "command" and "url"'),
        ({"command": 3}, """MCP server 'x': "command" should be a text"""),
        ({"command": "x", "args": "y"}, '"args" should be a list of texts'),
        ({"command": "x", "env": ["A=1"]}, '"env" should be an object of texts'),
        ({"command": "x", "timeout": "soon"}, '"timeout" should be a number of seconds'),
        ({"command": "x", "timeout": True}, '"timeout" should be a number of seconds'),
        ({"command": "x", "alwaysAllow": "read"}, '"alwaysAllow" should be a list'),
        ({"command": "x", "approval": "maybe"}, '"approval" should be one of always, ask, never'),
        ({"command": "x", "type": "htp"}, "not 'htp'. Did you mean 'http'?"),
        ({"command": "x", "type": "sse"}, '"type": "sse" goes with a url'),
        ({"url": "http://h", "type": "stdio"}, '"type": "stdio" goes with a command'),
        ({"url": "ftp://h"}, "begins with http"),
        ({"command": "${env:TOKN}"}, """MCP server 'x': "command" needs the environment variable TOKN"""),
        ({"command": "x", "env": {"K": "${input:key}"}}, "asks for the input 'key'"),
    ],
)
def test_errors_name_the_server_and_the_key(value: object, says: str) -> None:
    assert says in fails(value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        pytest.param("[" * 200_000, "not JSON", id="deep"),
        ("[]", "expected an object"),
        ("{}", 'no "mcpServers" in it'),
        ('{"mcpServer": 1}', """no "mcpServers" in it. Did you mean 'mcpServer'?"""),
        ('{"mcpServers": {"": {"command": "x"}}}', "a server needs a name"),
    ],
)
def test_a_text_without_servers_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=r"file\.json: ") as caught:
        read(text, {}, source="file.json")
    assert says in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.json cannot be read: No such file"):
        read_file(tmp_path / "gone.json", {})
    (tmp_path / "bad.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"bad\.json cannot be read"):
        read_file(tmp_path / "bad.json", {})
