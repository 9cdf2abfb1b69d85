"""The title and headings of the notebook, read from its file as it was last saved."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from agentnb.context.parts import Masking, Part, Source, listed
from agentnb.render.terminal import one_line

#: Bytes of a notebook that is read: a larger one would keep the cell waiting.
_LARGEST = 20_000_000
_HEADING = re.compile(r"[ ]{0,3}(#{1,6})[ \t]+(.+?)[ \t#]*$")
_FENCE = re.compile(r"\s*(```|~~~)")
#: Characters of a heading, and of a line that is looked at.
_ROOM, _LINE = 120, 500


def source(file: Path, mask: Masking) -> Source | str:
    """What makes the outline of a notebook; or why there is none."""
    try:
        if file.stat().st_size > _LARGEST:
            return f"{file.name}: larger than {_LARGEST // 1_000_000} MB"
        data = file.read_bytes() if file.is_file() else b""
    except FileNotFoundError:
        return ""  # not saved yet
    except OSError as reason:
        return f"{file.name}: {reason.strerror or type(reason).__name__}"
    try:
        found = _parsed(data)
    except ValueError:
        return f"{file.name}: it is no notebook"
    name = mask(one_line(file.name, _ROOM))
    headings = [f"{'  ' * (level - 1)}- {mask(one_line(text, _ROOM))}" for level, text in found]
    return partial(_outline, [f"File: {name}", *headings])


def _outline(lines: list[str], room: int) -> Part | None:
    return listed(
        "The notebook's title and headings", lines, "read from the notebook's file as last saved", room, "headings"
    )


def _parsed(data: bytes) -> list[tuple[int, str]]:
    """The headings with their levels. Raises ValueError for what is no notebook."""
    import orjson

    notebook: Any = orjson.loads(data)
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise ValueError("no cells")
    markdown = (cell for cell in cells if isinstance(cell, dict) and cell.get("cell_type") == "markdown")
    return [heading for cell in markdown for heading in _headings(_source(cell.get("source")))]


def _source(written: Any) -> str:
    if isinstance(written, list):
        return "".join(line for line in written if isinstance(line, str))
    return written if isinstance(written, str) else ""


def _headings(text: str) -> Iterator[tuple[int, str]]:
    fence = None
    for line in text.splitlines():
        line = line[:_LINE]
        if found := _FENCE.match(line):
            fence = found[1] if fence is None else (None if fence == found[1] else fence)
        elif fence is None and (heading := _HEADING.match(line)):
            yield len(heading[1]), heading[2]
