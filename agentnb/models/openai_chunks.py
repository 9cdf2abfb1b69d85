"""The payloads of Chat Completions chunks: JSON in bulk, errors in disguise, token counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from agentnb import messages
from agentnb.messages import JSON


def is_error(chunk: Mapping[str, JSON]) -> bool:
    """Whether a chunk is, or carries, an error: vendors word it in several ways."""
    if chunk.get("error") or chunk.get("object") == "error":
        return True
    return "choices" not in chunk and bool(chunk.get("message") or chunk.get("detail"))


def json_or_text(payload: bytes) -> JSON:
    """The JSON value of a payload, or its text where it is none."""
    text = payload.decode("utf-8", "replace")
    try:
        value: JSON = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value


def loads_all(data: list[bytes]) -> list[Any]:
    """All payloads in one call; one by one where that fails, so that what comes before a bad one counts."""
    try:
        chunks: list[Any] = orjson.loads(b"[" + b",".join(data) + b"]")
    except orjson.JSONDecodeError:
        chunks = []
    return chunks if len(chunks) == len(data) else [json_or_text(payload) for payload in data]


def usage_of(usage: Mapping[str, JSON]) -> messages.Usage:
    """The tokens of a `usage` object."""

    def count(value: JSON, *path: str) -> int:
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, int) else 0

    whole = dict(usage)
    return messages.Usage(
        input=count(whole, "prompt_tokens"),
        output=count(whole, "completion_tokens"),
        cached=count(whole, "prompt_tokens_details", "cached_tokens"),
        reasoning=count(whole, "completion_tokens_details", "reasoning_tokens"),
    )
