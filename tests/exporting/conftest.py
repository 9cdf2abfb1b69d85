"""A session with everything that a session can have, at a fixed time, and one that wants to do harm."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agentnb import events
from agentnb.events import Event
from agentnb.exporting import Conversation, gathered
from agentnb.messages import Data, Image, Text, ToolResult, Usage, user
from agentnb.session import RunHead
from agentnb.store import Store
from tests.store.conftest import feed, turn

#: A picture of one point.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
#: 28 November 2026, 6:20, wherever the tests run.
THEN = time.mktime((2026, 11, 28, 6, 20, 0, 0, 0, -1))
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)> [a](javascript:alert(1)) ![p](http://evil.example/p.png)\n"
    "`````\n</pre></details><iframe src='http://evil.example'>\n`````\n\x1b[2J\x07\u202etxt \"onload=\"alert(1)"
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def full(store: Store) -> Conversation:
    """Thinking, calls, a run within a run, pictures, a failure, a prompt that was filled in."""
    head = RunHead("r1", "s1", cell="a", prompt="What is {{a}} + 40?", variables={"a": "ff"}, options={"seed": 1})
    feed(store, head, _full("r1"))
    failed: list[Event] = [
        events.RunStarted("openai:x", run_id="r2"),
        events.MessageAdded(user("Go on."), run_id="r2"),
        events.TextDelta("Half of", run_id="r2"),
        events.RunError("The connection broke.", "error", run_id="r2"),
    ]
    feed(store, RunHead("r2", "s1", cell="b", prompt="Go on."), failed)
    store.sessions.title("s1", "Sums")
    return dated(gathered(store, "s1"))


@pytest.fixture
def hostile(store: Store) -> Conversation:
    return hostile_in(store)


def hostile_in(store: Store) -> Conversation:
    """Everything that somebody may write says the same bad thing."""
    stream: list[Event] = [
        events.RunStarted(HOSTILE, run_id="r1"),
        events.MessageAdded(user("not the same: " + HOSTILE), run_id="r1"),
        events.ThinkingDelta(HOSTILE, run_id="r1"),
        events.ToolCallStart("c1", HOSTILE, run_id="r1"),
        events.ToolCallArgs("c1", HOSTILE, run_id="r1"),
        events.ToolCallEnd("c1", run_id="r1"),
        events.MessageEnd("tool_calls", run_id="r1"),
        events.ToolResult(ToolResult("c1", HOSTILE, (Text(HOSTILE), Image(PNG, HOSTILE, alt=HOSTILE))), run_id="r1"),
        events.TextDelta(HOSTILE, run_id="r1"),
        events.MessageEnd("stop", model=HOSTILE, run_id="r1"),
        events.RunError(HOSTILE, "error", run_id="r1"),
    ]
    feed(store, RunHead("r1", "s1", prompt=HOSTILE), stream)
    store.sessions.title("s1", HOSTILE)
    return gathered(store, "s1")


def dated(conversation: Conversation) -> Conversation:
    """The same, at a time that is known."""
    turns = tuple(replace(s, run=replace(s.run, started=THEN, ended=THEN + 60)) for s in conversation.turns)
    return Conversation(replace(conversation.session, created=THEN, updated=THEN + 60), turns)


def many(store: Store, count: int) -> Conversation:
    """So many turns, each with some words and a table."""
    answer = "Here is **text** and `code`.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n" + "More words of an answer. " * 40
    for number in range(count):
        feed(store, RunHead(f"r{number}", "s1", prompt=f"question {number}"), turn(f"r{number}", "?", answer))
    return gathered(store, "s1")


def _full(run: str) -> list[Event]:
    within = f"{run}-within"
    result = ToolResult(
        "c1", "add", (Text("42 ``` of them"), Data({"sum": 42}), Image(PNG, alt="plot")), handle="total"
    )
    return [
        events.RunStarted("openai:x", run_id=run),
        events.MessageAdded(user("What is 2 + 40?", Image(PNG, alt="a [point]")), run_id=run),
        events.ThinkingDelta("First I add.\nThen I say it.", run_id=run),
        events.ToolCallStart("c1", "add", run_id=run),
        events.ToolCallArgs("c1", '{"a": 2, "b": 40}', run_id=run),
        events.ToolCallEnd("c1", run_id=run),
        events.ToolCallStart("c2", "delegate", run_id=run),
        events.ToolCallArgs("c2", '{"task": "look"}', run_id=run),
        events.ToolCallEnd("c2", run_id=run),
        events.Usage(Usage(100, 20), run_id=run),
        events.MessageEnd("tool_calls", run_id=run),
        events.ToolResult(result, run_id=run),
        events.RunStarted("openai:small", run_id=within, parent_id=run, agent="scout", call_id="c2", depth=1),
        events.MessageAdded(user("look"), run_id=within),
        events.TextDelta("I **looked**.", run_id=within),
        events.MessageEnd("stop", model="openai:small", run_id=within),
        events.RunFinished("done", Usage(3, 4), run_id=within),
        events.ToolResult(ToolResult("c2", "delegate", (Text("nothing there"),), is_error=True), run_id=run),
        events.TextDelta("It is **42**.", run_id=run),
        events.MessageEnd("stop", model="openai:x", run_id=run),
        events.RunFinished("done", Usage(100, 20), run_id=run),
    ]
