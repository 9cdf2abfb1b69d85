"""Provenance that travels in the notebook: prompt, model, messages and outcome as JSON, bounded and deterministic."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agentnb.messages import (
    JSON,
    Audio,
    Block,
    Data,
    File,
    Image,
    JSONObject,
    Message,
    Opaque,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from agentnb.render.terminal import clip
from agentnb.transcript import Transcript

#: The MIME type under which the last output of a run carries it.
RUN_MIME = "application/vnd.agentnb.run+json"
#: A reader that knows this one reads all before it.
VERSION = 1
_MAX_CHARS = 16_000
#: Characters for the names of tools, and for variables with their hashes.
_TOOLS, _VARIABLES = 2_500, 5_000


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a transcript does not know of how its answer came about.

    `prompt` is as it was written, `variables` has the SHA-256 of what was sent for each expression in it. `system` is
    the person's own, `context` how much the model was told of the notebook beside it. `tools` are those offered,
    `schema` is what the answer had to be. `template` and `system_template` are the name and version of each.
    `turns` counts those of the session that went along; `replays` is the cell whose run this repeats.
    """

    prompt: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    params: dict[str, JSON] = field(default_factory=dict)
    system: str | None = None
    context: str = ""
    tools: tuple[str, ...] | None = None
    schema: JSONObject | None = None
    template: JSONObject | None = None
    system_template: JSONObject | None = None
    turns: int = 0
    replays: str | None = None


def record(transcript: Transcript, provenance: Provenance) -> dict[str, JSON]:
    """The run as JSON of at most 16,000 characters: texts are cut first, then the middle messages are left out.

    The prompt as it was sent and the answer are cut last; what is not whole is marked. Ids that a provider made up are
    replaced by numbers, so the same run gives the same record.
    """
    for limit, ends in ((4000, 6000), (1000, 6000), (250, 6000), (250, 3000)):
        out = _record(transcript, provenance, limit, ends)
        if _fits(out):
            return out
    shortest = _record(transcript, provenance, 250, 250)
    without: dict[str, JSON] = {"messages": [], "messages_left_out": len(transcript.messages)}
    return _without_middle(out) or _without_middle(shortest) or shortest | without


def _fits(out: dict[str, JSON]) -> bool:
    return len(json.dumps(out)) <= _MAX_CHARS


def _without_middle(out: dict[str, JSON]) -> dict[str, JSON] | None:
    """The record without as many middle messages as it takes; None where prompt and answer alone are too much."""
    kept = out["messages"]
    if not isinstance(kept, list):
        return None
    count = len(kept)
    while len(kept) > 2 and not _fits(out):
        begin = max(1, len(kept) // 4)
        del kept[begin : begin + max(1, len(kept) // 4)]
        out["messages_left_out"] = count - len(kept)
    return out if _fits(out) else None


def _record(transcript: Transcript, provenance: Provenance, limit: int, ends: int) -> dict[str, JSON]:
    usage = transcript.usage
    given = {
        "prompt": (provenance.prompt, limit),
        "system": (provenance.system or None, limit),
        "params": (provenance.params, limit),
        "schema": (provenance.schema, limit),
    }
    bounded: dict[str, JSON] = {name: _bounded(value, most) for name, (value, most) in given.items()}
    cut: list[JSON] = [name for name, (value, _) in given.items() if bounded[name] != value]
    out: dict[str, JSON] = {
        "version": VERSION,
        "model": transcript.model,
        "agent": transcript.agent,
        "prompt": bounded["prompt"],
        "variables": _first(provenance.variables, _VARIABLES),
        "params": bounded["params"],
        "system": bounded["system"],
        "context": provenance.context or None,
        "tools": None if provenance.tools is None else [*_first(dict.fromkeys(provenance.tools, ""), _TOOLS)],
        "schema": bounded["schema"],
        "template": provenance.template,
        "system_template": provenance.system_template,
        "turns": provenance.turns or None,
        "replays": provenance.replays,
        "cut": cut or None,
        "outcome": transcript.outcome,
        "error": clip(transcript.error, limit) if transcript.error else None,
        "rounds": transcript.rounds,
        "usage": {
            "input": usage.input,
            "output": usage.output,
            "cached": usage.cached,
            "reasoning": usage.reasoning,
            **({} if usage.usd is None else {"usd": usage.usd}),
        },
        "messages": _messages(transcript.messages, limit, ends),
    }
    return {name: value for name, value in out.items() if value is not None}


def _first(values: Mapping[str, str], room: int) -> dict[str, JSON]:
    """As many as there is room for, in characters."""
    kept: dict[str, JSON] = {}
    for name, value in values.items():
        room -= len(json.dumps(name)) + len(value) + 6
        if room < 0:
            break
        kept[name] = value
    return kept


def _messages(messages: Sequence[Message], limit: int, ends: int) -> list[JSON]:
    numbers: dict[str, str] = {}
    last = len(messages) - 1
    return [_message(m, numbers, ends if at in (0, last) else limit) for at, m in enumerate(messages)]


def _message(message: Message, numbers: dict[str, str], limit: int) -> JSON:
    blocks = [_block(b, numbers, limit) for b in message.content]
    return {"role": message.role, "content": blocks} | ({"finish": message.finish} if message.finish else {})


def _block(block: Block, numbers: dict[str, str], limit: int) -> JSON:
    match block:
        case Text(text=text) | Thinking(text=text):
            return {"type": block.type, "text": clip(text, limit)} | ({"cut": True} if len(text) > limit else {})
        case ToolCall(id=call_id, name=name, arguments=arguments):
            number = numbers.setdefault(call_id, f"call_{len(numbers) + 1}")
            return {"type": block.type, "id": number, "name": name, "arguments": clip(arguments, limit)}
        case ToolResult():
            return _result(block, numbers, limit)
        case Data(value=value):
            return {"type": block.type, "value": _bounded(value, limit)}
        case Image(url=str(url)):
            return {"type": block.type, "url": clip(url, limit)}
        case Image(data=data, media_type=kind) | Audio(data=data, media_type=kind) | File(data=data, media_type=kind):
            return {"type": block.type, "media_type": kind, "bytes": len(data)}
        case Opaque(provider=provider):
            return {"type": block.type, "provider": provider}


def _result(result: ToolResult, numbers: dict[str, str], limit: int) -> JSON:
    out: dict[str, JSON] = {
        "type": result.type,
        "id": numbers.get(result.call_id, result.call_id),
        "name": result.name,
        "content": [_block(b, numbers, limit) for b in result.content[:20]],
    }
    if result.is_error:
        out["is_error"] = True
    if result.handle:
        out["handle"] = result.handle
    return out


def _bounded(value: JSON, limit: int) -> JSON:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value if len(text) <= limit else clip(text, limit)
