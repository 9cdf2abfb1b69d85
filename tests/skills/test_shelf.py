"""The skills of a workspace: what is loaded, passed over, found and taken away."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentnb.errors import UsageError
from agentnb.messages import Text
from agentnb.skills.shelf import SkillShelf, places
from agentnb.skills.skill import Skill
from agentnb.skills.steps import InferenceStep, ToolStep
from agentnb.toolbox import Toolbox
from agentnb.tools.base import traits
from tests.skills.conftest import FakeTool, Make, context

pytestmark = pytest.mark.anyio


async def test_a_loaded_skill_is_a_tool_of_the_set(make: Make) -> None:
    changes: list[int] = []
    shelf = SkillShelf(changed=lambda: changes.append(1))
    skill = shelf.load(make("pdf"))
    assert (shelf.name, skill.id) == ("skills", "skill-pdf")
    assert [tool.name for tool in shelf.known()] == ["pdf"]
    assert await shelf.ready() == shelf.known()
    assert shelf.list() == [shelf.get("pdf")] == [shelf.get("skill-pdf")]
    assert shelf.known()[0] is shelf.known()[0]
    shelf.remove("pdf")
    assert (shelf.list(), list(shelf.known()), len(changes)) == ([], [], 2)


def test_a_skill_of_the_same_name_replaces_the_one_before(make: Make, tmp_path: Path) -> None:
    shelf = SkillShelf()
    shelf.load(make("pdf"))
    other = shelf.load(make("pdf", base=tmp_path / "other", description="Better."))
    assert shelf.list() == [other]
    assert shelf.known()[0].spec({}).description == "Better."


def test_a_folder_of_skills_is_loaded_in_order_and_the_broken_are_passed_over(make: Make, tmp_path: Path) -> None:
    base = tmp_path / "skills"
    for name in ("b", "c", "a", "bad"):
        make(name, base=base)
    (base / "bad" / "SKILL.md").write_bytes(b"\xff\xfe\0")
    (base / "no-skill").mkdir()
    (base / "README.md").write_text("words")
    shelf = SkillShelf()
    found = shelf.load_dir(base)
    assert [skill.name for skill in found.skills] == ["a", "b", "c"] == [skill.name for skill in shelf.list()]
    assert len(found.skipped) == 1
    assert "bad" in found.skipped[0]
    assert "not text" in found.skipped[0]
    assert "\n" not in found.skipped[0]


def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for base in (tmp_path / "gone", tmp_path / "file", "a\0b"):
        with pytest.raises(UsageError, match="No skills can be looked for"):
            SkillShelf().load_dir(base)


def test_a_broken_one_leaves_what_is_loaded_alone(make: Make) -> None:
    shelf = SkillShelf()
    folder = make("pdf")
    skill = shelf.load(folder)
    (folder / "SKILL.md").write_text("broken")
    with pytest.raises(UsageError, match="must start"):
        shelf.load(folder)
    assert shelf.list() == [skill]


def test_of_two_places_the_first_has_its_way(make: Make, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    make("pdf", base=first, description="Mine.")
    make("pdf", base=second)
    make("csv", base=second)
    shelf = SkillShelf()
    found = shelf.load_places([first, tmp_path / "gone", second])
    assert [skill.description for skill in found.skills] == ["Mine.", "Does csv."]
    assert [skill.name for skill in shelf.list()] == ["pdf", "csv"]
    assert len(found.skipped) == 1
    assert "goes before it" in found.skipped[0]


def test_the_places_are_beside_the_notebook_and_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert places({"AGENTNB_HOME": str(tmp_path / "own")}, tmp_path) == [
        tmp_path / "skills",
        tmp_path / ".claude" / "skills",
        tmp_path / "home" / ".claude" / "skills",
        tmp_path / "own" / "skills",
    ]


def test_one_that_is_not_there_names_the_nearest(make: Make) -> None:
    shelf = SkillShelf()
    shelf.load(make("pdf"))
    for ask in (shelf.get, shelf.remove, shelf.tool):
        with pytest.raises(UsageError, match=r"no skill 'pfd'. Did you mean 'pdf'"):
            ask("pfd")


def test_a_cell_picks_by_name_or_by_folder(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = SkillShelf()
    shelf.load(make("pdf"))
    csv = make("csv", base=tmp_path / "more")
    make("png")
    monkeypatch.chdir(tmp_path)
    picked = shelf.pick(["pdf", str(csv), "png", "./png"])
    assert [tool.name for tool in picked] == ["pdf", "csv", "png", "png"]
    with pytest.raises(UsageError, match="no skill 'gone'"):
        shelf.pick(["gone"])
    with pytest.raises(UsageError, match="There is no folder"):
        shelf.pick(["./gone"])


async def test_a_workflow_runs_by_its_name(make: Make) -> None:
    save = FakeTool("save", "saved", approval="ask")

    async def infer(prompt: str, model: str | None) -> str:
        return f"{prompt}!"

    shelf = SkillShelf(tools=lambda: {"save": save}, infer=infer)
    steps = (InferenceStep("Say {words}"), ToolStep("save", {"text": "prev_result"}))
    shelf.add(Skill("flow", "Does it.", steps=steps))
    out = await shelf.execute_skill("flow", {"words": "hi"}, context())
    assert out.content == (Text("saved"),)
    assert save.calls == [{"text": "Say hi!"}]
    assert traits(shelf.tool("flow")).approval == "ask"
    with pytest.raises(UsageError, match="neither a folder nor steps"):
        shelf.add(Skill("none", "Nothing."))


def test_in_a_toolbox_its_workflows_are_asked_once_round(make: Make) -> None:
    box = Toolbox({}, lambda: None)
    shelf = SkillShelf(tools=box.all)
    box.add_toolset(shelf)
    shelf.load(make("one", metadata="{steps: [{type: tool, target: two}]}"))
    shelf.load(make("two", metadata="{steps: [{type: tool, target: one}]}"))
    shelf.load(make("pdf"))
    assert list(box.enabled()) == ["one", "two", "pdf"]
    assert traits(shelf.tool("one")).approval == "always"
    assert [tool.name for tool in box.pick(["skills"])] == ["one", "two", "pdf"]


def test_a_skill_named_like_a_tool_loses_nothing(make: Make) -> None:
    box = Toolbox({}, lambda: None)
    shelf = SkillShelf()
    other = SkillShelf()
    other.name = "others"  # type: ignore[misc]  # another toolset
    box.add_toolset(other)
    box.add_toolset(shelf)
    other.add(Skill("add", "Adds.", steps=(InferenceStep("x"),)))
    shelf.load(make("add"))
    found = box.all()
    assert len(found) == 2
    assert {tool.spec({}).description for tool in found.values()} == {"Adds.", "Does add."}
