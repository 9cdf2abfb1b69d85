from __future__ import annotations

import threading

import pytest
from inline_snapshot import snapshot

from agentnb.ledger import EARLIER, Entry, Ledger, Row
from agentnb.messages import Usage


def entry(cell: str = "In [1]", model: str = "x:m", *, notebook: str = "a.ipynb", usd: float | None = 0.5) -> Entry:
    return Entry(cell, model, Usage(10, 5, cached=4, reasoning=2, seconds=1.5, usd=usd), 1700000000.0, notebook)


def filled(*entries: Entry, kept: int = 100) -> Ledger:
    ledger = Ledger(kept=kept)
    for each in entries:
        ledger.add(each)
    return ledger


def test_an_empty_ledger_adds_up_to_nothing() -> None:
    ledger = Ledger()
    assert ledger.total() == Usage()
    assert not ledger.by("cell")
    assert not ledger.entries
    assert list(ledger.to_table()) == [("cell", "runs", "input", "cached", "output", "reasoning", "seconds", "usd")]


def test_runs_are_kept_in_their_order() -> None:
    runs = entry("In [2]"), entry("In [1]")
    assert filled(*runs).entries == runs


@pytest.mark.parametrize(
    ("key", "keys"),
    [("cell", ["In [2]", "In [1]"]), ("model", ["x:m", "y:n"]), ("notebook", ["a.ipynb", "b.ipynb"])],
)
def test_runs_add_up_by_cell_model_or_notebook(key: str, keys: list[str]) -> None:
    ledger = filled(entry("In [2]"), entry(), entry("In [2]", "y:n", notebook="b.ipynb"))
    rows = ledger.by(key)  # type: ignore[arg-type]  # one of the three
    assert [row.key for row in rows] == keys
    assert sum(row.runs for row in rows) == 3
    assert sum((row.usage for row in rows), Usage()) == ledger.total()
    assert ledger.total() == Usage(30, 15, cached=12, reasoning=6, seconds=4.5, usd=1.5)


def test_runs_without_a_price_are_counted() -> None:
    assert filled(entry(usd=None), entry()).by("model") == (
        Row("x:m", 2, Usage(20, 10, cached=8, reasoning=4, seconds=3.0, usd=0.5), unpriced=1),
    )
    assert filled(entry(usd=None)).total().usd is None


def test_a_table_has_headings_rows_and_their_sum() -> None:
    assert list(filled(entry(), entry("In [2]", usd=0.25), entry()).to_table("cell")) == snapshot(
        [
            ("cell", "runs", "input", "cached", "output", "reasoning", "seconds", "usd"),
            ("In [1]", 2, 20, 8, 10, 4, 3.0, 1.0),
            ("In [2]", 1, 10, 4, 5, 2, 1.5, 0.25),
            ("total", 3, 30, 12, 15, 6, 4.5, 1.25),
        ]
    )


def test_a_table_of_one_row_has_no_sum() -> None:
    assert [row[0] for row in filled(entry()).to_table("model")] == ["model", "x:m"]


def test_what_is_no_longer_kept_one_by_one_still_counts() -> None:
    ledger = filled(*(entry(f"In [{n}]", f"x:{n % 2}") for n in range(10)), kept=3)
    assert [each.cell for each in ledger.entries] == ["In [7]", "In [8]", "In [9]"]
    assert [(row.key, row.runs) for row in ledger.by("cell")] == [
        (EARLIER, 7),
        ("In [7]", 1),
        ("In [8]", 1),
        ("In [9]", 1),
    ]
    assert [(row.key, row.runs) for row in ledger.by("model")] == [("x:0", 5), ("x:1", 5)]
    assert [(row.key, row.runs) for row in ledger.by("notebook")] == [("a.ipynb", 10)]
    assert ledger.total().usd == 5.0


def test_threads_may_share_it() -> None:
    ledger = Ledger(kept=50)

    def work() -> None:
        for _ in range(200):
            ledger.add(entry())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=5)
    assert ledger.by("model")[0].runs == 800
    assert len(ledger.entries) == 50
