"""A store in an empty folder, and runs that are kept in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

from agentnb import events, messages
from agentnb.events import Event
from agentnb.messages import Message, Text, user
from agentnb.session import RunHead
from agentnb.store import Store
from agentnb.transcript import Folder

Say: TypeAlias = Callable[..., None]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def say(store: Store) -> Say:
    """Keep a whole run: a prompt and its answer, as one turn of a session."""

    def run(session: str, run_id: str, prompt: str, answer: str, *, cell: str | None = None) -> None:
        feed(store, RunHead(run_id, session, cell=cell, prompt=prompt), turn(run_id, prompt, answer))

    return run


def turn(run_id: str, prompt: str, answer: str) -> list[Event]:
    """The events of a run without tools."""
    return [
        events.RunStarted("m", run_id=run_id),
        events.MessageAdded(user(prompt), run_id=run_id),
        events.TextDelta(answer, run_id=run_id),
        events.MessageEnd("stop", run_id=run_id),
        events.RunFinished("done", messages.Usage(3, 4), run_id=run_id),
    ]


def feed(store: Store, head: RunHead, stream: Sequence[Event]) -> Folder:
    """Let a recorder see the events as a run makes them; gives the run so far."""
    recorder, folder = store.recorder(head), Folder()
    for event in stream:
        folder.feed(event)
        if not isinstance(event, events.TextDelta | events.ThinkingDelta | events.ToolCallArgs):
            recorder.keep(event, folder)
    assert not recorder.problem
    return folder


def assistant(text: str) -> Message:
    return Message("assistant", (Text(text),), finish="stop")
