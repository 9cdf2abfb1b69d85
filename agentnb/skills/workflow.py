"""A skill with steps: its tools are called and its models asked one after the other, each with what came before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from agentnb import messages
from agentnb.errors import AgentnbError, StepFailed, ToolError, UsageError, nearest
from agentnb.messages import JSON, Content, Data, JSONObject, Text, ToolSpec
from agentnb.skills.skill import Skill
from agentnb.skills.steps import PLACEHOLDER, PREVIOUS, InferenceStep, Step, ToolStep, inputs
from agentnb.skills.tool import description, tool_name
from agentnb.tools.base import Approval, Question, Subtask, Tool, ToolContext, ToolReturn, Traits, traits
from agentnb.tools.consent import APPROVE, DENY, previewed
from agentnb.tools.naming import original

#: What the person said of a tool, by its id; None where nothing.
Rule: TypeAlias = Callable[[str], Approval | None]
_ORDER: tuple[Approval, ...] = ("always", "ask", "never")


class Infer(Protocol):
    """Asks a model once, without tools."""

    async def __call__(self, prompt: str, model: str | None) -> str:
        """The text that a model (by name; None: the usual one) answers. Raises AgentnbError."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What steps are run with: the tools there are by name, a model to ask, the person's rules."""

    tools: Mapping[str, Tool]
    infer: Infer | None = None
    rule: Rule = lambda _: None

    def find(self, target: str) -> Tool | None:
        """A tool by its name, or its id."""
        named = self.tools.get(target)
        return named or next((tool for tool in self.tools.values() if traits(tool).id == target), None)

    def approval(self, tool: Tool) -> Approval:
        """Whether a tool's call needs a person's word."""
        return self.rule(traits(tool).rule) or traits(tool).approval


@dataclass(frozen=True, slots=True)
class _Result:
    """What a step gave: as the next prompt reads it, as an argument takes it, and the variable that holds it."""

    text: str
    value: JSON
    handle: str | None = None
    content: tuple[Content, ...] = ()


async def execute_skill(
    skill: Skill, context: JSONObject, surroundings: Surroundings, tool_context: ToolContext
) -> ToolReturn:
    """Run a skill's steps in order; gives what the last one gave.

    Raises StepFailed, with the number of the step (from 1 on) and a code STEP_…, at the first that fails: the steps
    behind it do not run. Raises ToolError for a skill without steps.
    """
    if not skill.steps:
        raise ToolError(f"the skill {skill.name!r} has no steps to run.")
    before: _Result | None = None
    for number, step in enumerate(skill.steps, 1):
        run = _Running(number, context, before, surroundings, tool_context)
        tool_context.progress(number - 1, len(skill.steps), f"step {number}: {label(step)}")
        before = await (run.tool(step) if isinstance(step, ToolStep) else run.inference(step))
    assert before is not None
    tool_context.progress(len(skill.steps), len(skill.steps), "done")
    return ToolReturn(before.content or (Text(before.text),), handle=before.handle)


def label(step: Step) -> str:
    """A step in a few words."""
    match step:
        case ToolStep(target):
            return target
        case InferenceStep(_, model):
            return f"ask {model}" if model else "ask the model"


@dataclass(frozen=True, slots=True)
class _Running:
    """One step, with what it may use."""

    number: int
    context: JSONObject
    before: _Result | None
    surroundings: Surroundings
    tool_context: ToolContext

    async def tool(self, step: ToolStep) -> _Result:
        tool = self.surroundings.find(step.target)
        if tool is None:
            near = nearest(step.target, self.surroundings.tools)
            raise StepFailed(self.number, "STEP_TOOL_NOT_FOUND", f"there is no tool {step.target!r}.{near}")
        if self.surroundings.approval(tool) == "never":
            raise StepFailed(self.number, "STEP_TOOL_NOT_ALLOWED", f"{tool.name} is not allowed here.")
        properties = tool.spec(self.tool_context.namespace).parameters.get("properties")
        schemas = properties if isinstance(properties, dict) else {}
        arguments = {name: self._argument(value, schemas.get(name)) for name, value in step.arguments.items()}
        try:
            await self._allow(tool, step, arguments)
            out = await tool.call(arguments, self.tool_context)
        except StepFailed:
            raise
        except ToolError as error:
            raise self._failed(tool, str(error)) from None
        except Exception as error:  # a tool may raise anything; what the model reads must name the step
            raise self._failed(tool, f"{type(error).__name__}: {error}") from error
        result = _result(out)
        if out.is_error:
            raise self._failed(tool, result.text.removeprefix("Error: "))
        return result

    async def _allow(self, tool: Tool, step: ToolStep, arguments: JSONObject) -> None:
        """Ask about a call into which a result goes: nobody could see it when the skill was allowed."""
        asker = self.tool_context.asker
        if asker is None or not _takes_result(step) or self.surroundings.approval(tool) != "ask":
            return
        body = await previewed(tool, arguments, self.tool_context)
        reply = await asker.ask(Question(f"Allow {tool.name}, step {self.number}?", body, choices=(APPROVE, DENY)))
        if reply is None or reply.choice != APPROVE.id:
            reason = f" They said: {reply.reason}" if reply and reply.reason else ""
            raise StepFailed(
                self.number, "STEP_TOOL_NOT_ALLOWED", f"the person did not allow this call of {tool.name}.{reason}"
            )

    async def inference(self, step: InferenceStep) -> _Result:
        prompt = PLACEHOLDER.sub(lambda found: self._filled(found[1]), step.prompt)
        try:
            answer = await self._ask(prompt, step.model)
        except AgentnbError as error:
            raise StepFailed(self.number, "STEP_INFERENCE_FAILED", str(error)) from error
        return _Result(answer, answer)

    async def _ask(self, prompt: str, model: str | None) -> str:
        spawner, infer = self.tool_context.spawner, self.surroundings.infer
        if spawner is not None:  # within a run its events, its budget and its end are the run's
            task = Subtask(messages.user(prompt), model=model, label=f"step {self.number}")
            return (await spawner.run(task)).text
        if infer is None:
            raise UsageError("there is no model to ask here.")
        return await infer(prompt, model)

    def _failed(self, tool: Tool, why: str) -> StepFailed:
        return StepFailed(self.number, "STEP_TOOL_FAILED", f"{tool.name}: {why}")

    def _argument(self, value: JSON, schema: JSON) -> JSON:
        if not isinstance(value, str):
            return value
        if value in (PREVIOUS, f"{{{PREVIOUS}}}"):
            return self._previous(schema)
        if value in self.context:
            return self.context[value]
        if (whole := PLACEHOLDER.fullmatch(value)) is not None:
            return self._given(whole[1])
        return PLACEHOLDER.sub(lambda found: self._filled(found[1]), value)

    def _previous(self, schema: JSON) -> JSON:
        if self.before is None:
            raise self._missing(PREVIOUS)
        offered = schema.get("enum") if isinstance(schema, dict) else None
        handle = self.before.handle
        # A parameter that takes a variable by its name takes the object itself, not words about it.
        return handle if handle and isinstance(offered, list) and handle in offered else self.before.value

    def _filled(self, key: str) -> str:
        if key == PREVIOUS:
            if self.before is None:
                raise self._missing(key)
            return self.before.text
        return _written(self._given(key))

    def _given(self, key: str) -> JSON:
        if key not in self.context:
            raise self._missing(key)
        return self.context[key]

    def _missing(self, key: str) -> StepFailed:
        why = "there is no step before it" if key == PREVIOUS else f"given: {', '.join(self.context) or 'nothing'}"
        return StepFailed(self.number, "STEP_INPUT_MISSING", f"it needs {key!r}; {why}.")


def _takes_result(step: ToolStep) -> bool:
    """Whether the result of the step before is among the arguments."""
    texts = [value for value in step.arguments.values() if isinstance(value, str)]
    return any(text == PREVIOUS or PREVIOUS in PLACEHOLDER.findall(text) for text in texts)


def _result(out: ToolReturn) -> _Result:
    text = _text(out.content)
    match out.content:
        case (Data(value),):
            return _Result(text, value, out.handle, out.content)
    return _Result(text, text, out.handle, out.content)


def _text(content: tuple[Content, ...]) -> str:
    pieces = []
    for block in content:
        match block:
            case Text(text):
                pieces.append(text)
            case Data(value):
                pieces.append(_written(value))
    return "\n".join(pieces)


def _written(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class WorkflowTool:
    """A skill with steps as a tool: a call runs them. It needs a person's word where one of its tools does."""

    parallel = False

    def __init__(self, skill: Skill, surroundings: Callable[[], Surroundings]) -> None:
        self.skill = skill
        self.name = tool_name(skill.name)
        self._surroundings = surroundings

    def __repr__(self) -> str:
        return f"<workflow {self.skill.name}>"

    @property
    def traits(self) -> Traits:
        """The strictest approval of the tools that its steps call."""
        return Traits(self.skill.id, "skills", self._approval(self.skill))

    def _approval(self, skill: Skill) -> Approval:
        around = self._surroundings()
        tools = [around.find(step.target) for step in skill.steps if isinstance(step, ToolStep)]
        # One that is not there yet, of a server that is not started, may be one that asks.
        words = ["ask" if tool is None else around.approval(tool) for tool in tools if not _is_workflow(tool)]
        return max(words, key=_ORDER.index, default="always")

    def spec(self, _: MutableMapping[str, object]) -> ToolSpec:
        """Name, description, and what the steps take: as the skill says, or as its steps show."""
        return ToolSpec(self.name, description(self.skill), self.skill.parameters or inputs(self.skill.steps))

    async def preview(self, arguments: JSONObject, _: ToolContext) -> tuple[Content, ...]:
        """The steps, and what they begin with."""
        given = [f"{name} = {_written(value)}" for name, value in arguments.items()]
        steps = [f"{number}. {_shown(step)}" for number, step in enumerate(self.skill.steps, 1)]
        return (Text("\n".join([*given, *steps])),)

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolReturn:
        """Run the steps as SKILL.md has them now. Raises StepFailed at the first that fails."""
        try:
            skill = await asyncio.to_thread(self.skill.again)
        except UsageError as error:
            raise ToolError(f"the skill {self.skill.name!r} cannot be run. {error}") from None
        if skill.steps != self.skill.steps and self._approval(skill) != "always":
            raise ToolError(
                f"the steps of {self.skill.name!r} have changed since it was loaded, and they need a person's word. "
                f"It was not run. The person can load it anew: %skill load {skill.folder}"
            )
        around = self._surroundings()
        # One that calls another could go round for ever.
        tools = {name: tool for name, tool in around.tools.items() if not _is_workflow(tool)}
        return await execute_skill(skill, arguments, replace(around, tools=tools), context)


def _is_workflow(tool: Tool | None) -> bool:
    return tool is not None and isinstance(original(tool), WorkflowTool)


def _shown(step: Step) -> str:
    match step:
        case ToolStep(target, arguments):
            return f"{target}({', '.join(f'{name}={value}' for name, value in arguments.items())})"
        case InferenceStep(prompt, model):
            return f"ask {model or 'the model'}: {prompt}"
