"""What a function returns, as blocks for the model: texts are bounded, live objects stay in the kernel."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import TypeGuard

from agentnb.messages import Audio, Content, Data, File, Image, Text
from agentnb.prompting.blocks import to_blocks
from agentnb.prompting.plain import is_from, plural
from agentnb.tools.base import ToolReturn
from agentnb.tools.capture import left_out_mark, printable

_encode = json.JSONEncoder(ensure_ascii=False).encode
#: The longest text of a result, in characters (about 10,000 tokens), and what of it is the end.
LONGEST, _END = 40_000, 8_000
#: What the preview of a kept object may take, in tokens.
PREVIEW_TOKENS = 2_000


def to_return(value: object, keep: Callable[[object], str]) -> ToolReturn:
    """The result the model reads. `keep` stores an object in the notebook and gives the variable's name."""
    if isinstance(value, ToolReturn):
        return value
    if isinstance(value, str):
        return _bounded(value, value, keep)
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        return _kept(value, f"{len(data):,} bytes", (Text(f"They begin with {data[:24]!r}."),), keep)
    if (blocks := _as_content(value)) is not None:
        return ToolReturn(blocks)
    if not _is_taught(value) and (text := to_json(value)) is not None:
        return _bounded(text, value, keep)
    return _kept(value, *_preview(value), keep)


def to_content(value: object) -> tuple[Content, ...]:
    """What is shown of a value that a generator yields; nothing is kept."""
    if isinstance(value, str):
        return (Text(str.__str__(value)),)
    if (blocks := _as_content(value)) is not None:
        return blocks
    if not _is_taught(value) and (text := to_json(value)) is not None:
        return (Text(f"{text}\n"),)
    return _preview(value)[1]


def to_json(value: object) -> str | None:
    """JSON text of plain data, dates, enums, dataclasses and pydantic models; a lone text without quotes."""
    from pydantic_core import to_jsonable_python

    try:
        plain = to_jsonable_python(value, fallback=_scalar, bytes_mode="base64")
    except (ValueError, TypeError, RecursionError):
        return None
    return plain if isinstance(plain, str) else _encode(plain)


def _scalar(value: object) -> object:
    """What pydantic leaves to us: numpy's numbers, and paths of other systems."""
    if is_from(value, "numpy", "generic") and callable(item := getattr(value, "item", None)):
        return item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _is_taught(value: object) -> bool:
    """Whether the user taught `to_blocks` this class, which then has a better form than JSON."""
    return not to_blocks.dispatch(type(value)).__module__.startswith("agentnb.")


def _as_content(value: object) -> tuple[Content, ...] | None:
    if _is_block(value):
        return (value,)
    if isinstance(value, list | tuple) and value and all(_is_block(item) for item in value):
        return tuple(value)
    return None


def _is_block(value: object) -> TypeGuard[Content]:
    return isinstance(value, Text | Image | Audio | File | Data)


def _bounded(text: str, value: object, keep: Callable[[object], str]) -> ToolReturn:
    text = str.__str__(text)
    if len(text) <= LONGEST:
        return ToolReturn((Text(printable(text)),))
    handle = keep(value)
    head, tail = text[: LONGEST - _END], text[-_END:]
    mark = f"{left_out_mark(len(text) - LONGEST)} (all of it is notebook variable `{handle}`)"
    return ToolReturn((Text(printable(f"{head}\n{mark}\n{tail}")),), handle=handle)


def _kept(value: object, about: str, preview: tuple[Content, ...], keep: Callable[[object], str]) -> ToolReturn:
    handle = keep(value)
    _leave_pyplot(value)
    return ToolReturn((Text(f"Kept as notebook variable `{handle}` ({about})."), *preview), handle=handle)


def _leave_pyplot(value: object) -> None:
    """The inline backend shows every figure of pyplot below the cell; one that the card shows would come twice."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and is_from(value, "matplotlib", "Figure"):
        pyplot.close(value)


def _preview(value: object) -> tuple[str, tuple[Content, ...]]:
    """What it is, and what it looks like."""
    kind = type(value).__name__
    try:
        return f"{kind}{_size(value)}", to_blocks(value, PREVIEW_TOKENS)
    except Exception as error:
        # The repr of an object can raise anything; the call has succeeded all the same.
        return kind, (Text(f"(no preview: {type(error).__name__} while it was made)"),)


def _size(value: object) -> str:
    shape = getattr(value, "shape", None)
    if not (isinstance(shape, tuple) and shape and all(isinstance(n, int) for n in shape)):
        return ""
    if len(shape) == 2 and hasattr(value, "columns"):
        return f", {plural(shape[0], 'row')} × {plural(shape[1], 'column')}"
    return f", shape {' × '.join(f'{n:,}' for n in shape)}"
