"""The first thing that runs inside a sandbox: takes away what it may not use, then serves.

As root (bubblewrap needs no user namespace then) it becomes a user that nobody else is: limits on the number of
processes do not hold for root.
"""

from __future__ import annotations

import contextlib
import os
import resource
from typing import Any

_PR_SET_DUMPABLE = 4
#: Address space that is reserved and never touched, beside what `memory` allows.
_RESERVED = 4 << 30


def limit(config: dict[str, Any]) -> None:
    """Bound this process and all that it will start."""
    memory = config["memory"]
    bounds = {
        resource.RLIMIT_DATA: memory,
        resource.RLIMIT_AS: memory + _RESERVED,
        resource.RLIMIT_FSIZE: config["disk"],
        resource.RLIMIT_NOFILE: 1024,
        resource.RLIMIT_CPU: config["cpu_seconds"],
        # 1, not 0: the kernel refuses a dump of one byte also where it would pipe it to a program.
        resource.RLIMIT_CORE: 1,
        resource.RLIMIT_MEMLOCK: 1 << 20,
    }
    if config["processes"]:
        bounds[resource.RLIMIT_NPROC] = config["processes"]
    for which, most in bounds.items():
        hard = resource.getrlimit(which)[1]
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS knows some of them by name only
            resource.setrlimit(which, (allowed, allowed))
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: config["cores"]])
    with contextlib.suppress(OSError):
        os.nice(10)  # the notebook goes first


def drop(uid: int) -> None:
    """Be this user from now on, for good."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def hide() -> None:
    """Keep code of the same user from reading this process's memory and files in /proc."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def prepare(config: dict[str, Any]) -> None:
    """Everything of the above that holds for this sandbox."""
    limit(config)
    if config["uid"] is not None:
        drop(config["uid"])
    hide()
    os.umask(0o022)
    os.makedirs(config["private"], exist_ok=True)
