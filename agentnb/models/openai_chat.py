"""OpenAI's Chat Completions dialect, which most servers speak: OpenAI, llama.cpp, vLLM, DeepSeek, OpenRouter, …"""

from __future__ import annotations

from dataclasses import replace

from agentnb.models.base import Request
from agentnb.models.dialect import Dialect, Limits, Quirks
from agentnb.models.openai_request import OPTIONS, format_request
from agentnb.models.openai_stream import parse_stream

__all__ = ["DIALECT", "format_request", "parse_stream"]

#: Asked in turn by servers that refuse the role before; the last is one that all accept.
_SYSTEM_ROLES = ("system", "developer", "user")


def _path(request: Request, model: str, quirks: Quirks) -> str:
    return "/chat/completions"


def _bases(base_url: str) -> tuple[str, ...]:
    """Where to try, in order: a base URL may be given with its `/v1` or without it."""
    base = base_url.strip().rstrip("/").removesuffix("/chat/completions")
    if base.rpartition("/")[2] in ("v1", "v2", "v3", "v4"):
        return (base,)
    versioned = f"{base}/v1"
    return (base, versioned) if "/" in base.partition("://")[2] else (versioned, base)


def _adapt(quirks: Quirks, status: int, said: bytes) -> Quirks | None:
    """The quirks without what this refusal is about; None where it is about something else."""
    if status not in (400, 422):
        return None
    if quirks.stream_options and (b"stream_options" in said or b"include_usage" in said):
        return replace(quirks, stream_options=False)
    role = quirks.system_role
    if b"role" in said and role.encode() in said and role != _SYSTEM_ROLES[-1]:
        return replace(quirks, system_role=_SYSTEM_ROLES[_SYSTEM_ROLES.index(role) + 1])
    if quirks.max_tokens == "max_tokens" and b"max_completion_tokens" in said:
        return replace(quirks, max_tokens="max_completion_tokens")
    return None


DIALECT = Dialect(
    "openai_chat",
    path=_path,
    format_request=format_request,
    parse_stream=parse_stream,
    options=OPTIONS,
    limits=Limits(image_bytes=20_000_000, audio_types=("audio/wav", "audio/mpeg"), file_types=("application/pdf",)),
    bases=_bases,
    adapt=_adapt,
)
