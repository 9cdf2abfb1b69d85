"""The steps of a workflow skill: what they look like in a SKILL.md, and as values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from agentnb.errors import UsageError, nearest
from agentnb.messages import JSON, JSONObject

#: What stands for the result of the step before.
PREVIOUS = "prev_result"
PLACEHOLDER = re.compile(r"\{([^\W\d]\w*)\}")
_TYPES = ("tool", "inference")
_KEYS = {
    "tool": ("type", "target", "args_mapping"),
    "inference": ("type", "prompt_template", "model_id"),
}


@dataclass(frozen=True, slots=True)
class ToolStep:
    """A call of a tool. A value of `arguments` that is a text names the previous result, or what is in the context."""

    target: str
    arguments: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InferenceStep:
    """A question to a model; `{prev_result}` and `{key}` in it are filled in. `model` None is the run's own."""

    prompt: str
    model: str | None = None


Step: TypeAlias = ToolStep | InferenceStep


def read_steps(value: JSON) -> tuple[Step, ...]:
    """The steps that a SKILL.md has under `metadata: steps:`, or a tool's definition under `steps`.

    Each is one of
        {type: tool, target: NAME, args_mapping: {parameter: value}}
        {type: inference, prompt_template: "… {prev_result} … {key} …", model_id: NAME}
    `target` is a tool's name or id. A text in `args_mapping` is `prev_result` (the result of the step before), the name
    of something in the context, or itself; with braces (`{city}`) it must be in the context. Without `model_id` the
    run's own model is asked.

    Raises UsageError with STEP_INVALID, and the step's number from 1 on, for anything else.
    """
    if value is None:
        return ()
    if not isinstance(value, list) or not value:
        raise UsageError("STEP_INVALID: steps must be a list of steps, with one at least.")
    return tuple(_step(number, each) for number, each in enumerate(value, 1))


def _step(number: int, value: JSON) -> Step:
    where = f"STEP_INVALID: step {number}"
    if not isinstance(value, dict):
        raise UsageError(f"{where} must be a mapping with type, and what belongs to it.")
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise UsageError(f"{where} is of type {kind!r}. It is one of {', '.join(_TYPES)}.")
    unknown = next((key for key in value if key not in _KEYS[kind]), None)
    if unknown is not None:
        near = nearest(unknown, _KEYS[kind])
        raise UsageError(f"{where} has {unknown!r}.{near} A step of type {kind} has {', '.join(_KEYS[kind])}.")
    if kind == "tool":
        arguments = value.get("args_mapping") or {}
        if not isinstance(arguments, dict):
            raise UsageError(f"{where}: args_mapping must be a mapping of parameters to values.")
        return ToolStep(_text(value, "target", where), arguments)
    model = value.get("model_id")
    if model is not None and not isinstance(model, str):
        raise UsageError(f"{where}: model_id must be the name of a model.")
    return InferenceStep(_text(value, "prompt_template", where), model or None)


def _text(step: JSONObject, key: str, where: str) -> str:
    value = step.get(key)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{where}: {key} must be a text.")
    return value


def inputs(steps: Sequence[Step]) -> JSONObject:
    """The JSON Schema of what steps take from the context, where the skill does not say it itself.

    A `{key}` is needed; a bare word in `args_mapping` may be given, and stands for itself otherwise.
    """
    needed = dict.fromkeys(key for step in steps for text in _texts(step) for key in PLACEHOLDER.findall(text))
    words = [
        text
        for step in steps
        if isinstance(step, ToolStep)
        for text in step.arguments.values()
        if isinstance(text, str) and text.isidentifier()
    ]
    properties: JSONObject = {key: {"type": "string"} for key in needed if key != PREVIOUS}
    for word in words:
        if word != PREVIOUS:
            properties.setdefault(word, {"description": f"left out, it is the word {word!r} itself"})
    required: list[JSON] = [key for key in needed if key != PREVIOUS]
    return {"type": "object", "properties": properties, "required": required}


def _texts(step: Step) -> Iterator[str]:
    if isinstance(step, InferenceStep):
        yield step.prompt
    else:
        yield from (value for value in step.arguments.values() if isinstance(value, str))
