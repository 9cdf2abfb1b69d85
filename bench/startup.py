"""What `%load_ext agentnb` adds to a bare IPython, and how soon after it a first call is on the wire.

    python -m bench.startup [--rounds 9]

Fresh processes, interleaved; medians of wall time. Bars: 150 ms over bare, first call ready within 400 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import threading
from pathlib import Path

from tests.provider import provider, says

ROOT = Path(__file__).parent.parent

SHELL = (
    "import time; from IPython.core.interactiveshell import InteractiveShell; s = InteractiveShell.instance(); "
    "from ipykernel import ipkernel; t = time.perf_counter(); "
)
REPORT = "; print('@@', time.perf_counter() - t)"
LOAD = "s.run_line_magic('load_ext', 'agentnb')"
#: As installed: with the byte code that pip writes.
ENV = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def seconds(code: str) -> float:
    """What one fresh process reports."""
    ran = subprocess.run(
        [sys.executable, "-c", SHELL + code + REPORT], capture_output=True, text=True, cwd=ROOT, check=True, env=ENV
    )
    return float(ran.stdout.rpartition("@@")[2])


def main() -> None:
    """Measure loading, and loading plus a first answer from a server that answers at once."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=9)
    rounds = options.parse_args().rounds
    loop, ready, stop, url = asyncio.new_event_loop(), threading.Event(), asyncio.Event(), []

    async def serve() -> None:
        async with provider(says("hello")) as server:
            url.append(server.url)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    call = f"{LOAD}; s.run_cell('''%%agent -m openai:x --api-base {url[0]}\\nhi''')"
    load, first = [], []
    for turn in range(rounds + 1):
        one, both = seconds(LOAD), seconds(call)
        if turn:  # the first fills the page cache
            load.append(one)
            first.append(both)
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    print(f"%load_ext agentnb     {statistics.median(load) * 1e3:5.0f} ms over a bare IPython; bar 150 ms")  # noqa: T201
    print(f"first call answered   {statistics.median(first) * 1e3:5.0f} ms after it (loading included); bar 400 ms")  # noqa: T201


if __name__ == "__main__":
    main()
