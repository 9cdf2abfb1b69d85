"""The built-in model at work with tools that nobody wrote for it: an MCP server, a skill."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from agentnb import Result, Workspace
from agentnb.errors import ConnectionFailed
from agentnb.messages import Message, ToolResult
from agentnb.models import weights

pytestmark = [pytest.mark.local_model, pytest.mark.timeout(300)]

T = TypeVar("T")
SMALL, LARGER = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"
SKILLS = Path(__file__).parents[2] / "notebooks" / "skills"


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    pytest.importorskip("xllamacpp")
    try:
        for name in (SMALL, LARGER):
            weights.pull(name)
    except ConnectionFailed as reason:
        pytest.skip(str(reason))
    made = Workspace({})
    yield made
    made.close()


def waited(workspace: Workspace, work: Coroutine[object, object, T]) -> T:
    return asyncio.run_coroutine_threadsafe(work, workspace.background.loop).result(280)


def called(messages: tuple[Message, ...]) -> list[str]:
    return [call.name for message in messages for call in message.calls]


def results(messages: tuple[Message, ...]) -> list[ToolResult]:
    return [block for message in messages for block in message.content if isinstance(block, ToolResult)]


def test_it_asks_an_mcp_server_what_time_it_is(workspace: Workspace) -> None:
    server = workspace.mcp.add("time", {"command": sys.executable, "args": ["-m", "mcp_server_time"]})
    tools = waited(workspace, server.ready())
    agent = workspace.agent(model=workspace.open_model(f"local:{SMALL}"), tools=[*tools], approve="auto")
    result: Result = waited(workspace, agent.run("Use the tool to say what time it is in Tokyo now."))
    assert called(result.messages) == ["get_current_time"]
    [given] = results(result.messages)
    assert not given.is_error, given.text
    assert "+09:00" in str(given.content)
    assert "Tokyo" in result.text


def test_it_opens_a_skill_and_answers_from_its_document(workspace: Workspace) -> None:
    workspace.skills.load(SKILLS / "penguin-report")
    tools = [workspace.skills.tool("penguin-report")]
    agent = workspace.agent(model=workspace.open_model(f"local:{LARGER}"), tools=tools, approve="auto")
    question = "Use the penguin report: which species is the heaviest, and how heavy is it?"
    result: Result = waited(workspace, agent.run(question))
    assert called(result.messages)[0] == "penguin-report"
    assert "Gentoo" in result.text
    assert "5076" in result.text.replace(",", "")
