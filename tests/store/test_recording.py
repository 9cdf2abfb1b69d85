"""A run is kept as it happens; where that fails for a while, nothing of it is lost once it works again."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AbstractContextManager

import anyio
import pytest

from agentnb import events
from agentnb.messages import Usage, user
from agentnb.session import RunHead
from agentnb.store import Store, recording
from agentnb.transcript import Folder, Transcript

pytestmark = pytest.mark.anyio


def said(text: str) -> list[events.Event]:
    return [
        events.RunStarted("m", run_id="r1"),
        events.MessageAdded(user("go"), run_id="r1"),
        events.TextDelta(text, run_id="r1"),
        events.MessageEnd("stop", run_id="r1"),
        events.RunFinished("done", Usage(3, 4), run_id="r1"),
    ]


async def test_what_could_not_be_kept_is_kept_with_the_next_piece(store: Store) -> None:
    store.sessions.list()
    recorder, folder = store.recorder(RunHead("r1", "s1")), Folder()
    stream = said("hello")
    with sqlite3.connect(store.path) as other:
        other.execute("BEGIN IMMEDIATE")
        for event in stream[:2]:
            folder.feed(event)
            recorder.keep(event, folder)
        assert "has been locked by another program" in recorder.problem
        other.rollback()
    for event in stream[2:]:
        folder.feed(event)
        recorder.keep(event, folder)
    assert recorder.problem == ""
    assert [message.text for message in store.runs.messages("r1")] == ["go", "hello"]
    kept = store.runs.get("r1")
    assert kept is not None
    assert (kept.outcome, kept.rounds) == ("done", 1)


async def test_a_run_waits_once_for_a_program_that_keeps_the_file(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.sessions.list()
    recorder, folder = store.recorder(RunHead("r1", "s1")), Folder()
    waited: list[float | None] = []
    writing = store.database.writing

    def counted(patience: float | None = None) -> AbstractContextManager[sqlite3.Connection]:
        waited.append(patience)
        return writing(patience)

    monkeypatch.setattr(store.database, "writing", counted)
    with sqlite3.connect(store.path) as other:
        other.execute("BEGIN IMMEDIATE")
        for event in said("hello"):
            folder.feed(event)
            recorder.keep(event, folder)
        other.rollback()
    assert len(waited) > 1
    assert waited[0]
    assert set(waited[1:]) == {0.0}


async def test_a_growing_answer_is_kept_without_waiting_for_its_end(store: Store) -> None:
    recorder, folder = store.recorder(RunHead("r1", "s1")), Folder()
    for event in said("half an answer")[:3]:
        folder.feed(event)
        recorder.keep(event, folder)
    assert [message.text for message in store.runs.messages("r1")] == ["go"]
    async with asyncio.timeout(5):
        while len(store.runs.messages("r1")) < 2:  # noqa: ASYNC110  # the timer is the loop's, and tells nobody
            await asyncio.sleep(0.02)
    assert store.runs.messages("r1")[1].text == "half an answer"
    assert store.runs.messages("r1")[1].finish is None


async def test_a_session_takes_what_its_last_request_took(store: Store) -> None:
    recorder, folder = store.recorder(RunHead("r1", "s1")), Folder()
    stream = said("hello")
    stream.insert(3, events.Usage(Usage(30, 12), run_id="r1"))
    for event in stream:
        folder.feed(event)
        recorder.keep(event, folder)
    assert store.sessions.get("s1").tokens == 42


async def test_a_run_that_cost_nothing_has_a_price(store: Store) -> None:
    for run, usd in (("r1", 0.0), ("r2", None)):
        recorder, folder = store.recorder(RunHead(run, "s1")), Folder()
        for event in (
            events.RunStarted("m", run_id=run),
            events.MessageAdded(user("go"), run_id=run),
            events.Usage(Usage(3, 4, usd=usd), run_id=run),
            events.RunFinished("done", Usage(3, 4, usd=usd), run_id=run),
        ):
            folder.feed(event)
            recorder.keep(event, folder)
        kept = store.runs.get(run)
        assert kept is not None
        assert kept.usage.usd == usd


async def test_changed_messages_keep_their_places_while_the_store_is_locked(store: Store) -> None:
    store.sessions.list()
    recorder, folder = store.recorder(RunHead("r1", "s1")), Folder()

    def take(*stream: events.Event) -> None:
        for event in stream:
            folder.feed(event)
            recorder.keep(event, folder)

    take(events.RunStarted("m", run_id="r1"), events.MessageAdded(user("go"), run_id="r1"))
    with sqlite3.connect(store.path) as other:
        other.execute("BEGIN IMMEDIATE")
        for number in range(3):
            take(events.MessageAdded(user(f"{number}"), run_id="r1"))
            take(events.MessageChanged(user(f"{number}, changed"), run_id="r1"))
        other.rollback()
    take(events.RunFinished("done", Usage(3, 4), run_id="r1"))
    assert [message.text for message in store.runs.messages("r1")] == ["go", "0, changed", "1, changed", "2, changed"]


async def test_what_ended_while_the_store_was_locked_is_kept_later(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, end = asyncio.Event(), store.runs.end

    def end_and_tell(transcript: Transcript, when: float, *, tokens: int = 0) -> None:
        end(transcript, when, tokens=tokens)
        ended.set()

    monkeypatch.setattr(recording, "_AGAIN", 0.01)
    monkeypatch.setattr(store.runs, "end", end_and_tell)
    store.sessions.list()
    recorder, folder = store.recorder(RunHead("r1", "s1")), Folder()
    with sqlite3.connect(store.path) as other:
        other.execute("BEGIN IMMEDIATE")
        for event in said("hello"):
            folder.feed(event)
            recorder.keep(event, folder)
        assert recorder.problem
        other.rollback()
    with anyio.fail_after(5):
        await ended.wait()
    assert [message.text for message in store.runs.messages("r1")] == ["go", "hello"]
    kept = store.runs.get("r1")
    assert kept is not None
    assert kept.outcome == "done"
