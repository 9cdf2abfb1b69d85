# ruff: noqa: E501  what is sent is shown in whole lines
from __future__ import annotations

import datetime
import re
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import polars as pl
import pytest
from inline_snapshot import snapshot

from agentnb.messages import Text
from agentnb.prompting import estimate_tokens, to_blocks
from tests.prompting.penguins import penguins, polars_penguins


def told(value: object, budget: int = 2000) -> str:
    (block,) = to_blocks(value, budget)
    assert isinstance(block, Text)
    return block.text


def test_a_frame_is_told_by_its_columns_and_rows_spread_over_it() -> None:
    assert told(penguins(), 250) == snapshot("""\
DataFrame, 344 rows × 5 columns:
- species (str): 3 values: Adelie 115, Chinstrap 115, Gentoo 114
- bill_mm (float64): 32.1 to 59.5, mean 45.7416
- mass_g (float64, 7 nulls): 2700 to 6300, mean 4489.39
- sex (str, 7 nulls): 2 values: male 172, female 165
- year (int64): 2007 to 2009, mean 2008

19 rows, evenly spread (… 325 of 344 rows left out …):
```csv
species,bill_mm,mass_g,sex,year
Adelie,32.1,2700,male,2007
Adelie,38.4,5500,male,2007
Adelie,35.2,5925,male,2009
Adelie,43.6,4825,male,2008
Adelie,55.2,3300,male,2008
Adelie,43,,female,2009
Chinstrap,36.1,5825,male,2007
Chinstrap,44,2975,female,2009
Chinstrap,37.1,5700,male,2007
Chinstrap,56.1,3200,male,2009
Chinstrap,58.7,4675,female,2008
Chinstrap,40.7,3425,female,2009
Chinstrap,47,6225,female,2009
Gentoo,47.5,4350,male,2009
Gentoo,48,,female,2009
Gentoo,43.2,4925,male,2009
Gentoo,53.2,5425,female,2007
Gentoo,37.3,3900,female,2007
Gentoo,36.2,4050,female,2008
```\
""")


def test_a_polars_frame_is_told_alike() -> None:
    assert told(polars_penguins(), 250) == snapshot("""\
polars DataFrame, 344 rows × 5 columns:
- species (String): 3 values: Adelie 115, Chinstrap 115, Gentoo 114
- bill_mm (Float64): 32.1 to 59.5, mean 45.7416
- mass_g (Float64, 7 nulls): 2700 to 6300, mean 4489.39
- sex (String, 7 nulls): 2 values: male 172, female 165
- year (Int64): 2007 to 2009, mean 2008

19 rows, evenly spread (… 325 of 344 rows left out …):
```csv
species,bill_mm,mass_g,sex,year
Adelie,32.1,2700,male,2007
Adelie,38.4,5500,male,2007
Adelie,35.2,5925,male,2009
Adelie,43.6,4825,male,2008
Adelie,55.2,3300,male,2008
Adelie,43,,female,2009
Chinstrap,36.1,5825,male,2007
Chinstrap,44,2975,female,2009
Chinstrap,37.1,5700,male,2007
Chinstrap,56.1,3200,male,2009
Chinstrap,58.7,4675,female,2008
Chinstrap,40.7,3425,female,2009
Chinstrap,47,6225,female,2009
Gentoo,47.5,4350,male,2009
Gentoo,48,,female,2009
Gentoo,43.2,4925,male,2009
Gentoo,53.2,5425,female,2007
Gentoo,37.3,3900,female,2007
Gentoo,36.2,4050,female,2008
```\
""")


def test_a_handful_of_rows_needs_no_statistics() -> None:
    assert told(penguins().head(3)) == snapshot("""\
DataFrame, 3 rows × 5 columns:
Columns: species (str), bill_mm (float64), mass_g (float64), sex (str), year (int64)
```csv
species,bill_mm,mass_g,sex,year
Adelie,32.1,2700,male,2007
Adelie,35.8,4025,female,2008
Adelie,39.5,5350,male,2009
```\
""")
    assert told(penguins().groupby("species").agg({"mass_g": ["mean", "max"], "year": "count"}).round(1)) == snapshot("""\
DataFrame, 3 rows × 3 columns:
Columns: mass_g / mean (float64), mass_g / max (float64), year / count (int64)
```csv
species,mass_g / mean,mass_g / max,year / count
Adelie,4495.1,6300,115
Chinstrap,4492.7,6275,115
Gentoo,4480.4,6300,114
```\
""")


def test_a_series_is_a_frame_of_one_column() -> None:
    assert told(penguins()["species"].value_counts()) == snapshot("""\
Series, 3 values:
Columns: count (int64)
```csv
species,count
Adelie,115
Chinstrap,115
Gentoo,114
```\
""")
    assert told(pd.Series(range(1000)), 60) == snapshot("""\
Series, 1,000 values:
- value (int64): 0 to 999, mean 499.5

21 rows, evenly spread (… 979 of 1,000 rows left out …):
```csv
value
0
84
127
147
207
260
311
379
387
460
493
547
581
650
677
736
763
855
880
926
999
```\
""")
    assert told(pl.Series("n", range(1000)), 60) == snapshot("""\
polars Series, 1,000 values:
- n (Int64): 0 to 999, mean 499.5

21 rows, evenly spread (… 979 of 1,000 rows left out …):
```csv
n
0
84
127
147
207
260
311
379
387
460
493
547
581
650
677
736
763
855
880
926
999
```\
""")
    assert told(pd.Index(["a", "b"])) == snapshot("""\
Index, 2 values:
Columns: value (str)
```csv
value
a
b
```\
""")


def test_empty_frames_have_a_shape() -> None:
    assert told(pd.DataFrame()) == snapshot("""\
DataFrame, 0 rows × 0 columns:
Columns: none\
""")
    assert told(pd.DataFrame(columns=["a", "b"])) == snapshot("""\
DataFrame, 0 rows × 2 columns:
Columns: a (object), b (object)\
""")
    assert told(pl.DataFrame({"a": []})) == snapshot("""\
polars DataFrame, 0 rows × 1 column:
Columns: a (Null)\
""")


def test_a_lazy_frame_is_not_collected() -> None:
    lazy = pl.LazyFrame({"a": [1], "b": ["x"]}).filter(pl.col("a") > 0)
    assert told(lazy) == snapshot("""\
polars LazyFrame, 2 columns, not collected:
Columns: a (Int64), b (String)\
""")


def test_odd_columns_are_told_too() -> None:
    odd = pd.DataFrame(
        [[1, "x", {"k": 1}], [2.5, None, [1, 2]], ["s", pd.NaT, datetime.date(2020, 1, 1)]] * 10,
        columns=["a", "a", 7],
    )
    odd["when"] = pd.Timestamp("2020-01-01 12:00")
    odd["kind"] = pd.Categorical(["p", "q", "q"] * 10, categories=["p", "q", "never"])
    odd["flag"] = [True, False] * 15
    odd["void"] = np.nan
    odd["inf"] = [np.inf, -np.inf] * 15
    odd["long"] = "a long text, " * 500
    assert told(odd, 400) == snapshot("""\
DataFrame, 30 rows × 9 columns:
- a (object of float, int, str): 3 values: 1 10, 2.5 10, s 10
- a (object of str, 20 nulls): 1 value: x 10
- 7 (object of date, dict, list): 3 values: {'k': 1} 10, [1, 2] 10, 2020-01-01 10
- when (datetime64[us]): always 2020-01-01 12:00:00
- kind (category): 2 values: q 20, p 10
- flag (bool): 15 true, 15 false
- void (float64, all null)
- inf (float64): -inf to inf, mean nan
- long (str): 1 value: a long text, a long text, a l… 30

8 rows, evenly spread (… 22 of 30 rows left out …):
```csv
a,a,7,when,kind,flag,void,inf,long
1,x,{'k': 1},2020-01-01 12:00:00,p,True,,inf,"a long text, a long text, a long text, a long text, a long…"
s,,2020-01-01,2020-01-01 12:00:00,q,False,,-inf,"a long text, a long text, a long text, a long text, a long…"
s,,2020-01-01,2020-01-01 12:00:00,q,True,,inf,"a long text, a long text, a long text, a long text, a long…"
s,,2020-01-01,2020-01-01 12:00:00,q,False,,-inf,"a long text, a long text, a long text, a long text, a long…"
s,,2020-01-01,2020-01-01 12:00:00,q,False,,-inf,"a long text, a long text, a long text, a long text, a long…"
2.5,,"[1, 2]",2020-01-01 12:00:00,q,False,,-inf,"a long text, a long text, a long text, a long text, a long…"
s,,2020-01-01,2020-01-01 12:00:00,q,False,,-inf,"a long text, a long text, a long text, a long text, a long…"
s,,2020-01-01,2020-01-01 12:00:00,q,False,,-inf,"a long text, a long text, a long text, a long text, a long…"
```\
""")


def test_odd_polars_columns_are_told_too() -> None:
    odd = pl.DataFrame(
        {
            "list": [[1, 2], [3]] * 15,
            "struct": [{"a": 1}] * 30,
            "cat": pl.Series(["a", "b"] * 15, dtype=pl.Categorical),
            "day": [datetime.date(2020, 1, 1), None] * 15,
            "nan": [1.0, float("nan")] * 15,
            "void": [None] * 30,
            "flag": [True, False] * 15,
        }
    )
    assert told(odd, 300) == snapshot("""\
polars DataFrame, 30 rows × 7 columns:
- list (List(Int64)): such as [1, 2]
- struct (Struct({'a': Int64})): such as {'a': 1}
- cat (Categorical): 2 values: a 15, b 15
- day (Date, 15 nulls): always 2020-01-01
- nan (Float64): always 1, 15 NaN
- void (Null, all null)
- flag (Boolean): 15 true, 15 false

24 rows, evenly spread (… 6 of 30 rows left out …):
```csv
list,struct,cat,day,nan,void,flag
"[1, 2]",{'a': 1},a,2020-01-01,1,,True
[3],{'a': 1},b,,,,False
"[1, 2]",{'a': 1},a,2020-01-01,1,,True
[3],{'a': 1},b,,,,False
[3],{'a': 1},b,,,,False
"[1, 2]",{'a': 1},a,2020-01-01,1,,True
[3],{'a': 1},b,,,,False
[3],{'a': 1},b,,,,False
"[1, 2]",{'a': 1},a,2020-01-01,1,,True
"[1, 2]",{'a': 1},a,2020-01-01,1,,True
[3],{'a': 1},b,,,,False
"[1, 2]",{'a': 1},a,2020-01-01,1,,True
"[1, 2]",{'a': 1},a,2020-01-01,1,,True
"[1, 2]",{'a': 1},a,2020-01-01,1,,True
[3],{'a': 1},b,,,,False
"[1, 2]",{'a': 1},a,2020-01-01,1,,True
[3],{'a': 1},b,,,,False
[3],{'a': 1},b,,,,False
[3],{'a': 1},b,,,,False
"[1, 2]",{'a': 1},a,2020-01-01,1,,True
[3],{'a': 1},b,,,,False
"[1, 2]",{'a': 1},a,2020-01-01,1,,True
[3],{'a': 1},b,,,,False
[3],{'a': 1},b,,,,False
```\
""")


def test_hundreds_of_columns_are_cut_and_counted() -> None:
    wide = pd.DataFrame({f"column_{i}": range(500) for i in range(300)})
    assert told(wide, 200) == snapshot("""\
DataFrame, 500 rows × 300 columns:
- column_0 (int64): 0 to 499, mean 249.5
- column_1 (int64): 0 to 499, mean 249.5
- column_2 (int64): 0 to 499, mean 249.5
- column_3 (int64): 0 to 499, mean 249.5
- column_4 (int64): 0 to 499, mean 249.5
- column_5 (int64): 0 to 499, mean 249.5
- column_6 (int64): 0 to 499, mean 249.5
- column_7 (int64): 0 to 499, mean 249.5
- column_8 (int64): 0 to 499, mean 249.5
- column_9 (int64): 0 to 499, mean 249.5
- without details: column_10, column_11, column_12, column_13, column_14
… 285 of 300 columns left out …

8 rows, evenly spread (… 492 of 500 rows left out …, … 296 of 300 columns left out …):
```csv
column_0,column_1,column_2,column_3
0,0,0,0
112,112,112,112
184,184,184,184
223,223,223,223
265,265,265,265
359,359,359,359
398,398,398,398
499,499,499,499
```\
""")


def wide() -> dict[str, list[float]]:
    return {f"column_{i}": [i * k % 97 / 7 for k in range(500)] for i in range(300)}


def levels() -> pd.DataFrame:
    index = pd.MultiIndex.from_product([range(200), list("abcdefghij")], names=["g", None])
    return pd.DataFrame({("u", "mean"): range(2000), ("u", "std"): range(2000)}, index=index)


FRAMES: dict[str, Callable[[], object]] = {
    "penguins": lambda: penguins(2000),
    "polars": lambda: polars_penguins(2000),
    "wide": lambda: pd.DataFrame(wide()),
    "wide polars": lambda: pl.DataFrame(wide()),
    "levels": levels,
    "long cells": lambda: pd.DataFrame({f"text{i}": ["word " * 1000] * 1000 for i in range(8)}),
    "series": lambda: pd.Series(range(100_000)),
}


@pytest.mark.parametrize("budget", [200, 1000, 4000])
@pytest.mark.parametrize("name", FRAMES)
def test_a_table_keeps_to_its_budget(name: str, budget: int) -> None:
    assert 0.8 * budget <= estimate_tokens(told(FRAMES[name](), budget)) <= 1.2 * budget


def test_a_rhythm_in_the_data_does_not_fool_a_sample() -> None:
    rows = 1_000_000
    beats = pd.DataFrame({f"every_{n}": np.arange(rows) % n for n in (2, 4, 5, 7, 10, 20)})
    for text in (told(beats), told(pl.DataFrame(beats.to_dict("series")))):
        for n in (2, 4, 5, 7, 10, 20):
            assert re.search(rf"every_{n} \(.*\): 0 to {n - 1}, mean ", text)
            assert "always" not in text
    values = np.tile(np.array([0, 100]), 5_000_000)
    assert re.search(r"0 to 100, mean (49|50)\.", told(values))


def test_ten_million_rows_take_well_under_a_second() -> None:
    rows = 10_000_000
    numbers = np.arange(rows)
    big = pd.DataFrame({"n": numbers, "x": numbers * 0.5, "c": pd.Categorical.from_codes(numbers % 3, list("abc"))})
    big_polars = pl.DataFrame({"n": numbers, "x": numbers * 0.5})
    told(penguins())
    told(pl.DataFrame({"a": range(100)}))
    started = time.process_time()
    text, polars_text = told(big, 300), told(big_polars, 300)
    assert time.process_time() - started < 1
    assert "(statistics of 50,000 rows, evenly spread)" in text
    assert "(statistics of 50,000 rows, evenly spread)" in polars_text
