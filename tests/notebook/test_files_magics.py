"""`%files`, and `<file>` in a cell: the workspace's files in a notebook."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest

from agentnb.files.upload import Uploads
from agentnb.models.fake import FakeModel
from agentnb.notebook.complete import Completer
from agentnb.notebook.upload_widget import UploadDesk, UploadWidget
from tests.notebook.conftest import Notebook


@pytest.fixture
def here(notebook: Notebook, tmp_path: Path) -> Path:
    """The workspace folder, with something in it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "a.txt").write_text("Penguins\nare birds\n")
    (tmp_path / "data" / "b.csv").write_text("mass\n")
    return tmp_path


def test_an_empty_folder_says_what_to_do(notebook: Notebook, tmp_path: Path) -> None:
    (tmp_path / "void").mkdir()
    assert notebook.says("%files list void") == "Nothing like that is here."
    os.rmdir(tmp_path / "void")


def test_files_are_listed_folders_first(notebook: Notebook, here: Path) -> None:
    lines = notebook.says("%files").splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["name", "data/", "a.txt"]
    assert "19 bytes" in lines[2]
    assert lines[2].endswith("text")
    assert "b.csv" in notebook.says("%files list data")
    assert "data/" not in notebook.says("%files --name *.txt")
    assert notebook.fails("%files --sort colour").startswith("UsageError: Files are sorted by")
    assert "no folder" in notebook.fails("%files list a.txt")


def test_a_long_list_has_pages(notebook: Notebook, here: Path) -> None:
    for number in range(60):
        (here / "data" / f"{number:02}").touch()
    assert "More: --page 2" in notebook.says("%files list data")
    assert "11 of 61." in notebook.says("%files list data --page 2")


def test_a_tree_is_drawn(notebook: Notebook, here: Path) -> None:
    assert notebook.says("%files tree").splitlines()[1:] == ["├── data/", "│   └── b.csv", "└── a.txt"]


def test_words_are_searched_in_files(notebook: Notebook, here: Path) -> None:
    said = notebook.says("%files search penguins are")
    assert "a.txt" in said
    assert "are birds" in said
    assert "b.csv" in notebook.says("%files search mass|nothing --name *.csv")
    assert notebook.says("%files search nowhere") == "No line of a file here has 'nowhere'."
    assert "Say what to look for" in notebook.fails("%files search")


def test_each_change_can_be_taken_back(notebook: Notebook, here: Path) -> None:
    assert notebook.says("%files rename a.txt 'b c.txt'") == "'a.txt' is 'b c.txt' now."
    assert notebook.says("%files copy 'b c.txt'") == "The copy is 'b c (1).txt'."
    assert notebook.says("%files mkdir new/er") == "'new/er' is there."
    assert notebook.says("%files move 'b c.txt' new") == "'b c.txt' is 'new/b c.txt' now."
    assert "is in the trash (" in notebook.says("%files rm data new")
    assert "new" in notebook.says("%files trash")
    assert not (here / "data").exists()
    for _ in range(6):
        notebook.says("%files undo")
    assert (here / "a.txt").read_text() == "Penguins\nare birds\n"
    assert (here / "data" / "b.csv").exists()
    assert not (here / "new").exists()


def test_several_things_are_deleted_or_none(notebook: Notebook, here: Path) -> None:
    assert "There is no 'gone'" in notebook.fails("%files rm a.txt gone")
    assert (here / "a.txt").exists()


def test_the_trash_gives_back_what_it_is_asked_for(notebook: Notebook, here: Path) -> None:
    notebook.says("%files rm a.txt")
    notebook.says("%files rm data")
    lines = notebook.says("%files trash").splitlines()
    assert [line.split()[1] for line in lines[1:3]] == ["data", "a.txt"]
    assert notebook.says(f"%files undo {lines[2].split()[0]}") == "'a.txt' is back."


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%files lsit", "Did you mean 'list'"),
        ("%files rename a.txt", "%files rename A NEW"),
        ("%files rm", "%files rm A…"),
        ("%files rm ../x", "'../x' is outside"),
        ("%files rename a.txt x/y", "a name has none of"),
        ("%files move a.txt /tmp", "outside"),
        ("%files rm 'a", "quote"),
        ("%files --page x", "--page takes a whole number"),
        ("%files tree --page 2", "no such option"),
        ("%files search x --page 2", "takes no --page"),
        ("%files undo", "nothing to undo"),
    ],
)
def test_what_is_written_wrongly_is_told(notebook: Notebook, here: Path, line: str, words: str) -> None:
    assert words in notebook.fails(line)


def test_hostile_names_drive_no_terminal_and_no_html(notebook: Notebook, here: Path) -> None:
    name = "<img src=x onerror=alert(1)>\x1b[2J\x1b]0;x\x07.txt"
    (here / name).write_text("<script>needle</script>\x1b[2J")
    ran = notebook.run("%files\n%files tree\n%files search needle\n%files trash")
    assert ran.error is None
    html = "".join(map(str, ran.mime("text/html")))
    assert "<img" not in html
    assert "<script" not in html
    assert "\x1b" not in f"{ran.stdout}{ran.text}{html}"
    (here / name).unlink()


def test_help_is_given(notebook: Notebook) -> None:
    assert "%files upload" in notebook.says("%files --help")


def test_without_widgets_upload_says_what_to_do(notebook: Notebook, here: Path) -> None:
    assert notebook.says("%files upload data") == (
        "There are no widgets here. Copy the file to 'data', or use the front end's own file browser."
    )
    assert "no folder" in notebook.fails("%files upload a.txt")


def test_tab_offers_verbs_options_and_paths(notebook: Notebook, here: Path) -> None:
    suggest = Completer(notebook.workspace).suggest
    for line, offered in {
        "%files ": "upload",
        "%files rm a": "a.txt",
        "%files rm da": "data/",
        "%files rm data/": "data/b.csv",
        "%files list --": "--sort",
        "%files list --sort ": "size",
    }.items():
        assert offered in suggest(line, line, 0)
    assert "a.txt" not in suggest("%files move a.txt ", "%files move a.txt ", 0)
    assert suggest("%files rm ../", "%files rm ../", 0) == ()


# A file in a prompt


def _asked(model: FakeModel) -> str:
    return "".join(getattr(block, "text", "") for block in model.requests[-1].messages[-1].content)


def test_a_file_that_is_named_in_a_cell_is_sent(notebook: Notebook, here: Path) -> None:
    model = notebook.workspace.use_model(FakeModel("yes"))
    notebook.shell.user_ns["said"] = "<file>data/b.csv</file>"
    notebook.says("%%agent\nWhat is in <file>a.txt</file>? {{said}}")
    assert _asked(model).startswith("What is in `a.txt`? <file>data/b.csv</file>")
    assert "`a.txt`:\n```txt\nPenguins\nare birds\n```" in _asked(model)


@pytest.mark.parametrize("path", ["b.txt", "../x", "data"])
def test_a_file_that_cannot_be_sent_fails_the_cell_before_anything_is(
    notebook: Notebook, here: Path, path: str
) -> None:
    model = notebook.workspace.use_model(FakeModel("yes"))
    said = notebook.fails(f"%%agent\nWhat is in <file>{path}</file>?")
    assert said.startswith(f"PromptError: <file>{path}</file>: ")
    assert said.endswith("Nothing was sent.")
    assert not model.requests


def test_outside_a_notebook_the_words_stay(notebook: Notebook, here: Path) -> None:
    model = notebook.workspace.use_model(FakeModel("yes"))
    notebook.workspace.agent().run_sync("<file>a.txt</file>")
    assert _asked(model) == "<file>a.txt</file>"


# What the browser asks


@pytest.fixture
def desk(notebook: Notebook, here: Path) -> UploadDesk:
    return UploadDesk(Uploads(notebook.workspace.builtins.folder), "data", {})


def _piece(upload: object, data: bytes, offset: int, **other: object) -> dict[str, object]:
    crc = zlib.crc32(data)
    return {"type": "piece", "upload": upload, "chunk": 0, "offset": offset, "crc": crc, **other}


def test_a_file_comes_in_by_messages(desk: UploadDesk, here: Path) -> None:
    begun = desk.answer({"type": "init", "name": "x.bin", "size": 6, "modified": 1})
    upload = begun["upload"]
    assert begun["chunks"] == [{"id": 0, "offset": 0, "size": 6, "received": 0}]
    assert desk.answer(_piece(upload, b"abc", 0), [memoryview(b"abc")]) == {"received": 3}
    assert desk.answer({"type": "status", "upload": upload}) == {"received": [3]}
    assert desk.answer({"type": "complete", "upload": upload})["code"] == "UPLOAD_NOT_READY"
    desk.answer(_piece(upload, b"def", 3), [memoryview(b"def")])
    assert desk.answer({"type": "complete", "upload": upload}) == {"path": "data/x.bin"}
    assert (here / "data" / "x.bin").read_bytes() == b"abcdef"


def test_a_file_that_is_chosen_again_goes_on_where_it_stopped(desk: UploadDesk) -> None:
    order = {"type": "init", "name": "x.bin", "size": 6, "modified": 1}
    first = desk.answer(order)
    desk.answer(_piece(first["upload"], b"abc", 0), [memoryview(b"abc")])
    again = desk.answer(order)
    assert again["upload"] == first["upload"]
    assert again["chunks"] == [{"id": 0, "offset": 0, "size": 6, "received": 3}]
    assert desk.answer({**order, "modified": 2})["upload"] != first["upload"]
    assert desk.answer({"type": "cancel", "upload": first["upload"]}) == {}
    assert desk.answer(order)["upload"] != first["upload"]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({}, "INVALID_REQUEST"),
        ({"type": "init", "name": "x", "size": "1"}, "INVALID_REQUEST"),
        ({"type": "init", "name": "../x", "size": 1}, "INVALID_REQUEST"),
        ({"type": "piece", "upload": "z", "chunk": 0, "offset": 0, "crc": 0}, "INVALID_REQUEST"),
        ({"type": "status", "upload": "z"}, "UPLOAD_NOT_FOUND"),
    ],
)
def test_a_message_that_is_wrong_is_answered(desk: UploadDesk, message: dict[str, object], code: str) -> None:
    assert desk.answer(message)["code"] == code


def test_a_damaged_piece_is_asked_for_again(desk: UploadDesk) -> None:
    upload = desk.answer({"type": "init", "name": "x.bin", "size": 3})["upload"]
    assert desk.answer(_piece(upload, b"abc", 0), [memoryview(b"abd")])["code"] == "CHECKSUM_MISMATCH"


def test_a_widget_shows_words_to_readers_and_closes(desk: UploadDesk) -> None:
    widget = UploadWidget(desk, "/work/data")
    assert widget.bundle["text/plain"] == "A place to drop files for /work/data, while its kernel runs."
    widget.close()
