"""Times as files of other programs write them: local, to the second or finer, without a zone."""

from __future__ import annotations

import math
import re
from datetime import datetime

from agentnb.messages import JSON

_ID = re.compile(r"(\d{4}-\d\d-\d\d)_(\d\d)-(\d\d)-(\d\d)")
#: From here on a number counts milliseconds, or microseconds.
_MILLI, _MICRO = 1e11, 1e14
#: Seconds until the year 9000: no time of a conversation lies behind.
_END = 2.2e11


def parse_time(value: JSON) -> float | None:
    """Seconds since 1970 of a text in ISO 8601 (of here, where it names no zone), or of a number; None for neither."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        scale = 1e6 if value >= _MICRO else 1e3 if value >= _MILLI else 1.0
        return value / scale if math.isfinite(value) and 0 < value / scale < _END else None
    if not isinstance(value, str):
        return None
    try:
        seconds = datetime.fromisoformat(value.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
    return seconds if 0 < seconds < _END else None


def time_of_id(text: str) -> float | None:
    """When a session began, by an id such as 2026-11-20_23-52-31; None for another one."""
    found = _ID.match(text)
    return parse_time(f"{found[1]}T{found[2]}:{found[3]}:{found[4]}") if found else None


def format_time(seconds: float) -> str:
    """The time here in ISO 8601, without a zone."""
    try:
        return datetime.fromtimestamp(seconds).isoformat()
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0).isoformat()
