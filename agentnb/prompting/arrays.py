"""NumPy arrays: type, shape and statistics, then all values of a small array or the corners of a large one."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

from agentnb.messages import Content, Text
from agentnb.prompting.budget import CHARS_PER_TOKEN, mark
from agentnb.prompting.plain import plural, scalar
from agentnb.prompting.table import span

if TYPE_CHECKING:
    import numpy as np

#: Above this, statistics come from evenly spread values.
_EXACT_VALUES = 2_000_000
_SAMPLED_VALUES = 500_000


def numpy_array(value: np.ndarray[Any, Any], budget: int) -> tuple[Content, ...]:
    """The array within the budget; a row of text is a row of the array."""
    if not value.ndim:
        return (Text(str(scalar(value.item()))),)
    shape = " × ".join(f"{n:,}" for n in value.shape)
    title = f"{type(value).__name__}, {value.dtype}, shape {shape}{_statistics(value)}:"
    return (Text(f"{title}\n{_values(value, budget * CHARS_PER_TOKEN - len(title))}"),)


def _values(value: np.ndarray[Any, Any], room: int) -> str:
    import numpy as np

    if value.size * 2 <= room:
        text = np.array2string(value, threshold=value.size + 1, max_line_width=100, separator=", ", precision=6)
        if len(text) <= room:
            return text
    text = ""
    for edge in (50, 25, 12, 8, 5, 3, 2, 1):
        if 2 * edge >= max(value.shape) or _shown(value, edge) * 3 > room:
            continue
        text = np.array2string(value, threshold=1, edgeitems=edge, max_line_width=100, separator=", ", precision=6)
        if len(text) <= room - 50:
            return f"{text}\n{mark(value.size - _shown(value, edge), value.size, 'values')}"
    return mark(value.size, value.size, "values")


def _shown(value: np.ndarray[Any, Any], edge: int) -> int:
    return math.prod(min(n, 2 * edge) for n in value.shape)


def _spread(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """One value of each stretch: at equal distances, columns or a rhythm in the data would be missed."""
    import numpy as np

    stretch = value.size // _SAMPLED_VALUES
    starts = np.arange(_SAMPLED_VALUES) * stretch
    return value.flat[starts + np.random.default_rng(0).integers(0, stretch, _SAMPLED_VALUES)]


def _statistics(value: np.ndarray[Any, Any]) -> str:
    if value.dtype.kind == "b" and value.size:
        return f", {plural(int(value.sum()), 'value')} true"
    if value.dtype.kind not in "iuf" or not value.size:
        return ""
    part = value if value.size <= _EXACT_VALUES else _spread(value)
    missing = 0
    if value.dtype.kind == "f":
        real = part[part == part]
        missing, part = part.size - real.size, real
        if not part.size:
            return ", all NaN"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an infinity makes the mean NaN, and numpy says so
        low, high, mean = part.min().item(), part.max().item(), float(part.mean(dtype=float))
    about = f" (of {plural(part.size, 'value')}, evenly spread)" if value.size > _EXACT_VALUES else ""
    nan = f", {missing:,} NaN" if missing else ""
    return f", {span(low, high, mean)}{nan}{about}"
