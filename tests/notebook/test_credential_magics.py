"""`%credential`: keys come in where nobody sees them, and never come out."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from IPython.core.error import StdinNotImplementedError

from agentnb.notebook import credential_magics
from tests.kernel.conftest import ThreadedProvider
from tests.notebook.conftest import Notebook
from tests.provider import document, says

KEY = "sk-secret-of-a-person-1"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a person is asked for; the answer is always the key."""
    questions: list[str] = []

    def answer(question: str) -> str:
        questions.append(question)
        return KEY

    monkeypatch.setattr(credential_magics, "getpass", answer)
    return questions


def test_a_key_is_asked_for_kept_used_switched_off_and_forgotten(
    notebook: Notebook,
    remote: ThreadedProvider,
    asked: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = remote.serve(document({"data": [{"id": "gpt-4o"}]}))
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    shown = [notebook.run("%credential add openai")]
    assert asked == ["key of openai: "]
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    shown.append(notebook.run("%credential"))
    assert shown[-1].text.splitlines()[1].split()[:4] == ["openai", "openai", "api_key", "sk-…on-1"]
    shown.append(notebook.run("%credential test openai"))
    assert "openai: accepted; " in shown[-1].text
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert notebook.says("%credential disable openai") == "openai is disabled."
    assert "off" in notebook.says("%credential list").splitlines()[1]
    assert "%credential enable openai" in notebook.fails("%credential test openai")
    assert notebook.says("%credential enable openai") == "openai is enabled."
    assert notebook.says("%credential rm openai") == "openai is forgotten."
    assert notebook.says("%credential").startswith("No keys yet.")
    assert KEY not in "".join(ran.everything() for ran in shown)


def test_a_credential_of_another_name_says_whose_it_is(
    notebook: Notebook, remote: ThreadedProvider, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = remote.serve(says("hello"))
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-the-other-key-of-all")
    assert "%credential add work --provider NAME" in notebook.fails("%credential add work")
    assert asked == []
    notebook.says("%credential add work --provider openai")
    notebook.says("%%agent -m openai:x --api-key-name work --session none\nhi")
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_the_parts_of_a_key_come_from_variables(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_USER", "ann")
    monkeypatch.setenv("A_PASSWORD", KEY)
    add = "%credential add work --provider openai --type basic --from-env"
    assert "a variable for each of: user, password; not 1" in notebook.fails(f"{add} A_USER")
    assert "'A_PASSWROD' is not set" in notebook.fails(f"{add} A_USER A_PASSWROD")
    notebook.says(f"{add} A_USER A_PASSWORD")
    assert notebook.says("%credential").splitlines()[1].split()[:4] == ["work", "openai", "basic", "ann"]


@pytest.mark.parametrize(
    "cell",
    [
        f"%credential add openai {KEY}",
        f"%credential add {KEY}",
        f"%credential {KEY}",
        f"%credential add openai -k {KEY}",
    ],
)
def test_a_key_in_the_cell_is_refused_and_not_repeated(notebook: Notebook, cell: str) -> None:
    assert KEY not in notebook.fails(cell)
    assert notebook.says("%credential").startswith("No keys yet.")


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("%credential add", "needs a name"),
        ("%credential ad openai", "Did you mean 'add'?"),
        ("%credential add opnai", "Did you mean 'openai'?"),
        ("%credential add work --provider opnai", "Did you mean 'openai'?"),
        ("%credential add openai --type key", "It is one of api_key, basic"),
        ("%credential add openai --from-env NOPE", "'NOPE' is not set"),
        ("%credential test", "needs a name"),
        ("%credential test openai", "OPENAI_API_KEY is not set"),
        ("%credential rm openai", "There is no credential 'openai'"),
        ("%credential disable nobody", "There is no credential 'nobody'"),
    ],
)
def test_a_slip_gets_one_line(notebook: Notebook, cell: str, says: str) -> None:
    assert says in notebook.fails(cell)


def test_where_nobody_can_be_asked_a_variable_is_the_way(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(question: str) -> str:
        raise StdinNotImplementedError(question)

    monkeypatch.setattr(credential_magics, "getpass", refuse)
    assert "--from-env VARIABLE" in notebook.fails("%credential add openai")
    monkeypatch.setattr(credential_magics, "getpass", lambda _: "  ")
    assert "nothing was kept" in notebook.fails("%credential add openai")


def test_help_is_there(notebook: Notebook) -> None:
    for cell in ("%credential --help", "%credential add --help"):
        assert "--from-env NAME…" in notebook.says(cell)
