"""Steps run in order, each with what came before, and stop at the first that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from agentnb import messages
from agentnb.errors import ConnectionFailed, StepFailed, ToolError
from agentnb.messages import JSON, Data, JSONObject, Text, ToolSpec
from agentnb.skills.skill import Skill, read_skill
from agentnb.skills.steps import read_steps
from agentnb.skills.workflow import Surroundings, WorkflowTool, execute_skill
from agentnb.tools.base import Approval, Question, Reply, Subtask, Tool, ToolReturn, traits
from agentnb.tools.function import tool
from agentnb.tools.naming import renamed
from agentnb.transcript import Transcript
from tests.skills.conftest import FakeTool, Make, context

pytestmark = pytest.mark.anyio


def _skill(*steps: JSONObject) -> Skill:
    return Skill("flow", "Does it.", steps=read_steps(list(steps)))


def _tool(target: str, **arguments: JSON) -> JSONObject:
    return {"type": "tool", "target": target, "args_mapping": arguments}


def _ask(prompt: str, model: str | None = None) -> JSONObject:
    return {"type": "inference", "prompt_template": prompt, **({"model_id": model} if model else {})}


class Asked:
    """A model that notes what it was asked."""

    def __init__(self, answer: str | Exception = "A beautiful scene") -> None:
        self.answer = answer
        self.asked: list[tuple[str, str | None]] = []

    async def __call__(self, prompt: str, model: str | None) -> str:
        self.asked.append((prompt, model))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def _run(skill: Skill, given: JSONObject, tools: Sequence[Tool] = (), infer: Asked | None = None) -> ToolReturn:
    around = Surroundings({each.name: each for each in tools}, infer)
    return await execute_skill(skill, given, around, context())


async def test_a_workflow_goes_from_tool_to_model_to_tool() -> None:
    load, save, model = FakeTool("load", "frames"), FakeTool("save", "saved"), Asked()
    skill = _skill(
        _tool("load", path="video_path", n=5), _ask("Describe: {prev_result}", "vlm"), _tool("save", text="prev_result")
    )
    out = await _run(skill, {"video_path": "/tmp/v.mp4"}, [load, save], model)
    assert load.calls == [{"path": "/tmp/v.mp4", "n": 5}]
    assert model.asked == [("Describe: frames", "vlm")]
    assert save.calls == [{"text": "A beautiful scene"}]
    assert out.content == (Text("saved"),)


async def test_a_text_is_the_previous_result_or_of_the_context_or_itself() -> None:
    first, second = FakeTool("first", ToolReturn((Data([1, 2]),))), FakeTool("second")
    skill = _skill(
        _tool("first"),
        _tool("second", a="prev_result", b="{prev_result}", c="n", d="{n}", e="in {city}: {n}", f="plain", g=None),
    )
    await _run(skill, {"n": 3, "city": "Oslo"}, [first, second])
    assert second.calls == [
        {"a": [1, 2], "b": [1, 2], "c": 3, "d": 3, "e": "in Oslo: 3", "f": "plain", "g": None},
    ]


async def test_what_is_filled_in_is_not_filled_again() -> None:
    first, model = FakeTool("first", "{secret} {prev_result}"), Asked()
    await _run(_skill(_tool("first"), _ask('{prev_result} and {"a": 1}')), {"secret": "x"}, [first], model)
    assert model.asked == [('{secret} {prev_result} and {"a": 1}', None)]


async def test_a_tool_is_found_by_its_id_as_well() -> None:
    load = FakeTool("load", "x")
    assert (await _run(_skill(_tool("function-load")), {}, [load])).content == (Text("x"),)


@pytest.mark.parametrize(
    ("broken", "code", "why"),
    [
        (_tool("laod"), "STEP_TOOL_NOT_FOUND", "Did you mean 'load'"),
        (_tool("raises"), "STEP_TOOL_FAILED", "raises: KeyError: 'x'"),
        (_tool("refuses"), "STEP_TOOL_FAILED", "refuses: not like this"),
        (_tool("errs"), "STEP_TOOL_FAILED", "errs: it went wrong"),
        (_tool("forbidden"), "STEP_TOOL_NOT_ALLOWED", "forbidden is not allowed here"),
        (_ask("x", "gone"), "STEP_INFERENCE_FAILED", "No answer"),
        (_ask("{city}"), "STEP_INPUT_MISSING", "it needs 'city'; given: town"),
        (_tool("load", x="{city}"), "STEP_INPUT_MISSING", "it needs 'city'"),
    ],
)
async def test_the_first_step_that_fails_is_the_last(broken: JSONObject, code: str, why: str) -> None:
    load, after = FakeTool("load"), FakeTool("after")
    tools = [
        load,
        after,
        FakeTool("raises", KeyError("x")),
        FakeTool("refuses", ToolError("not like this")),
        FakeTool("errs", ToolReturn((Text("Error: it went wrong"),), is_error=True)),
        FakeTool("forbidden", approval="never"),
    ]
    with pytest.raises(StepFailed, match=why) as caught:
        await _run(
            _skill(_tool("load"), broken, _tool("after")), {"town": "x"}, tools, Asked(ConnectionFailed("No answer"))
        )
    assert (caught.value.step, caught.value.code) == (2, code)
    assert str(caught.value).startswith(f"{code}: step 2: ")
    assert isinstance(caught.value, ToolError)
    assert (len(load.calls), len(after.calls)) == (1, 0)


async def test_the_first_step_has_nothing_before_it() -> None:
    for step in (_tool("load", x="prev_result"), _ask("{prev_result}")):
        with pytest.raises(StepFailed, match=r"STEP_INPUT_MISSING: step 1: .*no step before it"):
            await _run(_skill(step), {}, [FakeTool("load")], Asked())


async def test_without_a_model_and_without_steps_it_is_said() -> None:
    with pytest.raises(StepFailed, match="STEP_INFERENCE_FAILED: step 1: there is no model"):
        await _run(_skill(_ask("x")), {})
    with pytest.raises(ToolError, match="no steps"):
        await _run(Skill("flow", "x"), {})


async def test_a_stop_goes_through() -> None:
    with pytest.raises(asyncio.CancelledError):
        await _run(_skill(_tool("a")), {}, [FakeTool("a", answer=_Cancelled())])


class _Cancelled(Exception):
    def __str__(self) -> str:
        raise asyncio.CancelledError


async def test_an_object_goes_on_by_reference_where_the_next_tool_takes_it() -> None:
    class Frame:
        """A table."""

    @tool
    def make() -> Frame:
        """Make one."""
        return Frame()

    @tool
    def use(frame: Frame, words: str) -> str:
        """Use one."""
        return f"{type(frame).__name__}, {words[:1]}"

    around = Surroundings({"make": make, "use": use})
    skill = _skill(_tool("make"), _tool("use", frame="prev_result", words="prev_result"))
    out = await execute_skill(skill, {}, around, context())
    assert "".join(block.text for block in out.content if isinstance(block, Text)).startswith("Frame, ")


class Spawner:
    """Notes the runs within a run."""

    depth = 0
    models = ("fake:parent",)
    scope: Mapping[str, Tool] = {}

    def __init__(self) -> None:
        self.tasks: list[Subtask] = []

    async def run(self, subtask: Subtask) -> Transcript:
        self.tasks.append(subtask)
        return Transcript(messages=(subtask.task, messages.assistant("said")))


async def test_within_a_run_questions_are_runs_within_it() -> None:
    spawner, infer = Spawner(), Asked()
    steps: list[tuple[float, float | None, str]] = []
    around = Surroundings({}, infer)
    given = replace(context(spawner=spawner), progress=lambda *what: steps.append(what))
    out = await execute_skill(_skill(_ask("{q}", "fake:m"), _ask("{prev_result}")), {"q": "why"}, around, given)
    assert out.content == (Text("said"),)
    assert [(each.task.text, each.model, each.tools) for each in spawner.tasks] == [
        ("why", "fake:m", ()),
        ("said", None, ()),
    ]
    assert infer.asked == []
    assert steps == [(0, 2, "step 1: ask fake:m"), (1, 2, "step 2: ask the model"), (2, 2, "done")]


def _workflow(skill: Skill, *tools: Tool, **rules: Approval) -> WorkflowTool:
    around = Surroundings({each.name: each for each in tools}, rule=lambda tool_id: rules.get(tool_id.split("-")[-1]))
    return WorkflowTool(skill, lambda: around)


async def test_as_a_tool_it_runs_instead_of_opening() -> None:
    save = FakeTool("save", "saved")
    made = _workflow(_skill(_tool("save", text="{words}", mode="mode")), save)
    assert made.spec({}) == ToolSpec(
        "flow",
        "Does it.",
        {
            "type": "object",
            "properties": {
                "words": {"type": "string"},
                "mode": {"description": "left out, it is the word 'mode' itself"},
            },
            "required": ["words"],
        },
    )
    assert await made.preview({"words": "hi"}, context()) == (Text("words = hi\n1. save(text={words}, mode=mode)"),)
    out = await made.call({"words": "hi"}, context())
    assert (out.content, out.used_up, out.unlocks) == ((Text("saved"),), False, ())
    assert save.calls == [{"text": "hi", "mode": "mode"}]


def test_it_needs_a_persons_word_where_one_of_its_tools_does() -> None:
    skill = _skill(_tool("a"), _tool("b"), _ask("x"))
    assert traits(_workflow(skill, FakeTool("a"), FakeTool("b"))).approval == "always"
    assert traits(_workflow(skill, FakeTool("a"), FakeTool("b", approval="ask"))).approval == "ask"
    assert traits(_workflow(skill, FakeTool("a"), FakeTool("b"), a="never")).approval == "never"
    assert traits(_workflow(skill, FakeTool("a"), FakeTool("b", approval="ask"), b="always")).approval == "always"
    assert traits(_workflow(_skill(_ask("x")))).approval == "always"


async def test_a_workflow_does_not_call_itself_nor_another() -> None:
    skill = _skill(_tool("flow"))
    inner = _workflow(skill)
    for each in (inner, renamed(inner, "flow")):
        around = Surroundings({"flow": each})
        made = WorkflowTool(skill, lambda around=around: around)  # type: ignore[misc]  # the loop's value
        assert traits(made).approval == "always"
        with pytest.raises(StepFailed, match="STEP_TOOL_NOT_FOUND"):
            await made.call({}, context())


class Person:
    """Answers every question so, and remembers them."""

    def __init__(self, choice: str) -> None:
        self.choice = choice
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> Reply | None:
        self.asked.append(question)
        return Reply(self.choice, reason="No.")


async def test_what_a_model_writes_for_a_tool_that_asks_is_seen_before_it_runs() -> None:
    shell, infer = FakeTool("shell", approval="ask"), Asked("rm -rf ~")
    around = Surroundings({"shell": shell}, infer=infer)
    skill = _skill(_ask("Tidy up."), _tool("shell", command="{prev_result}"))
    person = Person("deny")
    with pytest.raises(StepFailed, match=r"did not allow this call of shell. They said: No\."):
        await execute_skill(skill, {}, around, context(asker=person))
    assert shell.calls == []
    assert [(each.title, each.body) for each in person.asked] == [
        ("Allow shell, step 2?", (Text('command = "rm -rf ~"'),))
    ]
    await execute_skill(skill, {}, around, context(asker=Person("approve")))
    assert shell.calls == [{"command": "rm -rf ~"}]


async def test_a_call_that_was_seen_whole_is_not_asked_about_again() -> None:
    shell, person = FakeTool("shell", approval="ask"), Person("deny")
    skill = _skill(_tool("shell", command="{words}"))
    await execute_skill(skill, {"words": "ls"}, Surroundings({"shell": shell}), context(asker=person))
    assert (shell.calls, person.asked) == ([{"command": "ls"}], [])


def test_a_tool_that_is_not_there_yet_may_be_one_that_asks() -> None:
    assert traits(_workflow(_skill(_tool("of-a-server")))).approval == "ask"


async def test_steps_that_were_changed_behind_the_persons_back_do_not_run(make: Make) -> None:
    steps = "\n  steps:\n    - {type: tool, target: %s, args_mapping: {command: ls}}"
    folder = make("flow", metadata=steps % "look")
    look, shell = FakeTool("look"), FakeTool("shell", approval="ask")
    made = _workflow(read_skill(folder), look, shell)
    assert traits(made).approval == "always"
    document = folder / "SKILL.md"
    document.write_text(document.read_text().replace("target: look", "target: shell"))
    with pytest.raises(ToolError, match="have changed since it was loaded"):
        await made.call({}, context())
    assert (look.calls, shell.calls) == ([], [])
    document.write_text(document.read_text().replace("target: shell", "target: look").replace("ls", "pwd"))
    await made.call({}, context())
    assert look.calls == [{"command": "pwd"}]
