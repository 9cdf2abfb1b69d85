"""Paused runs as files: whole, private, bounded, and skipped where they are damaged."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from agentnb import messages
from agentnb.conversation import unanswered
from agentnb.errors import UsageError
from agentnb.messages import Image, Message, ToolCall
from agentnb.paused import KEPT, PausedRun, PausedRuns


def paused(run_id: str, when: float = 1.0, cell: str | None = None, notebook: str | None = "/n.ipynb") -> PausedRun:
    asked = messages.user("What is it?", Image(b"\x00\xff\x80"))
    call = Message("assistant", (ToolCall("c1", "save", '{"path": "a"}'),), finish="tool_calls")
    return PausedRun(run_id, when, "fake:script", (asked, call), cell=cell, notebook=notebook, options={"seed": 1})


def test_a_run_comes_back_as_it_was(tmp_path: Path) -> None:
    runs = PausedRuns(tmp_path / "paused")
    runs.keep(paused("abc123"))
    found = runs.load("abc")
    assert found == paused("abc123")
    assert found.prompt == "What is it?"
    assert [call.name for call in unanswered(found.messages)] == ["save"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_only_its_owner_can_read_it_and_no_draft_is_left(tmp_path: Path) -> None:
    PausedRuns(tmp_path / "paused").keep(paused("abc"))
    (file,) = (tmp_path / "paused").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_the_newest_come_first_and_what_is_decided_is_gone(tmp_path: Path) -> None:
    runs = PausedRuns(tmp_path)
    for run_id, when in (("old", 1.0), ("new", 3.0), ("mid", 2.0)):
        runs.keep(paused(run_id, when))
    runs.remove("mid")
    runs.remove("unknown")
    assert [run.id for run in runs.list()] == ["new", "old"]
    assert (runs.has("new"), runs.has("mid")) == (True, False)


def test_a_run_that_asks_again_takes_its_own_place(tmp_path: Path) -> None:
    runs = PausedRuns(tmp_path)
    runs.keep(paused("a", 1.0, "cell"))
    runs.keep(paused("a", 2.0, "cell"))
    assert [run.when for run in runs.list()] == [2.0]


def test_a_cell_that_runs_anew_leaves_nothing_open(tmp_path: Path) -> None:
    runs = PausedRuns(tmp_path)
    runs.keep(paused("a", 1.0, "one"))
    runs.keep(paused("b", 1.0, "two"))
    runs.keep(paused("c", 1.0, "one", "/other.ipynb"))
    runs.remove_of("/n.ipynb", "one")
    runs.remove_of("/n.ipynb", None)
    assert {run.id for run in runs.list()} == {"b", "c"}


def test_a_damaged_file_is_skipped_with_a_sentence(tmp_path: Path) -> None:
    runs = PausedRuns(tmp_path)
    runs.keep(paused("good"))
    (tmp_path / "bad.x.json").write_text("{")
    (tmp_path / "odd.x.json").write_text('{"id": 1}')
    told: list[str] = []
    assert [run.id for run in runs.list(told.append)] == ["good"]
    assert len(told) == 2
    assert all("is damaged. Delete the file." in sentence for sentence in told)
    with pytest.raises(UsageError, match="is damaged"):
        runs.load("bad")


def test_an_id_that_is_none_or_several_is_refused(tmp_path: Path) -> None:
    runs = PausedRuns(tmp_path)
    runs.keep(paused("abc1"))
    runs.keep(paused("abc2"))
    with pytest.raises(UsageError, match="Several paused runs begin with 'abc'"):
        runs.load("abc")
    with pytest.raises(UsageError, match="No paused run 'x'"):
        runs.load("x")
    for bad in ("../abc", "", "*"):
        with pytest.raises(UsageError, match="not the id"):
            runs.load(bad)


def test_the_oldest_make_room(tmp_path: Path) -> None:
    runs = PausedRuns(tmp_path)
    for n in range(KEPT + 2):
        runs.keep(paused(f"r{n}"))
        (file,) = tmp_path.glob(f"r{n}.*")
        os.utime(file, (n, n))
    runs.keep(paused("last"))
    left = {run.id for run in runs.list()}
    assert len(left) == KEPT
    assert "last" in left
    assert not left & {"r0", "r1", "r2"}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="Set AGENTNB_HOME"):
        PausedRuns(tmp_path / "file" / "paused").keep(paused("a"))
    assert PausedRuns(tmp_path / "missing").list() == []
