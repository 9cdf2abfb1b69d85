"""Ends all processes of a command: its group, and those that left the group but still carry its mark."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

#: Seconds between asking processes to end and ending them.
GRACE = 2.0
_LOOK_EVERY = 0.02
#: How often what forks faster than it can be ended is tried to be ended.
_TRIES = 50
_PROC = Path("/proc")


async def end_all(group: int, mark: str | None = None) -> None:
    """End the processes of a group, and those with `mark` (`NAME=value`) in their environment: SIGTERM, 2 s, SIGKILL.

    The mark is found where there is a /proc; elsewhere only the group is known.
    """
    if mark is None and not _send(group, (), 0):
        return  # as nearly always: it left nothing behind
    _send(group, _marked(mark), signal.SIGTERM)
    for _ in range(int(GRACE / _LOOK_EVERY)):
        if not _alive(group, mark):
            return
        await asyncio.sleep(_LOOK_EVERY)
    for _ in range(_TRIES):
        if not _alive(group, mark):
            return
        _send(group, _marked(mark), signal.SIGKILL)
        await asyncio.sleep(_LOOK_EVERY)


def _send(group: int, others: tuple[int, ...], number: int) -> bool:
    """Send a signal; whether the group still exists."""
    for pid in others:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # only zombies are left (macOS)
        return False
    return True


def _alive(group: int, mark: str | None) -> bool:
    if not _PROC.is_dir():
        return _send(group, (), 0)
    return bool(_marked(mark)) or (_send(group, (), 0) and _has_members(group))


def _pids() -> list[int]:
    return [int(name) for name in os.listdir(_PROC) if name.isdecimal()] if _PROC.is_dir() else []


def _has_members(group: int) -> bool:
    """Whether the group has more than zombies that nobody has waited for."""
    for pid in _pids():
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, _parent, its_group = (_PROC / str(pid) / "stat").read_text("latin-1").rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return False


def _marked(mark: str | None) -> tuple[int, ...]:
    if mark is None:
        return ()
    found = []
    for pid in _pids():
        with contextlib.suppress(OSError):
            if mark.encode() in (_PROC / str(pid) / "environ").read_bytes().split(b"\0"):
                found.append(pid)
    return tuple(found)
