from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NotRequired, Protocol, TypedDict

import numpy as np
import pandas as pd
import polars as pl
import pytest
import typing_extensions
from inline_snapshot import snapshot

from agentnb.errors import ToolError, UsageError
from agentnb.tools.function import FunctionTool, tool
from agentnb.tools.references import OFFERED

if TYPE_CHECKING:
    import xarray as xr

    from tests.tools.conftest import Call

pytestmark = pytest.mark.anyio


class Estimator:
    def predict(self) -> str:
        return "predicted"


def place(f: FunctionTool, name: str, namespace: dict[str, object]) -> Any:
    return f.spec(namespace).parameters["properties"][name]  # type: ignore[index, call-overload]


@tool
def rows(df: pd.DataFrame) -> int:
    """Count.

    Args:
        df: The table.
    """
    return len(df)


@tool
def optional(model: Estimator | None = None, frames: list[pd.DataFrame] | None = None) -> str:
    return f"{model.predict() if model else None} {[len(f) for f in frames or []]}"


@tool
def source(data: pd.DataFrame | str) -> str:
    return type(data).__name__


def test_a_frame_is_offered_by_the_names_of_the_variables_that_fit() -> None:
    namespace: dict[str, object] = {
        "sales": pd.DataFrame(),
        "x": 1,
        "_hidden": pd.DataFrame(),
        "other": pl.DataFrame(),
        "Out": pd.DataFrame(),
        "costs": pd.DataFrame(),
    }
    assert place(rows, "df", namespace) == snapshot(
        {
            "type": "string",
            "description": "The table (name of a notebook variable of type DataFrame)",
            "enum": ["sales", "costs"],
        }
    )


def test_the_names_follow_the_notebook() -> None:
    namespace: dict[str, object] = {}
    assert "enum" not in place(rows, "df", namespace)
    assert "there is none now" in place(rows, "df", namespace)["description"]
    namespace["late"] = pd.DataFrame()
    assert place(rows, "df", namespace)["enum"] == ["late"]


def test_of_many_variables_the_newest_are_offered_and_all_are_accepted() -> None:
    namespace: dict[str, object] = {f"df{i}": pd.DataFrame() for i in range(OFFERED + 10)}
    assert place(rows, "df", namespace)["enum"] == [f"df{i}" for i in range(10, OFFERED + 10)]
    assert rows._arguments.bind({"df": "df0"}, namespace)[1]["df"] is namespace["df0"]


async def test_the_object_itself_reaches_the_function(call: Call) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3]})

    @tool
    def same(df: pd.DataFrame) -> bool:
        return df is frame

    assert (await call(same, {"sales": frame}, df="sales")).text == "true"


async def test_optional_and_listed_objects_are_references_too(call: Call) -> None:
    namespace: dict[str, object] = {"e": Estimator(), "a": pd.DataFrame({"x": [1]}), "b": pd.DataFrame()}
    assert place(optional, "model", namespace)["anyOf"][0]["enum"] == ["e"]
    assert place(optional, "frames", namespace)["anyOf"][0]["items"]["enum"] == ["a", "b"]
    assert (await call(optional, namespace)).text == "None []"
    assert (await call(optional, namespace, model="e", frames=["b", "a"])).text == "predicted [0, 1]"
    assert (await call(optional, namespace, model=None)).text == "None []"


async def test_in_a_union_with_text_a_name_that_fits_is_the_object_and_any_other_text_is_text(call: Call) -> None:
    namespace: dict[str, object] = {"df": pd.DataFrame(), "n": 3}
    assert (await call(source, namespace, data="df")).text == "DataFrame"
    assert (await call(source, namespace, data="n")).text == "str"
    assert (await call(source, namespace, data="https://example.org/x.csv")).text == "str"


async def test_one_parameter_may_take_several_kinds_of_object(call: Call) -> None:
    @tool
    def size(data: pd.DataFrame | np.ndarray[Any, Any] | None) -> int:
        return 0 if data is None else data.size

    namespace: dict[str, object] = {"df": pd.DataFrame({"a": [1]}), "arr": np.zeros(4), "s": "text"}
    assert place(size, "data", namespace)["anyOf"][0] == snapshot(
        {
            "type": "string",
            "description": "Name of a notebook variable of type DataFrame or ndarray",
            "enum": ["df", "arr"],
        }
    )
    assert (await call(size, namespace, data="arr")).text == "4"


async def test_a_wrong_name_is_answered_with_those_that_fit(call: Call) -> None:
    namespace: dict[str, object] = {"sales": pd.DataFrame(), "n": 3}
    with pytest.raises(ToolError) as caught:
        await call(rows, namespace, df="sale")
    assert str(caught.value) == snapshot(
        "Argument 'df': there is no notebook variable 'sale'. Did you mean 'sales'? Of type DataFrame: sales."
    )
    with pytest.raises(ToolError) as caught:
        await call(rows, namespace, df="n")
    assert str(caught.value) == snapshot(
        "Argument 'df': variable 'n' is of type int, not DataFrame. Of type DataFrame: sales."
    )
    with pytest.raises(ToolError) as caught:
        await call(rows, {}, df=5)
    assert str(caught.value) == snapshot("Argument 'df': should be the name of a notebook variable of type DataFrame.")


@pytest.mark.parametrize("text", ["sales.copy()", "sales.T", "_hidden", "sales['a']", ""])
async def test_nothing_is_evaluated_and_hidden_names_stay_hidden(call: Call, text: str) -> None:
    with pytest.raises(ToolError, match="no notebook variable"):
        await call(rows, {"sales": pd.DataFrame(), "_hidden": pd.DataFrame()}, df=text)


async def test_a_default_object_makes_the_parameter_optional(call: Call) -> None:
    model = Estimator()

    @tool
    def predict(model: Estimator = model) -> str:
        return model.predict()

    assert "default" not in place(predict, "model", {})
    assert "required" not in predict.spec({}).parameters
    assert (await call(predict)).text == "predicted"


def test_a_type_of_a_module_that_is_not_imported_is_matched_by_name_and_imports_nothing() -> None:
    @tool
    def f(data: xr.DataArray | None, other: list[xr.Dataset], grid: xr.Grid[int]) -> None: ...

    class DataArray: ...

    class Child(DataArray): ...

    namespace: dict[str, object] = {"a": DataArray(), "b": Child(), "c": 1}
    assert place(f, "data", namespace)["anyOf"][0]["enum"] == ["a", "b"]
    assert "enum" not in place(f, "other", namespace)["items"]
    assert "xarray" not in sys.modules


def test_objects_inside_typed_dicts_are_references_too() -> None:
    class Job(TypedDict):
        frame: pd.DataFrame
        rows: NotRequired[int]

    class Later(typing_extensions.TypedDict):
        frame: pd.DataFrame

    @tool
    def f(job: Job, later: Later) -> None: ...

    frame = pd.DataFrame()
    namespace: dict[str, object] = {"df": frame}
    assert place(f, "job", namespace)["properties"]["frame"]["enum"] == ["df"]
    assert place(f, "job", namespace)["required"] == ["frame"]
    bound = f._arguments.bind({"job": {"frame": "df"}, "later": {"frame": "df"}}, namespace)[1]
    assert bound["job"]["frame"] is frame  # type: ignore[index]
    assert bound["later"]["frame"] is frame  # type: ignore[index]


def test_functions_are_references_too() -> None:
    @tool
    def f(metric: Callable[[int], int]) -> None: ...

    assert place(f, "metric", {"mine": abs, "n": 1, "exit": abs})["enum"] == ["mine"]


def test_a_protocol_that_cannot_be_checked_is_refused_in_one_line() -> None:
    class Model(Protocol):
        def predict(self) -> int: ...

    @tool
    def f(model: Model) -> None: ...

    with pytest.raises(UsageError, match="@runtime_checkable"):
        f.spec({})


def test_a_proxy_in_the_notebook_is_not_woken_up() -> None:
    class Proxy:
        @property
        def __class__(self) -> type:  # type: ignore[override]
            raise RuntimeError("not bound")

    assert place(rows, "df", {"p": Proxy(), "df": pd.DataFrame()})["enum"] == ["df"]
