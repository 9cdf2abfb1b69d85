"""DashScope's native dialect: Qwen and its kin at Alibaba Cloud, with one address for text and one for media."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from agentnb.messages import Audio, Block, File, Image, ToolResult
from agentnb.models.base import Request
from agentnb.models.dashscope_request import OPTIONS, format_request
from agentnb.models.dashscope_stream import parse_stream
from agentnb.models.dialect import Dialect, Limits, Quirks

__all__ = ["DIALECT", "format_request", "parse_stream"]

#: Models that answer at the address for media only, whatever they are asked.
_MULTIMODAL = re.compile(r"-vl\b|-vl-|^qvq|-omni\b|-audio\b|-ocr\b|-asr\b|^qwen3\.[5-9]-(plus|flash)", re.IGNORECASE)
#: Other paths of the same host that a base URL may have been copied from.
_OTHER_PATH = re.compile(r"/compatible-mode/v1$|/services/aigc/.*$|/compatible-mode/v1/chat/completions$")


def _path(request: Request, model: str, quirks: Quirks) -> str:  # noqa: ARG001  a Dialect's path
    multimodal = _MULTIMODAL.search(model) or any(_holds_media(message.content) for message in request.messages)
    return f"/services/aigc/{'multimodal' if multimodal else 'text'}-generation/generation"


def _holds_media(content: Iterable[Block]) -> bool:
    return any(
        isinstance(block, (Image, Audio, File)) or (isinstance(block, ToolResult) and _holds_media(block.content))
        for block in content
    )


def _headers(request: Request) -> Mapping[str, str]:
    if request.options.stream is False:
        return {"accept": "application/json"}
    return {"accept": "text/event-stream", "x-dashscope-sse": "enable"}


def _bases(base_url: str) -> tuple[str, ...]:
    """Where to try, in order: a base URL may be given with its `/api/v1`, without it, or as that of another path."""
    given = base_url.strip().rstrip("/")
    base = _OTHER_PATH.sub("", given)
    if re.search(r"/v\d+$", base):
        return (base,)
    known = f"{base}/api/v1"
    return (known, base) if "/" not in base.partition("://")[2] else (base, known)


DIALECT = Dialect(
    "dashscope",
    path=_path,
    format_request=format_request,
    parse_stream=parse_stream,
    options=OPTIONS,
    limits=Limits(
        # A body holds 10 MB of base64 for each medium.
        image_bytes=7_000_000,
        image_types=("image/png", "image/jpeg", "image/webp", "image/bmp", "image/tiff", "image/heic"),
        audio_bytes=7_000_000,
        audio_types=("audio/wav", "audio/mpeg", "audio/aac"),
        file_bytes=7_000_000,
        file_types=("video/mp4", "video/quicktime", "video/x-matroska", "video/x-msvideo"),
        file_urls=True,
    ),
    headers=_headers,
    bases=_bases,
)
