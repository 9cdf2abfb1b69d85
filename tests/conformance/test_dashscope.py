"""Conversations as another client formats them for DashScope: ours say the same, message by message."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from agentnb.messages import Audio, Block, File, Image, Message, Text, ToolCall, ToolResult
from agentnb.models.base import Request
from agentnb.models.dashscope import format_request
from tests.conformance.conftest import cases

#: What the paths of the cases hold.
_FILES = {"./image.png": b"fake image content"}


def _block(block: dict[str, Any]) -> Block:
    match block:
        case {"type": "text", "text": text}:
            return Text(text)
        case {"type": "tool_use", "id": call_id, "name": name, "input": arguments}:
            return ToolCall(call_id, name, json.dumps(arguments))
        case {"type": "tool_result", "id": call_id, "name": name, "output": output}:
            parts = [{"type": "text", "text": output}] if isinstance(output, str) else output
            # How media of a tool's result are told to a model is each client's own affair.
            return ToolResult(call_id, name, tuple(Text(p["text"]) for p in parts if p["type"] == "text"))
    source = block["source"]
    url = source.get("url")
    data = base64.b64decode(source.get("data", "")) or _FILES.get(url, b"")
    url = None if data else url
    match block["type"]:
        case "image":
            return Image(data, source.get("media_type", "image/png"), url)
        case "audio":
            return Audio(data, source.get("media_type", "audio/wav"), url)
    return File("video", data, source.get("media_type", "video/mp4"), url)


def _message(message: dict[str, Any]) -> Message:
    content = message["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    blocks = tuple(map(_block, parts))
    return Message("tool" if any(isinstance(b, ToolResult) for b in blocks) else message["role"], blocks)


def _compared(message: dict[str, Any]) -> dict[str, Any]:
    """A tool's result by its text alone, without the marks of a list."""
    if message["role"] != "tool":
        return message
    return {**message, "content": message["content"].split("\n")[0].removeprefix("- ")}


def _is_promoted(message: dict[str, Any]) -> bool:
    return "media contents from the tool result" in str(message["content"])


@pytest.mark.parametrize("path", cases("formatter_tables/*/formatter_dashscope_test.json"))
def test_conversations_are_formatted_as_the_table_says(path: Path) -> None:
    table = [case for case in json.loads(path.read_text()) if case["formatter"] == "DashScopeChatFormatter"]
    for case in table:
        request = Request(tuple(map(_message, case["input"])))
        sent = orjson.loads(format_request(request, model="m"))["input"]["messages"]
        expected = [_compared(message) for message in case["output"] if not _is_promoted(message)]
        assert sent == expected
    assert table
