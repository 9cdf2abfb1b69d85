from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agentnb.builtins.inspection import Inspect
from agentnb.errors import ToolError
from agentnb.tools.base import traits
from tests.builtins.conftest import Call

pytestmark = pytest.mark.anyio


def mean(values: list[float], trim: float = 0.1) -> float:
    """The mean without the extremes."""
    return sum(values) * trim


@dataclass
class Model:
    weight: float
    layers: list[int]


class Opaque:
    def __init__(self) -> None:
        self.rate = 0.1

    @property
    def secret(self) -> int:
        raise AssertionError("no attribute is asked for")

    def __repr__(self) -> str:
        raise ValueError("broken")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (pd.DataFrame({"mass": [1.0, 2.0], "name": ["a", "b"]}), ["DataFrame, 2 rows × 2 columns", "mass", "float64"]),
        (pd.Series([1, 2], name="s"), ["Series", "int64"]),
        (np.arange(6).reshape(2, 3), ["ndarray, shape 2 × 3", "int64"]),
        ({"a": 1}, ["dict, 1 item", '"a"']),
        (mean, ["mean(values: 'list[float]', trim: 'float' = 0.1) -> 'float'", "without the extremes", "sum(values)"]),
        (math.sqrt, ["sqrt(x, /)", "square root"]),
        (Model(0.5, [1]), ["Model", "0.5"]),
        (Opaque(), ["Opaque", "its repr raised ValueError", "rate: float"]),
        (Path("/no/such/file"), ["No file"]),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_variable_is_shown_as_a_model_can_read_it(call: Call, value: object, words: list[str]) -> None:
    text = (await call(Inspect(), {"thing": value}, name="thing")).text
    assert text.startswith("`thing` is a ")
    assert [word for word in words if word not in text] == []


async def test_a_column_or_a_key_is_looked_at_alone(call: Call) -> None:
    namespace: dict[str, object] = {"df": pd.DataFrame({"a": [1, 2], 3: [4, 5]}), "d": {"k": "v"}, "n": 1}
    assert "`a` of `df` is a Series" in (await call(Inspect(), namespace, name="df", what="a")).text
    assert "`3` of `df`" in (await call(Inspect(), namespace, name="df", what="3")).text
    assert "`k` of `d`" in (await call(Inspect(), namespace, name="d", what="k")).text
    with pytest.raises(ToolError, match=r"`df` has no 'b'\..* It has: a, 3\."):
        await call(Inspect(), namespace, name="df", what="b")
    with pytest.raises(ToolError, match="only columns of tables and keys of dicts"):
        await call(Inspect(), namespace, name="n", what="real")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dff", r"there is no variable 'dff'\. Did you mean 'df'\? Variables: df\."),
        ("df.a", "expressions are not evaluated"),
        ("df['a']", "expressions are not evaluated"),
        ("__import__('os').system('x')", "expressions are not evaluated"),
        ("lambda", "expressions are not evaluated"),
        ("_private", "there is no variable"),
        ("", "expressions are not evaluated"),
    ],
)
async def test_only_names_are_looked_up(call: Call, name: str, words: str) -> None:
    with pytest.raises(ToolError, match=words):
        await call(Inspect(), {"In": [], "get_ipython": print, "df": pd.DataFrame(), "_private": 1}, name=name)


async def test_an_empty_notebook_says_so(call: Call) -> None:
    with pytest.raises(ToolError, match="There are none"):
        await call(Inspect(), {}, name="x")


async def test_looking_asks_nobody() -> None:
    assert traits(Inspect()).approval == "always"
