"""Words of a model or a tool, made harmless."""

from __future__ import annotations

import pytest

from agentnb.render.terminal import Stripper, clean, clip, one_line, visible


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b2Jcleared", "cleared"),
        ("\x1bPdata\x1b\\after", "after"),
        ("\x1b]0;never ends\nnext line", "\nnext line"),
        ("a\x00b\x07c\x08d\x7fe\x85f", "abcdef"),
        ("user\u202etxt.exe", "usertxt.exe"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("one\r\ntwo", "one\ntwo"),
        ("10%\r50%\r100%\ndone", "100%\ndone"),
        ("half \ud800 pair", "half \ufffd pair"),
        ("naïve — ünïcode 🐧", "naïve — ünïcode 🐧"),
    ],
)
def test_control_sequences_are_removed_and_text_is_kept(raw: str, shown: str) -> None:
    assert clean(raw) == shown


def test_a_sequence_cut_in_two_is_not_let_through_in_halves() -> None:
    whole = "a\x1b[1;31mb\x1b]0;title\x07c\x1b[0m d"
    for cut in range(len(whole) + 1):
        stripper = Stripper()
        shown = stripper.feed(whole[:cut]) + stripper.feed(whole[cut:]) + stripper.close()
        assert shown == "abc d"


def test_a_sequence_that_never_ends_does_not_hold_back_what_follows() -> None:
    stripper = Stripper()
    assert stripper.feed("\x1b[") == ""
    assert stripper.feed("31mred") == "red"


def test_a_cut_is_visible_and_says_how_much_is_missing() -> None:
    cut = clip("x" * 10_000, 400)
    assert "9,600 characters left out" in cut
    assert len(cut) < 460
    assert clip("short", 400) == "short"


def test_one_line_has_no_line_feed_and_no_control() -> None:
    assert one_line("a\n  b\x1b[0m\tc", 80) == "a b c"
    assert one_line("word " * 100, 20) == "word word word word…"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("import os; os.abort()\rprint('hello')", "import os; os.abort()␍print('hello')"),  # Python runs both lines
        ("echo hi \x1b]0;rm -rf ~;\x07", "echo hi ␛]0;rm -rf ~;␇"),  # so does a shell, with what a terminal takes
        ("a\u202eb\u2066c\u200bd\x9b\ud800", "a⟨U+202E⟩b⟨U+2066⟩c⟨U+200B⟩d⟨U+009B⟩⟨U+D800⟩"),
        ("one\r\n\ttwo é 漢 🙂", "one\n\ttwo é 漢 🙂"),
    ],
)
def test_nothing_that_is_to_run_is_hidden_from_who_decides(raw: str, shown: str) -> None:
    assert visible(raw) == shown


def test_a_carriage_return_at_the_end_erases_nothing() -> None:
    assert clean("done\r") == "done"
    assert clean("10 %\r20 %\r") == "20 %"
