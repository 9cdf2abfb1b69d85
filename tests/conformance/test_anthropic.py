"""Recorded answers of Anthropic give what the vendor's own library made of them, and can be sent back as they came."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from agentnb import events, messages
from agentnb.errors import ModelError
from agentnb.messages import Message, Opaque, Thinking, ToolCall
from agentnb.models.anthropic import format_request, parse_stream
from agentnb.models.base import Request
from agentnb.models.dialect import Quirks
from agentnb.models.refusal import Source, refused
from agentnb.transcript import Folder
from tests.conformance.conftest import cases

pytestmark = pytest.mark.anyio
SOURCE = Source("anthropic", "recorded", "ANTHROPIC_API_KEY", ("sk-recorded",))
SIZES = ["whole", 1, 7, 4096]
_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}
_OURS = ("text", "thinking", "tool_use")


def _load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_bytes())
    return loaded


async def _blocks(body: bytes, size: str | int) -> AsyncIterator[bytes]:
    step = size if isinstance(size, int) else len(body)
    for i in range(0, len(body), step):
        yield body[i : i + step]


async def _replay(body: bytes, size: str | int = "whole") -> tuple[list[events.ModelEvent], Message, Any]:
    """The events, the folded message, and the usage or the error."""
    folder, got, outcome = Folder(), [], None
    try:
        async for event in parse_stream(_blocks(body, size), source=SOURCE, model="recorded"):
            got.append(event)
            folder.feed(event)
    except ModelError as raised:
        outcome = raised
    ends = [event for event in got if isinstance(event, events.MessageEnd)]
    assert ends == (got[-1:] if outcome is None else [])
    transcript = folder.transcript()
    message = transcript.messages[-1] if transcript.messages else Message("assistant", ())
    return got, message, outcome or transcript.usage


#: What the vendor's library adds, and what has no part in what is said.
_ASIDE = ("caller", "cache_control")


def _bare(value: Any) -> Any:
    """A value without nulls, what is beside the point, and that a result is no error; strings as lists of blocks."""
    match value:
        case {"content": str() as text} if value.get("type") == "tool_result" or "role" in value:
            return _bare({**value, "content": [{"type": "text", "text": text}]})
        case dict():
            said = {k: v for k, v in value.items() if v is not None and (k, v) != ("is_error", False)}
            return {k: _bare(v) for k, v in said.items() if k not in _ASIDE}
        case list():
            return [_bare(each) for each in value]
    return value


def _same(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> bool:
    """Whether blocks are equal; what a compaction says the library drops, so there more is the same."""
    pairs = list(zip(map(_bare, ours), map(_bare, theirs), strict=True))
    return all(a == b or (b["type"] == "compaction" and a.items() >= b.items()) for a, b in pairs)


def _check(expected: dict[str, Any], message: Message, end: events.ModelEvent, usage: Any) -> None:
    content = expected["content"]
    assert message.text == "".join(b["text"] for b in content if b["type"] == "text")
    thoughts = [(b["thinking"], b["signature"]) for b in content if b["type"] == "thinking"]
    assert [(b.text, b.signature) for b in message.content if isinstance(b, Thinking)] == thoughts
    opaque = [b.payload for b in message.content if isinstance(b, Opaque) and b.payload["type"] != "text"]
    kept = [b for b in content if b["type"] not in _OURS]
    assert _same(opaque, kept)
    cited = [b.payload for b in message.content if isinstance(b, Opaque) and b.payload["type"] == "text"]
    assert _same(cited, [b for b in content if b["type"] == "text" and b.get("citations")])
    assert isinstance(end, events.MessageEnd)
    assert end.finish == _FINISH[expected["stop_reason"] or "end_turn"]
    assert (end.message_id, end.model) == (expected["id"], "anthropic:recorded")
    counted = expected["usage"]
    cached = counted.get("cache_read_input_tokens") or 0
    written = counted.get("cache_creation_input_tokens") or 0
    assert usage.input == counted["input_tokens"] + cached + written
    assert (usage.output, usage.cached, usage.written) == (counted["output_tokens"], cached, written)
    assert usage.reasoning == (counted.get("output_tokens_details") or {}).get("thinking_tokens", 0)


def _check_calls(expected: dict[str, Any], message: Message, got: list[events.ModelEvent]) -> None:
    calls = [(b["id"], b["name"]) for b in expected["content"] if b["type"] == "tool_use"]
    assert [(c.id, c.name) for c in message.calls] == calls
    if expected["stop_reason"] == "max_tokens":
        return
    inputs = [b["input"] for b in expected["content"] if b["type"] == "tool_use"]
    assert [json.loads(c.arguments) for c in message.calls] == inputs
    assert [e.call_id for e in got if isinstance(e, events.ToolCallEnd)] == [call_id for call_id, _ in calls]


def _check_round_trip(expected: dict[str, Any], message: Message) -> None:
    """What goes back is what came, apart from how uncited words are cut into blocks."""
    conversation = (messages.user("?"), message, messages.user("And?"))
    body = format_request(Request(conversation), model="recorded", quirks=Quirks("anthropic"))
    sent = next(m["content"] for m in orjson.loads(body)["messages"] if m["role"] == "assistant")

    def joined(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        for block in content:
            uncited = block["type"] == "text" and not block.get("citations")
            if uncited and out and out[-1]["type"] == "text" and not out[-1].get("citations"):
                out[-1] = {"type": "text", "text": out[-1]["text"] + block["text"]}
            else:
                out.append({"type": "text", "text": block["text"]} if uncited else block)
        return [block for block in out if block["type"] != "text" or block["text"].strip()]

    assert _same(joined(sent), joined(expected["content"]))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", cases("transcripts/anthropic_messages_stream/*.json"))
async def test_a_recorded_stream_gives_what_the_vendors_library_gives(path: Path, size: str | int) -> None:
    case = _load(path)
    got, message, outcome = await _replay(case["response"]["body_text"].encode(), size)
    expected = case["oracle"]["final_message"]
    _check(expected, message, got[-1], outcome)
    _check_calls(expected, message, got)
    _check_round_trip(expected, message)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", cases("anthropic_sdk/*.expected.json"))
async def test_an_sdk_stream_gives_what_the_sdk_gives(path: Path, size: str | int) -> None:
    stem = path.name.removesuffix(".expected.json")
    body = next(p for p in path.parent.glob(f"{stem}.*") if p.suffix != ".json").read_bytes()
    got, message, outcome = await _replay(body, size)
    expected = _load(path)["final_message"]
    _check(expected, message, got[-1], outcome)
    _check_calls(expected, message, got)


@pytest.mark.parametrize("path", cases("anthropic_sdk/incomplete_partial_json_response.txt"))
async def test_a_call_that_was_cut_off_never_ends(path: Path) -> None:
    got, message, _ = await _replay(path.read_bytes())
    (call,) = message.calls
    with pytest.raises(json.JSONDecodeError):
        json.loads(call.arguments)
    assert not [event for event in got if isinstance(event, events.ToolCallEnd)]
    assert message.finish == "length"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", cases("transcripts/anthropic_messages/*.json"))
async def test_a_whole_answer_gives_the_same_as_a_stream(path: Path, size: str | int) -> None:
    expected = _load(path)["response"]["body_json"]
    got, message, outcome = await _replay(json.dumps(expected).encode(), size)
    _check(expected, message, got[-1], outcome)
    _check_calls(expected, message, got)
    _check_round_trip(expected, message)


@pytest.mark.parametrize("path", cases("transcripts/anthropic_messages_error/*.json"))
async def test_a_recorded_error_keeps_its_status_message_and_code(path: Path) -> None:
    response = _load(path)["response"]
    body = response["body_json"]
    error = refused(SOURCE, response["status"], {}, json.dumps(body).encode())
    assert error.status == response["status"]
    assert error.retryable == (response["status"] in (408, 409, 429) or response["status"] >= 500)
    assert " ".join(body["error"]["message"].split())[:300].rstrip(".") in str(error)
    assert error.code == body["error"]["type"]
    # The same as an answer that is no answer.
    got, _, outcome = await _replay(json.dumps(body).encode())
    assert got == []
    assert isinstance(outcome, ModelError)
    assert outcome.code == body["error"]["type"]


@pytest.mark.parametrize("path", cases("transcripts/anthropic_messages*/*.json"))
def test_a_conversation_that_was_accepted_is_sent_with_the_same_turns(path: Path) -> None:
    accepted = _load(path)["request"]["body"]["messages"]
    turns = [_bare(m) for m in accepted if m["role"] != "system"]
    body = format_request(Request(tuple(map(_ours, turns))), model="recorded", quirks=Quirks("anthropic"))
    sent = orjson.loads(body)["messages"]
    assert [m["role"] for m in sent] == [m["role"] for m in turns]
    for ours, theirs in zip(sent, turns, strict=True):
        sayable = [b for b in theirs["content"] if theirs["role"] == "assistant" or not isinstance(_block(b), Opaque)]
        assert _same(*([_without_output(b) for b in content] for content in (ours["content"], sayable)))


def _without_output(block: dict[str, Any]) -> dict[str, Any]:
    """A result may hold what only tools of the provider's own give."""
    return {k: v for k, v in block.items() if (block["type"], k) != ("tool_result", "content")}


def _ours(turn: dict[str, Any]) -> Message:
    """A turn of an accepted request as a message of ours."""
    blocks = tuple(map(_block, turn["content"]))
    if any(isinstance(block, messages.ToolResult) for block in blocks):
        return Message("tool", blocks)
    return Message(turn["role"], blocks, model="anthropic:recorded" if turn["role"] == "assistant" else None)


def _block(block: dict[str, Any]) -> Any:
    match block:
        case {"type": "text", "text": text, **rest} if not rest:
            return messages.Text(text)
        case {"type": "thinking", "thinking": text, "signature": signature}:
            return Thinking(text, signature)
        case {"type": "tool_use", "id": call_id, "name": name, "input": arguments}:
            return ToolCall(call_id, name, json.dumps(arguments))
        case {"type": "tool_result", "tool_use_id": call_id}:
            content = tuple(map(_block, block.get("content") or ()))
            return messages.ToolResult(call_id, "", content, is_error=block.get("is_error", False))
        case {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}:
            return messages.Image(base64.b64decode(data), media_type)
        case {"type": "image", "source": {"type": "url", "url": url}}:
            return messages.Image(url=url)
    return Opaque("anthropic", block)
