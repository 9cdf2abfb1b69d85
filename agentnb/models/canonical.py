"""One form for a request, the same wherever and whenever it is made: what caches and cassettes know it by.

What varies between two runs of the same question is left out (ids, signatures, which model said what), calls are
numbered as they appear, media are named by their sha256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from agentnb import messages
from agentnb.messages import JSON, Block, JSONObject, Message, Opaque, Text, Thinking, ToolCall, ToolResult
from agentnb.models.base import Request

#: Options that do not change what is asked: who asks, and how the answer travels.
_NOT_ASKED = ("headers", "query", "stream", "cache")


def canonical(request: Request, *, name: str = "") -> JSONObject:
    """The request as JSON, with the name of the model that is asked where one is given."""
    calls: dict[str, str] = {}
    out: JSONObject = {"model": name} if name else {}
    out["messages"] = [_message(message, calls) for message in request.messages]
    if request.tools:
        out["tools"] = [
            {"name": tool.name, "description": tool.description, "parameters": _plain(tool.parameters)}
            for tool in request.tools
        ]
        out["tool_choice"] = request.tool_choice
    options = {key: _plain(value) for key, value in request.options.given().items() if key not in _NOT_ASKED}
    if options:
        out["options"] = options
    if (output := request.output) is not None:
        out["output"] = {"name": output.name, "description": output.description, "schema": _plain(output.schema)}
    return out


def digest(request: Request, *, name: str = "") -> str:
    """The sha256 of the canonical request, in hexadecimal."""
    return fingerprint(canonical(request, name=name))


def fingerprint(value: JSON) -> str:
    """The sha256 of a JSON value; the order of its keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))  # ASCII: a lone surrogate is no UTF-8
    return hashlib.sha256(text.encode()).hexdigest()


def _message(message: Message, calls: dict[str, str]) -> JSONObject:
    out: JSONObject = {"role": message.role}
    if message.name:
        out["name"] = message.name
    out["content"] = [_block(block, calls) for block in message.content]
    return out


def _block(block: Block, calls: dict[str, str]) -> JSON:
    match block:
        case Text(text=text):
            return {"text": text}
        case Thinking(text=text):
            return {"thinking": text}
        case ToolCall(id=call_id, name=name, arguments=arguments):
            return {"call": _numbered(call_id, calls), "name": name, "arguments": _arguments(arguments)}
        case ToolResult(call_id=call_id, name=name, content=content):
            out: JSONObject = {"result": _numbered(call_id, calls), "name": name}
            out["content"] = [_block(each, calls) for each in content]
            return {**out, "is_error": True} if block.is_error else out
        case messages.Data(value=value):
            return {"data": _plain(value)}
        case Opaque(provider=provider, payload=payload):
            return {"opaque": provider, "type": _plain(payload.get("type"))}
    return _medium(block)


def _medium(block: messages.Image | messages.Audio | messages.File) -> JSONObject:
    out: JSONObject = {block.type: block.url or hashlib.sha256(block.data).hexdigest(), "media_type": block.media_type}
    match block:
        case messages.Image(alt=alt) if alt:
            out["alt"] = alt
        case messages.File(name=name):
            out["name"] = name
    return out


def _numbered(call_id: str, calls: dict[str, str]) -> str:
    return calls.setdefault(call_id, f"call_{len(calls) + 1}")


def _arguments(text: str) -> JSON:
    try:
        return _plain(json.loads(text))
    except (ValueError, RecursionError):
        return text


def _plain(value: object) -> JSON:
    """JSON that is written in one way only: 1 and 1.0 are one number, a tuple is a list."""
    match value:
        case Mapping():
            return {str(key): _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case float() if value.is_integer():
            return int(value)
        case bool() | int() | float() | str() | None:
            return value
    return str(value)
