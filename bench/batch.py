"""2,000 short answers, 200 at once, 50 ms each: `python -m bench.batch`. Ideal is 0.5 s; the bar is 2.5 times that.

Wall time means something on an idle machine only; CPU time per request tells the same on a busy one.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from contextlib import aclosing

from agentnb import events, messages
from agentnb.models.base import Request
from agentnb.models.http import Http
from agentnb.models.providers import Provider
from agentnb.models.remote import RemoteModel
from bench.decode import running_provider

REQUESTS, AT_ONCE, DELAY_MS = 2_000, 200, 50
BAR, CPU_BAR = 2.5, 600.0
IDEAL = REQUESTS / AT_ONCE * DELAY_MS / 1000


async def _batch(port: int) -> tuple[float, float]:
    """Wall seconds, and CPU µs per request."""
    http = Http()
    model = RemoteModel(f"delay-{DELAY_MS}", provider=Provider("openai", f"http://127.0.0.1:{port}/v1"), http=http)
    left = iter(range(REQUESTS))

    async def work() -> int:
        done = 0
        for i in left:
            async with aclosing(model.stream(Request((messages.user(f"question {i}"),)))) as stream:
                async for event in stream:
                    done += isinstance(event, events.MessageEnd)
        return done

    async with aclosing(model.stream(Request((messages.user("warm up"),)))) as stream:
        _ = [event async for event in stream]
    wall, cpu = time.perf_counter(), time.process_time()
    answers = sum(await asyncio.gather(*(work() for _ in range(AT_ONCE))))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    await http.aclose()
    assert answers == REQUESTS, answers
    return wall, cpu / REQUESTS * 1e6


def main() -> None:
    """Print the medians beside the bar; exit 1 when it is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with running_provider() as port:
        runs = [asyncio.run(_batch(port)) for _ in range(rounds)]
    wall, cpu = (statistics.median(values) for values in zip(*runs, strict=True))
    print(f"{REQUESTS} requests, {AT_ONCE} at once: {wall:.2f} s")  # noqa: T201
    rows = ((f"wall / ideal {IDEAL:.1f} s", wall / IDEAL, BAR, "x"), ("CPU per request", cpu, CPU_BAR, "µs"))
    for label, value, bar, unit in rows:
        verdict = "ok" if value <= bar else "MISSED"
        print(f"{label:20} {value:6.2f} {unit:2}   bar {bar:g} {unit}   {verdict}")  # noqa: T201
    sys.exit(any(value > bar for _, value, bar, _ in rows))


if __name__ == "__main__":
    main()
