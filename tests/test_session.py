"""The conversation of a notebook."""

from __future__ import annotations

from agentnb.messages import Message, assistant, user
from agentnb.session import Session


def turn(prompt: str) -> tuple[Message, ...]:
    return user(prompt), assistant(f"to {prompt}")


def test_turns_are_remembered_in_order() -> None:
    session = Session()
    session.record("a", turn("1"))
    session.record("b", turn("2"))
    assert [m.text for m in session.history("c")] == ["1", "to 1", "2", "to 2"]


def test_a_cell_that_runs_again_sees_what_came_before_it_and_replaces_its_turn() -> None:
    session = Session()
    for key in "abc":
        session.record(key, turn(key))
    assert [m.text for m in session.history("b")] == ["a", "to a"]
    session.record("b", turn("B"))
    assert [m.text for m in session.history()] == ["a", "to a", "B", "to B", "c", "to c"]


def test_a_cell_without_an_id_always_appends() -> None:
    session = Session()
    session.record(None, turn("1"))
    session.record(None, turn("2"))
    assert [m.text for m in session.history(None)] == ["1", "to 1", "2", "to 2"]


def test_a_prompt_that_nobody_answered_is_not_told_again() -> None:
    session = Session()
    session.record("a", (user("failed"),))
    session.record("b", turn("b"))
    assert [m.text for m in session.history()] == ["b", "to b"]
    session.record("a", turn("a"))
    assert [m.text for m in session.history()] == ["a", "to a", "b", "to b"]
