from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agentnb.builtins.changes import Snapshot
from agentnb.builtins.copies import Limits
from agentnb.builtins.undo import NamespaceStep, Undo


class Variables:
    """Variables that calls change and the person too."""

    def __init__(self, **variables: Any) -> None:
        self.now: dict[str, Any] = variables
        self.stack = Undo()

    def call(self, code: str, limits: Limits | None = None) -> None:
        """What a tool does."""
        before = Snapshot(self.now, limits)
        exec(code, self.now)
        if changes := before.changes(self.now):
            self.stack.push(NamespaceStep(self.now, changes, f"python ({code})"))

    def person(self, code: str) -> None:
        """What the person does meanwhile."""
        exec(code, self.now)

    @property
    def values(self) -> dict[str, Any]:
        return {name: value for name, value in self.now.items() if name != "__builtins__"}


def test_with_nothing_to_undo_it_says_so() -> None:
    assert Undo().undo() == "There is nothing to undo: no tool has changed a variable or a file."


def test_bindings_and_contents_come_back() -> None:
    rows = [1]
    variables = Variables(x=1, gone="g", rows=rows)
    variables.call("new = x; x = 2; del gone; rows.append(2)")
    assert variables.stack.undo() == (
        "Undid python (new = x; x = 2; del gone; rows.append(2)). "
        "Removed new. Restored x, gone. Put back what was in rows."
    )
    assert variables.values == {"x": 1, "gone": "g", "rows": [1]}
    assert variables.now["rows"] is rows


def test_several_calls_are_undone_one_by_one_the_newest_first() -> None:
    variables = Variables(x=0)
    for number in (1, 2, 3):
        variables.call(f"x = {number}")
    said = [variables.stack.undo() for _ in range(4)]
    assert said[0] == "Undid python (x = 3). Restored x. 2 earlier calls can be undone too."
    assert said[1].endswith("1 earlier call can be undone too.")
    assert said[3].startswith("There is nothing")
    assert variables.values == {"x": 0}


@pytest.mark.parametrize(
    ("call", "person", "kept"),
    [
        ("x = 1", "x = 'mine'", {"x": "mine", "rows": [1]}),
        ("x = 1", "del x", {"rows": [1]}),
        ("new = 1", "new = 'mine'", {"new": "mine", "x": 0, "rows": [1]}),
        ("del x", "x = 'mine'", {"x": "mine", "rows": [1]}),
        ("rows.append(2)", "rows.append(3)", {"x": 0, "rows": [1, 2, 3]}),
        ("rows.append(2)", "rows = 'mine'", {"x": 0, "rows": "mine"}),
        ("rows.append(2)", "del rows", {"x": 0}),
    ],
)
def test_what_the_person_has_changed_since_is_left_alone_and_said(call: str, person: str, kept: object) -> None:
    variables = Variables(x=0, rows=[1])
    variables.call(call)
    variables.person(person)
    name = call.split()[-1] if call.startswith("del") else call.split()[0].partition(".")[0]
    assert f"Left alone, because it has changed since: {name}." in variables.stack.undo()
    assert variables.values == kept


def test_an_added_variable_that_is_gone_needs_no_word() -> None:
    variables = Variables()
    variables.call("new = 1")
    variables.person("del new")
    assert variables.stack.undo() == "Undid python (new = 1). Nothing was left to take back."


def test_a_list_that_was_changed_and_then_replaced_comes_back_as_it_was() -> None:
    rows = [1]
    variables = Variables(rows=rows, same=rows)
    variables.call("rows.append(2); rows = 'other'")
    assert "Restored rows. Put back what was in rows, same." in variables.stack.undo()
    assert variables.values == {"rows": [1], "same": [1]}
    assert variables.now["rows"] is rows


def test_what_was_too_big_to_copy_cannot_be_put_back_and_that_is_said() -> None:
    variables = Variables(a=np.zeros(1_000), x=1)
    variables.call("a[0] = 1; x = 2", Limits(copied=100))
    assert "Restored x. What was in a cannot be put back: it was too big to copy." in variables.stack.undo()
    assert variables.now["x"] == 1


def test_only_so_many_calls_are_remembered() -> None:
    stack = Undo(depth=2)
    for number in range(5):
        stack.push(NamespaceStep({}, Snapshot({}).changes({"x": number}), str(number)))
    assert len(stack) == 2
    stack.clear()
    assert len(stack) == 0
