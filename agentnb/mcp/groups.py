"""Process groups of MCP servers: a server and all that it has started end together, by force where need be."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

#: Seconds between SIGTERM and SIGKILL.
GRACE = 5.0
_LOOK_EVERY = 0.02
_PROC = Path("/proc")


def alive(group: int) -> bool:
    """Whether a process of the group still runs; one that only waits to be reaped does not."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return any(map(_runs, _members(group))) if _PROC.is_dir() else True


def _members(group: int) -> list[str]:
    """What /proc says of the processes of a group, from the state on."""
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                # The name in brackets may hold anything.
                said = (entry / "stat").read_text(errors="replace").rpartition(") ")[2]
                if said.split()[2:3] == [str(group)]:
                    found.append(said)
    return found


def _runs(stat: str) -> bool:
    return stat[0] not in "ZX"


def send(group: int, number: int) -> None:
    """Send a signal to all of a group; nothing happens where there is none."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


async def end(group: int, grace: float = GRACE) -> None:
    """SIGTERM to the group, and SIGKILL to what is left after `grace` seconds; a cancelled wait kills at once."""
    try:
        send(group, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while alive(group) and time.monotonic() < deadline:  # noqa: ASYNC110  # the system tells nobody of its end
            await asyncio.sleep(_LOOK_EVERY)
    finally:
        if alive(group):
            send(group, signal.SIGKILL)


def end_all(groups: set[int], owner: int, grace: float = GRACE) -> None:
    """The same for several at once, without a loop: at the end of the process `owner`, not of its forks."""
    if os.getpid() != owner:
        return
    for group in groups:
        send(group, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while any(map(alive, groups)) and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY)
    for group in groups:
        send(group, signal.SIGKILL)
    groups.clear()
