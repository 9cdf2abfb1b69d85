"""What a long session sends is its summary, what is worth keeping, and every turn since."""

from __future__ import annotations

import json

import pytest

from agentnb.messages import Message, Text, ToolCall, ToolResult, user
from agentnb.remembering import assemble, condensing_prompt, read_condensed, read_title, title_prompt, to_condense
from agentnb.session import Turn
from agentnb.store.memory import MemoryEntry, Summary


def turns(count: int) -> list[Turn]:
    return [Turn(None, (user(f"p{n}"), Message("assistant", (Text(f"a{n}"),)))) for n in range(count)]


def texts(messages: tuple[Message, ...]) -> list[str]:
    return [f"{message.role}: {message.text}" for message in messages]


def test_without_a_summary_everything_is_sent() -> None:
    assert texts(assemble(turns(2), None)) == ["user: p0", "assistant: a0", "user: p1", "assistant: a1"]


def test_a_summary_stands_for_its_turns_and_none_since_is_lost() -> None:
    entries = [MemoryEntry("fact", "It is cold."), MemoryEntry("preference", "Metric units.")]
    assert texts(assemble(turns(13), Summary(1, 12, "Short.", 0), entries)) == [
        "system: ## Summary\nShort.",
        "system: ## Memory\nfact: It is cold.",
        "system: ## Memory\npreference: Metric units.",
        "user: p12",
        "assistant: a12",
    ]


def test_where_room_is_short_the_oldest_memories_go_first_and_then_the_summary() -> None:
    entries = [MemoryEntry("fact", "x" * 100), MemoryEntry("fact", "y" * 100)]
    summary = Summary(1, 1, "s" * 100, 0)
    kept = texts(assemble(turns(2), summary, entries, budget=65))
    assert [line[:24] for line in kept] == [
        "system: ## Summary\nsssss",
        "system: ## Memory\nfact: ",
        "user: p1",
        "assistant: a1",
    ]
    assert "y" in kept[1]
    assert texts(assemble(turns(2), summary, entries, budget=1)) == ["user: p1", "assistant: a1"]


def test_calls_are_never_parted_from_their_results() -> None:
    called = Turn(
        None,
        (
            user("go"),
            Message("assistant", (ToolCall("c", "f"),)),
            Message("tool", (ToolResult("c", "f", (Text("7"),)),)),
            Message("assistant", (Text("It is 7."),)),
        ),
    )
    sent = assemble([*turns(1), called], Summary(1, 1, "s", 0))
    assert [message.role for message in sent] == ["system", "user", "assistant", "tool", "assistant"]


@pytest.mark.parametrize(("count", "upto"), [(0, 0), (1, 0), (2, 1), (10, 9), (11, 1), (30, 20)])
def test_all_but_the_last_turns_are_summarized(count: int, upto: int) -> None:
    assert to_condense(turns(count)) == upto


def test_a_new_summary_is_made_of_the_last_one_and_of_the_turns_since() -> None:
    asked = condensing_prompt(turns(5), Summary(1, 2, "Before.", 0), 4)
    assert "Before." in asked
    assert "[2] user: p2" in asked
    assert "[3] assistant: a3" in asked
    assert "p1" not in asked
    assert "p4" not in asked


def test_memories_are_kept_that_the_model_is_sure_of() -> None:
    made = read_condensed(
        """<summary> It went well. </summary><memory>[
        {"entry_type": "fact", "content": "A  b", "source_turn_index": 3, "confidence": 0.7},
        {"entry_type": "fact", "content": "unsure", "source_turn_index": 3, "confidence": 0.69},
        {"entry_type": "rumour", "content": "x", "confidence": 1},
        {"entry_type": "decision", "content": "y", "confidence": 1, "source_turn_index": "first"},
        {"content": "", "confidence": 1}, 7, null]</memory>"""
    )
    assert made.summary == "It went well."
    assert made.entries == (MemoryEntry("fact", "A b", 0.7, 3), MemoryEntry("decision", "y", 1.0, 0))


@pytest.mark.parametrize(
    ("answer", "summary", "entries"),
    [
        ("Just words.", "Just words.", 0),
        ("<summary>S</summary><memory>not json</memory>", "S", 0),
        ('<summary>S</summary><memory>{"a": 1}</memory>', "S", 0),
        ('Words.\n<memory>[{"entry_type":"fact","content":"c","confidence":1}]</memory>', "Words.", 1),
        ('<summary>S\n<memory>```json\n[{"entry_type":"fact","content":"c","confidence":1}]\n```', "S", 1),
        ("<summary>S</summary><memory>" + "[" * 100_000 + "</memory>", "S", 0),
        ("", "", 0),
    ],
)
def test_an_answer_in_another_form_is_read_as_far_as_it_goes(answer: str, summary: str, entries: int) -> None:
    made = read_condensed(answer)
    assert (made.summary, len(made.entries)) == (summary, entries)


def test_a_model_that_says_what_was_asked_again_made_no_summary() -> None:
    asked = condensing_prompt(turns(3), None, 2)
    made = read_condensed(asked[asked.index("<summary>") :])
    assert (made.summary, made.entries) == ("", ())


def test_a_title_is_asked_for_with_the_first_things_said_and_read_without_ornaments() -> None:
    asked = title_prompt([Turn(None, (user("w" * 500), Message("assistant", (Text("a"),)))), *turns(9)])
    assert "w" * 200 in asked
    assert "w" * 201 not in asked
    assert "p3" in asked
    assert "p4" not in asked
    assert read_title('\n**"Penguin masses"**\nbecause') == "Penguin masses"
    assert len(read_title("x" * 300)) == 100
    assert read_title(" \n ") == ""


def test_a_turn_that_no_session_has_is_none() -> None:
    entry = {"entry_type": "fact", "content": "c", "confidence": 1, "source_turn_index": 10**30}
    assert [each.turn for each in read_condensed(f"<memory>{json.dumps([entry])}</memory>").entries] == [0]
