from __future__ import annotations

from pathlib import Path

import pytest

from agentnb import messages
from agentnb.events import (
    BlockAdded,
    MessageEnd,
    ModelEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallArgs,
    ToolCallEnd,
    ToolCallStart,
    Usage,
    Waiting,
)
from agentnb.messages import Opaque
from agentnb.models.kept import joined, write_whole
from agentnb.transcript import fold

STREAM: list[ModelEvent] = [
    Waiting("Loading."),
    ThinkingDelta("H"),
    ThinkingDelta("m"),
    ThinkingDelta("", "signed"),
    ThinkingDelta("Next"),
    ThinkingDelta("", extra={"id": "r"}),
    ThinkingDelta(" thought"),
    TextDelta("He"),
    Usage(messages.Usage(1, 1)),
    TextDelta("llo"),
    ToolCallStart("a", "add"),
    ToolCallStart("b", "add"),
    ToolCallArgs("a", '{"x"'),
    ToolCallArgs("a", ":1}"),
    ToolCallArgs("b", "{}"),
    ToolCallEnd("a"),
    ToolCallEnd("b"),
    BlockAdded(Opaque("openai", {"k": 1})),
    Usage(messages.Usage(1, 9)),
    MessageEnd("tool_calls"),
]


def test_adjacent_pieces_are_one_and_the_usage_comes_last() -> None:
    assert joined(STREAM) == [
        ThinkingDelta("Hm", "signed"),
        ThinkingDelta("Next thought", extra={"id": "r"}),
        TextDelta("Hello"),
        ToolCallStart("a", "add"),
        ToolCallStart("b", "add"),
        ToolCallArgs("a", '{"x":1}'),
        ToolCallArgs("b", "{}"),
        ToolCallEnd("a"),
        ToolCallEnd("b"),
        BlockAdded(Opaque("openai", {"k": 1})),
        Usage(messages.Usage(1, 9)),
        MessageEnd("tool_calls"),
    ]


def test_the_message_is_the_same() -> None:
    assert fold(joined(STREAM)) == fold(STREAM)
    assert fold(joined(STREAM[:10])) == fold(STREAM[1:10])
    assert joined([]) == []


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.json"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]
    taken = tmp_path / "folder"
    (taken / "full").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        write_whole(taken, b"three")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["folder", "new"]
