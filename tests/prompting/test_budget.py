from __future__ import annotations

import pytest

from agentnb.messages import Audio, Data, File, Image, Opaque, Text, Thinking, ToolCall, ToolResult
from agentnb.prompting import estimate_tokens
from agentnb.prompting.budget import cut, cuts_in, fence, mark, one_line


def test_words_cost_a_quarter_of_their_characters_and_media_two_thousand() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("12345") == 2
    assert estimate_tokens([Text("1234"), Thinking("1234")]) == 2
    assert estimate_tokens([Image(b"x"), Audio(b"x"), File("f", b"x")]) == 6000
    assert estimate_tokens([ToolCall("1", "abcd", "{}  "), ToolResult("1", "n", (Text("1234"), Image(b"x")))]) == 2003
    assert estimate_tokens([Data([1, 2]), Opaque("p", {"a": 1})]) == 4


@pytest.mark.parametrize("room", [60, 200, 1000, 5000])
@pytest.mark.parametrize("text", ["word " * 10_000, "a line\n" * 10_000, "x" * 50_000, "\n" * 50_000])
def test_a_cut_text_keeps_to_its_room_and_counts_what_is_missing(text: str, room: int) -> None:
    short = cut(text, room)
    assert len(short) <= room * 1.1 + 10
    (told,) = cuts_in(short)
    left_out = int(told.split()[0].replace(",", ""))
    assert told == f"{left_out:,} of {len(text):,} characters left out"
    shown = len(short) - len(mark(left_out, len(text), "characters"))
    assert 0 <= shown - (len(text) - left_out) <= 2  # what sets off the mark


def test_a_text_that_fits_is_not_touched() -> None:
    assert cut("  as it is \n", 12) == "  as it is \n"


def test_a_cut_keeps_both_ends() -> None:
    short = cut("\n".join(f"line {i}" for i in range(1000)), 300)
    assert short.startswith("line 0\nline 1\n")
    assert short.endswith("\nline 998\nline 999")


def test_one_line_is_one_line() -> None:
    assert one_line("a\n  b\tc", 10) == "a b c"
    assert one_line("a" * 20, 10) == "aaaaaaaaa…"


def test_a_fence_is_longer_than_any_inside() -> None:
    assert fence("x", "py") == "```py\nx\n```"
    assert fence("````\n") == "`````\n````\n`````"
