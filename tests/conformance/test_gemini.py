"""Recorded answers of Gemini give what their parts, put together, are; and go back to it as they came."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from agentnb import events
from agentnb.errors import ModelError, RequestRefused
from agentnb.messages import Message, Thinking, user
from agentnb.models.base import Request
from agentnb.models.gemini import format_request, parse_stream
from agentnb.models.refusal import Source, refused
from agentnb.transcript import Folder
from tests.conformance.conftest import cases

pytestmark = pytest.mark.anyio
SOURCE = Source("gemini", "recorded", "GEMINI_API_KEY", ("AIza-recorded",))
SIZES = ["whole", 1, 7, 4096]
_FINISH = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter", "PROHIBITED_CONTENT": "content_filter"}


def _load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_bytes())
    return loaded


async def _blocks(body: bytes, size: str | int) -> AsyncIterator[bytes]:
    step = size if isinstance(size, int) else len(body)
    for i in range(0, len(body), step):
        yield body[i : i + step]


async def _replay(body: bytes, size: str | int = "whole") -> tuple[Message, events.MessageEnd | None, Any]:
    """The folded message, its end, the usage; an error is in place of the end's absence."""
    folder, end, error = Folder(), None, None
    try:
        async for event in parse_stream(_blocks(body, size), source=SOURCE, model="recorded"):
            assert end is None, "an event after the end"
            folder.feed(event)
            if isinstance(event, events.MessageEnd):
                end = event
    except ModelError as raised:
        error = raised
    assert (end is None) == (error is not None)
    transcript = folder.transcript()
    message = transcript.messages[-1] if transcript.messages else Message("assistant", ())
    return message, end, error or transcript.usage


def _thinking(message: Message) -> str:
    return "".join(block.text for block in message.content if isinstance(block, Thinking))


def _check_usage(outcome: Any, usage: Mapping[str, Any]) -> None:
    thoughts = usage.get("thoughtsTokenCount", 0)
    assert outcome.input == usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0)
    assert outcome.output == usage.get("candidatesTokenCount", 0) + thoughts
    assert outcome.reasoning == thoughts
    assert outcome.cached == usage.get("cachedContentTokenCount", 0)


def _check_calls(message: Message, expected: Sequence[Mapping[str, Any]]) -> None:
    assert [(c.name, json.loads(c.arguments)) for c in message.calls] == [(c["name"], c["args"]) for c in expected]
    ids = [call.id for call in message.calls]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    assert all(call.id == given.get("id", call.id) for call, given in zip(message.calls, expected, strict=True))


def _sent_back(message: Message) -> list[dict[str, Any]]:
    """The parts of a message, as the next request has them."""
    body = format_request(Request((user("q"), message, user("more"))), model="gemini-2.5-pro")
    parts: list[dict[str, Any]] = json.loads(body)["contents"][1]["parts"]
    return parts


def _signed(parts: Sequence[Mapping[str, Any]]) -> list[str]:
    return [part["thoughtSignature"] for part in parts if "thoughtSignature" in part]


def _parts(chunks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [part for c in chunks for part in c.get("candidates", [{}])[0].get("content", {}).get("parts", [])]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", cases("transcripts/gemini_stream/*.json"))
async def test_a_recorded_stream_gives_what_its_parts_are_together(path: Path, size: str | int) -> None:
    case = _load(path)
    body, oracle = case["response"]["body_text"], case["oracle"]
    message, end, outcome = await _replay(body.encode(), size)
    if oracle.get("error"):
        assert isinstance(outcome, ModelError)
        return
    assert end is not None, outcome
    assert message.text == oracle["text"]
    assert _thinking(message) == oracle["thought_text"]
    _check_calls(message, oracle["function_calls"])
    _check_usage(outcome, oracle["usage"] or {})
    assert end.finish == ("tool_calls" if oracle["function_calls"] else _FINISH[oracle["finish_reason"]])
    chunks = [json.loads(line[6:]) for line in body.splitlines() if line.startswith("data: ")]
    assert end.message_id == chunks[0].get("responseId")
    back = _signed(_sent_back(message))
    assert len(back) == oracle["thought_signatures"]
    assert back == _signed(_parts(chunks))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", cases("transcripts/gemini_stream/*.json"))
async def test_a_list_of_chunks_gives_the_same_as_a_stream(path: Path, size: str | int) -> None:
    body = _load(path)["response"]["body_text"]
    chunks = [line[6:] for line in body.splitlines() if line.startswith("data: ")]
    streamed = await _replay(body.encode())
    listed = await _replay(("[" + "\n,\r\n".join(chunks) + "\n]\n").encode(), size)
    if all(call.id in body for call in streamed[0].calls):
        assert listed == streamed
    else:
        assert (listed[0].text, listed[2]) == (streamed[0].text, streamed[2])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", cases("transcripts/gemini/*.json"))
async def test_a_whole_answer_gives_its_parts(path: Path, size: str | int) -> None:
    body = _load(path)["response"]["body_json"]
    message, end, outcome = await _replay(json.dumps(body, indent=2).encode(), size)
    if reason := body.get("promptFeedback", {}).get("blockReason"):
        assert isinstance(outcome, RequestRefused)
        assert outcome.code == reason
        assert reason in str(outcome)
        return
    assert end is not None, outcome
    parts = _parts([body])
    assert message.text == "".join(p["text"] for p in parts if "text" in p and not p.get("thought"))
    assert _thinking(message) == "".join(p["text"] for p in parts if p.get("thought"))
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    _check_calls(message, calls)
    _check_usage(outcome, body.get("usageMetadata", {}))
    assert end.finish == ("tool_calls" if calls else _FINISH[body["candidates"][0]["finishReason"]])
    assert end.message_id == body.get("responseId")
    _check_goes_back(message, parts)


def _check_goes_back(message: Message, parts: list[dict[str, Any]]) -> None:
    """The model is sent back what it said, part by part; thoughts without a signature are left out."""
    if not message.content:
        return
    for given, call in zip((part for part in parts if "functionCall" in part), message.calls, strict=True):
        given["functionCall"]["id"] = call.id
    assert _together(_sent_back(message)) == _together(parts)


def _together(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parts, with plain text that follows plain text joined to it, and without thoughts."""
    out: list[dict[str, Any]] = []
    for part in parts:
        if part.get("thought") or part == {"text": ""}:
            continue
        if out and set(part) == set(out[-1]) == {"text"}:
            out[-1] = {"text": out[-1]["text"] + part["text"]}
        else:
            out.append(part)
    return out


@pytest.mark.parametrize("path", cases("transcripts/gemini_error/*.json"))
async def test_a_recorded_error_keeps_its_status_and_message(path: Path) -> None:
    response = _load(path)["response"]
    said = response["body_json"]["error"]
    error = refused(SOURCE, response["status"], {}, json.dumps(response["body_json"]).encode())
    assert error.status == response["status"] == said["code"]
    assert error.retryable == (response["status"] in (429, 500, 503))
    assert error.code in (said["status"], str(said["code"]))
    assert " ".join(said["message"].split())[:300].rstrip(".") in str(error)
    assert "\n" not in str(error)
