"""Two runs beside each other."""

from __future__ import annotations

import pytest

from agentnb.messages import Usage
from agentnb.render.compared import Side, comparison
from tests.render.samples import HOSTILE


def shown(before: str, after: str, *, same: bool | None = False) -> tuple[str, str]:
    """The HTML and the text of two answers compared."""
    made = comparison(Side("In [3]", "m:a", "done", before), Side("now", "m:b", "done", after), same=same)
    return str(made["text/html"]), str(made["text/plain"])


def test_what_each_took_stands_beside_the_other() -> None:
    made = comparison(
        Side("In [3]", "openai:gpt-5-mini", "done", "Yes.", Usage(1200, 34, usd=0.0012, seconds=2.5), ("rows", "rows")),
        Side("now", "fake:b", "max_rounds", "Yes.", Usage(10, 2)),
        same=True,
        notes=("df has changed since.",),
    )
    assert made["text/plain"] == (
        "            In [3]                          now\n"
        "model       openai:gpt-5-mini               fake:b\n"
        "outcome     done                            max_rounds\n"
        "tokens      1,234 tokens: 1,200 in, 34 out  12 tokens: 10 in, 2 out\n"
        "USD         $0.0012                         –\n"
        "seconds     2.5 s                           –\n"
        "tool calls  rows × 2                        –\n"
        "\n"
        "The same answer.\n"
        "df has changed since."
    )
    assert "<th" in str(made["text/html"])
    assert "The same answer." in str(made["text/html"])


def test_answers_differ_word_by_word() -> None:
    html, text = shown("It is 3 apples\nand a pear.", "It is 4 apples and a pear, too.")
    assert text.endswith("\n\nIt is [-3-] {+4+} apples and a [-pear.-]{+pear, too.+}")
    assert ">3</del> <ins" in html
    assert ">4</ins> apples" in html


def test_answers_with_little_in_common_stand_one_after_the_other() -> None:
    other = "To find how many people live in Oslo one might\nlook at the list of towns."
    _, text = shown("Oslo has 709,000 people.", other)
    assert text.endswith(f"\n\n[-Oslo has 709,000 people.-]\n\n{{+{other}+}}")


def test_long_stretches_that_are_alike_are_shortened() -> None:
    alike = " ".join(map(str, range(1000)))
    _, text = shown(f"{alike} yes", f"{alike} no")
    assert "… 940 words alike …" in text
    assert "[-yes-]{+no+}" in text


def test_nothing_in_it_is_markup() -> None:
    made = comparison(
        Side("<b>t", HOSTILE, HOSTILE, HOSTILE, calls=(HOSTILE,)), Side("now", "m", "done", "x"), same=None
    )
    html = str(made["text/html"])
    assert "<script" not in html
    assert "<img" not in html
    assert "<b>" not in html
    assert "\x1b" not in str(comparison(Side("a", "m", "", "\x1b]0;x\x07hi"), Side("b", "m", "", ""), same=None))


def test_it_is_styled_without_what_a_sanitizer_drops() -> None:
    html, _ = shown("one", "two")
    assert "<style" not in html
    assert "var(" not in html
    assert "class=" not in html


@pytest.mark.timeout(20)
def test_long_and_odd_answers_take_no_time() -> None:
    shown("a " * 100_000, "b a " * 100_000)
    shown(" ".join(map(str, range(50_000))), " ".join(map(str, range(50_000, 0, -1))))
    shown("ab " * 50_000, "ba " * 50_000)
