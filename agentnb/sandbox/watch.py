"""What a sandbox uses, seen from outside: limits on single processes do not bound what many of them use together."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

#: Files that a sandbox may have: each takes memory, also an empty one.
MOST_FILES = 200_000


def used(pid: int, limit: int) -> int:
    """Bytes of memory of a process and all its descendants; exact where it matters, when `limit` seems exceeded."""
    pids = list(descendants(pid))
    rough = sum(map(_anonymous, pids))
    return rough if rough <= limit else sum(map(_share, pids))


def descendants(pid: int) -> Iterator[int]:
    """A process and all below it. Those of a process table of their own never leave it."""
    waiting = [pid]
    while waiting:
        pid = waiting.pop()
        yield pid
        with contextlib.suppress(OSError, ValueError):
            for task in os.listdir(f"/proc/{pid}/task"):
                waiting += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text("ascii").split())


def files(pid: int, folders: tuple[str, ...]) -> int:
    """How many files there are in memory-backed folders, as a process sees them."""
    count = 0
    for folder in folders:
        with contextlib.suppress(OSError):
            found = os.statvfs(f"/proc/{pid}/root{folder}")
            count += found.f_files - found.f_ffree
    return count


def _anonymous(pid: int) -> int:
    """Bytes that are in no file; those that a fork shares are counted for each."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = Path(f"/proc/{pid}/statm").read_text("ascii").split()
        return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _share(pid: int) -> int:
    """Bytes, those that are shared divided by how many share them."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss_Anon:"):
                return int(line.split()[1]) * 1024
    return _anonymous(pid)
