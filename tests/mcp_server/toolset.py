"""A small toolset that does what tools do: print, return media, report, ask, fail. Run, it is a server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

import anyio

from agentnb import tool
from agentnb.errors import ToolError
from agentnb.mcp_server import McpServer, serve
from agentnb.messages import Audio, Data, File, Image, JSONObject, Text, ToolSpec
from agentnb.tools.base import Choice, Question, Tool, ToolContext, ToolReturn, Traits

PNG = b"\x89PNG\r\n\x1a\n"


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    sys.stdout.write("adding\n")
    return a + b


@tool(thread=True)
def noisy(lines: int) -> str:
    """Print in every way there is."""
    for number in range(lines):
        sys.stdout.write(f"line {number}\n")
        assert sys.__stdout__ is not None
        sys.__stdout__.write(f"more {number}\n")
    os.write(1, b"straight to the stream\n")
    subprocess.run(["echo", "from a child"], check=True)
    return "quiet again"


@tool
def fails(how: str) -> None:
    """Fail."""
    if how == "plainly":
        raise ToolError("it cannot be done")
    if how == "exit":
        sys.exit(3)
    raise ZeroDivisionError("by zero")


class Custom:
    """A tool made of a coroutine function."""

    parallel = True

    def __init__(self, name: str, run: Any, **about: Any) -> None:
        self.name = name
        self.parallel = about.pop("parallel", True)
        self.traits = Traits(f"test-{name}", **about)
        self._run = run

    def spec(self, namespace: object) -> ToolSpec:
        del namespace
        return ToolSpec(self.name, f"{self.name}.", {"properties": {"n": {"type": "integer"}}})

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolReturn:
        made = await self._run(arguments, context)
        assert isinstance(made, ToolReturn)
        return made


async def _media(arguments: JSONObject, context: ToolContext) -> ToolReturn:
    del arguments, context
    content = (Text("a"), Image(PNG), Audio(b"RIFF"), File("a b.bin", b"\0"), Image(url="https://a.example/x.png"))
    return ToolReturn((*content, Data({"b": [1]})))


async def _counts(arguments: JSONObject, context: ToolContext) -> ToolReturn:
    for number in range(int(str(arguments.get("n", 3)))):
        context.progress(number + 1, 3, f"step {number + 1}")
        await asyncio.sleep(0)
    return ToolReturn((Text("counted"),))


async def _asks(arguments: JSONObject, context: ToolContext) -> ToolReturn:
    assert context.asker is not None
    said = []
    for number in range(int(str(arguments.get("n", 1)))):
        question = Question(
            f"Sure ({number})?",
            (Text("about this"), Data({"x": 1})),
            fields={
                "type": "object",
                "required": ["size"],
                "properties": {"size": {"type": "integer"}, "where": {"type": "object"}},
            },
            values={"size": 3, "where": {"a": 1}},
            choices=(Choice("yes", "Yes", "primary", fields=True), Choice("no", "No", "danger", reason=True)),
        )
        said.append(await context.asker.ask(question))
    return ToolReturn((Text(repr(said)),))


async def _waits(arguments: JSONObject, context: ToolContext) -> ToolReturn:
    del arguments
    context.progress(1, None, "waiting")
    try:
        await asyncio.Event().wait()
    finally:
        stopped = context.namespace.get("stopped")
        if isinstance(stopped, anyio.Event):
            stopped.set()
    return ToolReturn()


async def _opens(arguments: JSONObject, context: ToolContext) -> ToolReturn:
    del arguments, context
    return ToolReturn((Text("opened"),), unlocks=(Custom("inner", _media),), used_up=True)


def tools() -> list[Tool]:
    """All of them."""
    return [
        add,
        noisy,
        fails,
        Custom("media", _media, approval="ask"),
        Custom("counts", _counts),
        Custom("asks", _asks, parallel=False),
        Custom("waits", _waits),
        Custom("opens", _opens),
        Custom("hidden", _media, approval="never"),
    ]


if __name__ == "__main__":
    asyncio.run(serve(McpServer("testing", tools(), instructions="Try them.")))
