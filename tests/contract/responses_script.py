"""A server of the Responses dialect, as the contract of models asks it."""

from __future__ import annotations

import json
from typing import Any

from tests.provider import Answer, Asked

USAGE = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}


def event(kind: str, **fields: object) -> bytes:
    """One server-sent event, named as OpenAI names them."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def response(status: str = "completed", **fields: object) -> dict[str, Any]:
    """A response object."""
    return {"id": "resp_1", "object": "response", "status": status, "error": None, "usage": USAGE, **fields}


def text(piece: str, index: int = 0) -> bytes:
    """A piece of the answer."""
    return event("response.output_text.delta", item_id="msg_1", output_index=index, content_index=0, delta=piece)


def arguments(index: int, piece: str) -> bytes:
    """A piece of a call's arguments."""
    return event("response.function_call_arguments.delta", item_id=f"fc_{index}", output_index=index, delta=piece)


def call(index: int, call_id: str, name: str = "add") -> bytes:
    """A call begins."""
    item = {"id": f"fc_{index}", "type": "function_call", "call_id": call_id, "name": name, "arguments": ""}
    return event("response.output_item.added", output_index=index, item=item)


def ends(*, kind: str = "completed", **fields: object) -> bytes:
    """The end of an answer."""
    return event(f"response.{kind}", response=response(kind, **fields))


def _called(index: int, call_id: str, said: str) -> bytes:
    item = {"id": f"fc_{index}", "type": "function_call", "call_id": call_id, "name": "add", "arguments": said}
    return event("response.output_item.done", output_index=index, item={**item, "status": "completed"})


def _two_calls() -> bytes:
    return b"".join(
        [
            event("response.created", response=response("in_progress", usage=None)),
            call(0, "a"),
            call(1, "b"),
            arguments(1, '{"x"'),
            arguments(0, '{"x":1}'),
            arguments(1, ":2}"),
            _called(1, "b", '{"x":2}'),
            _called(0, "a", '{"x":1}'),
            ends(),
        ]
    )


def says(words: str) -> bytes:
    """A plain answer, three characters per event."""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
    begins = event("response.output_item.added", output_index=0, item=message)
    return begins + b"".join(text(words[i : i + 3]) for i in range(0, len(words), 3)) + ends()


def answer(asked: Asked) -> Answer:
    """Two calls whose fragments interleave, half an answer, half an answer and silence, or an echo."""
    match asked.json["input"][-1]["content"]:
        case "call twice":
            return Answer([_two_calls()])
        case "break off":
            return Answer([text("half")], end="cut")
        case "begin and fall silent":
            return Answer([text("half")], end="silent")
        case prompt:
            return Answer([says(f"You said: {prompt}")])
