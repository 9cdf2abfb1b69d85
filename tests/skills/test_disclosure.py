"""A skill in a whole run: nothing of it but its name at first, then all of it, and the tools to follow it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentnb.agent import Agent
from agentnb.builtins.bash import Bash
from agentnb.messages import Message, ToolResult
from agentnb.models.base import Request
from agentnb.models.fake import FakeModel, call
from agentnb.skills.shelf import SkillShelf
from agentnb.skills.skill import Skill
from agentnb.skills.steps import InferenceStep, ToolStep
from agentnb.tools.base import Tool
from agentnb.tools.function import tool
from agentnb.tools.naming import renamed
from tests.skills.conftest import FakeTool, Make

pytestmark = pytest.mark.anyio

BODY = "# Report\n\nRun `cat data.txt` and say the number."


def _unlocks(folder: Path) -> list[Tool]:
    return [Bash(folder), FakeTool("fetch")]


def _results(messages: tuple[Message, ...]) -> list[ToolResult]:
    return [block for message in messages for block in message.content if isinstance(block, ToolResult)]


def _offered(request: Request) -> list[str]:
    return [spec.name for spec in request.tools]


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


async def test_it_is_closed_at_first_then_open_and_no_round_is_counted(make: Make) -> None:
    folder = make("report", body=BODY, files={"data.txt": "forty-two", "guide.md": "the guide"})
    shelf = SkillShelf(_unlocks)
    shelf.load(folder)
    before = os.getcwd()
    model = FakeModel(
        [call("report"), call("add", a=1, b=2)],
        [call("bash", command="pwd; cat data.txt"), call("read_skill_file", path="guide.md")],
        "42",
    )
    agent = Agent(model, tools=[add, shelf], max_rounds=1, approve="auto", namespace={})
    result = await agent.run("Report.")

    first, second, third = model.requests
    assert _offered(first) == ["add", "report"]
    assert [spec.description for spec in first.tools] == ["Add.", "Does report."]
    assert "forty-two" not in repr(first)
    assert BODY not in repr(first)

    opened, sum_, ran, read = _results(result.messages)
    assert BODY in opened.text
    assert str(folder) in opened.text
    assert (opened.is_error, sum_.text) == (False, "3")
    assert set(_offered(second)) == {"add", "bash", "fetch", "read_skill_file"}
    assert str(folder) in ran.text
    assert "forty-two" in ran.text
    assert "the guide" in read.text
    assert len(_offered(third)) == 4
    assert (result.text, result.transcript.outcome) == ("42", "done")
    assert os.getcwd() == before


async def test_what_it_unlocks_still_needs_a_persons_word(make: Make) -> None:
    shelf = SkillShelf(_unlocks)
    shelf.load(make("report", body=BODY))
    model = FakeModel(call("report"), call("bash", command="touch ran"), "no")
    result = await Agent(model, tools=[shelf], namespace={}).run("Report.")
    opened, refused = _results(result.messages)
    assert not opened.is_error
    assert refused.is_error
    assert "nobody can be asked" in refused.text
    assert list(shelf.get("report").folder.glob("ran")) == []  # type: ignore[union-attr]  # it was loaded from one


async def test_opened_before_a_pause_it_is_open_behind_it(make: Make) -> None:
    shelf = SkillShelf(_unlocks)
    folder = make("report", body=BODY, files={"data.txt": "forty-two"})
    shelf.load(folder)
    first = FakeModel(call("report"), call("bash", command="cat data.txt"))
    paused = await Agent(first, tools=[shelf], approve="pause", namespace={}).run("Report.")
    assert paused.transcript.outcome == "paused"
    (open_call,) = paused.messages[-1].calls
    # Another kernel, after a restart: only the messages and the folder are left.
    model, again = FakeModel("42"), SkillShelf(_unlocks)
    again.load(folder)
    agent = Agent(model, tools=[renamed(again.tool("report"), "report"), again], approve="pause", namespace={})
    result = await agent.resume(paused.messages, {open_call.id: True})
    assert "forty-two" in _results(result.messages)[-1].text
    assert set(_offered(model.requests[0])) == {"bash", "fetch", "read_skill_file"}
    assert (result.text, result.transcript.outcome) == ("42", "done")


async def test_gone_in_a_pause_it_is_a_result(make: Make, tmp_path: Path) -> None:
    shelf = SkillShelf(_unlocks)
    folder = make("report", body=BODY)
    shelf.load(folder)
    first = FakeModel(call("report"), call("bash", command="ls"))
    paused = await Agent(first, tools=[shelf], approve="pause", namespace={}).run("Report.")
    folder.rename(tmp_path / "away")
    model = FakeModel("Sorry.")
    result = await Agent(model, tools=[shelf], approve="pause", namespace={}).resume(paused)
    assert _results(result.messages)[-1].text.startswith("Error: tool 'bash' not found.")
    assert (result.text, _offered(model.requests[0])) == ("Sorry.", ["report"])


async def test_called_again_it_is_not_there_any_more(make: Make) -> None:
    shelf = SkillShelf(_unlocks)
    shelf.load(make("report", body=BODY))
    model = FakeModel(call("report"), call("report"), "ok")
    result = await Agent(model, tools=[shelf], namespace={}).run("Report.")
    assert _results(result.messages)[1].text.startswith("Error: tool 'report' not found.")


async def test_two_in_one_round_are_both_opened(make: Make) -> None:
    shelf = SkillShelf(_unlocks)
    for name in ("one", "two"):
        shelf.load(make(name, body=f"Body of {name}."))
    model = FakeModel([call("one"), call("two")], "ok")
    result = await Agent(model, tools=[shelf], max_rounds=1, namespace={}).run("Both.")
    one, two = _results(result.messages)
    assert "Body of one." in one.text
    assert "Body of two." in two.text
    assert set(_offered(model.requests[1])) == {"bash", "fetch"}


async def test_a_skill_whose_folder_vanished_is_a_result_and_the_run_goes_on(make: Make, tmp_path: Path) -> None:
    shelf = SkillShelf(_unlocks)
    shelf.load(make("report")).folder.rename(tmp_path / "away")  # type: ignore[union-attr]  # as above
    model = FakeModel([call("report"), call("add", a=1, b=1)], "Without it: 2.")
    result = await Agent(model, tools=[shelf, add], namespace={}).run("Report.")
    gone, sum_ = _results(result.messages)
    assert gone.is_error
    assert gone.text.startswith("Error: the skill 'report' cannot be opened.")
    assert (sum_.text, result.text) == ("2", "Without it: 2.")


async def test_a_workflow_runs_in_a_run_and_its_question_is_a_run_within(make: Make) -> None:
    save = FakeTool("save", "saved")
    shelf = SkillShelf(_unlocks, tools=lambda: {"save": save})
    shelf.add(
        Skill("flow", "Does it.", steps=(InferenceStep("Say {words}"), ToolStep("save", {"text": "prev_result"})))
    )
    model = FakeModel(script={"Say hi": "hi there", "Go": [[call("flow", words="hi")], "All done."]})
    result = await Agent(model, tools=[shelf], namespace={}).run("Go")
    assert save.calls == [{"text": "hi there"}]
    assert (_results(result.messages)[0].text, result.text) == ("saved", "All done.")
    assert [run.text for run in result.transcript.within] == ["hi there"]


async def test_a_workflow_with_a_tool_that_asks_is_refused_where_nobody_answers() -> None:
    save = FakeTool("save", "saved", approval="ask")
    shelf = SkillShelf(_unlocks, tools=lambda: {"save": save})
    shelf.add(Skill("flow", "Does it.", steps=(ToolStep("save"),)))
    result = await Agent(FakeModel(call("flow"), "no"), tools=[shelf], namespace={}).run("Go")
    assert _results(result.messages)[0].is_error
    assert save.calls == []
