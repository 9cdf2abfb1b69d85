"""NumPy arrays: type, shape and statistics, then all values of a small array or the corners of a large one.

Where a person says so, they are the pixels of a picture, or the samples of a sound.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

from agentnb import pixels
from agentnb.errors import PromptError
from agentnb.messages import Content, Text
from agentnb.prompting.budget import CHARS_PER_TOKEN, mark
from agentnb.prompting.plain import plural, scalar
from agentnb.prompting.table import span

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image

#: Above this, statistics come from evenly spread values.
_EXACT_VALUES = 2_000_000
_SAMPLED_VALUES = 500_000
#: Pixels of an array that are looked at, across or down; its picture is scaled to fewer.
_MOST_ACROSS = 3200
#: How far rounding carries a value out of its range.
_NOISE = 1e-3
_MOST_RATE, _MOST_CHANNELS = 768_000, 8
#: Bytes: more than any provider takes of a sound.
_MOST_SOUND = 32_000_000


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


def array_picture(value: np.ndarray[Any, Any]) -> PIL.Image.Image:
    """The picture whose pixels these are: H × W, H × W × 3 or H × W × 4; truths, 0 to 255, or fractions of 1.

    Raises PromptError for any other shape, type or range.
    """
    import numpy as np

    if value.ndim == 3 and value.shape[2] == 1:
        value = value[:, :, 0]
    if not value.size or value.ndim not in (2, 3) or (value.ndim == 3 and value.shape[2] not in (3, 4)):
        raise PromptError(
            f"An array of shape {_shape(value)} is no picture. Give it as height × width, or height × width × 3 or 4."
        )
    if not pixels.available():
        raise PromptError("An array becomes a picture through Pillow. Run: pip install pillow")
    # What would be scaled away is not converted first.
    step = -(-max(value.shape[:2]) // _MOST_ACROSS)
    return pixels.from_values(np.ascontiguousarray(_as_bytes(value[::step, ::step])))


def _as_bytes(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    if value.dtype == np.uint8:
        return value
    if value.dtype.kind == "b":
        return value.astype(np.uint8) * 255
    if value.dtype.kind not in "iuf":
        raise PromptError(f"An array of {value.dtype} is no picture. Give numbers from 0 to 255, or from 0 to 1.")
    if value.dtype.kind == "f":
        value = np.nan_to_num(value.astype(np.float32), nan=0.0, posinf=math.inf, neginf=-math.inf)
    low, high = value.min().item(), value.max().item()
    if value.dtype.kind == "f" and low >= -_NOISE and high <= 1 + _NOISE:
        value, low, high = value * 255, 0, 255
    if value.dtype == np.uint16 and high > 255:
        return (value >> 8).astype(np.uint8)
    if low < -_NOISE or high > 255 + _NOISE:
        raise PromptError(
            f"An array of values from {low:.6g} to {high:.6g} is no picture. Scale them to 0 … 255, or to 0 … 1."
        )
    pixel_values: np.ndarray[Any, Any] = np.clip(np.rint(value), 0, 255).astype(np.uint8)
    return pixel_values


def wav(rate: object, samples: np.ndarray[Any, Any]) -> bytes:
    """The sound of these samples as a WAV file of 16 bits: n, n × channels or channels × n, `rate` of them a second.

    Fractions of 1, or integers; louder fractions are scaled down. Raises PromptError for anything else.
    """
    import io
    import wave

    import numpy as np

    if not isinstance(rate, (int, float, np.number)) or not 1 <= rate <= _MOST_RATE:
        raise PromptError(f"A sound has 1 to {_MOST_RATE:,} samples a second, not {rate!r}. Give (rate, array).")
    if samples.ndim == 2 and samples.shape[0] <= _MOST_CHANNELS < samples.shape[1]:
        samples = samples.T
    if not samples.size or samples.ndim not in (1, 2) or (samples.ndim == 2 and samples.shape[1] > _MOST_CHANNELS):
        raise PromptError(f"An array of shape {_shape(samples)} is no sound. Give n samples, or n × channels.")
    if samples.size * 2 > _MOST_SOUND:
        raise PromptError(f"A sound of {samples.size:,} samples is too long: {_MOST_SOUND // 2:,} are the most.")
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(samples.shape[1] if samples.ndim == 2 else 1)
        file.setsampwidth(2)
        file.setframerate(int(rate))
        file.writeframes(np.ascontiguousarray(_as_samples(samples), dtype="<i2").tobytes())
    return out.getvalue()


def _as_samples(samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    match samples.dtype.kind, samples.dtype.itemsize:
        case "i", 2:
            return samples
        case "i", 4:
            return samples >> 16
        case "u", 1:
            return (samples.astype(np.int16) - 128) << 8
        case "f", _:
            plain = np.nan_to_num(samples.astype(np.float64), nan=0.0, posinf=1.0, neginf=-1.0)
            scaled: np.ndarray[Any, Any] = np.rint(plain / max(np.abs(plain).max(), 1.0) * 32767)
            return scaled
    raise PromptError(f"An array of {samples.dtype} is no sound. Give float, int16, int32 or uint8.")


def _shape(value: np.ndarray[Any, Any]) -> str:
    return " × ".join(f"{n:,}" for n in value.shape) or "()"
