"""Provenance that travels in the notebook: prompt, model, messages and outcome as JSON, bounded and deterministic."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from agentnb.messages import (
    JSON,
    Audio,
    Block,
    Data,
    File,
    Image,
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
_MAX_CHARS = 16_000


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a transcript does not know: the prompt as written, hashes of the variables in it, the parameters."""

    prompt: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    params: dict[str, JSON] = field(default_factory=dict)


def record(transcript: Transcript, provenance: Provenance) -> dict[str, JSON]:
    """The run as JSON of at most about 16,000 characters: texts are cut first, then the middle messages are left out.

    Ids that a provider made up are replaced by numbers, so the same run gives the same record.
    """
    for limit in (4000, 1000, 250):
        out = _record(transcript, provenance, limit)
        if len(json.dumps(out)) <= _MAX_CHARS:
            return out
    kept = out["messages"]
    while isinstance(kept, list) and len(kept) > 2 and len(json.dumps(out)) > _MAX_CHARS:
        del kept[len(kept) // 4 : len(kept) // 4 + max(1, len(kept) // 4)]
        out["messages_left_out"] = len(transcript.messages) - len(kept)
    return out


def _record(transcript: Transcript, provenance: Provenance, limit: int) -> dict[str, JSON]:
    numbers: dict[str, str] = {}
    usage = transcript.usage
    out: dict[str, JSON] = {
        "version": 1,
        "model": transcript.model,
        "agent": transcript.agent,
        "prompt": clip(provenance.prompt, limit),
        "variables": dict(list(provenance.variables.items())[:100]),
        "params": _bounded(provenance.params, limit),
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
        "messages": [_message(m, numbers, limit) for m in transcript.messages],
    }
    return {name: value for name, value in out.items() if value is not None}


def _message(message: Message, numbers: dict[str, str], limit: int) -> JSON:
    blocks = [_block(b, numbers, limit) for b in message.content]
    return {"role": message.role, "content": blocks} | ({"finish": message.finish} if message.finish else {})


def _block(block: Block, numbers: dict[str, str], limit: int) -> JSON:
    match block:
        case Text(text=text) | Thinking(text=text):
            return {"type": block.type, "text": clip(text, limit)}
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
    text = json.dumps(value, ensure_ascii=False)
    return value if len(text) <= limit else clip(text, limit)
