"""pandas and polars tables told alike; neither library is imported here, its objects bring all that is needed."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agentnb.messages import Content, Text
from agentnb.prompting.budget import CHARS_PER_TOKEN, one_line
from agentnb.prompting.plain import plural, safe_repr
from agentnb.prompting.table import (
    Column,
    Table,
    cell,
    frequencies,
    label,
    nulls,
    sampling,
    span,
    table_text,
)

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_TOP = 4


def pandas_frame(value: pd.DataFrame, budget: int) -> tuple[Content, ...]:
    """Shape, columns with types, nulls and statistics, and evenly spread rows."""
    kind = f"{type(value).__name__}, {plural(len(value), 'row')} × {plural(value.shape[1], 'column')}"
    return _text(_PandasTable(value, kind), budget)


def pandas_series(value: pd.Series[Any], budget: int) -> tuple[Content, ...]:
    """A Series is told as a frame of one column."""
    frame = value.to_frame("value" if value.name is None else value.name)
    return _text(_PandasTable(frame, f"{type(value).__name__}, {plural(len(value), 'value')}"), budget)


def pandas_index(value: pd.Index[Any], budget: int) -> tuple[Content, ...]:
    """An Index is told as a frame of its levels."""
    title = f"{type(value).__name__}, {plural(len(value), 'value')}"
    named: list[Any] = [
        name or ("value" if value.nlevels == 1 else f"level {at}") for at, name in enumerate(value.names)
    ]
    frame = value.set_names(named).to_frame(index=False)
    return _text(_PandasTable(frame, title), budget)


def polars_frame(value: pl.DataFrame, budget: int) -> tuple[Content, ...]:
    """The same for polars."""
    kind = f"polars {type(value).__name__}, {plural(value.height, 'row')} × {plural(value.width, 'column')}"
    return _text(_PolarsTable(value, kind), budget)


def polars_series(value: pl.Series, budget: int) -> tuple[Content, ...]:
    """A Series is told as a frame of one column."""
    return _text(_PolarsTable(value.to_frame(), f"polars Series, {plural(len(value), 'value')}"), budget)


def polars_lazy(value: pl.LazyFrame, budget: int) -> tuple[Content, ...]:
    """Only the schema: collecting may take hours, and is the user's to decide."""
    schema = value.collect_schema()
    return _text(_LazyTable([Column(label(n), str(t)) for n, t in schema.items()]), budget)


def _text(table: Table, budget: int) -> tuple[Content, ...]:
    with warnings.catch_warnings():
        # The mean of an infinite column warns from within the library; the number itself says it.
        warnings.simplefilter("ignore")
        return (Text(table_text(table, budget * CHARS_PER_TOKEN)),)


class _LazyTable:
    height = 0

    def __init__(self, columns: list[Column]) -> None:
        self.columns = columns

    @property
    def title(self) -> str:
        return f"polars LazyFrame, {plural(len(self.columns), 'column')}, not collected"

    @property
    def names(self) -> Sequence[str]:
        return [c.name for c in self.columns]

    def column(self, at: int) -> Column:
        return self.columns[at]

    def rows(self, positions: Sequence[int], columns: int) -> list[list[str]]:
        raise NotImplementedError("a lazy frame has no rows yet")


class _PandasTable:
    def __init__(self, frame: pd.DataFrame, kind: str) -> None:
        self.frame = frame
        self.kind = kind

    @property
    def title(self) -> str:
        return self.kind + self._sampling[1]

    @property
    def height(self) -> int:
        return len(self.frame)

    @functools.cached_property
    def names(self) -> Sequence[str]:
        return [label(name) if name is not None else "(no name)" for name in self.frame.columns]

    @functools.cached_property
    def _sampling(self) -> tuple[Sequence[int] | None, str]:
        return sampling(len(self.frame))

    def column(self, at: int) -> Column:
        positions = self._sampling[0]
        series = self.frame.iloc[:, at]
        series = series if positions is None else series.iloc[list(positions)]
        missing = int(series.isna().sum())
        present = series.dropna() if missing else series
        summary = _pandas_summary(present) if len(present) else ""
        if missing and missing == len(series):
            return Column(self.names[at], str(series.dtype), "all null")
        return Column(self.names[at], _pandas_dtype(present), nulls(missing, len(series), self.height), summary)

    def rows(self, positions: Sequence[int], columns: int) -> list[list[str]]:
        part = self.frame.iloc[list(positions), :columns]
        names, labels = self._labels(part)
        series = [*labels, *(part.iloc[:, at].tolist() for at in range(columns))]
        body = [[cell(value) for value in row] for row in zip(*series, strict=True)]
        return [[*names, *self.names[:columns]], *body]

    def _labels(self, part: pd.DataFrame) -> tuple[list[str], list[list[object]]]:
        index = self.frame.index
        plain = type(index).__name__ == "RangeIndex" and index.name is None
        if plain and (index[0], index[-1]) == (0, len(index) - 1):
            return [], []
        return _index_labels(part.index)


def _index_labels(index: pd.Index[Any]) -> tuple[list[str], list[list[object]]]:
    names = ["index" if index.nlevels == 1 else f"level {at}" for at in range(index.nlevels)]
    named = [label(name) if name is not None else names[at] for at, name in enumerate(index.names)]
    return named, [index.get_level_values(at).tolist() for at in range(index.nlevels)]


def _pandas_dtype(series: pd.Series[Any]) -> str:
    dtype = str(series.dtype)
    if dtype != "object":
        return one_line(dtype, 40) if "category" not in dtype else "category"
    kinds = sorted({type(value).__name__ for value in series.iloc[:1000]})
    return "object" if not kinds else f"object of {', '.join(kinds[:4])}"


def _pandas_summary(series: pd.Series[Any]) -> str:
    kind = getattr(series.dtype, "kind", "O")
    if kind in "iuf":
        return span(series.min(), series.max(), float(series.mean()))
    if kind == "b":
        true = int(series.sum())
        return f"{true:,} true, {len(series) - true:,} false"
    if kind in "Mm":
        return span(series.min(), series.max())
    try:
        counts = series.value_counts()
    except TypeError:  # lists and dicts cannot be counted
        return f"such as {one_line(safe_repr(series.iloc[0]), 60)}"
    top = [(value, int(count)) for value, count in counts.head(_TOP).items() if count]
    return frequencies(top, int((counts > 0).sum()))


class _PolarsTable:
    def __init__(self, frame: pl.DataFrame, kind: str) -> None:
        self.frame = frame
        self.kind = kind

    @property
    def title(self) -> str:
        return self.kind + self._sampling[1]

    @property
    def height(self) -> int:
        return self.frame.height

    @functools.cached_property
    def names(self) -> Sequence[str]:
        return [label(name) or "(no name)" for name in self.frame.columns]

    @functools.cached_property
    def _sampling(self) -> tuple[Sequence[int] | None, str]:
        return sampling(self.frame.height)

    def column(self, at: int) -> Column:
        positions = self._sampling[0]
        series = self.frame.to_series(at)
        series = series if positions is None else series.gather(list(positions))
        missing = series.null_count()
        if missing and missing == len(series):
            return Column(self.names[at], str(series.dtype), "all null")
        summary = _polars_summary(series.drop_nulls()) if len(series) else ""
        return Column(
            self.names[at], one_line(str(series.dtype), 40), nulls(missing, len(series), self.height), summary
        )

    def rows(self, positions: Sequence[int], columns: int) -> list[list[str]]:
        part = self.frame[list(positions), :columns]
        return [list(self.names[:columns]), *([cell(value) for value in row] for row in part.rows())]


def _polars_summary(series: pl.Series) -> str:
    dtype = series.dtype
    if dtype.is_numeric():
        real = series.drop_nans() if dtype.is_float() else series
        nan = f", {len(series) - len(real):,} NaN" if len(real) < len(series) else ""
        return span(real.min(), real.max(), real.mean()) + nan
    if dtype.is_temporal():
        return span(series.min(), series.max())
    if str(dtype) == "Boolean":
        true = int(series.sum())
        return f"{true:,} true, {len(series) - true:,} false"
    if dtype.is_nested() or str(dtype) == "Object":
        return f"such as {one_line(safe_repr(series.head(1).to_list()[0]), 60)}"
    counts = series.alias("value").value_counts(sort=True)
    # Ties would come in another order each time: sorted by value, they do not.
    top = sorted(counts.head(100).rows(), key=lambda row: (-row[1], str(row[0])))[:_TOP]
    return frequencies(top, counts.height)
