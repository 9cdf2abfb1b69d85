"""A conversation as JSON, in the layout of `~/.agents_runtime`: `conversation.json`, the runs within runs in it too."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Sequence

from agentnb.exporting.conversation import Conversation, Said
from agentnb.messages import JSON, Audio, File, Image, JSONObject, Message, Text, Thinking, ToolResult, Usage
from agentnb.render import calls
from agentnb.transcript import Transcript


def layout(conversation: Conversation) -> str:
    """The JSON text: `meta` and `messages`, all of every text."""
    session = conversation.session
    messages = [message for said in conversation.turns for message in _turn(said)]
    made: JSONObject = {
        "meta": {
            "session_id": session.id,
            "title": session.title,
            "created_at": _stamp(session.created),
            "updated_at": _stamp(session.updated),
            "turn_count": len(conversation.turns),
            "last_total_tokens": session.tokens,
        },
        "messages": list(messages),
    }
    return json.dumps(made, ensure_ascii=False, indent=2) + "\n"


def _turn(said: Said) -> Iterator[JSONObject]:
    begun = _stamp(said.run.started)
    ended = begun if said.run.ended is None else _stamp(said.run.ended)
    messages = list(_messages(said.transcript, begun, ended))
    if messages and messages[0]["role"] == "user" and said.prompt != said.sent:
        # What was written, from which what was sent came.
        messages[0]["prompt_template"] = said.prompt
    return iter(messages)


def _messages(run: Transcript, begun: str, ended: str) -> Iterator[JSONObject]:
    last = max((at for at, message in enumerate(run.messages) if message.role == "assistant"), default=-1)
    for at, message in enumerate(run.messages):
        if message.role == "tool":
            yield from _results(message, run, ended)
            continue
        made: JSONObject = {"role": message.role, "content": message.text}
        made["timestamp"] = begun if message.role == "user" and not at else ended
        if message.name:
            made["name"] = message.name
        if message.model:
            made["model"] = message.model
        if message.calls:
            made["tool_calls"] = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
                for c in message.calls
            ]
        if thought := "\n\n".join(block.text for block in message.content if isinstance(block, Thinking)):
            made["thinking"] = thought
        if at == last:
            made["stat"] = _stat(run.usage)
            if run.outcome != "done":
                made["outcome"] = run.outcome
            if run.error:
                made["error"] = run.error
        yield made | _media(message.content)


def _results(message: Message, run: Transcript, ended: str) -> Iterator[JSONObject]:
    for result in message.content:
        if not isinstance(result, ToolResult):
            continue
        rest = [calls.named(block) for block in result.content if not isinstance(block, Text | Image | Audio)]
        made: JSONObject = {
            "role": "tool",
            "content": "\n".join(filter(None, [result.text, *rest])),
            "timestamp": ended,
            "name": result.name,
            "tool_call_id": result.call_id,
        }
        if result.is_error:
            made["is_error"] = True
        within = run.tools[result.call_id].runs if result.call_id in run.tools else ()
        if within:
            made["within"] = [
                {"agent": each.agent, "model": each.model, "messages": list(_messages(each, ended, ended))}
                for each in within
            ]
        yield made | _media(result.content)


def _media(blocks: Sequence[object]) -> JSONObject:
    """Pictures and sounds as addresses, their own or `data:`; files by name, with what is in them."""
    images: list[JSON] = [_address(block) for block in blocks if isinstance(block, Image)]
    audio: list[JSON] = [_address(block) for block in blocks if isinstance(block, Audio)]
    files: list[JSON] = [{"name": b.name, "url": _address(b)} for b in blocks if isinstance(b, File)]
    return {name: each for name, each in (("images", images), ("audio", audio), ("files", files)) if each}


def _address(block: Image | Audio | File) -> str:
    if block.url:
        return block.url
    return f"data:{block.media_type};base64,{base64.b64encode(block.data).decode('ascii')}"


def _stat(usage: Usage) -> JSONObject:
    stat: JSONObject = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "total_ms": round(usage.seconds * 1000, 1),
    }
    return stat | ({} if usage.usd is None else {"usd": usage.usd})


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))
