"""Recorded runs through Responses give whole answers, and what they hold goes back as it was recorded."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from agentnb.messages import Message, Text, ToolResult
from agentnb.models.base import Request
from agentnb.models.dialect import Quirks
from agentnb.models.refusal import Source
from agentnb.models.responses import format_request, parse_stream
from agentnb.transcript import fold
from tests.conformance.conftest import cases

pytestmark = pytest.mark.anyio
HERE = Quirks("here", thinking="unsummarized")


def _interactions(path: Path) -> list[tuple[dict[str, Any], bytes]]:
    """The bodies of the requests and of their responses."""
    yaml = pytest.importorskip("yaml")
    recorded = yaml.safe_load(path.read_bytes())["interactions"]
    return [(json.loads(each["request"]["body"]), _plain(each["response"]["body"]["string"])) for each in recorded]


def _plain(body: str | bytes) -> bytes:
    raw = body.encode() if isinstance(body, str) else body
    return gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw


def _response(body: bytes) -> dict[str, Any]:
    """The whole response: the body itself, or what the last event of a stream holds."""
    if body.lstrip().startswith(b"{"):
        return dict(json.loads(body))
    lines = [line.removeprefix(b"data:") for line in body.splitlines() if line.startswith(b"data:")]
    return dict(next(each for line in reversed(lines) if b"{" in line and (each := json.loads(line).get("response"))))


async def _answer(body: bytes, size: int) -> Message:
    async def blocks() -> AsyncIterator[bytes]:
        for i in range(0, len(body), size):
            yield body[i : i + size]

    source = Source("here", "recorded")
    transcript = fold([event async for event in parse_stream(blocks(), source=source, model="recorded")])
    usage = _response(body)["usage"]
    assert transcript.usage.input == usage["input_tokens"]
    assert transcript.usage.output == usage["output_tokens"]
    assert transcript.usage.cached == usage["input_tokens_details"]["cached_tokens"]
    assert transcript.usage.reasoning == usage["output_tokens_details"]["reasoning_tokens"]
    return transcript.messages[-1]


def _question(asked: dict[str, Any]) -> list[Message]:
    said = itertools.takewhile(lambda item: item.get("role") in ("system", "user"), asked["input"])
    return [Message(item["role"], (Text(item["content"]),)) for item in said]


def _same(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items without what differs in form only: spaces within arguments."""
    return [
        {**item, "arguments": json.loads(item["arguments"])} if item.get("type") == "function_call" else item
        for item in items
    ]


def _check(message: Message, output: list[dict[str, Any]]) -> None:
    calls = [item for item in output if item["type"] == "function_call"]
    expected = [(item["call_id"], item["name"], item["arguments"]) for item in calls]
    assert [(call.id, call.name, call.arguments) for call in message.calls] == expected
    parts = [part for item in output if item["type"] == "message" for part in item["content"]]
    assert message.text == "".join(part.get("text") or part.get("refusal") or "" for part in parts)
    assert message.finish == ("tool_calls" if calls else "stop")


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize("path", cases("llm_cassettes/test_responses_*.yaml"))
async def test_a_recorded_run_is_asked_again_as_it_was_and_gives_what_it_gave(path: Path, size: int) -> None:
    interactions = _interactions(path)
    conversation = _question(interactions[0][0])
    for (asked, body), (following, _) in itertools.zip_longest(interactions, interactions[1:], fillvalue=({}, b"")):
        sent = orjson.loads(format_request(Request(tuple(conversation)), model=asked["model"], quirks=HERE))
        assert _same(sent["input"]) == _same(asked["input"])
        assert (sent["store"], sent["include"]) == (False, asked["include"])
        message = await _answer(body, size)
        _check(message, _response(body)["output"])
        given = {item["call_id"]: item["output"] for item in following.get("input", ()) if "output" in item}
        results = (ToolResult(call.id, call.name, (Text(given.get(call.id, "")),)) for call in message.calls)
        conversation += [message, Message("tool", tuple(results))] if message.calls else [message]
