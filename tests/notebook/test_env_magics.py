"""`%agentenv`: variables that are kept, and those that code reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import agentnb
from agentnb.notebook import env_magics
from tests.notebook.conftest import Notebook, opened

SECRET = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What cells set in this process goes when the test is over."""
    before = dict(os.environ)
    monkeypatch.setattr(env_magics, "getpass", lambda _: SECRET)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]


def test_a_plain_variable_is_set_listed_and_removed(notebook: Notebook) -> None:
    assert notebook.says("%agentenv set REGION='eu west'") == "REGION is set, and kept in the store."
    assert os.environ["REGION"] == "eu west"
    assert "eu west" in notebook.says("%agentenv")
    assert notebook.says("%agentenv rm REGION") == "REGION is forgotten."
    assert "REGION" not in os.environ
    assert "No variables are kept" in notebook.says("%agentenv list")


def test_a_secret_is_asked_for_and_never_shown(notebook: Notebook, tmp_path: Path) -> None:
    cells = [
        notebook.run("%agentenv set DB_PASSWORD --secret"),
        notebook.run("%agentenv"),
        notebook.run("%agentenv detect"),
    ]
    assert all(cell.error is None for cell in cells)
    assert SECRET not in "".join(cell.everything() for cell in cells)
    assert os.environ["DB_PASSWORD"] == SECRET
    assert notebook.workspace.mask(f"x {SECRET}") == "x [key]"
    assert "DB_PASSWORD" in notebook.workspace.key_variables()
    assert SECRET.encode() not in b"".join(each.read_bytes() for each in tmp_path.glob("agentnb.db*"))


def test_the_next_kernel_has_them_where_nothing_else_was_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path, monkeypatch) as book:
        book.says("%agentenv set A_REGION=eu")
        book.says("%agentenv set B_REGION=eu")
        book.says("%agentenv set DB_PASSWORD --secret")
        book.workspace.store.close()
    for name in ("A_REGION", "DB_PASSWORD"):
        del os.environ[name]
    monkeypatch.setenv("B_REGION", "us")
    with opened(tmp_path, monkeypatch) as book:
        assert (os.environ["A_REGION"], os.environ["B_REGION"], os.environ["DB_PASSWORD"]) == ("eu", "us", SECRET)
        assert "set elsewhere" in book.says("%agentenv")
        assert book.workspace.mask(SECRET) == "[key]"
        assert "still has one, which was set elsewhere" in book.says("%agentenv rm B_REGION")


@pytest.mark.parametrize("line", ["OPENAI_API_KEY=abc", "TOKEN = abc", "X=sk-abcdefghijklmnopqrstuvwxyz"])
def test_what_looks_like_a_secret_wants_to_be_one(notebook: Notebook, line: str) -> None:
    failed = notebook.fails(f"%agentenv set {line}")
    assert "seems to be a secret" in failed
    assert "--secret (or --plain" in failed
    assert "abc" not in failed
    notebook.says(f"%agentenv set {line} --plain")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("set", "needs a name"),
        ("set =x", "needs a name"),
        ("set A", "needs a value"),
        ("set A B=x", "letters, digits"),
        ("set A=x --secret", "not written in a notebook"),
        ("set A --secret --plain", "contradict"),
        ("set --other A=x", "no option --other"),
        ("rm", "needs the name"),
        ("rm A", "No variable 'A' is kept"),
        ("lst", "Did you mean 'list'"),
        ("list more", "takes nothing, or --known"),
        ("detect nowhere", "no folder"),
    ],
)
def test_rubbish_gets_one_line(notebook: Notebook, line: str, why: str) -> None:
    assert why in notebook.fails(f"%agentenv {line}")


def test_a_secret_that_is_too_short_to_mask_is_told(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env_magics, "getpass", lambda _: "1234")
    assert "not masked" in notebook.says("%agentenv set PIN --secret")


def test_an_empty_secret_is_none(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env_magics, "getpass", lambda _: " ")
    assert "nothing was kept" in notebook.fails("%agentenv set A --secret")


def test_the_variables_of_code_are_found_and_those_missing_named(notebook: Notebook, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import os\nos.environ['NB_TOKEN']\nos.getenv('NB_REGION')\nos.environ.get('NB_SIZE', 1)\n" * 4
    )
    notebook.says("%agentenv set NB_REGION=eu")
    said = notebook.says("%agentenv detect")
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in said.splitlines()}
    assert lines["NB_TOKEN"] == "missing app.py:2, app.py:6, app.py:10, and 1 more"
    assert lines["NB_REGION"].startswith("set, kept app.py:3")
    assert lines["NB_SIZE"].startswith("missing, has a default")
    assert "Set one: %agentenv set NB_TOKEN --secret" in said


def test_bash_does_not_see_kept_secrets(notebook: Notebook) -> None:
    notebook.says("%agentenv set DB_PASSWORD --secret")
    notebook.says("%agentenv set REGION=eu")
    notebook.says("%tool on bash\n%tool approve bash always")
    said = notebook.says('%tool call bash command="echo [$DB_PASSWORD] [$REGION]"')
    assert "[] [eu]" in said


def test_names_that_are_said_to_be_read_are_read(notebook: Notebook) -> None:
    shown = notebook.says("%agentenv list --known")
    sources = [
        path.read_text("utf-8") for path in Path(agentnb.__file__).parent.rglob("*.py") if path.name != "env_magics.py"
    ]
    for name, what in env_magics.KNOWN.items():
        assert name in shown
        assert any(name in source for source in sources) == what.startswith("read"), name


def test_help_and_completion(notebook: Notebook) -> None:
    assert "%agentenv detect [PATH]" in notebook.says("%agentenv --help")
    notebook.says("%agentenv set REGION=eu")
    workspace = notebook.workspace
    assert env_magics.suggest(workspace, ["rm"], "") == ["REGION"]
    assert "--secret" in env_magics.suggest(workspace, ["set", "A"], "")
    assert env_magics.suggest(workspace, [], "") == env_magics.VERBS
