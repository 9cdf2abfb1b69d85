"""Kernels killed at random instants while a run streams and tools write: `python -m bench.crash [--kills 200]`.

A child runs one turn after the other (an answer with two calls, their results, an answer) and reports all that it would
show. After each SIGKILL the store is opened, checked, and read: it must be sound, hold everything that was shown as
done, miss at most the last second of the answer that was streaming, be a beginning of what was really said, and the
next turn must work. Bar: no failure. Every tenth kill hits a store that is only just being made.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from agentnb import FakeModel, Workspace, events, tool
from agentnb.conversation import unanswered
from agentnb.messages import Message, ToolCall, ToolResult, user
from agentnb.models.base import Request
from agentnb.models.fake import call
from agentnb.session import RunHead
from agentnb.store import Store

KILLS, LONGEST, GRACE = 200, 0.8, 1.0
FIRST, LAST = "I write two lines, then I am done. " * 12, "Both lines are written. " * 20


def say(line: str) -> None:
    """Print."""
    print(line, flush=True)  # noqa: T201  # what a bench is for


def workspace(home: Path) -> Workspace:
    """A kernel's workspace whose tool writes lines to a file."""

    @tool(thread=True)
    def write(line: str) -> str:
        """Write a line."""
        with (home / "lines").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        return f"wrote {line}"

    return Workspace({"write": write}, environ={"AGENTNB_HOME": str(home)})


def model(name: str) -> FakeModel:
    """The answers of one turn, over about a quarter of a second."""
    return FakeModel(
        [FIRST, call("write", line=f"{name} one"), call("write", line=f"{name} two")], LAST, chunk=10, pace=0.002
    )


def talk(home: Path, session_id: str, shown: Connection) -> None:
    """One turn after the other, until killed; `shown` is told what a display would be."""
    here = workspace(home)
    session = here.store.new_session(session_id)
    shown.send("ready")
    for number in range(1_000_000):
        name = f"{session_id}-{number}"
        agent = here.agent(model=model(name), approve="auto")
        run = here.run(agent, user(name), session.history(), head=RunHead("", session.id, cell=name))
        run.start()
        text = 0
        while not (ended := run.done.done()) or run._new:
            for event in run.take():
                match event:
                    case events.TextDelta():
                        text += len(event.text)
                        shown.send((time.time(), number, "text", text))
                    case events.MessageEnd() | events.ToolResult():
                        shown.send((time.time(), number, event.type, 0))
                        text = 0
            if not ended:
                time.sleep(0.001)
        session.record(name, run.transcript().messages, run=run.id)


def go_on(home: Path, session_id: str) -> None:
    """One more turn in a session, in a new kernel; ends with a code other than 0 where it does not work."""
    here = workspace(home)
    here.store.settle()
    session = here.store.session(session_id) if here.store.sessions.known(session_id) else here.store.new_session()
    asked: list[Request] = []

    def answer(request: Request) -> str:
        asked.append(request)
        return "Going on."

    agent = here.agent(model=FakeModel(answer), approve="auto")
    run = here.run(agent, user("go on"), session.history(), head=RunHead("", session.id, cell="next"))
    run.start()
    run.done.result(20)
    said = asked[0].messages
    open_calls = [unanswered(said[: at + 1]) for at, m in enumerate(said) if m.role == "tool"]
    whole = run.transcript().text == "Going on." and not any(open_calls)
    here.close()
    os._exit(0 if whole else 3)


def expected(name: str) -> list[tuple[str, str, list[str]]]:
    """A whole turn: the role of each message, its text, its calls or results."""
    lines = [f"{name} one", f"{name} two"]
    return [
        ("user", name, []),
        ("assistant", FIRST, [json.dumps({"line": line}, separators=(",", ":")) for line in lines]),
        ("tool", "", [f"wrote {line}" for line in lines]),
        ("assistant", LAST, []),
    ]


def told(message: Message) -> tuple[str, str, list[str]]:
    """A message as `expected` has it."""
    parts = [
        b.arguments if isinstance(b, ToolCall) else b.text
        for b in message.content
        if isinstance(b, (ToolCall, ToolResult))
    ]
    return message.role, message.text, parts


def begins(message: tuple[str, str, list[str]], whole: tuple[str, str, list[str]]) -> bool:
    """Whether a message is how another begins; results may be there in any order, a last call may be half there."""
    role, text, parts = message
    if role != whole[0] or not whole[1].startswith(text):
        return False
    if role == "tool":
        return set(parts) <= set(whole[2])
    return len(parts) <= len(whole[2]) and all(
        known.startswith(part) for part, known in zip(parts, whole[2], strict=False)
    )


def problems(home: Path, session_id: str, log: list[tuple[float, int, str, int]], killed: float) -> list[str]:
    """What is wrong with a store after a kill."""
    store = Store(home)
    store.settle()
    found = [] if (state := store.database.check()) == "ok" else [f"integrity: {state}"]
    turns = store.session(session_id).turns if store.sessions.known(session_id) else []
    lines = (home / "lines").read_text("utf-8").splitlines() if (home / "lines").exists() else []
    for number, turn in enumerate(turns):
        said, whole = [told(message) for message in turn.messages], expected(f"{session_id}-{number}")
        if number < len(turns) - 1 and said != whole:
            found.append(f"turn {number} is not whole")
        if len(said) > 4 or any(not begins(message, known) for message, known in zip(said, whole, strict=False)):
            found.append(f"turn {number} is no beginning of what was said")
        if said[:-1] != whole[: len(said) - 1]:
            found.append(f"turn {number}: a message before the last is not whole")
        results = [part for role, _, parts in said if role == "tool" for part in parts]
        found += [f"{result!r}, but it was not" for result in results if result.removeprefix("wrote ") not in lines]
    return found + missing([turn.messages for turn in turns], log, killed)


def missing(turns: list[tuple[Message, ...]], log: list[tuple[float, int, str, int]], killed: float) -> list[str]:
    """What was shown and is not in the store, though it was complete or older than a second."""
    found = []
    done: dict[int, list[str]] = {}
    latest: dict[int, int] = {}
    for when, number, kind, text in log:
        if kind == "text":
            latest[number] = text if when < killed - GRACE else latest.get(number, 0)
        else:
            done.setdefault(number, []).append(kind)
            latest[number] = 0
    for number, kinds in done.items():
        said = turns[number] if number < len(turns) else ()
        ends = sum(message.role == "assistant" and message.finish not in (None, "interrupted") for message in said)
        results = sum(isinstance(block, ToolResult) for message in said for block in message.content)
        if ends < kinds.count("message_end") or results < kinds.count("tool_result"):
            found.append(f"turn {number}: something shown as done is not there")
    for number, text in latest.items():
        kept = len(turns[number][-1].text) if number < len(turns) and turns[number] else 0
        if text > kept and turns[number][-1].role == "assistant":
            found.append(f"turn {number}: {text - kept} characters older than a second are not there")
    return found


def kill_once(home: Path, session_id: str, after: float) -> tuple[list[str], bool]:
    """Kill a child after some seconds; gives what was wrong then, and whether the next turn worked."""
    fork = multiprocessing.get_context("fork")
    receive, send = fork.Pipe(duplex=False)
    child = fork.Process(target=talk, args=(home, session_id, send))
    child.start()
    send.close()
    log: list[tuple[float, int, str, int]] = []
    deadline = time.time() + after
    while (left := deadline - time.time()) > 0:
        if receive.poll(left) and (event := receive.recv()) != "ready":
            log.append(event)
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)
    killed = time.time()
    child.join()
    try:
        while receive.poll(0):
            if (event := receive.recv()) != "ready":
                log.append(event)
    except (EOFError, OSError):
        pass
    found = problems(home, session_id, log, killed)
    following = fork.Process(target=go_on, args=(home, session_id))
    following.start()
    following.join(30)
    return found, following.exitcode == 0


def main() -> None:
    """Kill, look, go on; over and over."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=KILLS)
    options.add_argument("--seed", type=int, default=int(time.time()))
    given = options.parse_args()
    chance = random.Random(given.seed)
    bad, stopped, begun = 0, 0, time.time()
    with tempfile.TemporaryDirectory(prefix="agentnb-crash-") as folder:
        for number in range(given.kills):
            home = Path(folder) / (f"new-{number}" if number % 10 == 0 else "shared")
            home.mkdir(exist_ok=True)
            longest = 0.1 if number % 10 == 0 else LONGEST
            found, goes_on = kill_once(home, f"s{number}", chance.uniform(0, longest))
            for problem in found:
                say(f"  kill {number}: {problem}")
            if not goes_on:
                say(f"  kill {number}: the next turn did not work")
            bad += bool(found)
            stopped += not goes_on
        store = Store(Path(folder) / "shared")
        runs = store.runs.list()
        cut = sum(run.outcome == "interrupted" for run in runs)
        say(
            f"{given.kills} kills in {time.time() - begun:.0f} s (seed {given.seed}); "
            f"{len(runs):,} runs, {cut} of them cut"
        )
        say(f"stores with a fault after a kill: {bad} (bar 0); next turns that failed: {stopped} (bar 0)")
        say(f"integrity of the store that took them all: {store.database.check()}")
    sys.exit(bool(bad or stopped))


if __name__ == "__main__":
    main()
