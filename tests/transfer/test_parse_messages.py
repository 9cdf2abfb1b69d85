"""Messages that were written wrongly are read for what they say."""

from __future__ import annotations

import base64

from agentnb.messages import Audio, Data, File, Image, Message, Text, ToolCall, ToolResult
from agentnb.transfer.parse_messages import Reader, medium
from tests.transfer.conftest import PNG, said


def read(*values: object) -> tuple[list[Message], list[str]]:
    notes: list[str] = []
    reads = Reader("x", notes.append, 5.0, lambda *_: None).read(values)  # type: ignore[arg-type]
    return [each.message for each in reads], notes


def test_calls_without_id_and_name_take_them_from_their_results() -> None:
    [_, asked, results], notes = read(
        said("user", "go"),
        said("assistant", tool_calls=[{"arguments": "}"}]),
        said("tool", "1", name="add"),
        said("tool", "2", name="look"),
    )
    assert [(call.name, call.arguments) for call in asked.calls] == [("add", "}"), ("look", "{}")]
    assert [each.call_id for each in results.content if isinstance(each, ToolResult)] == [c.id for c in asked.calls]
    assert notes == ["x: message 3 answers a call that was not written; it was added."]


def test_two_calls_of_one_id_are_told_apart() -> None:
    [asked, results], _ = read(
        said("assistant", tool_calls=[{"id": "c", "name": "add"}, {"id": "c", "name": "add"}]),
        said("tool", "1", name="add", tool_call_id="c"),
        said("tool", "2", name="add"),
    )
    assert asked.calls == (ToolCall("c", "add"), ToolCall("c_", "add"))
    assert results.content == (ToolResult("c", "add", (Text("1"),)), ToolResult("c_", "add", (Text("2"),)))


def test_what_a_round_took_may_be_a_message_of_its_own() -> None:
    reads = Reader("x", lambda _: None, 5.0, lambda *_: None).read(
        [said("assistant", "a"), {"role": "usage", "name": "round", "content": '{"prompt_tokens": 3}'}]
    )
    assert len(reads) == 1
    assert reads[0].usage is not None
    assert reads[0].usage.input == 3


def test_parts_and_times_as_other_programs_write_them() -> None:
    reads = Reader("x", lambda _: None, 5.0, lambda *_: None).read(
        [
            {"role": "human", "content": [{"type": "text", "text": "a"}, {"type": "odd"}], "timestamp": 1775037600123},
            {"role": "model", "content": None, "timestamp": "2026-04-01T10:00:00Z"},
            {"role": "user", "content": {"a": 1}},
        ]
    )
    assert [each.message.content for each in reads] == [(Text("a"), Data({"type": "odd"})), (), (Data({"a": 1}),)]
    assert [each.created for each in reads] == [1775037600.123, 1775037600.0, 1775037600.0]


def test_media_are_told_by_their_bytes() -> None:
    text = base64.b64encode(PNG).decode()
    assert medium(text, "image") == Image(PNG, "image/png")
    assert medium(f"data:image/jpeg;base64,{text}", "image") == Image(PNG, "image/png")
    assert medium("https://x.example/a.png", "image") == Image(url="https://x.example/a.png")
    assert medium({"url": "https://x.example/a.wav"}, "audio") == Audio(url="https://x.example/a.wav")
    assert medium("data:application/x-y;base64,AAAA", "image") == File("image", b"\0\0\0", "application/x-y")


def test_a_path_is_kept_but_never_read() -> None:
    assert medium("/etc/passwd", "image") == Text("[image: /etc/passwd]")
    [message], notes = read(said("user", "see", images=["~/cat.png"]))
    assert message.content == (Text("see"), Text("[image: ~/cat.png]"))
    assert notes == ["x: message 0 names a file in 'images'; only its path is kept."]
