"""Google's Gemini dialect: generateContent, whole and streamed."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import quote

from agentnb.models.base import Request
from agentnb.models.dialect import Dialect, Limits, Quirks
from agentnb.models.gemini_request import OPTIONS, format_request
from agentnb.models.gemini_stream import parse_stream

__all__ = ["DIALECT", "format_request", "parse_stream"]

_VERSION = re.compile(r"/v\d+[a-z0-9]*(/|$)")


def _path(request: Request, model: str, _quirks: Quirks) -> str:
    # "gemini-2.5-pro", "models/gemini-2.5-pro", "tunedModels/mine", "publishers/google/models/gemini-2.5-pro"
    name = quote(model if "/" in model else f"models/{model}", safe="/@:")
    return f"/{name}:generateContent" if request.options.stream is False else f"/{name}:streamGenerateContent?alt=sse"


def _bases(base_url: str) -> tuple[str, ...]:
    """The base URL with a version: its own, otherwise the one that has all there is."""
    base = base_url.strip().rstrip("/").removesuffix("/models")
    return (base if _VERSION.search(base.partition("://")[2]) else f"{base}/v1beta",)


def _adapt(quirks: Quirks, status: int, said: bytes) -> Quirks | None:
    """Older models are told by a budget how much to think, not by a level."""
    if status == 400 and quirks.thinking != "budget" and re.search(rb"thinking[ _]?level", said):
        return replace(quirks, thinking="budget")
    return None


DIALECT = Dialect(
    "gemini",
    path=_path,
    format_request=format_request,
    parse_stream=parse_stream,
    options=OPTIONS,
    limits=Limits(
        # A picture is scaled down to this anyway; a whole request has at most 20 MB, in base64.
        image_side=3072,
        image_bytes=14_000_000,
        image_types=("image/png", "image/jpeg", "image/webp", "image/heic"),
        image_urls=False,
        audio_bytes=14_000_000,
        audio_types=("audio/wav", "audio/mp3", "audio/aiff", "audio/aac", "audio/ogg", "audio/flac"),
        file_bytes=14_000_000,
        file_types=("application/pdf", "text/*", "video/*"),
    ),
    key_header="x-goog-api-key",
    bases=_bases,
    adapt=_adapt,
)
