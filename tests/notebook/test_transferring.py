"""`%agentnb export` and `%agentnb import` in a notebook."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentnb import Workspace
from agentnb.errors import UsageError
from agentnb.notebook.transferring import perform
from tests.notebook.conftest import Notebook
from tests.transfer.conftest import SID, whole_tree, write_tree


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(environ={"AGENTNB_HOME": str(tmp_path / "home"), "AGENTNB_KEYRING": "off"})


def test_an_empty_line_is_the_status(workspace: Workspace) -> None:
    assert perform(workspace, "  ") is None
    assert "%agentnb export" in (perform(workspace, "--help") or "")
    workspace.close()


def test_what_comes_in_is_of_use_at_once(workspace: Workspace, tmp_path: Path) -> None:
    source = write_tree(tmp_path / "my theirs", whole_tree())
    assert "oa" not in workspace.models.names()
    said = perform(workspace, f'import "{source}"') or ""
    assert said.startswith("Imported 1 session, 1 model")
    assert "oa" in workspace.models.names()
    assert [turn.messages[0].role for turn in workspace.store.session(SID).turns] == ["system", "user", "user"]
    assert workspace.mask("sk-very-secret-1") == "[key]"
    assert "Exported 1 session" in (perform(workspace, f"export --session {SID} {tmp_path / 'b.zip'}") or "")
    workspace.close()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("exprt x", "Did you mean 'export'"),
        ("export", "Say where to"),
        ("export a b", "One path, please"),
        ("export --secrets x", "has no option --secrets"),
        ("import /nowhere/at/all", "does not exist"),
    ],
)
def test_a_wrong_line_says_what_is_right(workspace: Workspace, line: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        perform(workspace, line)
    workspace.close()


def test_functions_and_skills_that_were_imported_can_be_used(notebook: Notebook, tmp_path: Path) -> None:
    folder = tmp_path / "runtime"
    folder.mkdir()
    (folder / "mytool.py").write_text('def add(a: int, b: int) -> int:\n    """Add."""\n    return a + b\n')
    (folder / "tools.json").write_text(
        json.dumps(
            [
                {
                    "tool_id": "function-add",
                    "tool_type": "function",
                    "name": "add",
                    "function_file_path": str(folder / "mytool.py"),
                    "function_name": "add",
                },
                {"tool_id": "skill-demo", "tool_type": "skill", "name": "demo", "skill_dir": str(folder / "demo")},
            ]
        )
    )
    notebook.says(f"%agentnb import {folder}")
    assert notebook.says("%tool load function-add") == "add: ready as a tool."
    assert "add(a=1, b=2) → 3" in notebook.says("%tool call add a=1 b=2")
    assert f"demo is a skill. Load it with: %skill load {folder / 'demo'}" in notebook.fails("%tool load demo")
    assert "was imported, and its file is not agentnb's" in notebook.fails("%tool forget add")
    assert "add" in notebook.says("%tool saved")
