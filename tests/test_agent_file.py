"""An agent's file: what goes in, what a file from elsewhere may not decide, and what is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentnb.agent_file import format_file, read_file
from agentnb.agents import SavedAgent
from agentnb.errors import UsageError
from agentnb.messages import JSON
from agentnb.tools.definitions import ToolConfig

TOOL = (ToolConfig("function-f", "f", function_file_path="function-f.py", function_name="f"), "def f(): ...\n")


def written(path: Path, value: JSON) -> Path:
    file = path / "a.json"
    file.write_text(json.dumps(value))
    return file


def test_what_was_written_is_read(tmp_path: Path) -> None:
    agent = SavedAgent("bob", "openai:a", tools=("f", "files"), template="t", last_modified="2026")
    value = format_file(agent, templates={"t": "Hi {{x}}"}, tools=[TOOL], servers={"files": {"command": "x"}})
    found = read_file(written(tmp_path, value))
    assert found.agent == SavedAgent("bob", "openai:a", tools=("f", "files"), template="t")
    assert found.templates == {"t": "Hi {{x}}"}
    assert [(config.name, source) for config, source in found.tools.tools] == [("f", "def f(): ...\n")]
    assert found.servers == {"files": {"command": "x"}}
    assert found.acts
    assert not found.withheld


def test_a_file_grants_nothing(tmp_path: Path) -> None:
    value: JSON = {
        "agent": {"name": "a", "approve": "auto"},
        "mcpServers": {"s": {"command": "x", "alwaysAllow": True, "approval": "always"}},
    }
    found = read_file(written(tmp_path, value))
    assert found.agent.approve is None
    assert found.servers == {"s": {"command": "x"}}
    assert found.withheld == ("that its tools run unasked", "that tools of s run unasked")


@pytest.mark.parametrize(
    ("agent", "acts"),
    [
        ({"name": "a", "model": "openai:x", "system": "{{x}} is words here"}, False),
        ({"name": "a", "model": "openai:x", "api_base": "https://elsewhere"}, True),
        ({"name": "a", "template": "t", "arguments": {"x": "{{open('f')}}"}}, True),
    ],
)
def test_what_runs_or_takes_a_key_elsewhere_is_told_apart(tmp_path: Path, agent: JSON, acts: bool) -> None:
    assert read_file(written(tmp_path, {"agent": agent})).acts is acts


def test_the_file_of_another_program_is_an_agent(tmp_path: Path) -> None:
    found = read_file(written(tmp_path, {"agent_id": "x1", "model_id": "m", "nickname": "X", "more": 3}))
    assert found.agent.name == "x1"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([], "no JSON object"),
        ({}, "no .agent. in it"),
        ({"agent": []}, "no agent"),
        ({"agent": {"name": "../x"}}, "cannot name an agent"),
        ({"agent": {"name": "a"}, "templates": {"t": 1}}, "templates are no object of texts"),
        ({"agent": {"name": "a"}, "templates": {"../t": "x"}}, "no name for a template"),
        ({"agent": {"name": "a"}, "mcpServers": {"t": 1}}, "mcpServers are no object"),
        ({"agent": {"name": "a"}, "tools": {}}, "no list of tools"),
        ({"agent": {"name": "a"}, "tools": [{"name": "f", "function_file_path": "/etc/passwd"}]}, "no file"),
        ({"agent": {"name": "a"}, "tools": [{"name": "../f", "function_file_path": "x"}], "files": {"x": ""}}, "name"),
    ],
)
def test_what_is_no_agent_says_why(tmp_path: Path, value: JSON, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read_file(written(tmp_path, value))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_file(tmp_path / "none.json")
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(UsageError, match="not JSON"):
        read_file(tmp_path / "a.json")
    with pytest.raises(UsageError, match="cannot be read"):
        read_file(tmp_path)
