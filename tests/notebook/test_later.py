"""Magics that load when they are first used."""

from __future__ import annotations

import pytest
from IPython.core import page

from tests.notebook.conftest import Notebook


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, notebook: Notebook) -> list[str]:
    """What `?` showed."""
    shown: list[str] = []
    monkeypatch.setattr(page, "page", lambda bundle, *_, **__: shown.append(bundle["text/plain"]))
    return shown


@pytest.mark.parametrize("name", ["browser", "files", "sandbox", "session", "skill", "template", "usage"])
def test_a_question_mark_shows_the_help_before_and_after_the_first_use(
    notebook: Notebook, asked: list[str], name: str
) -> None:
    notebook.run(f"%{name}?")
    lines = notebook.says(f"%{name} --help").splitlines()
    notebook.run(f"%{name}?")
    assert [[line for line in lines if line not in text] for text in asked] == [[], []]


@pytest.mark.parametrize("name", ["agent", "tool", "model", "credential", "mcp", "agentenv"])
def test_a_question_mark_says_where_more_is_said(notebook: Notebook, asked: list[str], name: str) -> None:
    notebook.run(f"%{name}?")
    assert f"%{name} --help` " in asked[0]
