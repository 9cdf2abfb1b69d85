"""A server of Anthropic's Messages dialect, as the contract of models asks it."""

from __future__ import annotations

import json
from typing import Any

from tests.provider import Answer, Asked


def sse(*chunks: dict[str, Any]) -> bytes:
    """Server-sent events of these payloads, each named as its type."""
    return "".join(f"event: {c['type']}\ndata: {json.dumps(c)}\n\n" for c in chunks).encode()


def start(**usage: int) -> dict[str, Any]:
    """How a message starts."""
    counts = {"input_tokens": 5, "output_tokens": 1, **usage}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "usage": counts}
    return {"type": "message_start", "message": message}


def end(reason: str | None = "end_turn", **usage: object) -> tuple[dict[str, Any], ...]:
    """How a message ends."""
    counts = {"output_tokens": 2, **usage}
    delta = {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": counts}
    return (delta, {"type": "message_stop"})


def begin(index: int, kind: str, **fields: object) -> dict[str, Any]:
    """How a block starts."""
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **fields}}


def delta(index: int, kind: str, **fields: object) -> dict[str, Any]:
    """A piece of a block."""
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def stop(index: int) -> dict[str, Any]:
    """How a block ends."""
    return {"type": "content_block_stop", "index": index}


def words(*pieces: str, index: int = 0) -> tuple[dict[str, Any], ...]:
    """A block of text."""
    said = (delta(index, "text_delta", text=piece) for piece in pieces)
    return (begin(index, "text", text=""), *said, stop(index))


def tool(index: int, call_id: str, *pieces: str, name: str = "add") -> tuple[dict[str, Any], ...]:
    """A block that is a call; its arguments begin with an empty piece."""
    arrive = (delta(index, "input_json_delta", partial_json=piece) for piece in ("", *pieces))
    return (begin(index, "tool_use", id=call_id, name=name, input={}), *arrive, stop(index))


def answer(asked: Asked) -> Answer:
    """Two calls whose fragments interleave, half an answer, half an answer and silence, or an echo."""
    match asked.json["messages"][-1]["content"][-1]["text"]:
        case "call twice":
            first, second = tool(0, "a", '{"x":', "1}"), tool(1, "b", '{"x":2', "}")
            calls = (each for pair in zip(first, second, strict=True) for each in pair)
            return Answer([sse(start(), *calls, *end("tool_use"))])
        case "break off":
            return Answer([sse(start(), *words("half")[:2])], end="cut")
        case "begin and fall silent":
            return Answer([sse(start(), *words("half")[:2])], end="silent")
        case prompt:
            text = f"You said: {prompt}"
            pieces = (text[i : i + 3] for i in range(0, len(text), 3))
            return Answer([sse(start(), {"type": "ping"}, *words(*pieces), *end())])
