"""What a notebook's file on the disk says of itself, read without Jupyter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from agentnb.messages import JSON
from agentnb.session import ID

#: Where front ends that let us keep what we know of a notebook: `metadata.agentnb` of the file.
KEY = "agentnb"
#: Bytes from which a file is not looked into.
_LARGEST = 50_000_000
#: Ids of cells as notebooks have them; some front ends give kernels others.
_CELL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class NotebookFile:
    """The session that a notebook's metadata name, and the ids of its cells."""

    session: str | None
    cells: frozenset[str]

    def has_one_of(self, cells: set[str]) -> bool:
        """Whether one of these cells is in the file; also where none of them has an id that a file could have."""
        comparable = {cell for cell in cells if _CELL_ID.fullmatch(cell)}
        return not comparable or bool(comparable & self.cells)


def look_into(notebook: str | None) -> NotebookFile | None:
    """What the file says; None where there is none, or it cannot be read."""
    import orjson

    try:
        path = Path(notebook or "")
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        read: JSON = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(read, dict):
        return None
    listed = read.get("cells")
    cells = listed if isinstance(listed, list) else []
    ids = (cell.get("id") for cell in cells if isinstance(cell, dict))
    return NotebookFile(_session(read), frozenset(each for each in ids if isinstance(each, str)))


def _session(read: dict[str, JSON]) -> str | None:
    metadata = read.get("metadata")
    ours = metadata.get(KEY) if isinstance(metadata, dict) else None
    session = ours.get("session") if isinstance(ours, dict) else None
    return session if isinstance(session, str) and ID.fullmatch(session) else None
