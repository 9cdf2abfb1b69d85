from __future__ import annotations

import time

import numpy as np
import pytest
from inline_snapshot import snapshot

from agentnb.messages import Text
from agentnb.prompting import estimate_tokens, to_blocks


def told(value: object, budget: int = 2000) -> str:
    (block,) = to_blocks(value, budget)
    assert isinstance(block, Text)
    return block.text


def test_a_small_array_is_whole() -> None:
    assert told(np.arange(6).reshape(2, 3)) == snapshot("""\
ndarray, int64, shape 2 × 3, 0 to 5, mean 2.5:
[[0, 1, 2],
 [3, 4, 5]]\
""")
    assert told(np.array(["a", "b"])) == snapshot("""\
ndarray, <U1, shape 2:
['a', 'b']\
""")
    assert told(np.array([True, False])) == snapshot("""\
ndarray, bool, shape 2, 1 value true:
[ True, False]\
""")
    assert told(np.array([1.0, np.nan, np.inf])) == snapshot("""\
ndarray, float64, shape 3, 1 to inf, mean inf, 1 NaN:
[ 1., nan, inf]\
""")
    assert told(np.array([np.nan])) == snapshot("""\
ndarray, float64, shape 1, all NaN:
[nan]\
""")
    assert told(np.zeros((0, 3))) == snapshot("""\
ndarray, float64, shape 0 × 3:
[]\
""")


def test_a_large_array_shows_its_corners() -> None:
    assert told(np.arange(1_000_000).reshape(1000, 1000), 150) == snapshot("""\
ndarray, int64, shape 1,000 × 1,000, 0 to 999999, mean 500000:
[[     0,      1,      2, ...,    997,    998,    999],
 [  1000,   1001,   1002, ...,   1997,   1998,   1999],
 [  2000,   2001,   2002, ...,   2997,   2998,   2999],
 ...,
 [997000, 997001, 997002, ..., 997997, 997998, 997999],
 [998000, 998001, 998002, ..., 998997, 998998, 998999],
 [999000, 999001, 999002, ..., 999997, 999998, 999999]]
… 999,964 of 1,000,000 values left out …\
""")


@pytest.mark.parametrize("budget", [50, 200, 1000])
@pytest.mark.parametrize("shape", [(10_000,), (300, 300), (20, 20, 20, 20), (3, 5000)])
def test_an_array_keeps_to_its_budget(shape: tuple[int, ...], budget: int) -> None:
    text = told(np.linspace(0, 1, int(np.prod(shape))).reshape(shape), budget)
    assert estimate_tokens(text) <= budget * 1.2
    assert "values left out" in text


def test_thirty_million_values_take_well_under_a_second() -> None:
    values = np.zeros(30_000_000, dtype=np.float32)
    started = time.process_time()
    text = told(values, 100)
    assert time.process_time() - started < 1
    assert ", always 0 (of " in text
    assert "evenly spread)" in text
