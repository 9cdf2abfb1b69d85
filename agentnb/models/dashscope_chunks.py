"""The payloads of DashScope's answers: choices, content in parts, errors on a 200, token counts."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentnb import messages
from agentnb.messages import JSON, Audio, Block, File, Image
from agentnb.models.openai_chunks import json_or_text, loads_all
from agentnb.models.sse import ServerEvent

#: Nobody gives these as a reason to stop; the first is how DashScope writes null.
GOES_ON = ("null", "", None)
#: What an error's code begins with, and the HTTP status it has where one is given.
_STATUSES = {
    "Throttling": 429,
    "InvalidApiKey": 401,
    "AccessDenied": 403,
    "ModelNotFound": 404,
    "RequestTimeOut": 408,
    "InternalError": 500,
    "ServiceUnavailable": 503,
    "ModelServingError": 503,
}
#: Codes that come with a success.
NO_ERROR = ("", None, 200, "200", "Success")


def chunks_of(server_events: Sequence[ServerEvent]) -> list[Any]:
    """The payloads of server-sent events; that of an error is marked as one, and is the last."""
    data: list[bytes] = []
    for event, payload, _ in server_events:
        if event == "error":
            said = json_or_text(payload)
            return [*loads_all(data), {"error": True, **said} if isinstance(said, dict) else said]
        if payload and not payload.startswith(b"[DONE]"):
            data.append(payload)
    return loads_all(data)


def choice_of(output: JSON) -> Mapping[str, JSON] | None:
    """The answer in an event's output; servers that ignore `result_format` write its text without a message."""
    if not isinstance(output, dict):
        return None
    choices = output.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    text = output.get("text")
    return {**output, "message": {"content": text}} if isinstance(text, str) else None


def content_of(content: JSON) -> tuple[str, list[tuple[str, Block]]]:
    """The text of a message's content, and its media, each with its address."""
    if isinstance(content, str):
        return content, []
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    text = "".join(text for part in parts if isinstance(text := part.get("text"), str))
    return text, [found for part in parts if (found := _medium(part)) is not None]


def _medium(part: Mapping[str, JSON]) -> tuple[str, Block] | None:
    for kind in ("image", "audio", "video"):
        value = part.get(kind)
        address = (value.get("url") or value.get("data")) if isinstance(value, dict) else value
        if isinstance(address, str) and address:
            return address, _block(kind, address)
    return None


def _block(kind: str, address: str) -> Block:
    """A medium at a URL, or one that came along in base64."""
    head, _, encoded = address.partition(",") if address.startswith("data:") else ("", "", address)
    media_type = head.removeprefix("data:").partition(";")[0] or {"image": "image/png", "audio": "audio/wav"}.get(kind)
    data, url = b"", None
    if "://" in address[:10]:
        url = address
    else:
        try:
            data = base64.b64decode(encoded)
        except binascii.Error:
            url = address
    match kind:
        case "image":
            return Image(data, media_type or "image/png", url)
        case "audio":
            return Audio(data, media_type or "audio/wav", url)
    return File("video", data, media_type or "video/mp4", url)


def status_of(error: Mapping[str, JSON], recent: bytes) -> int | None:
    """The HTTP status of an error that came with a 200: told in a comment of the stream, or by the error's code."""
    told = [int(status) for status in re.findall(rb"^:\s?HTTP_STATUS/(\d{3})", recent, re.MULTILINE)]
    if told and told[-1] >= 400:
        return told[-1]
    code = str(error.get("code") or "")
    return next((status for start, status in _STATUSES.items() if code.startswith(start)), None)


def usage_of(usage: Mapping[str, JSON]) -> messages.Usage:
    """The tokens of a `usage` object."""

    def count(*path: str) -> int:
        value: JSON = dict(usage)
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, int) else 0

    return messages.Usage(
        input=count("input_tokens"),
        output=count("output_tokens"),
        cached=count("prompt_tokens_details", "cached_tokens"),
        reasoning=count("output_tokens_details", "reasoning_tokens"),
        written=count("prompt_tokens_details", "cache_creation_input_tokens"),
    )
