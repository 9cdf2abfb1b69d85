"""One live object becomes the blocks a model reads; users teach it theirs with `to_blocks.register`."""

from __future__ import annotations

import datetime
import enum
import functools
import numbers
import pathlib
import types
from collections.abc import Callable, Mapping, Sequence, Set, ValuesView
from itertools import islice
from typing import Any, TypeAlias

from agentnb.messages import Audio, Content, Data, File, Image, Message, Text, ToolResult
from agentnb.prompting import arrays, figures, frames
from agentnb.prompting.budget import CHARS_PER_TOKEN, cut, mark
from agentnb.prompting.files import bytes_blocks, path_blocks
from agentnb.prompting.objects import drawn, error_text, module_text, repr_text, source_text
from agentnb.prompting.plain import origins, scalar
from agentnb.prompting.tree import fields, json_text

#: How one kind of object becomes blocks within a budget of tokens. The object is of the kind it was looked up by.
Renderer: TypeAlias = Callable[[Any, int], tuple[Content, ...] | None]


def _scalar_text(value: object, budget: int) -> tuple[Content, ...]:
    plain = value if value is None or isinstance(value, (bool, datetime.date)) else scalar(value)
    return (Text(cut(str(plain), budget * CHARS_PER_TOKEN)),)


#: Libraries' classes by name: a library is never imported to recognise a value that is not of it.
_FOREIGN: Mapping[tuple[str, str], Renderer] = types.MappingProxyType(
    {
        ("pandas", "DataFrame"): frames.pandas_frame,
        ("pandas", "Series"): frames.pandas_series,
        ("pandas", "Index"): frames.pandas_index,
        ("polars", "DataFrame"): frames.polars_frame,
        ("polars", "Series"): frames.polars_series,
        ("polars", "LazyFrame"): frames.polars_lazy,
        ("numpy", "ndarray"): arrays.numpy_array,
        ("numpy", "generic"): _scalar_text,
        ("matplotlib", "Figure"): figures.matplotlib_figure,
        ("matplotlib", "Artist"): figures.matplotlib_part,
        ("seaborn", "Grid"): figures.matplotlib_part,
        ("PIL", "Image"): figures.pillow_image,
        ("plotly", "BaseFigure"): figures.plotly_figure,
        ("IPython", "Image"): figures.display_image,
        ("uuid", "UUID"): _scalar_text,
    }
)
#: More pictures and tables than this in one list are not shown one by one.
_MOST_MEMBERS = 12


@functools.singledispatch
def to_blocks(value: object, budget: int = 2000) -> tuple[Content, ...]:
    """What a model is sent for `value`: text within about `budget` tokens, every cut marked, or a picture, a sound.

    Tables become shape, statistics and rows; figures pictures; models, dataclasses and containers JSON; paths what
    the file holds. For a class of your own: `to_blocks.register(Molecule)(lambda m, budget: (Text(m.smiles),))`;
    agentnb itself always gives the budget.
    Raises PromptError where the value cannot be read (a path without a file).
    """
    for origin in origins(type(value)):
        if (renderer := _FOREIGN.get(origin)) and (blocks := renderer(value, budget)) is not None:
            return blocks
    if fields(value) is not None:
        return (Text(_named_json(value, budget)),)
    return drawn(value, budget) or (Text(repr_text(value, budget * CHARS_PER_TOKEN)),)


def _named_json(value: object, budget: int) -> str:
    name = type(value).__name__
    text = json_text(value, budget * CHARS_PER_TOKEN - len(name))
    return f"{name}:\n{text}" if "\n" in text else f"{name} {text}"


@to_blocks.register(str)
def _string(value: str, budget: int = 2000) -> tuple[Content, ...]:
    plain = str(value.value) if isinstance(value, enum.Enum) else str(value)
    return (Text(cut(plain, budget * CHARS_PER_TOKEN)),)


@to_blocks.register(type(None))
@to_blocks.register(numbers.Number)
@to_blocks.register(datetime.date)
@to_blocks.register(datetime.time)
@to_blocks.register(datetime.timedelta)
def _scalar(value: object, budget: int = 2000) -> tuple[Content, ...]:
    return _scalar_text(value, budget)


@to_blocks.register(enum.Enum)
def _enum(value: enum.Enum, budget: int = 2000) -> tuple[Content, ...]:
    return (Text(cut(str(value), budget * CHARS_PER_TOKEN)),)


@to_blocks.register(Text)
@to_blocks.register(Image)
@to_blocks.register(Audio)
@to_blocks.register(File)
@to_blocks.register(Data)
def _as_it_is(value: Content, budget: int = 2000) -> tuple[Content, ...]:  # noqa: ARG001  already what is sent
    return (value,)


@to_blocks.register(Message)
@to_blocks.register(ToolResult)
def _conversation(value: Message | ToolResult, budget: int = 2000) -> tuple[Content, ...]:
    kept = (block for block in value.content if isinstance(block, (Text, Image, Audio, File, Data)))
    return tuple(_cut_block(block, budget) for block in kept)


def _cut_block(block: Content, budget: int) -> Content:
    return Text(cut(block.text, budget * CHARS_PER_TOKEN)) if isinstance(block, Text) else block


@to_blocks.register(pathlib.Path)
def _path(value: pathlib.Path, budget: int = 2000) -> tuple[Content, ...]:
    return path_blocks(value, budget)


@to_blocks.register(bytes)
@to_blocks.register(bytearray)
@to_blocks.register(memoryview)
def _bytes(value: bytes | bytearray | memoryview, budget: int = 2000) -> tuple[Content, ...]:
    return bytes_blocks(value, budget)


@to_blocks.register(BaseException)
def _error(value: BaseException, budget: int = 2000) -> tuple[Content, ...]:
    return (Text(error_text(value, budget * CHARS_PER_TOKEN)),)


@to_blocks.register(type)
@to_blocks.register(types.FunctionType)
@to_blocks.register(types.MethodType)
@to_blocks.register(types.BuiltinFunctionType)
def _source(value: Callable[..., object], budget: int = 2000) -> tuple[Content, ...]:
    return (Text(source_text(value, budget * CHARS_PER_TOKEN)),)


@to_blocks.register(types.ModuleType)
def _module(value: types.ModuleType, budget: int = 2000) -> tuple[Content, ...]:
    return (Text(module_text(value, budget * CHARS_PER_TOKEN)),)


@to_blocks.register(Mapping)
def _mapping(value: Mapping[object, object], budget: int = 2000) -> tuple[Content, ...]:
    named = [(f"`{one}`", value[one]) for one in islice(value, _MOST_MEMBERS + 1)]
    return _members(named, len(value), budget) or (Text(_json(value, budget)),)


@to_blocks.register(Sequence)
@to_blocks.register(Set)
@to_blocks.register(ValuesView)
def _sequence(value: Sequence[object], budget: int = 2000) -> tuple[Content, ...]:
    if fields(value) is not None:
        return (Text(_named_json(value, budget)),)
    first = list(islice(value, _MOST_MEMBERS + 1))
    if first and all(isinstance(one, (Text, Image, Audio, File, Data)) for one in first):
        return tuple(_cut_block(one, budget) for one in value if isinstance(one, (Text, Image, Audio, File, Data)))
    return _members([(f"{at}", one) for at, one in enumerate(first, 1)], len(value), budget) or (
        Text(_json(value, budget)),
    )


def _json(value: object, budget: int) -> str:
    return json_text(value, budget * CHARS_PER_TOKEN)


def _members(named: list[tuple[str, object]], count: int, budget: int) -> tuple[Content, ...] | None:
    """Tables and pictures in a list are shown one by one, each in its own way; None where there is none."""
    if not any(_is_rich(one) for _, one in named):
        return None
    shown = named[:_MOST_MEMBERS]
    blocks: list[Content] = []
    for name, one in shown:
        part = to_blocks(one, budget // len(shown)) if _is_rich(one) else (Text(_json(one, budget // len(shown))),)
        blocks.append(Text(f"{name}:"))
        blocks.extend(part)
    if count > len(shown):
        blocks.append(Text(mark(count - len(shown), count, "members")))
    return in_one(blocks)


def in_one(blocks: list[Content]) -> tuple[Content, ...]:
    """Texts that follow each other as one, so that nobody runs them together."""
    joined: list[Content] = []
    for block in blocks:
        if isinstance(block, Text) and joined and isinstance(last := joined[-1], Text):
            joined[-1] = Text(f"{last.text}\n{block.text}")
        else:
            joined.append(block)
    return tuple(joined)


def _is_rich(value: object) -> bool:
    """Whether JSON would not do: tables and pictures, and whatever the user registered a renderer for."""
    if isinstance(value, (Image, Audio, File)):
        return True
    found = next((o for o in origins(type(value)) if o in _FOREIGN), None)
    if found is None:
        return not _is_ours(type(value))
    return found[0] not in {"numpy", "uuid"} and found[1] != "Index"


def _is_ours(kind: type) -> bool:
    return to_blocks.dispatch(kind).__module__ == __name__
