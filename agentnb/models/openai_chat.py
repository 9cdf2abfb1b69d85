"""OpenAI's Chat Completions dialect, which most servers speak: OpenAI, llama.cpp, vLLM, DeepSeek, OpenRouter, …"""

from __future__ import annotations

import re
from dataclasses import replace

from agentnb.models.base import Request
from agentnb.models.dialect import Dialect, Limits, Quirks
from agentnb.models.openai_bases import azure_base, versioned_bases
from agentnb.models.openai_options import OPTIONS
from agentnb.models.openai_request import format_request
from agentnb.models.openai_stream import parse_stream

__all__ = ["AZURE", "DIALECT", "format_request", "parse_stream"]

#: Asked in turn by servers that refuse the role before; the last is one that all accept.
_SYSTEM_ROLES = ("system", "developer", "user")
#: How servers say that they do not know a field.
_UNKNOWN = (
    rb"unrecogni[sz]ed|unknown|unsupported|not supported|not permitted|not allowed|unexpected|extra|invalid param"
)


def _path(request: Request, model: str, quirks: Quirks) -> str:  # noqa: ARG001  # one path for all
    return "/chat/completions"


def _bases(base_url: str) -> tuple[str, ...]:
    return versioned_bases(base_url, "/chat/completions")


def _adapt(quirks: Quirks, status: int, said: bytes) -> Quirks | None:
    """The quirks without what this refusal is about; None where it is about something else."""
    if status not in (400, 422):
        return None
    if quirks.stream_options and (b"stream_options" in said or b"include_usage" in said):
        return replace(quirks, stream_options=False)
    role = quirks.system_role
    if b"role" in said and role.encode() in said and role != _SYSTEM_ROLES[-1]:
        return replace(quirks, system_role=_SYSTEM_ROLES[_SYSTEM_ROLES.index(role) + 1])
    return _other_bound(quirks, said)


def _other_bound(quirks: Quirks, said: bytes) -> Quirks | None:
    """The other word for the bound of an answer, where a server does not know this one (each way once)."""
    new, old = "max_completion_tokens", "max_tokens"
    if quirks.max_tokens == old and new not in quirks.without and new.encode() in said:
        return replace(quirks, max_tokens=new)
    if quirks.max_tokens == new and new.encode() in said and re.search(_UNKNOWN, said):
        return replace(quirks, max_tokens=old, without=(*quirks.without, new))
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
#: The same at Azure, where the address is the resource's and the row says what follows it.
AZURE = replace(DIALECT, name="azure", key_header="api-key", bases=azure_base)
