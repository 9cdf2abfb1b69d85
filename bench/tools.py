"""64 tool calls of 50 ms at once, by what the tools are made of: `python -m bench.tools`.

The floor is 64 bare sleeps side by side. Wall time of the whole run (two rounds of a scripted model, all calls checked,
approved and shown), medians of fresh runs. Bar: 0.3 s for functions in threads and async functions; MCP tools, in this
process and over the pipes of another, are measured beside them.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

from agentnb import Agent, FakeModel, Workspace, tool
from agentnb.approval import Policy
from agentnb.models.fake import call
from agentnb.tools.base import Tool

CALLS, SECONDS, RUNS, BAR = 64, 0.05, 7, 0.3

_SERVER = f"""
import asyncio
from mcp.server import MCPServer

server = MCPServer("slow")


@server.tool()
async def nap(n: int) -> str:
    await asyncio.sleep({SECONDS})
    return str(n)


if __name__ == "__main__":
    server.run()
"""


def in_thread(n: int) -> int:
    """Sleep in a thread."""
    time.sleep(SECONDS)
    return n


async def awaited(n: int) -> int:
    """Sleep on the loop."""
    await asyncio.sleep(SECONDS)
    return n


async def run(offered: Tool) -> float:
    """Seconds that a run takes whose model makes all calls at once."""
    turn = [call(offered.name, n=n) for n in range(CALLS)]
    agent = Agent(FakeModel(turn, "Done."), tools=[offered], policy=Policy(), approve="auto", namespace={})
    began = time.perf_counter()
    result = await agent.run("Go")
    took = time.perf_counter() - began
    answers = [block.text for block in result.messages[2].content]  # type: ignore[union-attr]  # results, all of them
    assert answers == [str(n) for n in range(CALLS)], answers
    return took


async def bare(_: object) -> float:
    """Seconds of as many sleeps, and nothing else."""
    began = time.perf_counter()
    await asyncio.gather(*(asyncio.sleep(SECONDS) for _ in range(CALLS)))
    return time.perf_counter() - began


def main() -> bool:
    """Print the figures; whether all bars were kept."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "slow.py"
        file.write_text(_SERVER)
        space: dict[str, object] = {}
        exec(compile(_SERVER.partition("if __name__")[0], str(file), "exec"), space)
        workspace = Workspace({})
        workspace.mcp.add("here", space["server"])  # type: ignore[arg-type]  # a server object of the SDK
        workspace.mcp.add("piped", {"command": sys.executable, "args": [str(file)]})

        def on_loop(work: Coroutine[object, object, float]) -> float:
            return asyncio.run_coroutine_threadsafe(work, workspace.background.loop).result(60)

        async def mcp(server: str) -> float:
            [nap] = await workspace.mcp.server(server).ready()
            return await run(nap)

        kinds: dict[str, Callable[[], Coroutine[object, object, float]]] = {
            "floor: bare sleeps": lambda: bare(None),
            "function in a thread": lambda: run(tool(in_thread, thread=True)),
            "async function": lambda: run(tool(awaited)),
            "MCP, same process": lambda: mcp("here"),
            "MCP, over pipes": lambda: mcp("piped"),
        }
        for work in kinds.values():  # what is only paid once
            on_loop(work())
        took: dict[str, list[float]] = {name: [] for name in kinds}
        for _ in range(RUNS):
            for name, work in kinds.items():
                took[name].append(on_loop(work()))
        workspace.close()
    return _report({name: statistics.median(each) for name, each in took.items()})


def _report(medians: dict[str, float]) -> bool:
    floor, good = next(iter(medians.values())), True
    print(f"{CALLS} calls of {1000 * SECONDS:.0f} ms at once, seconds (bar {BAR} for functions)")  # noqa: T201
    for name, seconds in medians.items():
        kept = "function" not in name or seconds <= BAR
        good = good and kept
        print(f"  {name:<22} {seconds:.3f}  {seconds / floor:4.1f} x  {'' if kept else 'over the bar'}".rstrip())  # noqa: T201
    return good


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
