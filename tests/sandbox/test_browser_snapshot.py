"""A page's text: marked, bounded, without what hides."""

from __future__ import annotations

from agentnb.sandbox.browser_snapshot import bounded, clean, describe, format_seen, page_content


def test_the_marks_differ_each_time_and_enclose_all() -> None:
    one, two = page_content("a"), page_content("a")
    assert one != two
    assert one.splitlines()[1] == "a"


def test_a_long_text_is_cut_at_a_line_and_says_so() -> None:
    text = "\n".join(f"line {number}" for number in range(100))
    cut = bounded(text, 80, "Ask for less.")
    assert cut.splitlines()[-2] == "line 10"
    assert cut.endswith(f"… {len(text) - cut.index(chr(10) + '…'):,} more characters are left out. Ask for less.")
    assert bounded("x" * 100, 10, "").startswith("x" * 10 + "\n… 90 more")
    assert bounded("short", 10, "") == "short"


def test_what_hides_or_turns_text_around_is_taken_out() -> None:
    assert clean("a\u202eb\x1b[0m\u200bc\td\n") == "ab[0mc\td\n"


def test_a_page_says_where_it_is_and_what_happened() -> None:
    text = format_seen("- tree", url="https://a/", title="A\nB", tabs=["→ 1. x", "  2. y"], notes=["A note."])
    assert text.splitlines()[0] == "Page: https://a/"
    assert text.splitlines()[2:-1] == ["Title: A B", "A note.", "Tabs:", "→ 1. x", "  2. y", "- tree"]
    assert "(the page is empty)" in format_seen("", url="", title="")


def test_a_ref_is_described_by_its_own_line_only() -> None:
    tree = """- generic [ref=e1]:
  - paragraph: "text [ref=e3]"
  - button "name [ref=e3]" [ref=e2]
  - button "Pay \\"now\\"" [disabled] [ref=e3] [cursor=pointer]
  - 'link "a: b" [ref=e4]':
    - /url: x"""
    assert describe(tree, "e3") == 'e3: button "Pay \\"now\\""'
    assert describe(tree, "e2") == 'e2: button "name [ref=e3]"'
    assert describe(tree, "e4") == 'e4: link "a: b"'
    assert describe(tree, "e9") == ""
