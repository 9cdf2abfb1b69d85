"""Anthropic's Messages dialect, which several other providers and llama.cpp's server speak as well."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from agentnb.models.anthropic_options import OPTIONS
from agentnb.models.anthropic_request import format_request
from agentnb.models.anthropic_stream import parse_stream
from agentnb.models.base import Request
from agentnb.models.dialect import Dialect, Limits, Quirks

__all__ = ["DIALECT", "format_request", "parse_stream"]

_VERSION = "2023-06-01"
#: How servers name what holds the schema, when they do not know it.
_SCHEMA_WORDS = (b"output_config", b"output_format", b"json_schema", b"structured output")


def _path(request: Request, model: str, quirks: Quirks) -> str:  # noqa: ARG001  # one path for all
    return "/v1/messages"


def _headers(request: Request) -> Mapping[str, str]:  # noqa: ARG001  # the same for all
    return {"anthropic-version": _VERSION}


def _bases(base_url: str) -> tuple[str, ...]:
    """A base URL may be given with its `/v1` or without it."""
    return (base_url.strip().rstrip("/").removesuffix("/messages").removesuffix("/v1"),)


def _adapt(quirks: Quirks, status: int, said: bytes) -> Quirks | None:
    """The quirks without what this refusal is about; None where it is about something else."""
    if status == 400 and quirks.thinking == "effort":
        # The models up to 4.5 know budgets only, those from 4.7 on efforts only.
        if b"thinking.type.enabled" in said and b"is not supported" in said:
            return replace(quirks, thinking="adaptive")
        if re.search(rb"adaptive\W+(thinking )?is not supported|not support the effort parameter", said):
            return replace(quirks, thinking="budget")
    about_schema = any(word in said for word in _SCHEMA_WORDS) and b"effort" not in said
    if status in (400, 422) and quirks.structured == "native" and about_schema:
        return replace(quirks, structured="tool")
    return None


DIALECT = Dialect(
    "anthropic",
    path=_path,
    format_request=format_request,
    parse_stream=parse_stream,
    options=OPTIONS,
    limits=Limits(file_types=("application/pdf",), file_urls=True),
    key_header="x-api-key",
    headers=_headers,
    bases=_bases,
    adapt=_adapt,
)
