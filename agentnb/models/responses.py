"""OpenAI's Responses dialect, without anything kept at the server: the whole conversation is sent each time."""

from __future__ import annotations

from dataclasses import replace

from agentnb.models.base import Request
from agentnb.models.dialect import Dialect, Limits, Quirks
from agentnb.models.openai_bases import versioned_bases
from agentnb.models.responses_request import OPTIONS, format_request
from agentnb.models.responses_stream import parse_stream

__all__ = ["DIALECT", "format_request", "parse_stream"]


def _path(request: Request, model: str, quirks: Quirks) -> str:  # noqa: ARG001  # one path for all
    return "/responses"


def _bases(base_url: str) -> tuple[str, ...]:
    return versioned_bases(base_url, "/responses")


def _adapt(quirks: Quirks, status: int, said: bytes) -> Quirks | None:
    """The quirks without what this refusal is about; None where it is about something else."""
    if status not in (400, 422):
        return None
    if quirks.thinking == "effort" and b"summar" in said:
        # Only some models sum up what they think, and only for some accounts.
        return replace(quirks, thinking="unsummarized")
    if quirks.thinking != "unseen" and b"encrypted" in said:
        return replace(quirks, thinking="unseen")
    return None


DIALECT = Dialect(
    "responses",
    path=_path,
    format_request=format_request,
    parse_stream=parse_stream,
    options=OPTIONS,
    limits=Limits(image_bytes=20_000_000, file_types=("application/pdf",), file_urls=True),
    bases=_bases,
    adapt=_adapt,
)
