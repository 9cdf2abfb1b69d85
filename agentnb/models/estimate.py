"""About how many tokens a request is, before a provider counts them."""

from __future__ import annotations

from agentnb.messages import Block, File
from agentnb.models.base import Request
from agentnb.tokens import BYTES_PER_TOKEN, MEDIA_TOKENS, count_tokens

#: A token of a document with its pictures, about.
_DOCUMENT_BYTES = 20


def estimate(request: Request) -> int:
    """About how many tokens the provider will count in a request."""
    schema = count_tokens(str(request.output.schema)) if request.output else 0
    surplus = sum(_surplus(block) for message in request.messages for block in message.content)
    return count_tokens(request.messages) + count_tokens(request.tools) + schema + surplus


def _surplus(block: Block) -> int:
    """What a large document costs beyond the usual."""
    match block:
        case File(data=data, media_type=kind):
            size = len(data) // (BYTES_PER_TOKEN if kind.startswith("text/") else _DOCUMENT_BYTES)
            return max(0, size - MEDIA_TOKENS)
    return 0
