"""What a notebook's file on the disk says of itself, read without Jupyter."""

from __future__ import annotations

import re
from pathlib import Path

from agentnb.session import ID

#: Where front ends that let us keep what we know of a notebook: `metadata.agentnb` of the file.
KEY = "agentnb"
#: Bytes from which a file is not looked into.
_LARGEST = 50_000_000


def named_in(notebook: str | None) -> str | None:
    """The session that a notebook's file names in its metadata; None where it names none, or cannot be read."""
    import orjson

    try:
        path = Path(notebook or "")
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        text = path.read_bytes()
        if b'"' + KEY.encode() + b'"' not in text:  # most have none, and need not be taken apart
            return None
        read = orjson.loads(text)
    except (OSError, ValueError):
        return None
    metadata = read.get("metadata") if isinstance(read, dict) else None
    ours = metadata.get(KEY) if isinstance(metadata, dict) else None
    session = ours.get("session") if isinstance(ours, dict) else None
    return session if isinstance(session, str) and re.fullmatch(ID, session) else None
