"""A skill as a tool: closed until it is called, then its document and tools in its folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from agentnb.errors import ToolError
from agentnb.messages import Text
from agentnb.skills.skill import NAMED_FILES, Skill, read_skill
from agentnb.skills.tool import SkillTool, tool_name
from agentnb.tools.base import Tool, ToolReturn, traits
from tests.skills.conftest import FakeTool, Make, context

pytestmark = pytest.mark.anyio


def _unlocks(folder: Path) -> list[Tool]:
    return [FakeTool("bash", approval="ask", where=folder), FakeTool("fetch")]


def _text(out: ToolReturn) -> str:
    return "".join(block.text for block in out.content if isinstance(block, Text))


def test_a_closed_skill_is_a_name_and_a_description(make: Make) -> None:
    tool = SkillTool(read_skill(make("pdf", body="SECRET")), _unlocks)
    spec = tool.spec({})
    assert (spec.name, spec.description) == ("pdf", "Does pdf.")
    assert spec.parameters == {"type": "object", "properties": {}}
    assert "SECRET" not in repr(spec)
    assert (traits(tool).id, traits(tool).source, traits(tool).approval) == ("skill-pdf", "skills", "always")
    assert tool.parallel is False


async def test_opened_it_says_what_to_do_where_and_all_of_its_document(make: Make) -> None:
    before = os.getcwd()
    folder = make("pdf", body="# PDF\n\nRun `scripts/go.py`.", files={"scripts/go.py": "", "guide.md": ""})
    out = await SkillTool(read_skill(folder), _unlocks).call({}, context())
    assert _text(out) == (
        "The user's agent chose the skill pdf. Its document follows: do what it says to answer the user's request, "
        "with the built-in tools (bash, fetch, read_skill_file).\n\n"
        f"Skill directory: {folder}\n\nBundled files: guide.md, scripts/go.py\n\n# PDF\n\nRun `scripts/go.py`."
    )
    assert out.used_up
    assert [tool.name for tool in out.unlocks] == ["bash", "fetch", "read_skill_file"]
    assert [getattr(tool, "where", None) for tool in out.unlocks] == [folder, None, None]
    assert os.getcwd() == before


async def test_a_folder_below_the_notebooks_is_told_from_there(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make("pdf")
    monkeypatch.chdir(folder.parent)
    out = await SkillTool(read_skill(folder), _unlocks).call({}, context())
    assert "Skill directory: pdf\n" in _text(out)


async def test_allowed_tools_narrow_what_is_unlocked(make: Make) -> None:
    folder = make("pdf", allowed_tools="WebFetch", files={"a.md": ""})
    out = await SkillTool(read_skill(folder), _unlocks).call({}, context())
    assert [tool.name for tool in out.unlocks] == ["fetch", "read_skill_file"]
    alone = await SkillTool(read_skill(make("words", allowed_tools="''", body="''")), _unlocks).call({}, context())
    assert alone.unlocks == ()
    assert "with the tools you have" in _text(alone)


async def test_many_files_are_named_up_to_a_number(make: Make) -> None:
    folder = make("pdf", files={f"f{n:03}": "" for n in range(NAMED_FILES + 3)})
    text = _text(await SkillTool(read_skill(folder), _unlocks).call({}, context()))
    assert "f039 and 3 more" in text


async def test_it_is_opened_as_it_is_now(make: Make) -> None:
    folder = make("pdf")
    tool = SkillTool(read_skill(folder), _unlocks)
    (folder / "SKILL.md").write_text("---\nname: pdf\ndescription: New.\n---\nThe new way.")
    assert "The new way." in _text(await tool.call({}, context()))


async def test_a_folder_that_vanished_or_broke_is_a_result_of_one_line(make: Make, tmp_path: Path) -> None:
    folder = make("pdf")
    tool = SkillTool(read_skill(folder), _unlocks)
    (folder / "SKILL.md").write_text("broken")
    with pytest.raises(ToolError, match=r"'pdf' cannot be opened.*must start") as broken:
        await tool.call({}, context())
    folder.rename(tmp_path / "away")
    with pytest.raises(ToolError, match=r"'pdf' cannot be opened.*There is no folder") as gone:
        await tool.call({}, context())
    assert "\n" not in f"{broken.value}{gone.value}"


@pytest.mark.parametrize("name", ["pdf", "a" * 64, "技能", "мой-навык", "café", "ö" * 64, "bash", "fetch"])
def test_every_skill_can_be_called_by_every_model(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", tool_name(name))


def test_names_stay_apart_and_the_model_reads_the_real_one() -> None:
    names = ["技能", "技术", "café", "cafe", "bash", "пдф"]
    assert len({tool_name(name) for name in names}) == len(names)
    assert tool_name("bash") == "skill-bash"
    spec = SkillTool(Skill("技能", "Does it.", Path()), _unlocks).spec({})
    assert spec.description == "技能: Does it."
