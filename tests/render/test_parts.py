"""A long answer in parts."""

from __future__ import annotations

import random

from agentnb.render.parts import PART_CHARS, Splitter, split

PARAGRAPH = "word " * 60 + "\n\n"


def blocks(seed: int) -> str:
    """A long answer of every kind of block, some far too long."""
    rnd = random.Random(seed)
    kinds = [
        PARAGRAPH,
        "```python\n" + "x = 1\n\n" * rnd.randint(5, 3000) + "```\n\n",
        "".join(f"{i}. item\n\n   more of it\n\n" for i in range(1, rnd.randint(5, 400))),
        "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * rnd.randint(5, 3000) + "\n",
        "> quoted\n> text\n\n",
        "~~~~\n```\nnot a fence\n~~~~\n\n",
    ]
    return "".join(rnd.choice(kinds) for _ in range(60))


def test_a_short_answer_is_one_part() -> None:
    assert split("# Title\n\nText.\n") == ["# Title\n\nText.\n"]


def test_parts_begin_at_a_blank_line_and_together_are_the_text() -> None:
    text = PARAGRAPH * 100
    parts = split(text)
    assert len(parts) > 3
    assert "".join(parts) == text
    assert all(part.endswith("\n\n") for part in parts[:-1])


def test_a_sealed_part_never_changes_however_the_text_goes_on() -> None:
    for seed in range(6):
        text, rnd = blocks(seed), random.Random(seed)
        final = split(text)
        splitter, at = Splitter(), 0
        while at < len(text):
            step = rnd.randint(1, 700)
            splitter.feed(text[at : at + step])
            at += step
            assert splitter.sealed == final[: len(splitter.sealed)]
        assert [*splitter.sealed, splitter.open] == final


def test_no_part_is_much_longer_than_twice_its_measure() -> None:
    for seed in range(6):
        done = 0
        for part in split(blocks(seed)):
            assert len(part) <= 2.2 * (PART_CHARS + done / 8) + 500
            done += len(part)


def test_a_code_block_is_not_cut_at_its_blank_lines() -> None:
    code = "```python\n" + "x = 1\n\n" * 800 + "```\n"
    assert split(PARAGRAPH * 12 + code)[0].endswith("```\n")


def test_an_endless_code_block_is_closed_and_opened_again() -> None:
    parts = split("intro\n\n```python\n" + "x = 1\n" * 4000 + "```\nafter\n")
    assert len(parts) > 2
    assert all(part.count("```") == 2 for part in parts)
    assert all(part.startswith("```python\n") for part in parts[1:])


def test_an_endless_table_repeats_its_header() -> None:
    parts = split("| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 4000)
    assert len(parts) > 2
    assert all(part.startswith("| a | b |\n|---|---|\n| 1 | 2 |\n") for part in parts)


def test_a_numbered_list_stays_together() -> None:
    text = PARAGRAPH * 13 + "".join(f"{i}. item\n\n" for i in range(1, 200)) + "After.\n"
    cuts = [part for part in split(text) if part.lstrip()[:1].isdigit()]
    assert [part.splitlines()[0] for part in cuts] in ([], ["1. item"])
