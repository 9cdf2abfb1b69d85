"""50 rounds of tool calls, and 64 calls at once, beside a hand-written loop: `python -m bench.rounds`.

The floor is the loop a person would write with httpx and json, streamed, with no framework. CPU time of fresh,
interleaved processes; medians. Bars: 1.6 times the floor at 50 rounds, and no more per round at 200 than at 50
(within 1.15); 64 parallel calls at most twice their floor.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time

import httpx

from agentnb import Agent
from agentnb.models.http import Http
from agentnb.models.providers import Provider
from agentnb.models.remote import RemoteModel
from bench.decode import running_provider

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Add two numbers.",
            "parameters": {
                "type": "object",
                "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}},
                "required": ["x", "y"],
            },
        },
    }
]
BAR, FLAT, PARALLEL = 1.6, 1.15, 2.0


def add(x: int, y: int) -> int:
    """Add two numbers."""
    return x + y


def _turn(client: httpx.Client, url: str, body: dict[str, object]) -> tuple[str, list[dict[str, object]]]:
    text, calls, rest = [], {}, b""
    asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
    with client.stream("POST", url, json=asked) as response:
        for block in response.iter_bytes():
            *frames, rest = (rest + block).split(b"\n\n")
            for frame in frames:
                if frame[6:] == b"[DONE]":
                    continue
                for choice in json.loads(frame[6:])["choices"]:
                    delta = choice["delta"]
                    if delta.get("content"):
                        text.append(delta["content"])
                    for call in delta.get("tool_calls") or ():
                        known = calls.setdefault(
                            call["index"],
                            {"id": call.get("id"), "type": "function", "function": {"name": "", "arguments": ""}},
                        )
                        known["function"]["name"] = call["function"].get("name") or known["function"]["name"]
                        known["function"]["arguments"] += call["function"].get("arguments") or ""
    return "".join(text), list(calls.values())


def by_hand(port: int, model: str) -> int:
    """The floor: returns how many tools ran."""
    ran, history = 0, [{"role": "user", "content": "go"}]
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    with httpx.Client(trust_env=False) as client:
        while True:
            text, calls = _turn(client, url, {"model": model, "messages": history, "tools": TOOLS})
            if not calls:
                return ran
            history.append({"role": "assistant", "content": text or None, "tool_calls": calls})
            for call in calls:
                out = add(**json.loads(call["function"]["arguments"]))
                history.append({"role": "tool", "tool_call_id": call["id"], "content": str(out)})
                ran += 1


def ours(port: int, model: str) -> int:
    """The same through an Agent."""

    async def run() -> int:
        http = Http()
        chat = RemoteModel(model, provider=Provider("openai", f"http://127.0.0.1:{port}/v1"), http=http)
        result = await Agent(chat, tools=[add], max_rounds=10_000, namespace={}).run("go")
        await http.aclose()
        return len(result.transcript.tools)

    return asyncio.run(run())


LOOPS = {"by hand": by_hand, "agentnb": ours}


def _once(port: int, loop: str, model: str, count: int) -> float:
    """CPU milliseconds per call, in a fresh process."""
    command = [sys.executable, "-m", "bench.rounds", "--measure", loop, str(port), model]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    calls, seconds = ran.stdout.split()
    assert int(calls) == count, ran.stdout
    return float(seconds) / count * 1e3


def measure(loop: str, port: int, model: str) -> None:
    """Print the calls made and the CPU seconds, after a small run that warms everything up."""
    run = LOOPS[loop]
    run(port, "tools-2")
    began = time.process_time()
    calls = run(port, model)
    print(calls, time.process_time() - began)  # noqa: T201


def main() -> None:
    """Print the figures beside their bars; exit 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of everything")
    parser.add_argument("--measure", nargs=3, metavar=("LOOP", "PORT", "MODEL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        loop, port, model = options.measure
        measure(loop, int(port), model)
        return
    jobs = [(loop, model) for loop in LOOPS for model in ("tools-50", "tools-200", "par-64")]
    taken: dict[tuple[str, str], list[float]] = {job: [] for job in jobs}
    with running_provider() as port:
        for _ in range(options.rounds):
            for job in jobs:
                taken[job].append(_once(port, *job, int(job[1].rpartition("-")[2])))
    cost = {job: statistics.median(values) for job, values in taken.items()}
    for (loop, model), value in cost.items():
        print(f"{loop:8} {model:10} {value:6.2f} ms CPU a call")  # noqa: T201
    rows = (
        ("50 rounds / by hand", cost["agentnb", "tools-50"] / cost["by hand", "tools-50"], BAR),
        ("200 rounds / 50 rounds", cost["agentnb", "tools-200"] / cost["agentnb", "tools-50"], FLAT),
        ("64 at once / by hand", cost["agentnb", "par-64"] / cost["by hand", "par-64"], PARALLEL),
    )
    for label, value, bar in rows:
        print(f"{label:24} {value:5.2f} x   bar {bar:g} x   {'ok' if value <= bar else 'MISSED'}")  # noqa: T201
    sys.exit(any(value > bar for _, value, bar in rows))


if __name__ == "__main__":
    main()
