"""A server of Gemini's dialect, as the contract of models asks it."""

from __future__ import annotations

from typing import Any

from tests.provider import Answer, Asked, sse


def chunk(*parts: object, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A GenerateContentResponse of these parts (texts as they are)."""
    given = [{"text": part} if isinstance(part, str) else part for part in parts]
    candidate = {"content": {"parts": given, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    counts = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
    return {"candidates": [candidate], "usageMetadata": counts, "modelVersion": "m", "responseId": "r1", **more}


def stream(*chunks: object, **options: Any) -> Answer:
    """The chunks as server-sent events, without an end mark."""
    return Answer([sse(*chunks, done=False)], **options)


def call(name: str, **arguments: object) -> dict[str, object]:
    """A part that calls a function; Gemini often gives it no id."""
    return {"functionCall": {"name": name, "args": arguments}}


def answer(asked: Asked) -> Answer:
    """Two calls at once, half an answer, half an answer and silence, or an echo."""
    match asked.json["contents"][-1]["parts"][-1]["text"]:
        case "call twice":
            return stream(chunk(call("add", x=1), call("add", x=2)), chunk("", finish="STOP"))
        case "break off":
            return stream(chunk("half"), end="cut")
        case "begin and fall silent":
            return stream(chunk("half"), end="silent")
        case prompt:
            return stream(chunk("You said: "), chunk(prompt), chunk("", finish="STOP"))
