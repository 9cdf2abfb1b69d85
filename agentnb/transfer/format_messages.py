"""Our messages as conversations of `~/.agents_runtime` have them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence

from agentnb import sniff
from agentnb.messages import (
    JSON,
    Audio,
    Block,
    Data,
    File,
    Image,
    JSONObject,
    Message,
    Role,
    Text,
    Thinking,
    ToolResult,
    Usage,
)
from agentnb.store.moved import Said
from agentnb.transfer.times import format_time

#: What other programs call those who speak.
ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
}


def format_messages(said: Sequence[Said], beside: Mapping[str, JSON], usage: Usage) -> Iterator[JSONObject]:
    """The messages of one run. `beside` is what was kept with them, by number; where that says nothing of what they
    took, the last answer says what the run took."""
    out = [made for each in said for made in _format(each)]
    for number, made in enumerate(out):
        kept = beside.get(str(number))
        if isinstance(kept, dict):
            made.update(kept)
    answers = [made for made in out if made["role"] == "assistant"]
    if answers and usage != Usage() and not any("stat" in made for made in out):
        answers[-1]["stat"] = format_stat(usage)
    yield from out


def _format(said: Said) -> Iterator[JSONObject]:
    message = said.message
    results = [block for block in message.content if isinstance(block, ToolResult)]
    if message.role != "tool" or len(results) != len(message.content) or not results:
        yield format_message(message, said.created)
        return
    for at, result in enumerate(results):
        made = format_result(result, said.created)
        if message.id and not at:
            made["id"] = message.id
        yield made


def format_result(result: ToolResult, created: float) -> JSONObject:
    """One result of a tool."""
    made = _made("tool", result.content, created, "\n")
    made |= {"name": result.name, "tool_call_id": result.call_id}
    if result.is_error and not str(made["content"]).startswith("Error:"):
        made["is_error"] = True
    return made


def format_message(message: Message, created: float) -> JSONObject:
    """One message that holds no results."""
    made = _made(message.role, message.content, created, "")
    made |= {name: value for name, value in (("name", message.name), ("id", message.id)) if value}
    if message.calls:
        made["tool_calls"] = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in message.calls]
    if thinking := "\n\n".join(block.text for block in message.content if isinstance(block, Thinking)):
        made["thinking"] = thinking
    return made


def _made(role: str, content: Sequence[Block], created: float, between: str) -> JSONObject:
    made: JSONObject = {"role": role, "content": _words(content, between), "timestamp": format_time(created)}
    for name, kind in (("images", Image), ("audio", Audio)):
        media: list[JSON] = [
            _medium(each) for each in content if isinstance(each, Image | Audio) and type(each) is kind
        ]
        if media:
            made[name] = media
    return made


def _words(content: Sequence[Block], between: str) -> str:
    words = []
    for block in content:
        match block:
            case Text(text=text):
                words.append(text)
            case Data(value=value):
                words.append(json.dumps(value, ensure_ascii=False))
            case File(name=name, media_type=kind, url=url):
                words.append(f"[file: {url or name} ({kind})]")
    return between.join(words)


def _medium(block: Image | Audio) -> str:
    if block.url:
        return block.url
    data = base64.b64encode(block.data).decode()
    return data if sniff.media_type(block.data) == block.media_type else f"data:{block.media_type};base64,{data}"


def format_stat(usage: Usage) -> JSONObject:
    """What a run took, in the words of that layout; those it has no word for are added."""
    took = round(usage.seconds * 1000, 3)
    stat: JSONObject = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "total_prompt_tokens": usage.input,
        "total_completion_tokens": usage.output,
        "total_all_tokens": usage.total,
        "net_ms": took,
        "total_ms": took,
        "overall_ms": took,
    }
    more = {"cached_tokens": usage.cached, "reasoning_tokens": usage.reasoning, "written_tokens": usage.written}
    stat |= {name: value for name, value in more.items() if value}
    if usage.first is not None:
        stat["ttft_ms"] = round(usage.first * 1000, 3)
    if usage.usd is not None:
        stat["usd"] = usage.usd
    return stat
