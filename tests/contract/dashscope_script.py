"""A server of DashScope's native dialect, as the contract of models asks it."""

from __future__ import annotations

import json

from tests.provider import Answer, Asked

#: Totals so far: each event has them.
USAGE = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}


def event(finish: str = "null", *, number: int = 1, usage: object = USAGE, **message: object) -> bytes:
    """One event as DashScope sends it."""
    choice = {"message": {"role": "assistant", "content": "", **message}, "finish_reason": finish}
    return frame({"output": {"choices": [choice]}, "usage": usage, "request_id": "r1"}, number=number)


def frame(payload: object, *, kind: str = "result", status: int = 200, number: int = 1) -> bytes:
    """Any payload in DashScope's frame of four lines."""
    return f"id:{number}\nevent:{kind}\n:HTTP_STATUS/{status}\ndata:{json.dumps(payload)}\n\n".encode()


def tool_call(arguments: str, call_id: str = "", name: str | None = None, **more: object) -> dict[str, object]:
    """A fragment of a call; `index` only where it is given."""
    return {"function": {"name": name, "arguments": arguments}, "id": call_id, "type": "function", **more}


def _two_calls() -> Answer:
    return Answer(
        [
            event(tool_calls=[tool_call("", "a", "add", index=0)]),
            event(tool_calls=[tool_call('{"x"', "b", "add", index=1)]),
            event(tool_calls=[tool_call('{"x":1}', index=0)]),
            event(tool_calls=[tool_call(":2}", index=1)]),
            event("tool_calls"),
        ]
    )


def answer(asked: Asked) -> Answer:
    """Two calls whose fragments interleave, half an answer, half an answer and silence, or an echo."""
    match asked.json["input"]["messages"][-1]["content"]:
        case "call twice":
            return _two_calls()
        case "break off":
            return Answer([event(content="half")], end="cut")
        case "begin and fall silent":
            return Answer([event(content="half")], end="silent")
        case prompt:
            said = f"You said: {prompt}"
            words = [event(content=said[i : i + 3]) for i in range(0, len(said), 3)]
            return Answer([*words, event("stop")])
