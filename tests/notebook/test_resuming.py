"""`%agent resume` without a kernel: what it finds, what it says, and what it needs."""

from __future__ import annotations

import pytest

from agentnb import FakeModel, messages
from agentnb.messages import Image, Message, Text, ToolCall
from agentnb.notebook.attended import Attended, paused_runs
from agentnb.notebook.resuming import wanted
from agentnb.paused import PausedRun
from agentnb.transcript import Transcript
from tests.notebook.conftest import Notebook

TOOL = """from agentnb import tool
saved = []
@tool
def save(path: str) -> str:
    '''Save it.'''
    saved.append(path)
    return path"""


def left(here: Notebook, run_id: str = "abcd1234", **more: object) -> PausedRun:
    """A run that waits for a word about `save`."""
    call = Message("assistant", (ToolCall("c1", "save", '{"path": "a"}'),), finish="tool_calls")
    turn = (messages.user("Save it, please."), call)
    run = PausedRun(run_id, 1.0, "fake:script", turn, **{"asked": ("save",), **more})  # type: ignore[arg-type]  # its fields
    paused_runs(here.workspace).keep(run)
    return run


@pytest.mark.parametrize(
    ("line", "which"),
    [
        (" resume ", ""),
        ("resume list", "list"),
        ("resume abcd12", "abcd12"),
        ("resume the analysis", None),
        ("resumed", None),
        ("", None),
    ],
)
def test_only_the_word_itself_resumes(line: str, which: str | None) -> None:
    assert wanted(line, None) == which
    assert wanted(line, "a body") is None


def test_nothing_waits(notebook: Notebook) -> None:
    assert notebook.says("%agent resume list") == "No run waits for an answer."
    assert notebook.fails("%agent resume") == "UsageError: No run of this notebook waits for an answer."


def test_a_run_of_another_notebook_is_listed_and_not_taken_for_this_one(notebook: Notebook) -> None:
    left(notebook, notebook="/work/other.ipynb")
    assert "/work/other.ipynb  save: Save it, please." in notebook.says("%agent resume list")
    assert "%agent resume list shows those of others." in notebook.fails("%agent resume")


def test_a_run_whose_tool_is_missing_stays(notebook: Notebook) -> None:
    left(notebook)
    assert "waits to call save, which is not here" in notebook.fails("%agent resume")
    assert paused_runs(notebook.workspace).has("abcd1234")


def test_where_nobody_can_be_asked_it_goes_on_with_a_refusal_and_is_done(notebook: Notebook) -> None:
    left(notebook, history=(messages.user("Hi."), messages.assistant("Hello.")), tools=("save", "look"), session="s1")
    notebook.run(TOOL)
    model = FakeModel("I could not save it.")
    notebook.workspace.use_model(model)
    said = notebook.says("%agent resume abcd")
    assert "Not here any more: look." in said
    assert "I could not save it." in said
    assert notebook.shell.user_ns["saved"] == []
    assert [m.role for m in model.requests[0].messages] == ["user", "assistant", "user", "assistant", "tool"]
    assert notebook.workspace.session.id == "s1"
    assert not paused_runs(notebook.workspace).has("abcd1234")


def test_options_of_the_cell_hold_again(notebook: Notebook) -> None:
    left(notebook, line='place << --approve auto --schema \'{"type": "object"}\'', system="Be brief.")
    notebook.run(TOOL)
    model = FakeModel('{"path": "a"}')
    notebook.workspace.use_model(model)
    notebook.says("%agent resume")
    assert notebook.shell.user_ns["saved"] == ["a"]
    assert notebook.shell.user_ns["place"] == {"path": "a"}
    assert model.requests[0].messages[0].text == "Be brief."


def test_a_run_with_a_secret_in_a_picture_is_kept_without_it(notebook: Notebook) -> None:
    notebook.workspace.mask.add("hunter2-hunter2", "content")
    said = Message("user", (Image(b"\x89PNG\xff hunter2-hunter2"), Text("its content, hunter2-hunter2")))
    attended = Attended(notebook.workspace, notebook.workspace.agent(model=FakeModel("x"), tools=()), said)
    runs = paused_runs(notebook.workspace)
    runs.keep(attended._as_paused("abcd1234", Transcript(messages=(said,))))
    assert runs.load("abcd1234").messages == (Message("user", (Image(b"\x89PNG\xff [key]"), Text("its [key], [key]"))),)


def test_a_damaged_file_is_told_of(notebook: Notebook) -> None:
    run = left(notebook)
    (file,) = (paused_runs(notebook.workspace)._folder).glob(f"{run.id}*")
    file.write_text("{")
    assert "is damaged. Delete the file." in notebook.says("%agent resume list")


def test_a_cell_that_runs_anew_is_not_gone_on_with(notebook: Notebook) -> None:
    left(notebook, cell="a")
    left(notebook, "ffff0000", cell="b")
    notebook.workspace.use_model(FakeModel("Hello."))
    notebook.run("%%agent\nhello", "a")
    assert [run.id for run in paused_runs(notebook.workspace).list()] == ["ffff0000"]
