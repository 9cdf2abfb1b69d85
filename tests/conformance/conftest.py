"""Where the recorded wire cases are: kept beside the repository, never in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

_BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "conformance"


def conformance_dir() -> Path:
    """$AGENTNB_CONFORMANCE, or the folder beside the repository."""
    return Path(os.environ.get("AGENTNB_CONFORMANCE") or _BESIDE)


def cases(pattern: str) -> list[Any]:
    """One parameter for each case file; a single skipped one, saying why, where there are none."""
    found = sorted(conformance_dir().glob(pattern))
    if not found:
        reason = f"no conformance cases at {conformance_dir()} (set AGENTNB_CONFORMANCE)"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(path, id=path.stem) for path in found]
