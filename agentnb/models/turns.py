"""The messages of a conversation as bytes, in an order that providers accept, at a cost that does not grow with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from agentnb.messages import Message, Text, ToolCall, ToolResult
from agentnb.models.wire import Prefix, WireCache

#: What stands for the result of a call that has none.
UNANSWERED = "This call was not run."


def ordered(messages: Sequence[Message]) -> list[Message]:
    """The messages with every call answered right after it was asked, once, in the order of the calls.

    What was said meanwhile follows the answers. Where nothing had to be moved, the messages are the same objects.
    """
    out: list[Message] = []
    calls: tuple[ToolCall, ...] = ()
    results: list[Message] = []
    said: list[Message] = []
    for message in messages:
        match message.role:
            case "assistant":
                out += _answers(calls, results) + said
                out.append(message)
                calls, results, said = message.calls, [], []
            case "tool":
                results.append(message)
            case _:
                said.append(message)
    return out + _answers(calls, results) + said


def _answers(calls: tuple[ToolCall, ...], results: list[Message]) -> list[Message]:
    """One message with the answers to these calls; none where there were no calls."""
    if not calls:
        return []
    if len(results) == 1 and [r.call_id for r in _results(results[0])] == [call.id for call in calls]:
        return results
    given = {result.call_id: result for message in results for result in _results(message)}
    return [Message("tool", tuple(given.get(call.id) or _unanswered(call) for call in calls))]


def _results(message: Message) -> list[ToolResult]:
    return [block for block in message.content if isinstance(block, ToolResult)]


def _unanswered(call: ToolCall) -> ToolResult:
    return ToolResult(call.id, call.name, (Text(UNANSWERED),), is_error=True)


def serialized(
    messages: Sequence[Message],
    *,
    cache: WireCache[bytes],
    form: str,
    wire: Callable[[Message], bytes],
    join: Callable[[Iterable[tuple[Message, bytes]]], bytes],
) -> bytes:
    """The bytes of all messages, joined by commas.

    `wire` makes those of one message (none: it is left out), once as long as `form` is the same; `join` puts those of
    neighbours together. Only what came since the last answer of the model is joined anew.
    """

    def made(message: Message) -> bytes:
        known = cache.get(message, form)
        return cache.keep(message, form, wire(message)) if known is None else known

    def joined(some: Sequence[Message]) -> bytes:
        return join((message, body) for message in ordered(some) if (body := made(message)))

    def begins(at: int) -> bool:
        # Nothing that follows can change what is before it.
        return messages[at].role == "assistant" != messages[at - 1].role and bool(made(messages[at]))

    known = cache.prefix(messages, form)
    begin = len(known.messages)
    cut = next((at for at in range(len(messages) - 1, begin, -1) if begins(at)), begin)
    settled = _and(known.body, joined(messages[begin:cut]))
    if cut > begin:
        cache.keep_prefix(Prefix(tuple(messages[:cut]), settled, form=form), known)
    return _and(settled, joined(messages[cut:]))


def _and(first: bytes, second: bytes) -> bytes:
    return b",".join(filter(None, (first, second)))
