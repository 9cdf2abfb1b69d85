"""A server of the Chat Completions dialect, as the contract of models asks it."""

from __future__ import annotations

from tests.provider import Answer, Asked, chunk, says, sse, tool_call


def _two_calls() -> Answer:
    return Answer(
        [
            sse(
                chunk(role="assistant", content=None),
                chunk(tool_calls=[tool_call(0, "", "a", "add")]),
                chunk(tool_calls=[tool_call(1, '{"x"', "b", "add")]),
                chunk(tool_calls=[tool_call(0, '{"x":1}')]),
                chunk(tool_calls=[tool_call(1, ":2}")]),
                chunk("tool_calls"),
            )
        ]
    )


def answer(asked: Asked) -> Answer:
    """Two calls whose fragments interleave, half an answer, half an answer and silence, or an echo."""
    match asked.json["messages"][-1]["content"]:
        case "call twice":
            return _two_calls()
        case "break off":
            return Answer([sse(chunk(role="assistant", content="half"), done=False)], end="cut")
        case "begin and fall silent":
            return Answer([sse(chunk(role="assistant", content="half"), done=False)], end="silent")
        case prompt:
            return says(f"You said: {prompt}")
