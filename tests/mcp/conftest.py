"""A hub whose servers are gone when the test has ended, and contexts that remember what they were told."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from agentnb.mcp import groups
from agentnb.mcp.hub import McpHub
from agentnb.mcp.server import McpServer
from agentnb.messages import Content, Text
from agentnb.tools.base import Asker, InlineRunner, Question, Reply, ToolContext

NASTY = str(Path(__file__).parent / "nasty.py")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Person:
    """Answers questions, and remembers them."""

    def __init__(self, *replies: Reply | None) -> None:
        self.replies = list(replies)
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> Reply | None:
        self.asked.append(question)
        await anyio.lowlevel.checkpoint()
        return self.replies.pop(0)


@dataclass
class Seen:
    """What a call showed, and the variables it left."""

    namespace: dict[str, object] = field(default_factory=dict)
    blocks: list[Content] = field(default_factory=list)
    progress: list[tuple[float, float | None, str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(block.text for block in self.blocks if isinstance(block, Text))

    def context(self, asker: Asker | None = None) -> ToolContext:
        return ToolContext(
            self.blocks.append,
            self.namespace,
            InlineRunner(),
            progress=lambda *told: self.progress.append(told),
            asker=asker,
        )


def is_there(pid: int) -> bool:
    """Whether a process runs, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


async def gone(pid: int) -> None:
    """Wait until a process has ended."""
    with anyio.fail_after(8):
        while is_there(pid):  # noqa: ASYNC110  # the system tells nobody of it
            await anyio.sleep(0.01)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hub(clock: Clock) -> Iterator[McpHub]:
    made = McpHub(clock=clock)
    yield made
    started = set(made._running)
    made.close()
    assert not [group for group in started if groups.alive(group)]


def nasty(hub: McpHub, how: str = "", **more: object) -> McpServer:
    """The server of nasty.py, in one of its moods."""
    settings = {"command": sys.executable, "args": [NASTY, how], **more}
    return hub.add(str(more.pop("name", "nasty")), settings)  # type: ignore[arg-type]


@pytest.fixture
async def server(hub: McpHub) -> McpServer:
    return nasty(hub, timeout=20)


def answers(result: object) -> str:
    """The words of a result."""
    return "\n".join(block.text for block in getattr(result, "content", ()) if isinstance(block, Text))


assert os.name == "posix"
