"""The conversation of a notebook."""

from __future__ import annotations

from agentnb.messages import user
from agentnb.session import Session


def test_turns_are_remembered_in_order() -> None:
    session = Session()
    session.record("a", (user("1"),))
    session.record("b", (user("2"),))
    assert [m.text for m in session.history("c")] == ["1", "2"]


def test_a_cell_that_runs_again_sees_what_came_before_it_and_replaces_its_turn() -> None:
    session = Session()
    for key in "abc":
        session.record(key, (user(key),))
    assert [m.text for m in session.history("b")] == ["a"]
    session.record("b", (user("B"),))
    assert [m.text for m in session.history()] == ["a", "B", "c"]


def test_a_cell_without_an_id_always_appends() -> None:
    session = Session()
    session.record(None, (user("1"),))
    session.record(None, (user("2"),))
    assert [m.text for m in session.history(None)] == ["1", "2"]
