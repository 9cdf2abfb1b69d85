"""`%skill`, and `%%agent --skill`: skills in a notebook."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentnb.models.fake import FakeModel, call
from agentnb.notebook.complete import Completer
from tests.notebook.conftest import Notebook


@pytest.fixture(autouse=True)
def here(notebook: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own to work in, and another to be at home in."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return work


def _make(base: Path, name: str, *, body: str = "Do it.", description: str = "", files: tuple[str, ...] = ()) -> Path:
    folder = base / name
    folder.mkdir(parents=True)
    said = description or f"Does {name}."
    (folder / "SKILL.md").write_text(f"---\nname: {name}\ndescription: {said}\n---\n{body}\n", "utf-8")
    for file in files:
        (folder / file).write_text("x")
    return folder


def test_skills_are_begun_loaded_listed_shown_and_taken_away(notebook: Notebook, here: Path) -> None:
    assert "No skills yet" in notebook.says("%skill")
    assert "skills/penguins/SKILL.md is there" in notebook.says("%skill new penguins")
    document = here / "skills" / "penguins" / "SKILL.md"
    assert "✓ penguins: Say in a sentence" in notebook.says("%skill load skills/penguins")
    document.write_text("---\nname: penguins\ndescription: Knows penguins.\nlicense: MIT\n---\n# All of it")
    (document.parent / "guide.md").write_text("x")
    assert "✓ penguins: Knows penguins." in notebook.says("%skill load")
    listed = notebook.says("%skill list")
    assert all(words in listed for words in ("penguins", "Knows penguins.", "1 file", "skills/penguins"))
    shown = notebook.says("%skill show penguins")
    assert "license: MIT\nfiles: guide.md\n\n# All of it" in shown
    assert "not offered any more" in notebook.says("%skill rm penguins")
    assert notebook.workspace.skills.list() == []
    assert document.exists()


def test_loaded_skills_are_tools_of_the_notebook(notebook: Notebook, here: Path) -> None:
    notebook.says(f"%skill load {_make(here, 'pdf')}")
    assert "pdf" in notebook.workspace.toolbox.enabled()
    assert "pdf" in notebook.says("%tool")


def test_a_folder_of_skills_reports_the_broken_ones(notebook: Notebook, here: Path) -> None:
    for name in ("b", "a"):
        _make(here / "some", name)
    _make(here / "some", "broken", description="[")
    said = notebook.says("%skill load some")
    assert said.splitlines()[:2] == ["✓ a: Does a.", "✓ b: Does b."]
    assert said.splitlines()[2].startswith("✗ ")
    assert "broken" in said.splitlines()[2]


def test_validate_says_all_that_is_wrong(notebook: Notebook, here: Path) -> None:
    _make(here / "some", "good")
    bad = _make(here / "some", "bad")
    (bad / "SKILL.md").write_text("---\nname: Bad\n---\n")
    assert notebook.says("%skill validate some/good") == "✓ good"
    said = notebook.says("%skill validate some")
    assert "✓ good" in said
    assert said.count("✗ bad: ") == 3
    assert "There is no" in notebook.says("%skill validate gone")


def test_words_of_a_skill_drive_no_terminal_and_no_html(notebook: Notebook, here: Path) -> None:
    _make(here, "evil", body="\x1b[2J\x1b]0;x\x07 <script>", description="'<script>alert(1)</script>'")
    ran = notebook.run("%skill load evil\n%skill show evil\n%skill list")
    assert "\x1b" not in ran.everything()
    assert all("<script>" not in str(html) for html in ran.mime("text/html"))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("%skill lsit", "Did you mean 'list'"),
        ("%skill show", "needs the name of a skill"),
        ("%skill show a b", "needs the name of a skill"),
        ("%skill validate", "needs a folder"),
        ("%skill rm", "needs the name of a skill"),
        ("%skill show gone", "no skill 'gone'"),
        ("%skill rm gone", "no skill 'gone'"),
        ("%skill load", "There is no skill in"),
        ("%skill load gone", "There is no folder"),
        ("%skill load .", "neither it nor a folder in it"),
        ("%skill new Big", "lower case"),
        ("%skill new ../up", "letters, digits and hyphens"),
        ("%skill load 'x", "never closed"),
    ],
)
def test_what_is_written_wrongly_is_one_line(notebook: Notebook, line: str, why: str) -> None:
    assert why in notebook.fails(line)


def test_a_skill_is_not_begun_over_another(notebook: Notebook) -> None:
    notebook.says("%skill new pdf")
    assert "already" in notebook.fails("%skill new pdf")


def test_help_says_it_all(notebook: Notebook) -> None:
    said = notebook.says("%skill --help")
    assert all(f"%skill {verb}" in said for verb in ("load DIR", "show NAME", "rm NAME", "new NAME", "validate DIR"))
    assert "--skill" in notebook.says("%%agent --help\n ")


def _offered(model: FakeModel) -> list[str]:
    return [spec.name for spec in model.requests[-1].tools]


def _answers(notebook: Notebook, *turns: object) -> FakeModel:
    model = FakeModel(*turns)  # type: ignore[arg-type]  # as the tests write them
    notebook.workspace.use_model(model)
    return model


def test_a_cell_offers_a_skill_in_addition(notebook: Notebook, here: Path) -> None:
    folder = _make(here / "far", "pdf", body="The whole document.")
    notebook.run("from agentnb import tool\n@tool\ndef add(a: int, b: int) -> int:\n    'Add.'\n    return a + b")
    model = _answers(notebook, "1", "2", "3", [call("pdf")], "4", "5")
    notebook.run("%%agent --session none\nx")
    assert _offered(model) == ["add"]
    notebook.run("%%agent --session none --no-tools --skill far/pdf\nx")
    assert _offered(model) == ["pdf"]
    notebook.run("%%agent --session none -t add --skill pdf\nx")
    assert _offered(model) == ["add", "pdf"]
    ran = notebook.run("%%agent --session none --skill pdf\nx")
    assert "The whole document." in ran.everything()
    assert str(folder.relative_to(here)) in ran.everything()
    assert set(_offered(model)) == {"add", "bash", "fetch"}
    notebook.run("%tool off pdf")
    notebook.run("%%agent --session none --skill pdf\nx")
    assert _offered(model) == ["add", "pdf"]


def test_a_skill_that_is_not_there_fails_before_anything_is_sent(notebook: Notebook) -> None:
    model = _answers(notebook, "x")
    assert "no skill 'gone'" in notebook.fails("%%agent --skill gone\nx")
    assert "There is no folder" in notebook.fails("%%agent --skill ./gone\nx")
    assert model.requests == []


def test_tab_knows_verbs_skills_and_folders(notebook: Notebook, here: Path) -> None:
    _make(here / "far", "pdf")
    notebook.run("%skill load far")
    tab = Completer(notebook.workspace)
    assert "validate" in tab.suggest("%skill ", "%skill ", 0)
    assert tab.suggest("%skill show ", "%skill show ", 0) == ["pdf"]
    assert tab.suggest("%skill load far/", "%skill load far/", 0) == ["far/pdf"]
    assert tab.suggest("%skill load gone/", "%skill load gone/", 0) == []
    assert tab.suggest("%skill new ", "%skill new ", 0) == ()
    assert tab.suggest("%%agent --skill ", "%%agent --skill ", 0) == ["pdf", "far"]
