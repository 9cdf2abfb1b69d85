"""The skill of the tutorials is one by the specification, and says what its script and the data say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from agentnb.agent import Agent
from agentnb.messages import Message, ToolResult
from agentnb.models.fake import FakeModel, call
from agentnb.skills.skill import bundled
from agentnb.skills.validate import validate
from agentnb.workspace import Workspace

FOLDER = Path(__file__).parents[2] / "notebooks" / "skills" / "penguin-report"
SCRIPT = FOLDER / "scripts" / "summary.py"

pytestmark = pytest.mark.anyio


def _results(messages: tuple[Message, ...]) -> list[ToolResult]:
    return [block for message in messages for block in message.content if isinstance(block, ToolResult)]


def test_it_is_a_skill_and_names_only_files_that_are_there() -> None:
    assert validate(FOLDER) == []
    names, _ = bundled(FOLDER)
    named = re.findall(r"(?:scripts|references)/[\w.]+", (FOLDER / "SKILL.md").read_text("utf-8"))
    assert set(named) == set(names) == {"scripts/summary.py", "references/columns.md"}


def test_its_table_is_what_its_script_prints_of_the_data() -> None:
    ran = subprocess.run([sys.executable, SCRIPT, "species"], capture_output=True, text=True, check=True, timeout=30)
    assert ran.stdout in (FOLDER / "SKILL.md").read_text("utf-8")


def test_its_script_says_what_it_does_not_know() -> None:
    ran = subprocess.run([sys.executable, SCRIPT, "colour"], capture_output=True, text=True, check=False, timeout=30)
    assert ran.returncode == 1
    assert ran.stderr.strip() == "There is no group 'colour'. It is one of species, island, sex, year."


async def test_an_agent_of_a_workspace_opens_it_and_runs_its_script_and_nothing_else() -> None:
    workspace = Workspace(
        {}, environ={"AGENTNB_KEYRING": "off", "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    )
    workspace.skills.load(FOLDER)
    model = FakeModel(
        call("penguin-report"),
        [
            call("bash", command="python3 scripts/summary.py island"),
            call("bash", command="cat /etc/passwd"),
            call("read_skill_file", path="references/columns.md"),
        ],
        "Biscoe.",
    )
    agent: Agent = workspace.agent(model=model, approve="auto")
    result = await agent.run("Where are the heaviest penguins?")
    workspace.close()
    opened, table, refused, columns = _results(result.messages)
    assert "| Gentoo | 124 | 5076 | 217 |" in opened.text
    assert "| Biscoe | 168 | 4716 | 210 |" in table.text
    assert refused.text.startswith("Error: the skill may not run 'cat /etc/passwd'")
    assert "Palmer Station" in columns.text
    assert [spec.name for spec in model.requests[1].tools] == ["bash", "read_skill_file"]
