from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from agentnb.builtins.changes import Changes, Snapshot, about
from agentnb.builtins.copies import Copier, Limits, NotRestored


def after(code: str, limits: Limits | None = None, **variables: object) -> tuple[Changes, dict[str, Any]]:
    """What code changed, and the variables after it."""
    namespace: dict[str, Any] = {"np": np, "pd": pd, "pl": pl, **variables}
    before = Snapshot(namespace, limits)
    exec(code, namespace)
    return before.changes(namespace), namespace


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("new = 1", "Variables: added new (int)."),
        ("x = 'other'", "Variables: rebound x (str, 5 characters)."),
        ("del x", "Variables: deleted x."),
        ("rows.append(4)", "Variables: changed in place rows (list, 4 items)."),
        ("rows += [4]; x = 2; a = b = 0; del rows[0]", "Variables: added a (int), b (int); rebound x (int); "
         "changed in place rows (list, 3 items)."),
        ("y = x", "Variables: added y (int)."),
        ("x = x; rows[:] = list(rows); [i for i in rows]", "Variables: nothing changed."),
        ("_ = 5; _i3 = 'x'; _7 = 1; __doc__ = ''; In = []", "Variables: nothing changed."),
    ],
)  # fmt: skip
def test_what_code_did_is_told_in_one_line(code: str, line: str) -> None:
    changes, _ = after(code, x=1, rows=[1, 2, 3])
    assert changes.line == line
    assert bool(changes) == ("nothing" not in line)


def test_many_names_are_counted() -> None:
    changes, _ = after("for i in range(40): globals()[f'v{i}'] = i\ndel i")
    assert "v11 (int) and 28 more." in changes.line


MUTATIONS: list[tuple[Callable[[], object], str]] = [
    (lambda: [1, 2], "v.reverse()"),
    (lambda: [1, [2, {"a": (3, [4])}]], "v[1][1]['a'][1].append(5)"),
    (lambda: {"a": 1}, "v['b'] = 2"),
    (lambda: {"a": 1, "b": 2}, "v['a'] = v.pop('a')"),
    (lambda: {1, 2}, "v.discard(1)"),
    (lambda: bytearray(b"abc"), "v[0] = 0"),
    (lambda: collections.deque([1, 2], maxlen=2), "v.append(3)"),
    (lambda: collections.defaultdict(list), "v['new']"),
    (lambda: collections.Counter("aab"), "v.update('c')"),
    (lambda: np.arange(6).reshape(2, 3), "v[1, 1] = 9"),
    (lambda: np.arange(10)[::2], "v *= 2"),
    (lambda: np.array(["a", None], dtype=object), "v[1] = 'b'"),
    (lambda: np.array([1.0, np.nan]), "v[1] = 0"),
    (lambda: pd.DataFrame({"a": [1, 2]}), "v['b'] = v.a * 2"),
    (lambda: pd.DataFrame({"a": [1, 2]}), "v.loc[0, 'a'] = 9"),
    (lambda: pd.DataFrame({"a": ["x", "y"], "name": [1, 2]}), "v.pop('name')"),
    (lambda: pd.DataFrame({"a": [2, 1]}), "v['a'] = v.a.sort_values().to_list()"),
    (lambda: pd.DataFrame({"a": [1]}), "v.columns = ['b']"),
    (lambda: pd.Series([1, 2], name="s"), "v.iloc[0] = 5"),
    (lambda: pd.Series([1, 2], name="s"), "v.name = 't'"),
    (lambda: pl.DataFrame({"a": [1, 2]}), "v.insert_column(0, pl.Series('b', [3, 4]))"),
    (lambda: pl.DataFrame({"a": [1, 2]}), "v[0, 'a'] = 7"),
    (lambda: pl.Series("s", [1, 2]), "v[0] = 7"),
]


@pytest.mark.parametrize(("make", "code"), MUTATIONS, ids=[code for _, code in MUTATIONS])
def test_a_change_in_place_is_seen_and_taken_back(make: Callable[[], object], code: str) -> None:
    value = make()
    changes, namespace = after(code, v=value)
    assert list(changes.mutated) == ["v"]
    assert namespace["v"] is value
    assert not Snapshot({"v": value}).changes({"v": value})
    for part in changes.mutated["v"].parts:
        part.before.restore()
    assert repr(value) == repr(make())
    assert type(value) is type(make())


def test_an_object_of_a_class_of_the_notebook_is_looked_into() -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec("class Point:\n    def __init__(self): self.x = 1; self.tags = []\np = Point()", namespace)
    before = Snapshot(namespace)
    exec("p.x = 2; p.tags.append('a')", namespace)
    changes = before.changes(namespace)
    assert changes.line == "Variables: changed in place p (Point)."
    for part in changes.mutated["p"].parts:
        part.before.restore()
    assert (namespace["p"].x, namespace["p"].tags) == (1, [])


def test_what_two_variables_share_is_told_of_both_and_copied_once() -> None:
    shared = [1]
    changes, _ = after("a.append(2)", a=shared, b={"inside": shared})
    assert list(changes.mutated) == ["a", "b"]
    assert changes.mutated["a"].parts[0] is changes.mutated["b"].parts[0]


def test_things_that_hold_themselves_are_looked_at_once() -> None:
    ring: list[object] = [1]
    ring.append(ring)
    changes, _ = after("r.append(2)", r=ring)
    assert list(changes.mutated) == ["r"]


def test_no_code_of_the_users_runs_for_it() -> None:
    class Wild(list[int]):
        def __iter__(self) -> Any:
            raise RuntimeError("asked")

        def __len__(self) -> int:
            raise RuntimeError("asked")

        def __eq__(self, other: object) -> bool:
            raise RuntimeError("asked")

        __hash__ = None  # type: ignore[assignment]  # as it cannot be compared

    changes, _ = after("held.append(0)", wild=Wild(), held=[Wild()])
    assert changes.line == "Variables: changed in place held (list, 2 items)."


@pytest.mark.parametrize(
    ("limits", "unchecked"),
    [(Limits(members=10), ("big", "nested")), (Limits(read=10), ("array", "frame")), (Limits(seconds=-1), None)],
)
def test_what_is_too_big_to_look_at_is_said(limits: Limits, unchecked: tuple[str, ...] | None) -> None:
    variables = {
        "array": np.zeros(100),
        "frame": pd.DataFrame({"a": range(100)}),
        "big": list(range(100)),
        "nested": [list(range(100))],
    }
    changes, _ = after("big.append(1); array[0] = 1", limits, **variables)
    assert set(changes.unchecked) == set(unchecked or variables)
    assert f"(too big to check for changes in place {', '.join(changes.unchecked)})" in changes.line


def test_an_array_that_is_too_big_to_copy_is_seen_to_change_but_cannot_be_put_back() -> None:
    limits = Limits(copied=1_000)
    changes, _ = after("a[5] = 1", limits, a=np.zeros(1_000))
    (part,) = changes.mutated["a"].parts
    assert not part.before.restorable
    with pytest.raises(NotRestored, match="too big"):
        part.before.restore()


def test_a_value_that_refuses_is_told_not_to_be_restored() -> None:
    array = np.arange(3)
    changes, _ = after("a[0] = 9; a.flags.writeable = False", a=array)
    with pytest.raises(NotRestored):
        changes.mutated["a"].parts[0].before.restore()


def test_twenty_thousand_lists_cost_little() -> None:
    copies, whole = Copier(Limits(seconds=60)).copies([[i] for i in range(20_000)])
    assert whole
    assert len(copies) == 20_001


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (pd.DataFrame({"a": [1]}), "DataFrame, 1 row × 1 column"),
        (np.zeros((2, 3)), "ndarray, shape 2 × 3"),
        (np.float64(1), "float64"),
        (pl.Series([1]), "Series, shape 1"),
        ({}, "dict, 0 items"),
        (None, "NoneType"),
    ],
)
def test_a_value_is_told_by_its_kind_and_size(value: object, words: str) -> None:
    assert about(value) == words
