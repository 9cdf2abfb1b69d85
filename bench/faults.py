"""What is left of requests to a server that fails: `python -m bench.faults [--requests 1000] [--seed 7]`.

A real server drops, delays, cuts, garbles, refuses and falls silent, by seed. Two of its models stand behind retries,
timeouts and a fallback. Every request must end in the whole answer or in one of our errors with a part of the answer
that is right; none doubled, none hanging. Waits between attempts are shortened fifty times, nothing else is.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from agentnb import messages
from agentnb.errors import AgentnbError
from agentnb.events import MessageEnd, ModelEvent, TextDelta
from agentnb.models.base import Model, Request
from agentnb.models.http import Http
from agentnb.models.providers import Provider
from agentnb.models.remote import RemoteModel
from agentnb.models.stack import stack
from bench.faulty import expected, faulty

AT_ONCE = 50
FIRST, IDLE, TOTAL = 0.4, 0.4, 5.0
#: Seconds after which a request hangs: two models, three attempts each, and as much again for a busy machine.
HANGS = 60.0
#: The ends that must not be.
BARRED = ("doubled", "wrong text", "wrong end", "hanging", "no error of ours")


@dataclass
class Outcome:
    """How the requests ended, and what they met on the way."""

    ends: Counter[str] = field(default_factory=Counter)
    faults: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    slowest: float = 0.0

    @property
    def missed(self) -> bool:
        """Whether one of the ends that must not be is among them."""
        return any(self.ends[end] for end in BARRED)


async def run(requests: int, seed: int) -> Outcome:
    """Ask so many requests, some at once, and count how they end."""
    outcome, started = Outcome(), time.perf_counter()
    http, gate = Http(), asyncio.Semaphore(AT_ONCE)
    async with faulty(seed) as server:
        model = _stack(server.url, http)

        async def ask(number: int) -> None:
            async with gate:
                begun = time.perf_counter()
                outcome.ends[await _end(model, number)] += 1
                outcome.slowest = max(outcome.slowest, time.perf_counter() - begun)

        await asyncio.gather(*map(ask, range(requests)))
        await http.aclose()
        outcome.faults = server.met
    outcome.seconds = time.perf_counter() - started
    return outcome


def _stack(url: str, http: Http) -> Model:
    first, second = (RemoteModel(name, provider=Provider("openai", url), http=http) for name in ("first", "second"))
    return stack(
        first,
        fallbacks=[second],
        first=FIRST,
        idle=IDLE,
        total=TOTAL,
        concurrency=AT_ONCE,
        sleep=lambda seconds: asyncio.sleep(seconds / 50),
    )


async def _end(model: Model, number: int) -> str:
    """How one request ends."""
    said: list[ModelEvent] = []
    kind = "whole"
    try:
        async with asyncio.timeout(HANGS), aclosing(model.stream(Request((messages.user(str(number)),)))) as stream:
            async for event in stream:
                said.append(event)  # noqa: PERF401  # a comprehension would lose them with the error
    except AgentnbError as error:
        kind = type(error).__name__
    except TimeoutError:
        return "hanging"
    except Exception as error:  # the figure to be shown is how often this happens
        print(f"request {number}: {error!r}")  # noqa: T201
        return "no error of ours"
    text, right = "".join(event.text for event in said if isinstance(event, TextDelta)), expected(number)
    ends = sum(isinstance(event, MessageEnd) for event in said)
    if text.count(right[:8]) > 1 or ends > 1:
        return "doubled"
    if ends != (kind == "whole"):
        return "wrong end"
    return kind if text == right or (kind != "whole" and right.startswith(text)) else "wrong text"


def main() -> None:
    """Print how the requests ended; exit 1 when one ended as none may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    outcome = asyncio.run(run(options.requests, options.seed))
    asked = sum(outcome.faults.values())
    print(f"{options.requests} requests, seed {options.seed}: {asked} attempts")  # noqa: T201
    for fault, count in sorted(outcome.faults.items(), key=lambda row: -row[1]):
        print(f"  met {fault:24} {count:6}")  # noqa: T201
    for end in ("whole", *sorted(set(outcome.ends) - {"whole", *BARRED})):
        print(f"{end:28} {outcome.ends[end]:6}")  # noqa: T201
    for end in BARRED:
        print(f"{end:28} {outcome.ends[end]:6}   bar 0   {'MISSED' if outcome.ends[end] else 'ok'}")  # noqa: T201
    print(f"{outcome.seconds:.1f} s in all, the slowest request {outcome.slowest:.1f} s")  # noqa: T201
    sys.exit(outcome.missed)


if __name__ == "__main__":
    main()
