from __future__ import annotations

import tracemalloc

import pytest

from agentnb.models.sse import Decoder, ServerEvent


def _decode(*blocks: bytes) -> list[tuple[str, bytes]]:
    decoder = Decoder()
    return [(e.event, e.data) for block in blocks for e in decoder.feed(block)]


def test_a_block_of_plain_events_and_the_beginning_of_the_next_is_read() -> None:
    assert _decode(b"data: 1\n\ndata: 2\n\nda", b"ta: 3\n\n") == [
        ("message", b"1"),
        ("message", b"2"),
        ("message", b"3"),
    ]


def test_a_block_of_named_events_and_the_beginning_of_the_next_is_read() -> None:
    assert _decode(b"event: a\ndata: 1\n\nevent: \ndata: 2\n\nevent: b\nda", b"ta: 3\n\n") == [
        ("a", b"1"),
        ("message", b"2"),
        ("b", b"3"),
    ]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (b"event: a\ndata: 1\n\n\nevent: b\ndata: 2\n\n", [("a", b"1"), ("b", b"2")]),
        (b"event: a\n\nevent: b\ndata: 1\ndata: 2\n\n", [("b", b"1\n2")]),
        (b"event: a\ndata: 1\n\nevent: b\nid: 7\n\n", [("a", b"1")]),
        (b"event: a\ndata: 1\n\ndata: 2\nevent: b\n\n", [("a", b"1"), ("b", b"2")]),
        (b"event: a\n\nevent: b\nid: 7\ndata: 1\n\nevent: c\ndata: 2\n\n", [("b", b"1"), ("c", b"2")]),
        (b"data: 1\nevent: a\n\nevent: b\n\n", [("a", b"1")]),
        (b"event: a\ndata: \n\nevent: b\ndata:2\n\n", [("a", b""), ("b", b"2")]),
    ],
)
def test_a_block_that_only_looks_like_named_events_is_read_as_it_is(
    block: bytes, expected: list[tuple[str, bytes]]
) -> None:
    assert _decode(block) == expected
    assert _decode(*(block[i : i + 1] for i in range(len(block)))) == expected


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("step", [1, 2, 5, 100])
def test_every_line_ending_works_however_it_is_cut(end: bytes, step: int) -> None:
    body = end.join([b"event: a", b"data: 1", b"data: 2", b"", b": note", b"data:3", b"", b""])
    blocks = [body[i : i + step] for i in range(0, len(body), step)]
    assert _decode(*blocks) == [("a", b"1\n2"), ("message", b"3")]


def test_a_plain_block_after_a_named_line_belongs_to_the_named_event() -> None:
    assert _decode(b"event: error\n", b"data: 1\n\ndata: 2\n\n") == [("error", b"1"), ("message", b"2")]


def test_a_plain_block_after_half_an_event_continues_it() -> None:
    assert _decode(b"data: 1\n", b"data: 2\n\n") == [("message", b"1\n2")]


def test_separators_that_are_not_line_ends_are_data() -> None:
    payload = "a\u2028b\u0085c\x0bd".encode()
    assert _decode(b"data: " + payload + b"\n\n") == [("message", payload)]


def test_characters_may_be_split_over_blocks() -> None:
    body = "data: é—🙂\n\n".encode()
    assert _decode(*[body[i : i + 1] for i in range(len(body))]) == [("message", "é—🙂".encode())]


def test_one_leading_mark_is_stripped_though_it_is_split() -> None:
    assert _decode(b"\xef", b"\xbb", b"\xbfdata: 1\n\n") == [("message", b"1")]


def test_the_end_discards_an_open_event_unless_flush_is_asked() -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: {}\n\nevent: x\ndata: [DONE]") == [ServerEvent("message", b"{}")]
    assert decoder.flush() == ServerEvent("x", b"[DONE]")
    assert decoder.flush() is None


def test_a_huge_event_in_many_blocks_is_read_in_linear_memory() -> None:
    piece, count = b"x" * 65536, 256
    decoder = Decoder()
    decoder.feed(b"data: ")
    tracemalloc.start()
    for _ in range(count):
        assert decoder.feed(piece) == []
    (event,) = decoder.feed(b"\n\n")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(event.data) == len(piece) * count
    assert peak < 5 * len(event.data)


def test_comments_do_not_accumulate() -> None:
    decoder = Decoder()
    decoder.feed(b": wait\n\n")
    tracemalloc.start()
    for _ in range(20_000):
        assert decoder.feed(b": still working on it, please wait\n\n") == []
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 10_000
    assert decoder.feed(b"data: 1\n\n") == [ServerEvent("message", b"1")]
