"""Tab in our magics."""

from __future__ import annotations

import pytest

from agentnb.notebook.complete import Completer
from agentnb.workspace import Workspace


def weigh(n: int) -> int:
    """Weigh."""
    return n


@pytest.mark.parametrize(
    ("cell", "offered"),
    [
        ("%%agent --", "--model"),
        ("%%agent -m ", "local:qwen2.5-coder-0.5b"),
        ("%%agent --model=x -t ", "weigh"),
        ("%%agent --session ", "none"),
        ("%agent -f ", "markdown"),
        ("%model ", "openai:"),
        ("%model x --api", "--api-base"),
        ("%tool ", "show"),
        ("%tool show ", "weigh"),
        ("%%agent\nHow heavy is {{pen", "penguins"),
        ("%%agent\nHow heavy is {{max(pen", "penguins"),
    ],
)
def test_what_may_stand_at_the_cursor_is_offered(cell: str, offered: str) -> None:
    completer = Completer(Workspace({"weigh": weigh, "penguins": [1], "_hidden": 1}))
    *above, line = cell.split("\n")
    assert offered in completer.suggest(above[0] if above else line, line, len(above))


@pytest.mark.parametrize("cell", ["print(pen", "%%agent\nHow heavy is pen", "%%agent\n{{a}} pen", "%timeit pen"])
def test_elsewhere_we_stay_out_of_the_way(cell: str) -> None:
    completer = Completer(Workspace({"penguins": [1]}))
    *above, line = cell.split("\n")
    assert completer.suggest(above[0] if above else line, line, len(above)) == ()


def test_hidden_names_are_not_offered() -> None:
    names = Completer(Workspace({"_hidden": 1, "seen": 2})).suggest("%%agent", "{{", 1)
    assert list(names) == ["seen"]
