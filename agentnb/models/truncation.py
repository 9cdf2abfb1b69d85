"""Shorten a conversation to what fits into a model's context: whole turns go, the oldest first."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from agentnb.errors import UsageError
from agentnb.messages import Message, ToolResult, ToolSpec
from agentnb.models.base import Request
from agentnb.tokens import Counter, count_tokens

#: The part of a context that is left for the answer where nothing is said of it.
_ANSWER = 4


def truncate(
    messages: tuple[Message, ...],
    limit: int | None,
    *,
    count: Counter = count_tokens,
    question: Message | None = None,
) -> tuple[Message, ...]:
    """The system messages that begin a conversation, and as many of its last turns as `limit` tokens hold.

    A turn goes from a question of the user to the next one: a call is never parted from its results. The kept
    messages are the same objects; where all fit (`limit` None: always), so is the tuple. `question` is the message that
    begins the last turn, where it is not the last of the user's. Raises UsageError where not
    even the last turn fits, and for calls without results before it.
    """
    if limit is None:
        return messages
    sizes = [count(message) for message in messages]
    if sum(sizes) <= limit:
        return messages
    head = sum(1 for _ in itertools.takewhile(lambda message: message.role == "system", messages))
    _check_answered(messages)
    turns = _turns(messages, head, question)
    system, last = sum(sizes[:head]), sum(sizes[turns[-1] :])
    if system + last > limit:
        raise UsageError(_too_long(system, last, limit))
    begin, room = turns[-1], limit - system - last
    for turn in reversed(turns[:-1]):
        room -= sum(sizes[turn:begin])
        if room < 0:
            break
        begin = turn
    return messages[:head] + messages[begin:]


def fit(
    request: Request,
    context: int | None,
    *,
    output: int | None = None,
    count: Counter = count_tokens,
    question: Message | None = None,
) -> Request:
    """The request with its conversation shortened to a `context` of so many tokens (None: any).

    What the tools and the schema of the answer take is counted; `output` tokens are left for the answer, by default a
    quarter of the context. The same object where nothing was dropped. Raises UsageError where it cannot fit.
    """
    if context is None:
        return request
    told = sum(map(count, request.tools))
    if (asked := request.output) is not None:
        told += count(ToolSpec(asked.name, asked.description, asked.schema))
    limit = context - (context // _ANSWER if output is None else output) - told
    messages = truncate(request.messages, limit, count=count, question=question)
    return request if messages is request.messages else replace(request, messages=messages)


def _turns(messages: Sequence[Message], head: int, question: Message | None) -> list[int]:
    """Where the turns begin, up to the last question: at users' messages; where none can, at any that is no tool's."""
    asked_at = [at for at, message in enumerate(messages) if message is question]
    asked_at = asked_at or [at for at, message in enumerate(messages) if message.role == "user"]
    last = asked_at[-1] if asked_at else len(messages) - 1
    places = list(_between_calls(messages[: last + 1], head))
    asked = [at for at in places if messages[at].role == "user"]
    return asked or [at for at in places if messages[at].role != "tool"] or [head]


def _between_calls(messages: Sequence[Message], head: int) -> Iterator[int]:
    """The places before which every call has its results."""
    waiting: set[str] = set()
    for at, message in enumerate(messages[head:], head):
        if not waiting:
            yield at
        waiting |= {call.id for call in message.calls}
        waiting -= {block.call_id for block in message.content if isinstance(block, ToolResult)}


def _check_answered(messages: Sequence[Message]) -> None:
    """Raises UsageError for a call that was still open when the last question was asked, and is."""
    waiting: dict[str, int] = {}
    last = -1
    for at, message in enumerate(messages):
        waiting.update((call.id, at) for call in message.calls)
        for block in message.content:
            if isinstance(block, ToolResult):
                waiting.pop(block.call_id, None)
        last = at if message.role == "user" else last
    open_calls = {
        call.name for at in waiting.values() if at < last for call in messages[at].calls if call.id in waiting
    }
    if open_calls:
        raise UsageError(
            f"The conversation has to be shortened, but {', '.join(sorted(open_calls))} was called and gave no result. "
            "Complete the messages with agentnb.transcript.answered."
        )


def _too_long(system: int, last: int, limit: int) -> str:
    begin = f"The system message ({system:,} tokens) and the last" if system else "The last"
    return (
        f"{begin} question with what followed it ({last:,} tokens) do not fit into the {max(limit, 0):,} tokens there "
        "is room for. Shorten them, leave less room for the answer, or take a model with a larger context."
    )
