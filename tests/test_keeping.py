"""A workspace goes on where the last kernel of its notebook stopped; without a store it works all the same."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import pytest

from agentnb.errors import UsageError
from agentnb.messages import user
from agentnb.models.fake import FakeModel
from agentnb.session import RunHead
from agentnb.workspace import Workspace


def workspace(home: Path, notebook: str = "/work/a.ipynb") -> Workspace:
    return Workspace(environ={"AGENTNB_HOME": str(home), "JPY_SESSION_NAME": notebook})


def ask(here: Workspace, prompt: str, answer: str, *, cell: str | None = None) -> None:
    session = here.session
    run = here.run(
        here.agent(model=FakeModel(answer)),
        user(prompt),
        session.history(cell),
        head=RunHead("", session.id, cell=cell),
    )
    run.start()
    run.done.result(5)
    session.record(cell, run.transcript().messages, run=run.id)


def texts(here: Workspace) -> list[str]:
    return [message.text for message in here.session.history()]


def test_a_new_kernel_of_the_same_notebook_goes_on_with_its_session(tmp_path: Path) -> None:
    first = workspace(tmp_path)
    ask(first, "hi", "hello")
    first.close()
    second = workspace(tmp_path)
    assert second.session.id == first.session.id
    assert texts(second) == ["hi", "hello"]
    second.close()


def test_that_a_session_was_looked_at_waits_for_no_other_program(tmp_path: Path) -> None:
    here = workspace(tmp_path)
    ask(here, "hi", "hello")
    with sqlite3.connect(here.store.path) as other:
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        here.seen(here.session)
        assert time.monotonic() - started < 5
        other.rollback()
    here.close()


def test_another_notebook_and_a_kernel_without_one_begin_their_own(tmp_path: Path) -> None:
    first = workspace(tmp_path)
    ask(first, "hi", "hello")
    for notebook in ("/work/b.ipynb", ""):
        other = workspace(tmp_path, notebook)
        assert other.session.id != first.session.id
        assert not other.session.turns
        other.close()
    first.close()


def test_two_kernels_of_one_session_see_what_the_other_said(tmp_path: Path) -> None:
    one, two = workspace(tmp_path), workspace(tmp_path)
    ask(one, "hi", "hello")
    two.session = two.store.session(one.session.id)
    ask(two, "and?", "yes")
    assert texts(one) == ["hi", "hello", "and?", "yes"]
    one.close()
    two.close()


def test_a_session_that_was_removed_meanwhile_is_not_talked_in(tmp_path: Path) -> None:
    here = workspace(tmp_path)
    ask(here, "hi", "hello")
    here.store.sessions.remove(here.session.id)
    with pytest.raises(UsageError, match=r"was removed. %session restore .* %session new begins another"):
        here.usable(here.session)
    here.close()


def test_without_a_store_runs_go_on_and_it_is_said_once_why(tmp_path: Path) -> None:
    (tmp_path / "agentnb.db").write_bytes(b"rubbish, and more of it" * 50)
    here = workspace(tmp_path)
    ask(here, "hi", "hello")
    ask(here, "again", "yes")
    assert texts(here) == ["hi", "hello", "again", "yes"]
    run = here.run(here.agent(model=FakeModel("x")), user("y"))
    run.start()
    run.done.result(5)
    said = here.complaint(run.keeper)
    assert said.startswith("This conversation is not kept so far: ")
    assert "agentnb.db is no database" in said
    assert here.complaint(run.keeper) == ""
    here.close()


def test_runs_that_stand_alone_are_kept_without_being_a_turn(tmp_path: Path) -> None:
    here = workspace(tmp_path)
    run = here.run(here.agent(model=FakeModel("x")), user("y"), head=RunHead("", label="In [3]"))
    run.start()
    run.done.result(5)
    (kept,) = here.store.runs.list()
    assert (kept.head.prompt, kept.head.label, kept.head.notebook) == ("y", "In [3]", "/work/a.ipynb")
    assert (kept.outcome, kept.usage) == ("done", run.transcript().usage)
    assert not here.store.sessions.list()
    here.close()


def saved(path: Path, session: str) -> str:
    path.write_text(json.dumps({"cells": [], "metadata": {"agentnb": {"session": session}}}))
    return str(path)


def test_a_notebook_that_was_renamed_finds_its_session_by_its_file(tmp_path: Path) -> None:
    first = workspace(tmp_path, str(tmp_path / "old.ipynb"))
    ask(first, "hi", "hello")
    first.close()
    second = workspace(tmp_path, saved(tmp_path / "new.ipynb", first.session.id))
    assert second.session.id == first.session.id
    assert second.store.sessions.get(first.session.id).notebook == str(tmp_path / "new.ipynb")
    second.close()


def test_a_copy_of_a_notebook_goes_its_own_way(tmp_path: Path) -> None:
    first = workspace(tmp_path, str(tmp_path / "a.ipynb"))
    ask(first, "hi", "hello")
    saved(tmp_path / "a.ipynb", first.session.id)
    copy = workspace(tmp_path, saved(tmp_path / "b.ipynb", first.session.id))
    assert copy.session.id != first.session.id
    ask(copy, "and?", "yes")
    assert (texts(first), texts(copy)) == (["hi", "hello"], ["hi", "hello", "and?", "yes"])
    again = workspace(tmp_path, str(tmp_path / "b.ipynb"))
    assert texts(again) == ["hi", "hello", "and?", "yes"]
    for each in (first, copy, again):
        each.close()


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"metadata": {"agentnb": 7}}', '{"metadata": {"agentnb": {"session": "../x"}}}']
)
def test_a_file_that_names_no_session_is_no_mistake(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.ipynb").write_text(text)
    here = workspace(tmp_path, str(tmp_path / "a.ipynb"))
    assert not here.session.turns
    here.close()


def test_a_panel_is_told_which_session_the_notebook_talks_in(tmp_path: Path) -> None:
    here = workspace(tmp_path)
    assert here.state().session is None
    ask(here, "hi", "hello")
    assert here.state().session == here.session.id
    here.close()


def test_what_was_chosen_is_chosen_in_the_next_kernel_as_well(tmp_path: Path) -> None:
    here = workspace(tmp_path)
    ask(here, "one", "1")
    first = here.session
    here.session = here.store.new_session()
    ask(here, "two", "2")
    here.session = first
    here.close()
    here = workspace(tmp_path)
    assert texts(here) == ["one", "1"]
    here.session = here.store.new_session()
    begun = here.session.id
    here.close()
    here = workspace(tmp_path)
    assert (here.session.id, here.session.turns) == (begun, [])
    here.close()


def cells(path: Path, *ids: str) -> str:
    path.write_text(json.dumps({"cells": [{"id": each, "cell_type": "code"} for each in ids], "metadata": {}}))
    return str(path)


def test_another_notebook_of_the_same_name_begins_its_own_session(tmp_path: Path) -> None:
    path = tmp_path / "Untitled.ipynb"
    first = workspace(tmp_path, cells(path, "a1", "b2"))
    ask(first, "hi", "hello", cell="a1")
    first.close()
    second = workspace(tmp_path, cells(path, "b2", "a1", "c3"))
    assert texts(second) == ["hi", "hello"]
    second.close()
    third = workspace(tmp_path, cells(path, "z9"))
    assert not third.session.turns
    third.close()


def test_cells_that_a_front_end_calls_otherwise_than_the_file_prove_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    first = workspace(tmp_path, cells(path, "a1"))
    ask(first, "hi", "hello", cell="vscode-notebook-cell:/x#W0sZmlsZQ%3D%3D")
    first.close()
    second = workspace(tmp_path, str(path))
    assert texts(second) == ["hi", "hello"]
    second.close()


def test_a_home_that_can_be_none_does_not_keep_agentnb_from_loading(tmp_path: Path) -> None:
    here = workspace(tmp_path / ("a" * 300))
    here.load_environment()
    assert not here.has_store
    here.close()
