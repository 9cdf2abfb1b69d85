# ruff: noqa: T201 - the tools under test print
from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from inline_snapshot import snapshot
from pydantic import BaseModel

from agentnb.messages import Data, Image, Text
from agentnb.prompting.blocks import to_blocks
from agentnb.tools.base import ToolReturn
from agentnb.tools.function import tool
from agentnb.tools.results import LONGEST, to_json

if TYPE_CHECKING:
    from tests.tools.conftest import Call

pytestmark = pytest.mark.anyio


class Color(enum.Enum):
    RED = "red"


class Word(str, enum.Enum):  # noqa: UP042  the form people write
    YES = "yes"


@dataclasses.dataclass
class Point:
    x: int


class Order(BaseModel):
    when: datetime.date


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "text"),
        (Word.YES, "yes"),
        (5, "5"),
        (2.5, "2.5"),
        (True, "true"),
        ({"a": [1, None]}, '{"a": [1, null]}'),
        ([], "[]"),
        ({"ü"}, '["ü"]'),
        (Color.RED, "red"),
        (Point(1), '{"x": 1}'),
        ([Point(1), Order(when=datetime.date(2024, 1, 2))], '[{"x": 1}, {"when": "2024-01-02"}]'),
        (datetime.datetime(2024, 1, 2, 3), "2024-01-02T03:00:00"),
        (pathlib.PurePosixPath("a/b"), "a/b"),
        ({"mean": np.float64(1.5), "count": np.int64(3)}, '{"mean": 1.5, "count": 3}'),
        (np.int64(3), "3"),
        (pd.Timestamp("2024-01-02"), "2024-01-02T00:00:00"),
        (float("nan"), "NaN"),
        ("a\udcff", "a?"),
    ],
    ids=lambda v: str(v).encode("ascii", "replace").decode()[:20],
)
async def test_plain_values_become_text(call: Call, value: object, text: str) -> None:
    @tool
    def f() -> object:
        return value

    called = await call(f)
    assert called.result == ToolReturn((Text(text),))
    assert called.namespace == {}


async def test_blocks_and_returns_pass_through(call: Call) -> None:
    image = Image(b"x")
    results: list[Any] = [image, [Text("a"), image], (Data(1),), ToolReturn((Text("b"),), is_error=True)]

    @tool
    def f(i: int) -> object:
        return results[i]

    assert (await call(f, i=0)).result == ToolReturn((image,))
    assert (await call(f, i=1)).result == ToolReturn((Text("a"), image))
    assert (await call(f, i=2)).result == ToolReturn((Data(1),))
    assert (await call(f, i=3)).result is results[3]


async def test_nothing_returned_is_what_was_printed_and_else_said(call: Call) -> None:
    @tool
    def f(word: str = "") -> None:
        if word:
            print(word)

    assert (await call(f, word="hello")).text == "hello"
    assert (await call(f)).text == "(no output)"


async def test_a_frame_stays_in_the_notebook_under_a_fresh_name(call: Call) -> None:
    frame = pd.DataFrame({"product": ["a", "b"], "sold": [3, 5]})

    @tool
    def top_products() -> pd.DataFrame:
        return frame

    namespace: dict[str, object] = {"top_products_1": "the user's"}
    called = await call(top_products, namespace)
    assert called.result.handle == "top_products_2"
    assert namespace == {"top_products_1": "the user's", "top_products_2": frame}
    assert called.text.startswith("Kept as notebook variable `top_products_2` (DataFrame, 2 rows × 2 columns).\n")
    assert "product" in called.text.split("\n", 1)[1]


async def test_a_name_is_not_used_twice_even_when_the_variable_is_gone(call: Call) -> None:
    @tool
    def make() -> object:
        return object()

    namespace: dict[str, object] = {}
    assert (await call(make, namespace)).result.handle == "make_1"
    namespace.clear()
    assert (await call(make, namespace)).result.handle == "make_2"


async def test_a_kept_result_can_be_given_to_the_next_tool(call: Call) -> None:
    @tool
    def make() -> pd.DataFrame:
        return pd.DataFrame({"a": [1, 2]})

    @tool
    def count(df: pd.DataFrame) -> int:
        return len(df)

    namespace: dict[str, object] = {}
    handle = (await call(make, namespace)).result.handle
    assert (await call(count, namespace, df=handle)).text == "2"


async def test_a_figure_is_kept_and_shown_as_a_picture(call: Call) -> None:
    from matplotlib.figure import Figure

    @tool
    def plot() -> Figure:
        figure = Figure()
        figure.subplots().plot([1, 2])
        return figure

    called = await call(plot)
    assert called.result.handle == "plot_1"
    assert [b.type for b in called.result.content if b.type == "image"] == ["image"]


async def test_an_array_tells_its_shape(call: Call) -> None:
    @tool
    def zeros() -> object:
        return np.zeros((2, 3))

    assert (await call(zeros)).text.startswith("Kept as notebook variable `zeros_1` (ndarray, shape 2 × 3).")


async def test_a_container_with_an_object_json_cannot_carry_is_kept_whole(call: Call) -> None:
    value = {"frame": pd.DataFrame({"a": [1]})}

    @tool
    def f() -> object:
        return value

    called = await call(f)
    assert called.namespace["f_1"] is value


async def test_a_list_that_contains_itself_is_kept(call: Call) -> None:
    value: list[object] = []
    value.append(value)

    @tool
    def f() -> object:
        return value

    assert (await call(f)).result.handle == "f_1"


async def test_an_object_whose_repr_raises_is_kept_all_the_same(call: Call) -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

        def __getattr__(self, name: str) -> object:
            raise RuntimeError("no attributes")

    @tool
    def f() -> object:
        return Broken()

    called = await call(f)
    assert called.result.handle == "f_1"
    assert not called.result.is_error
    assert "`f_1` (Broken)" in called.text


async def test_a_class_the_user_taught_is_shown_the_way_it_was_taught(call: Call) -> None:
    class Taught(Point): ...

    @to_blocks.register(Taught)
    def blocks(value: Taught, budget: int = 0) -> tuple[Text, ...]:
        return (Text(f"point at {value.x}"),)

    @tool
    def f() -> Taught:
        return Taught(3)

    assert (await call(f)).text == "Kept as notebook variable `f_1` (Taught).\npoint at 3"


async def test_bytes_are_described_and_kept(call: Call) -> None:
    @tool
    def f() -> bytes:
        return b"\x89PNG" + bytes(2000)

    called = await call(f)
    assert called.text.startswith("Kept as notebook variable `f_1` (2,004 bytes).\nThey begin with b'\\x89PNG")
    assert len(called.text) < 250


@pytest.mark.parametrize("value", ["a" + "x" * 1_000_000 + "z", ["x" * 1_000_000]], ids=["text", "list"])
async def test_a_long_result_is_cut_with_a_mark_and_kept_whole(call: Call, value: object) -> None:
    @tool
    def f() -> object:
        return value

    called = await call(f)
    assert len(called.text) < LONGEST + 200
    assert "kB left out … (all of it is notebook variable `f_1`)" in called.text
    assert called.text.endswith(value[-1] if isinstance(value, str) else '"]')
    assert called.namespace["f_1"] is value


async def test_a_result_at_the_bound_is_whole(call: Call) -> None:
    @tool
    def f() -> str:
        return "x" * LONGEST

    called = await call(f)
    assert called.text == "x" * LONGEST
    assert called.result.handle is None


async def test_a_tool_name_with_a_dash_gives_a_variable_that_python_can_name(call: Call) -> None:
    called = await call(tool(lambda: object(), name="2-make"))
    assert called.result.handle == "result_2_make_1"
    assert str(called.result.handle).isidentifier()


def test_results_are_json_of_the_ordinary_kind() -> None:
    assert json.loads(to_json({"a": (1, "ü"), 2: b"\xff"}) or "") == snapshot({"a": [1, "ü"], "2": "_w=="})
