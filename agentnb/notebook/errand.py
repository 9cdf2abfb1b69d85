"""Something asynchronous that a magic needs done before it returns; an interrupt stops it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TypeVar

from agentnb.bridge import Foreground, going
from agentnb.jobs import Job
from agentnb.workspace import Workspace

T = TypeVar("T")


def wait_for(
    workspace: Workspace, work: Callable[[], Coroutine[object, object, T]], tick: Callable[[], object] = lambda: None
) -> T:
    """What `work` returns; `tick` is called about every 50 ms meanwhile. Raises what it raises."""
    foreground = Foreground()
    job = Job(workspace.background, work)
    with going(job, foreground):
        foreground.attend_blocked(job.done, tick)
    return job.done.result()
