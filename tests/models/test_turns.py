from __future__ import annotations

from collections.abc import Iterable

from agentnb import messages
from agentnb.messages import Message, Text, ToolCall, ToolResult
from agentnb.models.turns import ordered, serialized
from agentnb.models.wire import WireCache


def _calls(*ids: str) -> Message:
    return messages.assistant(*(ToolCall(i, f"tool {i}") for i in ids))


def _results(*ids: str) -> Message:
    return Message("tool", tuple(ToolResult(i, f"tool {i}", (Text(i),)) for i in ids))


def _read(conversation: Iterable[Message]) -> list[str]:
    """What each message says, in a word."""
    read = []
    for message in conversation:
        answers = [b.call_id if b.text == b.call_id else "?" for b in message.content if isinstance(b, ToolResult)]
        read.append("".join(call.id for call in message.calls) or "".join(answers).upper() or message.text)
    return read


def test_a_conversation_in_order_is_left_as_it_is() -> None:
    conversation = [
        messages.user("q"),
        _calls("a", "b"),
        _results("a", "b"),
        messages.assistant("x"),
        messages.user("r"),
    ]
    got = ordered(conversation)
    assert all(new is old for new, old in zip(got, conversation, strict=True))


def test_answers_follow_their_calls_in_order_and_what_was_said_meanwhile_follows_them() -> None:
    conversation = [
        _calls("a", "b", "c"),
        messages.user("q"),
        _results("c"),
        _results("a", "z"),
        messages.assistant("x"),
    ]
    assert _read(ordered(conversation)) == ["abc", "A?C", "q", "x"]


def test_every_call_is_answered_once_and_nothing_else_is() -> None:
    assert _read(ordered([_results("a"), _calls("a"), _calls("b"), _results("a", "b")])) == ["a", "?", "b", "B"]
    assert _read(ordered([messages.user("q"), _results("a")])) == ["q"]
    assert _read(ordered([_calls("a")])) == ["a", "?"]


def _bytes(conversation: list[Message], cache: WireCache[bytes]) -> bytes:
    return serialized(
        conversation,
        cache=cache,
        form="",
        wire=lambda message: " ".join(_read([message])).encode(),
        join=lambda some: b",".join(body for _, body in some),
    )


def test_what_was_joined_before_is_the_same_as_what_is_joined_anew() -> None:
    cache: WireCache[bytes] = WireCache()
    conversation: list[Message] = []
    turns = (messages.user("q"), _calls("a", "b"), _results("b", "a"), messages.assistant(""), messages.user("r"))
    for message in (*turns, messages.assistant("x"), messages.assistant("y"), *turns, *turns):
        conversation.append(message)
        assert _bytes(conversation, cache) == _bytes(conversation, WireCache())
    assert _bytes(conversation[:4], cache) == b"q,ab,AB"
