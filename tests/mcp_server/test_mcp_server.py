"""Our tools as an MCP server, asked by the official client: in memory, and as a process of its own."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult, TextContent

from agentnb import tool
from agentnb.mcp_server import McpServer
from agentnb.mcp_server.questions import to_form, to_reply
from agentnb.messages import Text
from agentnb.tools.base import Choice, Question, Reply
from tests.mcp_server.toolset import PNG, tools

pytestmark = pytest.mark.anyio

HERE = Path(__file__).parent
#: How a client may speak: as those since 2026 do, and as those before.
MODES = ("auto", "legacy")


def _client(mode: str = "auto", namespace: dict[str, object] | None = None, **options: Any) -> Client:
    server = McpServer("testing", tools(), namespace=namespace, instructions="Try them.").server()
    return Client(server, mode=mode, **options)


def _process(mode: str, **options: Any) -> Client:
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "tests.mcp_server.toolset"], cwd=HERE.parents[1]
    )
    return Client(command, mode=mode, **options)


def _text(result: Any) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


@pytest.mark.parametrize("mode", MODES)
async def test_tools_are_listed_as_they_are_told_to_models(mode: str) -> None:
    async with _client(mode) as client:
        listed = (await client.list_tools()).tools
    by_name = {tool.name: tool for tool in listed}
    assert list(by_name) == ["add", "noisy", "fails", "media", "counts", "asks", "waits", "opens"]
    assert by_name["add"].description == "Add two numbers."
    assert by_name["add"].input_schema["required"] == ["a", "b"]
    assert by_name["media"].input_schema == {"type": "object", "properties": {"n": {"type": "integer"}}}


@pytest.mark.parametrize("mode", MODES)
async def test_results_keep_their_kind(mode: str) -> None:
    async with _client(mode) as client:
        assert _text(await client.call_tool("add", {"a": 1, "b": 2})) == "3"
        made = await client.call_tool("media", {})
    kinds = [block.type for block in made.content]
    assert kinds == ["text", "image", "audio", "resource", "resource_link", "text"]
    _, image, audio, file, link, value = [block.model_dump() for block in made.content]
    assert (image["data"], image["mime_type"]) == (base64.b64encode(PNG).decode(), "image/png")
    assert base64.b64decode(audio["data"]) == b"RIFF"
    assert (file["resource"]["uri"], file["resource"]["blob"]) == ("file:///a%20b.bin", "AA==")
    assert link["uri"] == "https://a.example/x.png"
    assert json.loads(value["text"]) == made.structured_content == {"b": [1]}
    assert not made.is_error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"how": "plainly"}, "Error: it cannot be done"),
        ({"how": "loudly"}, "Error: ZeroDivisionError: by zero"),
        ({"how": "exit"}, "Error: the tool called sys.exit()"),
        ({"what": 1}, "Error: "),
    ],
)
async def test_a_tool_that_fails_gives_an_error_that_is_read(
    arguments: dict[str, object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with _client() as client:
        made = await client.call_tool("fails", arguments)
        assert made.is_error
        assert _text(made).startswith(said)
        assert _text(await client.call_tool("add", {"a": 1, "b": 1})) == "2"
    assert not capsys.readouterr().out


async def test_a_tool_that_there_is_not_is_an_error_of_the_protocol() -> None:
    async with _client() as client:
        for name in ("ad", "hidden"):
            with pytest.raises(MCPError, match=f"There is no tool '{name}'"):
                await client.call_tool(name, {})


@pytest.mark.parametrize("mode", MODES)
async def test_progress_is_told_in_order(mode: str) -> None:
    told: list[tuple[float, float | None, str | None]] = []

    async def tell(done: float, total: float | None, words: str | None) -> None:
        told.append((done, total, words))

    async with _client(mode) as client:
        await client.call_tool("counts", {"n": 3}, progress_callback=tell)
        assert told[-1] == (3, 3, "step 3")
        assert told == sorted(told)
        told.clear()
        await client.call_tool("counts", {"n": 5_000}, progress_callback=tell)
        assert told[-1][0] == 5_000


def _answer(*actions: ElicitResult) -> tuple[Callable[..., Any], list[Any]]:
    asked: list[Any] = []

    async def answer(context: object, params: Any) -> ElicitResult:
        del context
        asked.append(params)
        return actions[min(len(asked), len(actions)) - 1]

    return answer, asked


@pytest.mark.parametrize("mode", MODES)
async def test_a_question_is_asked_where_the_client_can_ask(mode: str) -> None:
    filled = ElicitResult(action="accept", content={"size": 7, "where": '{"b": 2}', "choice": "no", "reason": "later"})
    answer, asked = _answer(filled, ElicitResult(action="decline"), ElicitResult(action="accept", content={"size": 1}))
    async with _client(mode, elicitation_callback=answer) as client:
        with anyio.fail_after(10):
            text = _text(await client.call_tool("asks", {"n": 3}))
    replies = [Reply("no", {"size": 7, "where": {"b": 2}}, "later"), None, Reply("yes", {"size": 1})]
    assert text == repr(replies)
    assert asked[0].message == 'Sure (0)?\n\nabout this\n\n{\n  "x": 1\n}'
    properties = asked[0].requested_schema["properties"]
    assert properties["size"] == {"type": "integer", "default": 3}
    assert properties["where"] == {"type": "string", "description": "(as JSON)", "default": '{"a": 1}'}
    assert properties["choice"]["enum"] == ["yes", "no"]
    assert asked[0].requested_schema["required"] == ["size"]


@pytest.mark.parametrize("mode", MODES)
async def test_where_nobody_can_be_asked_the_answer_is_none(mode: str) -> None:
    async with _client(mode) as client:
        assert _text(await client.call_tool("asks", {})) == "[None]"


async def test_an_answer_to_no_question_is_refused() -> None:
    async with _client() as client:
        with pytest.raises(MCPError, match="waits for no answer any more"):
            await client.call_tool("asks", {}, request_state="made up", input_responses={})


async def test_calls_run_beside_each_other() -> None:
    async with _client() as client, anyio.create_task_group() as group:
        waiting = anyio.Event()

        async def tell(*_: object) -> None:
            waiting.set()

        async def wait() -> None:
            await client.call_tool("waits", {}, progress_callback=tell)

        group.start_soon(wait)
        with anyio.fail_after(5):
            await waiting.wait()
            assert _text(await client.call_tool("add", {"a": 2, "b": 2})) == "4"
        group.cancel_scope.cancel()


@pytest.mark.parametrize("mode", MODES)
async def test_a_call_that_is_given_up_is_stopped(mode: str) -> None:
    stopped = anyio.Event()
    async with _client(mode, {"stopped": stopped}) as client:
        waiting = anyio.Event()

        async def tell(*_: object) -> None:
            waiting.set()

        async with anyio.create_task_group() as group:
            group.start_soon(lambda: client.call_tool("waits", {}, progress_callback=tell))
            with anyio.fail_after(5):
                await waiting.wait()
            group.cancel_scope.cancel()
        with anyio.fail_after(5):
            await stopped.wait()


async def test_a_tool_that_opens_others_gives_way_to_them() -> None:
    async with _client("legacy") as client:
        await client.call_tool("opens", {})
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert "opens" not in names
        assert "inner" in names


# As a process


@pytest.mark.parametrize("mode", MODES)
async def test_a_process_serves_what_its_tools_print_notwithstanding(mode: str) -> None:
    answer, _ = _answer(ElicitResult(action="accept", content={"size": 5}))
    with anyio.fail_after(30):
        async with _process(mode, elicitation_callback=answer) as client:
            assert _text(await client.call_tool("noisy", {"lines": 100})) == "quiet again"
            assert _text(await client.call_tool("add", {"a": 20, "b": 3})) == "23"
            assert _text(await client.call_tool("asks", {})) == repr([Reply("yes", {"size": 5})])
            assert (await client.call_tool("fails", {"how": "exit"})).is_error
            assert len((await client.list_tools()).tools) == 8


def test_nothing_but_the_protocol_is_ever_written_to_the_output() -> None:
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    lines = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "noisy", "arguments": {"lines": 3}}},
        {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "fails", "arguments": {"how": "x"}}},
    ]
    command = [sys.executable, "-m", "tests.mcp_server.toolset"]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    options: Any = {"cwd": HERE.parents[1], "stdin": -1, "stdout": -1, "stderr": -1, "text": True, "env": environ}
    with subprocess.Popen(command, **options) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("".join(f"{json.dumps(line)}\n" for line in lines) + "no JSON at all\n")
        process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for _ in range(3)]
        rest, errors = process.communicate(timeout=20)
    assert {answer["id"] for answer in answers} == {1, 2, 3}
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in rest.splitlines())
    assert process.returncode == 0
    for said in ("line 2", "more 2", "straight to the stream", "from a child", "ZeroDivisionError"):
        assert said in errors


# Questions


def test_a_question_without_a_form_is_answered_by_accepting_it() -> None:
    question = Question("Go on?", choices=(Choice("stop", "Stop"), Choice("go", "Go", "primary")))
    assert to_reply(question, ElicitResult(action="accept", content={})) == Reply("go")
    assert to_reply(question, ElicitResult(action="accept", content={"choice": "other"})) is None
    assert to_reply(question, ElicitResult(action="cancel")) is None
    assert to_reply(Question("Fine?", (Text("x"),)), ElicitResult(action="accept")) == Reply("")
    assert to_form(Question("Fine?")).requested_schema == {"type": "object", "properties": {}}


async def test_a_tool_that_cannot_be_told_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(value: Nowhere) -> None:  # type: ignore[name-defined]  # noqa: F821
        del value

    server = McpServer("testing", [tool(broken), *tools()]).server()
    async with Client(server) as client:
        names = [each.name for each in (await client.list_tools()).tools]
    assert "broken" not in names
    assert "add" in names
    assert "agentnb: broken is not offered: " in capsys.readouterr().err
