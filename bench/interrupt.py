"""How soon the stop button ends a cell that waits for a silent network, in a real kernel.

    python -m bench.interrupt [--rounds 5]

Prints the seconds from SIGINT to the idle kernel, and to the provider seeing the connection close. Bar: 0.5 s.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

from tests.kernel.conftest import Cell, Kernel, ThreadedProvider
from tests.provider import Answer, chunk, sse

BAR = 0.5


def once(kernel: Kernel, head: str) -> tuple[float, float]:
    """Seconds to idle, and to the closed connection."""
    remote = ThreadedProvider()
    server = remote.serve(Answer([sse(chunk(content="so far"), done=False)], end="silent"))
    kernel.ok(f"%model openai:any --api-base {server.url}")
    pressed: list[float] = []

    def press(cell: Cell) -> None:
        if not pressed and "so far" in json.dumps(cell.outputs):
            pressed.append(time.monotonic())
            kernel.interrupt()

    cell = kernel.finish(kernel.start(f"{head}%%agent --session none\nhi"), press)
    idle = time.monotonic() - pressed[0]
    remote.wait(server.disconnected)
    closed = time.monotonic() - pressed[0]
    assert cell.mime("text/markdown") == ["so far"], cell.outputs
    remote.close()
    return idle, closed


def main() -> None:
    """Measure both forms of a cell."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    kernel = Kernel()
    try:
        kernel.ok("%load_ext agentnb")
        for name, head in (("awaited %%agent", ""), ("under %%time", "%%time\n")):
            idle, closed = zip(*(once(kernel, head) for _ in range(rounds)), strict=True)
            print(  # noqa: T201
                f"{name:16} idle after {statistics.median(idle):.2f} s (worst {max(idle):.2f}), "
                f"connection closed by {max(closed):.2f} s; bar {BAR} s"
            )
    finally:
        kernel.stop()


if __name__ == "__main__":
    main()
