"""Conversations of agentscope's, formatted for six providers, are what its own formatters make of them."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from agentnb.messages import Audio, Block, File, Image, Message, Role, Text, Thinking, ToolCall, ToolResult
from agentnb.models.formatting import ChatFormatter, MultiAgentFormatter
from tests.conformance.conftest import cases, conformance_dir

_FILES = "formatter_tables/*/*.json"
_BYTES = {"png": b"fake image content", "wav": b"fake audio content", "mp3": b"fake audio content"}
_TEMPORARY = re.compile(r"/[\w./-]*/tmp\w+\.")


class _TheirFiles:
    """The files that the tables speak of; what is saved cannot be read again."""

    def read(self, address: str) -> bytes | None:
        is_file = "://" not in address and not _TEMPORARY.match(address)
        return _BYTES[address.rpartition(".")[2]] if is_file else None

    def save(self, data: bytes, media_type: str) -> str:
        assert data
        return f"/tmp/tmp0.{media_type.partition('/')[2]}"


def _rows() -> list[Any]:
    found = []
    for path in sorted(conformance_dir().glob(_FILES)):
        rows = json.loads(path.read_bytes())
        found += [pytest.param(row, id=f"{row['formatter']}-{at}") for at, row in enumerate(rows)]
    return found or cases(_FILES)


def _message(msg: dict[str, Any]) -> Message:
    content = msg["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    ours = tuple(map(_block, blocks))
    role: Role = "tool" if any(isinstance(block, ToolResult) for block in ours) else msg["role"]
    return Message(role, ours, name=msg["name"])


def _block(block: dict[str, Any]) -> Block:
    match block["type"]:
        case "text":
            return Text(block["text"])
        case "thinking":
            return Thinking(block["thinking"])
        case "tool_use":
            return ToolCall(block["id"], block["name"], json.dumps(block["input"], ensure_ascii=False))
        case "tool_result":
            output = block["output"]
            content = (Text(output),) if isinstance(output, str) else tuple(map(_block, output))
            return ToolResult(block["id"], block["name"], content)  # type: ignore[arg-type]  # a result holds no calls
    return _medium(block["type"], block["source"])


def _medium(kind: str, source: dict[str, Any]) -> Block:
    data = base64.b64decode(source.get("data", ""))
    given = {"url": source.get("url"), "media_type": source.get("media_type", f"{kind}/unknown")}
    match kind:
        case "image":
            return Image(data, **given)
        case "audio":
            return Audio(data, **given)
        case "video":
            return File("film", data, **given)
    raise AssertionError(f"the tables have a new kind of block: {kind}")


def _normal(wire: Any) -> Any:
    return json.loads(_TEMPORARY.sub("/tmp/tmp0.", json.dumps(wire)))


@pytest.mark.parametrize("row", _rows())
def test_a_conversation_is_formatted_as_the_table_says(row: dict[str, Any]) -> None:
    provider, of_several = re.findall(r"(\w+?)(MultiAgent|Chat)Formatter", row["formatter"])[0]
    config = row["config"]
    promote = [kind for kind in ("image", "audio", "video") if config.get(f"promote_tool_result_{kind}s")]
    given: dict[str, Any] = {"promote": promote, "files": _TheirFiles()}
    formatter: ChatFormatter | MultiAgentFormatter
    if of_several == "MultiAgent":
        prompt = config["conversation_history_prompt"]
        formatter = MultiAgentFormatter(provider.lower(), history_prompt=prompt, **given)
    else:
        formatter = ChatFormatter(provider.lower(), **given)
    assert _normal(formatter.format([_message(msg) for msg in row["input"]])) == _normal(row["output"])
