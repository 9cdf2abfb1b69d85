"""The tools of our own in a shell: off until asked for, what they change shown, and taken back by `%agent undo`."""

from __future__ import annotations

import pytest

from agentnb.models.fake import FakeModel, call
from tests.notebook.conftest import Notebook

NOTHING = "There is nothing to undo: no tool has changed a variable or a file."
ALL = {
    "python", "bash", "fetch", "read_file", "write_file", "edit_file", "search_files", "list_files", "inspect",
    "delegate",
}  # fmt: skip


def run(notebook: Notebook, *script: object, options: str = "--approve auto") -> str:
    """What a scripted run shows."""
    notebook.workspace.use_model(FakeModel(*script))  # type: ignore[arg-type]  # answers
    return notebook.says(f"%%agent {options}\nGo")


def test_nothing_is_offered_that_the_person_did_not_ask_for(notebook: Notebook) -> None:
    toolbox = notebook.workspace.toolbox
    assert set(toolbox.all()) >= ALL
    assert toolbox.enabled() == {}
    notebook.says("%tool on bash")
    assert list(toolbox.enabled()) == ["bash"]
    assert {tool.name for tool in toolbox.pick(["read_file"])} == {"read_file"}


def test_all_of_them_are_picked_by_the_name_of_their_set(notebook: Notebook) -> None:
    assert {tool.name for tool in notebook.workspace.toolbox.pick(["built-in"])} == ALL
    notebook.says("%tool on built-in")
    assert set(notebook.workspace.toolbox.enabled()) == ALL


def test_what_python_changed_is_shown_and_taken_back(notebook: Notebook) -> None:
    notebook.says("x = 1\nrows = [1, 2]\ngone = 'g'")
    code = "x = 2\nrows.append(3)\ndel gone\nnew = x + 1\nnew"
    card = run(notebook, call("python", code=code), "done", options="--approve auto -t python")
    assert "Variables: added new (int); rebound x (int); deleted gone; changed in place rows (list, 3 items)." in card
    assert notebook.says("print(x, rows, new, 'gone' in dir())") == "2 [1, 2, 3] 3 False"
    said = notebook.says("%agent undo")
    assert said == (
        "Undid python (x = 2 rows.append(3) del gone new = x + 1 new). "
        "Removed new. Restored x, gone. Put back what was in rows."
    )
    assert notebook.says("print(x, rows, gone, 'new' in dir())") == "1 [1, 2] g False"
    assert notebook.says("%agent undo") == NOTHING


def test_what_the_person_changed_since_stays(notebook: Notebook) -> None:
    notebook.says("x = 1")
    run(notebook, call("python", code="x = 2; y = 3"), "done", options="--approve auto -t python")
    notebook.says("x = 'mine'")
    assert notebook.says("%agent undo").endswith("Removed y. Left alone, because it has changed since: x.")
    assert notebook.says("print(x)") == "mine"


def test_a_file_is_put_back(notebook: Notebook) -> None:
    run(
        notebook,
        call("write_file", path="notes.md", content="# Notes\n"),
        call("edit_file", path="notes.md", old="Notes", new="Ideas"),
        "done",
        options="--approve auto -t write_file,edit_file",
    )
    assert notebook.says("from pathlib import Path; print(Path('notes.md').read_text(), end='')") == "# Ideas"
    assert notebook.says("%agent undo") == (
        "Undid edit_file (notes.md). Put back notes.md as it was. 1 earlier call can be undone too."
    )
    assert notebook.says("%agent undo") == "Undid write_file (notes.md). Removed notes.md."
    assert notebook.says("import os; print(os.path.exists('notes.md'))") == "False"


def test_only_the_word_alone_undoes(notebook: Notebook) -> None:
    notebook.workspace.use_model(FakeModel("asked", "asked"))
    assert "asked" in notebook.says("%agent undo the last change")
    assert "asked" in notebook.says("%%agent\nundo")


def test_what_is_displayed_belongs_to_the_card(notebook: Notebook) -> None:
    from IPython.display import Image, display

    png = bytes.fromhex("89504e470d0a1a0a") + b"\0" * 20
    notebook.shell.user_ns.update(display=display, Image=Image, png=png)
    code = "display('seen')\ndisplay(Image(png, format='png'))"
    notebook.workspace.use_model(FakeModel(call("python", code=code), "done"))
    ran = notebook.run("%%agent --approve auto -t python\nGo")
    assert ran.error is None
    assert {"text/plain": "'seen'"} not in ran.displays
    result = notebook.shell.user_ns["_"].messages[2].content[0]
    assert [block.type for block in result.content] == ["text", "image"]
    assert result.text == "'seen'"
    assert {"text/plain": "'after'"} in notebook.run("display('after')").displays


@pytest.mark.parametrize("variable", ["OPENAI_API_KEY", "MY_OWN"])
def test_commands_see_no_key_of_the_person(notebook: Notebook, variable: str) -> None:
    environ = {"OPENAI_API_KEY": "sk-1234567890", "MY_OWN": "Bearer sk-1234567890", "PLAIN": "yes"}
    notebook.workspace.environ = environ
    assert variable in notebook.workspace.key_variables()
    assert "PLAIN" not in notebook.workspace.key_variables()


def test_a_panel_shows_only_those_that_were_asked_for(notebook: Notebook) -> None:
    assert notebook.workspace.state().tools == ()
    notebook.says("%tool on bash")
    assert [tool.name for tool in notebook.workspace.state().tools] == ["bash"]


def test_letting_go_of_the_extension_lets_go_of_what_could_be_undone(notebook: Notebook) -> None:
    run(notebook, call("python", code="x = 1"), "done", options="--approve auto -t python")
    notebook.workspace.close()
    assert notebook.workspace.undo() == NOTHING
