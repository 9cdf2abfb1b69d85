"""The calls that a conversation leaves open: which there are, and an answer for those that get none."""

from __future__ import annotations

from collections.abc import Sequence

from agentnb import messages
from agentnb.messages import Message, Text, ToolCall


def answered(conversation: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation with an answer to every tool call: providers refuse one that leaves a call open.

    The results of one message's calls stay in one message.
    """
    out: list[Message] = []
    for at, message in enumerate(conversation):
        if message.role == "tool" and at and conversation[at - 1].calls:
            continue  # it came with the calls that it answers
        out.append(message)
        if message.calls:
            following = conversation[at + 1] if at + 1 < len(conversation) else None
            out.append(_results(message, following if following and following.role == "tool" else None))
    return tuple(out)


def _results(asked: Message, given: Message | None) -> Message:
    """The results of a message's calls: those that were given, and one for each call that got none."""
    content = given.content if given is not None else ()
    have = {block.call_id for block in content if isinstance(block, messages.ToolResult)}
    missing = tuple(_unanswered(call) for call in asked.calls if call.id not in have)
    return given if given is not None and not missing else Message("tool", (*content, *missing))


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
