from __future__ import annotations

import difflib

import pytest

from agentnb.builtins.diffs import unified

MANY = "\n".join(f"line {n}" for n in range(100))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a\nb\nc", "a\nX\nc"),
        (MANY, MANY.replace("line 50\n", "line fifty\nand more\n")),
        (MANY, MANY.replace("line 3\n", "").replace("line 97", "end")),
        (MANY, "first\n" + MANY),
        (MANY, MANY + "\nlast"),
        ("a", ""),
        ("x\nx\nx", "x\nx"),
    ],
)
def test_it_is_the_diff_of_the_standard_library(old: str, new: str) -> None:
    expected = difflib.unified_diff(old.split("\n"), new.split("\n"), "a/f", "b/f", lineterm="")
    assert unified("f", old, new) == "\n".join(expected)


def test_where_nothing_differs_there_is_none() -> None:
    assert unified("f", "a", "a") == ""
    assert unified("f", None, "") != ""


def test_wide_lines_are_cut() -> None:
    assert len(unified("f", "a", "x" * 100_000)) < 1_200


def test_what_is_far_to_the_right_of_a_line_is_not_hidden() -> None:
    shown = unified("f", "a", f"x = 1{' ' * 5_000}; steal()")
    assert "characters left out …" in shown
    assert shown.endswith("; steal()")
