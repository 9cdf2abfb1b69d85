"""What steps may look like in a SKILL.md, and what they take."""

from __future__ import annotations

import pytest

from agentnb.errors import UsageError
from agentnb.messages import JSON
from agentnb.skills.skill import read_skill
from agentnb.skills.steps import InferenceStep, ToolStep, inputs, read_steps
from tests.skills.conftest import Make


def test_steps_of_both_kinds_are_read_from_the_front_matter(make: Make) -> None:
    written = """
  steps:
    - type: tool
      target: load
      args_mapping: {path: video_path, n: 5, deep: {a: [1]}}
    - {type: inference, model_id: fake:m, prompt_template: "Describe {prev_result}"}
    - {type: tool, target: save}
  parameters: {type: object, properties: {video_path: {type: string}}, required: [video_path]}"""
    skill = read_skill(make("video", metadata=written))
    assert skill.steps == (
        ToolStep("load", {"path": "video_path", "n": 5, "deep": {"a": [1]}}),
        InferenceStep("Describe {prev_result}", "fake:m"),
        ToolStep("save"),
    )
    assert skill.parameters is not None
    assert skill.parameters["required"] == ["video_path"]


def test_a_skill_without_steps_has_none(make: Make) -> None:
    assert read_skill(make("pdf", metadata="{by: me}")).steps == ()


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([], "a list of steps"),
        ("load", "a list of steps"),
        (["load"], "step 1 must be a mapping"),
        ([{"target": "load"}], "step 1 is of type None"),
        ([{"type": "shell"}], "step 1 is of type 'shell'"),
        ([{"type": "tool", "target": "a"}, {"type": "tool"}], "step 2: target must be a text"),
        ([{"type": "tool", "target": "a", "args": {}}], "step 1 has 'args'"),
        ([{"type": "tool", "target": "a", "args_mapping": [1]}], "args_mapping must be a mapping"),
        ([{"type": "inference"}], "prompt_template must be a text"),
        ([{"type": "inference", "prompt_template": "x", "model_id": 3}], "model_id must be the name"),
    ],
)
def test_what_is_no_step_is_named_by_its_number(steps: JSON, why: str) -> None:
    with pytest.raises(UsageError, match=f"STEP_INVALID: .*{why}"):
        read_steps(steps)


def test_a_skill_with_broken_steps_is_not_loaded(make: Make) -> None:
    with pytest.raises(UsageError, match="is no skill: STEP_INVALID: step 1"):
        read_skill(make("flow", metadata="{steps: [{type: x}]}"))


def test_what_stands_in_braces_is_needed_and_bare_words_may_be_given() -> None:
    steps = read_steps(
        [
            {"type": "tool", "target": "a", "args_mapping": {"x": "city", "y": "{month}", "z": "prev_result", "n": 1}},
            {"type": "inference", "prompt_template": '{prev_result} {month} {"a": 1} {}'},
        ]
    )
    schema = inputs(steps)
    assert schema["required"] == ["month"]
    assert schema["properties"] == {
        "month": {"type": "string"},
        "city": {"description": "left out, it is the word 'city' itself"},
    }
