"""A server of Ollama's dialect, as the contract of models asks it."""

from __future__ import annotations

import json
from typing import Any

from tests.provider import Answer, Asked


def chunk(content: str = "", *, done: str | None = None, **message: Any) -> dict[str, Any]:
    """A line of /api/chat; the last one says why it is done, and has the counts."""
    said = {"model": "m", "created_at": "2026-01-01T00:00:00Z"}
    said |= {"message": {"role": "assistant", "content": content, **message}, "done": done is not None}  # type: ignore[dict-item]  # JSON
    return {**said, "done_reason": done, "prompt_eval_count": 5, "eval_count": 2} if done else said


def lines(*chunks: object) -> bytes:
    """The chunks, one a line."""
    return "".join(f"{json.dumps(each)}\n" for each in chunks).encode()


def stream(*chunks: object, **options: Any) -> Answer:
    """The chunks as an answer."""
    return Answer([lines(*chunks)], content_type="application/x-ndjson", **options)


def call(name: str, **arguments: object) -> dict[str, object]:
    """A call, always as number 0, as Ollama's first of each line is."""
    return {"function": {"index": 0, "name": name, "arguments": arguments}}


def answer(asked: Asked) -> Answer:
    """Two calls in two lines, half an answer, half an answer and silence, or an echo."""
    match asked.json["messages"][-1]["content"]:
        case "call twice":
            first, second = (chunk(tool_calls=[call("add", x=x)]) for x in (1, 2))
            return stream(first, second, chunk(done="stop"))
        case "break off":
            return stream(chunk("half"), end="cut")
        case "begin and fall silent":
            return stream(chunk("half"), end="silent")
        case prompt:
            return stream(chunk("You said: "), chunk(prompt), chunk(done="stop"))
