"""`%agent replay` without a kernel: what it finds in a file, what it sends, what it refuses, and what it shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentnb import FakeModel, messages
from agentnb.errors import UsageError
from agentnb.models.base import Request
from agentnb.models.fake import call
from agentnb.notebook.replay import Replay
from agentnb.notebook.replaying import Wanted, wanted
from agentnb.prompting import to_blocks
from agentnb.render import RUN_MIME
from tests.notebook.conftest import Notebook, Ran

TOOL = """from agentnb import tool
@tool
def rows(name: str) -> int:
    '''Count the rows.'''
    return 344"""


class Book:
    """A notebook whose cells are saved to its file as they run."""

    def __init__(self, notebook: Notebook, path: Path) -> None:
        self.notebook = notebook
        self.path = path
        self.cells: list[dict[str, Any]] = []

    def run(self, source: str, cell: str, *answers: Any) -> Ran:
        """Run a cell with a model that answers so, and keep it."""
        if answers:
            self.notebook.workspace.use_model(FakeModel(*answers, name="fake:before"))
        ran = self.notebook.run(source, cell)
        assert ran.error is None, ran.error
        count = self.notebook.shell.execution_count - 1
        outputs = [{"output_type": "display_data", "data": data} for data in ran.displays]
        self.keep({"cell_type": "code", "id": cell, "execution_count": count, "source": source, "outputs": outputs})
        return ran

    def keep(self, *cells: Any) -> None:
        """Save the file with these cells as well."""
        self.cells += cells
        self.path.write_text(json.dumps({"cells": self.cells, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}))

    def record(self, at: int = -1) -> dict[str, Any]:
        """The record of a cell, to be changed; `keep()` saves it."""
        shown = [output["data"] for output in self.cells[at]["outputs"]]
        found: dict[str, Any] = next(data[RUN_MIME] for data in shown if RUN_MIME in data)
        return found

    def now(self, *answers: Any) -> FakeModel:
        """Let another model answer from now on."""
        model = FakeModel(*answers, name="fake:after")
        self.notebook.workspace.use_model(model)
        return model

    def replays(self, line: str = "", cell: str = "zz") -> Ran:
        ran = self.notebook.run(f"%agent replay {line}", cell)
        assert ran.error is None, ran.error
        return ran

    def refuses(self, line: str = "") -> str:
        return self.notebook.fails(f"%agent replay {line}")


@pytest.fixture
def book(notebook: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    path = tmp_path / "penguins.ipynb"
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    return Book(notebook, path)


def prompt(request: Request) -> str:
    return request.messages[-1].text


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("replay", Wanted("")),
        (" replay [3] ", Wanted("[3]")),
        ("replay 3", Wanted("3")),
        ("replay a1b2-c3", Wanted("a1b2-c3")),
        ("replay list", Wanted("list")),
        ("replay --help", Wanted("help")),
        ("replay -m fake:x", Wanted("", "fake:x")),
        ("replay 3 --model fake:x --file 'my other.ipynb'", Wanted("3", "fake:x", "my other.ipynb")),
        ("replay --file other.ipynb 3", Wanted("3", None, "other.ipynb")),
        ("replay what happened", None),
        ("replayed", None),
        ("the replay", None),
        ("", None),
    ],
)
def test_only_the_verb_itself_replays(line: str, asked: Wanted | None) -> None:
    assert wanted(line, None) == asked
    assert wanted(line, "a body") is None


@pytest.mark.parametrize("line", ["replay 3 --modle x", "replay --file", "replay 3 -m x y z", "replay -m x 3 4"])
def test_a_slip_costs_nothing(line: str) -> None:
    with pytest.raises(UsageError):
        wanted(line, None)


def test_the_last_run_above_is_run_again_on_another_model_and_compared(book: Book) -> None:
    book.run("df = 'a table of 3 rows'\nlimit = 3", "c0")
    book.run("%%agent\nHow many rows has {{df}}?", "c1", "It has 3 rows.")
    turns = len(book.notebook.workspace.session.turns)
    model = book.now("It has three rows.")
    ran = book.replays()
    assert "Replays In [2] on fake:after: How many rows has {{df}}?" in ran.stdout
    assert [message.role for message in model.requests[0].messages] == ["user"]
    assert "a table of 3 rows" in prompt(model.requests[0])
    assert "It has three rows." in ran.mime("text/markdown")
    assert "It has [-3-] {+three+} rows." in ran.text
    assert "<ins" in str(ran.displays[-1]["text/html"])
    replay = book.notebook.shell.user_ns["_"]
    assert isinstance(replay, Replay)
    assert (replay.before.text, replay.after.text, replay.same) == ("It has 3 rows.", "It has three rows.", False)
    assert (replay.before.model, replay.after.transcript.model) == ("fake:before", "fake:after")
    assert repr(replay) == "Replay(same=False, fake:before → fake:after)"
    assert str(replay) == "It has three rows."
    assert to_blocks(replay) == (messages.Text("It has three rows."),)
    assert len(book.notebook.workspace.session.turns) == turns


def test_the_same_answer_is_said_to_be_the_same(book: Book) -> None:
    book.run("%%agent\nhi", "c1", "hello\n")
    book.now("hello")
    assert book.replays().text.endswith("The same answer.")
    assert book.notebook.shell.user_ns["_"].same is True


def test_a_model_can_be_named_and_stays_that_of_this_run(book: Book) -> None:
    book.run("%%agent\nhi", "c1", "hello")
    (book.path.parent / "other.json").write_text('{"hi": ["good day"]}')
    book.replays("c1 -m fake:other.json")
    assert book.notebook.shell.user_ns["_"].after.text == "good day"
    assert book.notebook.workspace.model_name == "fake:before"


def test_a_cell_is_named_by_its_number_or_how_its_id_begins(book: Book) -> None:
    book.run("%%agent\none", "abc1", "1")
    book.run("%%agent\ntwo", "abd2", "2")
    for which, asked in (("1", "one"), ("[2]", "two"), ("abd", "two"), ("abc1", "one")):
        model = book.now("x")
        book.replays(which)
        assert prompt(model.requests[0]) == asked
    assert "'ab' may be several: In [1] (abc1), In [2] (abd2)." in book.refuses("ab")
    assert "holds no run in cell '7'." in book.refuses("7")


def test_the_last_one_above_is_no_replay_and_not_below(book: Book) -> None:
    book.run("%%agent\none", "c1", "1")
    book.run("%agent replay", "c2", "2")
    assert book.record()["replays"] == "c1"
    book.run("%%agent\nthree", "c4", "3")
    book.cells.insert(2, {"cell_type": "code", "id": "c3", "source": "%agent replay", "outputs": []})
    book.keep()
    model = book.now("x")
    book.replays(cell="c3")
    assert prompt(model.requests[0]) == "one"
    listed = book.notebook.says("%agent replay list")
    assert "replay: one" in listed
    assert "In [3]  c4  fake:before  three" in listed


def test_a_run_is_found_by_its_id_in_the_store(book: Book) -> None:
    book.run("%%agent\none", "c1", "1")
    book.run("%%agent\ntwo", "c2", "2")
    first = book.notebook.workspace.store.runs.list()[0].head.id
    model = book.now("x")
    book.replays(first[:12])
    assert prompt(model.requests[0]) == "one"


def test_options_system_prompt_tools_and_schema_are_those_of_the_run(book: Book) -> None:
    book.run(TOOL + "\n@tool\ndef other() -> int:\n    'Other.'\n    return 1", "c0")
    book.run(
        '%%agent -s "Be brief." -t rows -p \'{"temperature": 0}\' --schema \'{"type": "object"}\'\nHow many?',
        "c1",
        [call("rows", name="df")],
        '{"n": 344}',
    )
    model = book.now([call("rows", name="df"), call("rows", name="df")], '{"n": 344}')
    ran = book.replays()
    request = model.requests[0]
    assert request.messages[0].text == "Be brief."
    assert [spec.name for spec in request.tools] == ["rows"]
    assert request.options.temperature == 0
    assert request.output is not None
    assert "System prompt: Be brief." in ran.stdout
    assert "rows × 2" in ran.text
    model = book.now('{"n": 344}')
    book.replays("-p '{}'")
    assert model.requests[0].options.temperature is None


def test_a_tool_that_is_not_here_is_told_of_and_one_that_is_off_must_stand_in_the_cell(book: Book) -> None:
    book.run(TOOL, "c0")
    book.run("%%agent -t rows read_file\nHow many?", "c1", "Three.")
    book.record()["tools"] += ["bash", "gone", "*"]
    book.keep()
    model = book.now("x")
    said = book.replays().stdout
    assert [spec.name for spec in model.requests[0].tools] == ["rows", "read_file"]
    assert "Off, and not offered: bash. %tool on NAME offers one." in said
    assert "Not here any more: gone, *. The run goes on without." in said


def test_a_call_that_wants_a_word_asks_for_it_whatever_the_run_did(book: Book) -> None:
    book.run("%%agent -t python --approve auto\nGo", "c1", [call("python", code="touched = 1")], "Done.")
    assert book.notebook.shell.user_ns.pop("touched") == 1
    book.now([call("python", code="touched = 1")], "Done.")
    book.replays()
    assert "touched" not in book.notebook.shell.user_ns


def test_a_prompt_that_is_not_whole_is_filled_again_and_says_what_has_changed(book: Book) -> None:
    book.run("a = 'x' * 9000\nb = 'same'", "c0")
    book.run("%%agent\nSee {{a}} and {{b.upper()}}", "c1", "Yes.")
    book.notebook.run("a = 'y'")
    model = book.now("Yes.")
    said = book.replays().stdout
    assert "filled again from the variables as they are now" in said
    assert "a has changed since." in said
    assert "b.upper()" not in said.split("\n", 1)[1]
    assert "SAME" in prompt(model.requests[0])
    book.notebook.run("del a")
    assert "cannot be filled again: {{a}}: there is no variable 'a'." in book.refuses()


def test_no_code_runs_that_the_cell_does_not_show(book: Book) -> None:
    book.run("a = 'x' * 9000", "c0")
    book.run("%%agent\nSee {{a}}", "c1", "Yes.")
    record = book.record()
    record["prompt"] = "See {{open('made', 'w').write('x')}}"
    book.keep()
    model = book.now("Yes.")
    assert "is not in the cell of this notebook. Run the cell itself." in book.refuses()
    record["prompt"] = "<file>secret.txt</file>"
    book.keep()
    assert "is not in the cell of this notebook." in book.refuses()
    book.cells[-1]["source"] = "%%agent\nSee {{a.upper()}}"
    record["prompt"] = "See {{a.upper()}}"
    book.keep()
    book.path.rename(book.path.with_name("other.ipynb"))
    assert "is not in the cell of this notebook." in book.refuses("--file other.ipynb")
    assert not model.requests
    assert not (book.path.parent / "made").exists()


def test_a_schema_that_refers_elsewhere_is_left_out(book: Book) -> None:
    book.run("%%agent\nhi", "c1", "hello")
    book.record()["schema"] = {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/x"}}}
    book.keep()
    model = book.now("hello")
    assert "refers to what the record does not have" in book.replays().stdout
    assert model.requests[0].output is None


def test_options_that_no_record_of_ours_has_are_not_sent(book: Book) -> None:
    book.run('%%agent -p \'{"body": {"a": 1}}\'\nhi', "c1", "hello")
    book.record()["params"] |= {"headers": {"X": "y"}, "query": {"q": "r"}}
    book.record()["model"] = "openai:x"
    book.keep()
    model = book.now("hello")
    assert "in its provider's own words is left out" in book.replays().stdout
    assert model.requests[0].options.given() == {}
    book.record()["params"] = {"temprature": 0}
    book.keep()
    assert "The record's options cannot be used: There is no option 'temprature'." in book.refuses()


def test_turns_before_it_are_told_of(book: Book) -> None:
    book.run("%%agent\none", "c1", "1")
    book.run("%%agent\ntwo", "c2", "2")
    book.now("x")
    assert "came after 1 turn of its session" in book.replays().stdout
    book.now("x")
    assert "of its session" not in book.replays("c1").stdout


def test_a_run_that_fails_leaves_its_error_and_no_comparison(book: Book) -> None:
    book.run("%%agent\none", "c1", "1")
    book.now(UsageError("No."))
    ran = book.notebook.run("%agent replay")
    assert str(ran.error) == "No."
    assert "now" not in ran.text.split()


def test_a_front_end_that_does_not_say_the_path_is_told_of_the_option(notebook: Notebook, tmp_path: Path) -> None:
    assert "Name it: %agent replay --file NAME.ipynb" in notebook.fails("%agent replay")
    book = Book(notebook, tmp_path / "a.ipynb")
    book.run("%%agent\nhi", "c1", "hello")
    book.now("hello")
    book.replays("--file a.ipynb")
    assert notebook.shell.user_ns["_"].same


def test_a_notebook_that_was_not_saved_has_to_be(book: Book) -> None:
    assert "Save the notebook first" in book.refuses()
    book.keep()
    assert "holds no run. Save it after a %%agent cell has run" in book.refuses()
    assert "holds no run: it has none, or was not saved since." in book.notebook.says("%agent replay list")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "{}",
        '{"cells": 3}',
        "[" * 100_000,
        '{"cells": [3, {"outputs": 4}, {"outputs": [5, {"data": 6}], "source": {}}]}',
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_notebook_is_refused_in_a_line(book: Book, text: str) -> None:
    book.path.write_text(text)
    assert len(book.refuses()) < 300


def test_what_is_no_file_is_refused_in_a_line(book: Book) -> None:
    for name in ("/dev/zero", ".", "missing.ipynb", "a\0b"):
        assert len(book.refuses(f"--file {name!r}" if "\0" not in name else "--file 'a\0b'")) < 300


def test_a_record_of_a_newer_version_is_refused_and_listed_as_such(book: Book) -> None:
    book.run("%%agent\nhi", "c1", "hello")
    book.record()["version"] = 7
    book.keep()
    assert "written by a newer agentnb" in book.refuses()
    assert "written by a newer agentnb" in book.notebook.says("%agent replay list")


def test_a_hostile_record_is_shown_as_words(book: Book) -> None:
    book.run("%%agent\nhi", "c1", "hello")
    hostile = "<img src=x onerror=alert(1)>\x1b[31m"
    book.record().update({"model": hostile, "outcome": hostile, "error": hostile, "prompt": hostile, "system": hostile})
    for message in book.record()["messages"]:
        message["content"] = [{"type": "text", "text": hostile}]
    book.keep()
    book.now("hello")
    ran = book.replays()
    html = "".join(map(str, ran.mime("text/html")))
    assert "<img" not in html
    assert "&lt;img" in html
    assert "\x1b" not in ran.text
    assert "<img" not in str(book.notebook.run("%agent replay list").mime("text/html"))


def test_a_secret_is_not_shown(book: Book) -> None:
    book.run("%%agent\nhi", "c1", "hello")
    book.notebook.workspace.mask.add("hunter2hunter2")
    book.record()["messages"][-1]["content"] = [{"type": "text", "text": "hunter2hunter2"}]
    book.record()["system"] = "hunter2hunter2"
    book.keep()
    book.now("it is hunter2hunter2")
    assert "hunter2" not in book.replays().everything()


def test_help_names_its_options(book: Book) -> None:
    assert "--file OTHER.ipynb" in book.notebook.says("%agent replay --help")
    assert "%agent replay [CELL]" in book.notebook.says("%%agent --help")


def test_the_seconds_that_a_run_took_stand_beside_its_record(book: Book) -> None:
    book.run("%%agent\nHi", "a1", "Yes.")
    kept = next(output for output in book.cells[-1]["outputs"] if RUN_MIME in output["data"])
    kept["metadata"] = {RUN_MIME: {"seconds": 7.5}}
    book.keep()
    book.now("Yes.")
    assert "7.5 s" in book.replays().text
