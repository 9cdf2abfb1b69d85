"""The calls that a conversation leaves open: which there are, and an answer for those that get none."""

from __future__ import annotations

from collections.abc import Sequence

from agentnb import messages
from agentnb.messages import Message, Text, ToolCall


def answered(conversation: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation with an answer to every tool call: providers refuse one that leaves a call open."""
    out: list[Message] = []
    for at, message in enumerate(conversation):
        out.append(message)
        if not message.calls:
            continue
        following = conversation[at + 1] if at + 1 < len(conversation) else None
        given = following.content if following is not None and following.role == "tool" else ()
        have = {block.call_id for block in given if isinstance(block, messages.ToolResult)}
        missing = tuple(_unanswered(call) for call in message.calls if call.id not in have)
        if missing:
            out.append(Message("tool", missing))
    return tuple(out)


def unanswered(conversation: Sequence[Message]) -> tuple[ToolCall, ...]:
    """The calls at the end of a conversation that have no result: what a paused run waits for."""
    at = next((n for n in range(len(conversation) - 1, -1, -1) if conversation[n].role != "tool"), None)
    if at is None:
        return ()
    given = {b.call_id for m in conversation[at + 1 :] for b in m.content if isinstance(b, messages.ToolResult)}
    return tuple(call for call in conversation[at].calls if call.id not in given)


def _unanswered(call: ToolCall) -> messages.ToolResult:
    return messages.ToolResult(
        call.id, call.name, (Text("Error: the run was stopped before this call."),), is_error=True
    )
