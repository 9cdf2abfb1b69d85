from __future__ import annotations

import pytest

from agentnb.messages import (
    Audio,
    Data,
    File,
    Image,
    Message,
    Opaque,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    ToolSpec,
    assistant,
    user,
)
from agentnb.prompting import estimate_tokens
from agentnb.tokens import Countable, count_tokens


@pytest.mark.parametrize(
    ("what", "tokens"),
    [
        ("", 0),
        ("12345", 2),
        (Text("12345678"), 2),
        (Thinking("1234", signature="x" * 400), 1),
        (ToolCall("id", "name", "{}  "), 2),
        (Image(b"x"), 2000),
        (Image(url="https://example.org/a.png"), 2000),
        (Audio(b"x"), 2000),
        (File("film.mp4", b"x", "video/mp4"), 2000),
        (Data({"a": [1, 2]}), 4),
        (Opaque("p", {"a": 1}), 2),
        (ToolResult("1", "n", (Text("1234"), Image(b"x"))), 2001),
        (user("1234", Image(b"x")), 2001),
        (assistant(Thinking("1234"), "1234", ToolCall("1", "f", "{}")), 3),
        (ToolSpec("add", "Add two numbers.", {"type": "object"}), 10),
        (Message("user", ()), 0),
    ],
)
def test_words_cost_a_quarter_of_their_bytes_and_media_two_thousand(what: Countable, tokens: int) -> None:
    assert count_tokens(what) == tokens


def test_several_values_cost_their_sum() -> None:
    assert count_tokens([user("1234"), assistant("12345678")]) == 3
    assert count_tokens(("1234", Text("1234"), user("1234"))) == 3
    assert count_tokens(text for text in ("1234", "1234")) == 2
    assert count_tokens([]) == 0


def test_a_chinese_character_is_not_taken_for_a_quarter_of_a_token() -> None:
    assert count_tokens("数据科学笔记本") == 6
    assert count_tokens(Data("数据")) == 2


def test_half_a_character_and_what_is_no_json_are_counted_too() -> None:
    assert count_tokens("\ud83d") == 1
    assert count_tokens(ToolSpec("f", "", {"default": float("nan")})) == 5


def test_a_budget_of_a_prompt_is_counted_by_the_same_rule() -> None:
    blocks = (Text("数据" * 50), Image(b"x"), Data([1, 2]))
    assert estimate_tokens(blocks) == count_tokens(blocks) == 75 + 2000 + 2
