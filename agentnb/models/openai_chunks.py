"""The payloads of OpenAI's streams: JSON in bulk, errors in disguise, pictures, token counts."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from agentnb import messages
from agentnb.messages import JSON, Image

_CACHED = ("prompt_cache_hit_tokens", "cached_tokens")


def is_error(chunk: Mapping[str, JSON]) -> bool:
    """Whether a chunk is, or carries, an error: vendors word it in several ways."""
    if chunk.get("error") or chunk.get("object") == "error":
        return True
    return "choices" not in chunk and bool(chunk.get("message") or chunk.get("detail"))


class NotJson(str):
    """The text of a payload that is no JSON."""

    __slots__ = ()


def json_or_text(payload: bytes) -> JSON:
    """The JSON value of a payload, or its text (as NotJson) where it is none."""
    text = payload.decode("utf-8", "replace")
    try:
        value: JSON = orjson.loads(text)
    except orjson.JSONDecodeError:
        return NotJson(text)
    return value


def images_of(message: Mapping[str, JSON]) -> Iterator[Image]:
    """The pictures in a message or delta: beside its content, or among the parts of it."""
    for name in ("images", "content"):
        parts = message.get(name)
        for part in parts if isinstance(parts, list) else ():
            match part:
                case {"image_url": {"url": str() as url}} | {"image_url": str() as url}:
                    if (image := image_at(url)) is not None:
                        yield image


def image_at(url: str) -> Image | None:
    """The picture that a URL holds, or that is there; None where it holds none."""
    if not url.startswith("data:"):
        return Image(url=url) if url else None
    head, _, data = url[5:].partition(",")
    media_type, _, encoding = head.partition(";")
    return decoded_image(data, media_type or "image/png") if encoding.endswith("base64") else None


def decoded_image(data: str, media_type: str) -> Image | None:
    """The picture of these base64 characters; None where they are none."""
    try:
        return Image(base64.b64decode(data), media_type)
    except ValueError:
        return None


def loads_all(data: list[bytes]) -> list[Any]:
    """All payloads in one call; one by one where that fails, so that what comes before a bad one counts."""
    try:
        chunks: list[Any] = orjson.loads(b"[" + b",".join(data) + b"]")
    except orjson.JSONDecodeError:
        chunks = []
    return chunks if len(chunks) == len(data) else [json_or_text(payload) for payload in data]


def usage_of(usage: Mapping[str, JSON]) -> messages.Usage:
    """The tokens of a `usage` object, in the words of Chat Completions or of Responses."""

    def count(*paths: str) -> int:
        found: JSON
        for path in paths:
            found = dict(usage)
            for key in path.split("."):
                found = found.get(key) if isinstance(found, dict) else None
            if isinstance(found, int) and found:
                return found
        return 0

    read, written = "prompt_tokens_details", "completion_tokens_details"
    return messages.Usage(
        input=count("prompt_tokens", "input_tokens"),
        output=count("completion_tokens", "output_tokens"),
        # DeepSeek and Kimi count what was cached in words of their own.
        cached=count(f"{read}.cached_tokens", "input_tokens_details.cached_tokens", *_CACHED),
        reasoning=count(f"{written}.reasoning_tokens", "output_tokens_details.reasoning_tokens"),
        written=count(f"{read}.cache_write_tokens", "input_tokens_details.cache_write_tokens"),
    )
