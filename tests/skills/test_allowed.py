"""`allowed-tools` narrow what a skill unlocks, down to the commands of its shell."""

from __future__ import annotations

import contextlib

import pytest

from agentnb.errors import ToolError
from agentnb.messages import Text
from agentnb.skills.allowed import narrowed
from agentnb.tools.base import Previewing, traits
from tests.skills.conftest import FakeTool, context

pytestmark = pytest.mark.anyio


def _names(*allowed: str) -> list[str]:
    return [tool.name for tool in narrowed([FakeTool("bash"), FakeTool("fetch")], allowed)]


def test_only_what_is_named_is_unlocked() -> None:
    assert [tool.name for tool in narrowed([FakeTool("bash"), FakeTool("fetch")], None)] == ["bash", "fetch"]
    assert _names() == []
    assert _names("Read") == []
    assert _names("Bash") == ["bash"]
    assert _names("WebFetch", "Read") == ["fetch"]
    assert _names("Bash(git:*)", "fetch") == ["bash", "fetch"]


def test_a_shell_without_patterns_is_the_shell_itself() -> None:
    bash = FakeTool("bash")
    assert narrowed([bash], ["Bash"]) == [bash]
    assert narrowed([bash], ["Bash(*)", "Bash(git:*)"]) == [bash]


async def _runs(command: str, *allowed: str) -> bool:
    bash = FakeTool("bash", approval="ask")
    (tool,) = narrowed([bash], allowed)
    with contextlib.suppress(ToolError):
        await tool.call({"command": command}, context())
    return bash.calls == [{"command": command}]


@pytest.mark.parametrize(
    "command",
    [
        "git status",
        "git",
        "  git log --oneline  ",
        "git log | jq .",
        "git add . && git commit -m 'a; b'",
        "jq '.[] | select(.a > 1)' data.json",
        "python scripts/run.py --n 3",
        'git commit -m "words (more)"',
    ],
)
async def test_a_command_that_is_named_runs(command: str) -> None:
    assert await _runs(command, "Bash(git:*)", "Bash(jq *)", "Bash(python scripts/run.py:*)")


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf /",
        "gitx",
        "git; rm x",
        "git;rm x",
        "git log;(rm x)",
        "git && rm x",
        "git & rm x",
        "git | sh",
        "git\nrm x",
        "git $(rm x)",
        'git "$(rm x)"',
        "git `rm x`",
        "git > /etc/passwd",
        "git <(rm x)",
        "git 'unclosed",
        "X=1 rm",
        "(rm x)",
        "\"it's $(rm x)\" 'y'",
        "git \"it's\" $(rm x) 'y'",
        "python scripts/other.py",
        "python",
    ],
)
async def test_a_command_that_is_not_named_does_not_run(command: str) -> None:
    assert not await _runs(command, "Bash(git:*)", "Bash(python scripts/run.py:*)")


async def test_a_pattern_without_a_star_is_the_whole_command() -> None:
    assert await _runs("npm test", "Bash(npm test)")
    assert not await _runs("npm test --x", "Bash(npm test)")


async def test_the_model_is_told_which_commands_there_are() -> None:
    (tool,) = narrowed([FakeTool("bash")], ["Bash(git:*)", "Bash(npm test)"])
    with pytest.raises(ToolError, match=r"may not run 'rm -rf x'. Its allowed-tools are: git:\*, npm test;"):
        await tool.call({"command": "git log && rm -rf x"}, context())


async def test_the_bound_shell_says_its_commands_and_asks_as_the_shell_does() -> None:
    bash = FakeTool("bash", approval="ask")
    (tool,) = narrowed([bash], ["Bash(git:*)"])
    assert (tool.name, tool.parallel) == ("bash", False)
    assert traits(tool) == bash.traits
    assert tool.spec({}).description == "Does bash. Only these commands: git:*."
    assert isinstance(tool, Previewing)
    assert await tool.preview({"command": "git log"}, context()) == (Text("git log"),)
    with pytest.raises(ToolError):
        await tool.preview({"command": "rm"}, context())


async def test_arguments_that_are_no_command_are_the_shells_affair() -> None:
    bash = FakeTool("bash")
    (tool,) = narrowed([bash], ["Bash(git:*)"])
    await tool.call({"cmd": 3}, context())
    assert bash.calls == [{"cmd": 3}]
