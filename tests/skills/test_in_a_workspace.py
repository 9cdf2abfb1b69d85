"""Workflow skills in a workspace: with its models, its rules, and its account of what was spent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import anyio
import pytest

from agentnb.errors import StepFailed
from agentnb.messages import Text, ToolResult
from agentnb.models.fake import FakeModel
from agentnb.skills.skill import Skill
from agentnb.skills.steps import InferenceStep, ToolStep
from agentnb.tools.function import tool
from agentnb.workspace import Workspace
from tests.skills.conftest import context

pytestmark = pytest.mark.anyio


@tool
def shout(text: str) -> str:
    """Say it loudly."""
    return text.upper()


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    made = Workspace({"shout": shout}, environ={"AGENTNB_KEYRING": "off"})
    made.use_model(FakeModel(script={"Name a bird": "a penguin"}))
    steps = (InferenceStep("Name {what}"), ToolStep("shout", {"text": "prev_result"}))
    made.skills.add(Skill("flow", "Names something.", steps=steps))
    yield made
    made.close()


async def test_outside_of_a_run_its_questions_go_to_the_notebooks_model_and_are_counted(workspace: Workspace) -> None:
    with anyio.fail_after(10):
        out = await workspace.skills.execute_skill("flow", {"what": "a bird"}, context())
    assert out.content == (Text("A PENGUIN"),)
    assert len(workspace.ledger.entries) == 1


async def test_a_person_calls_it_like_any_tool(workspace: Workspace) -> None:
    run = workspace.call("flow", {"what": "a bird"})
    run.start()
    with anyio.fail_after(10):
        await asyncio.wrap_future(run.done)
    last = run.transcript().messages[-1].content[0]
    assert isinstance(last, ToolResult)
    assert (last.text, last.is_error) == ("A PENGUIN", False)


async def test_a_rule_of_the_person_holds_for_its_steps(workspace: Workspace) -> None:
    workspace.policy.remember("function-shout", "never")
    with anyio.fail_after(10), pytest.raises(StepFailed, match="STEP_TOOL_NOT_ALLOWED: step 2"):
        await workspace.skills.execute_skill("flow", {"what": "a bird"}, context())
