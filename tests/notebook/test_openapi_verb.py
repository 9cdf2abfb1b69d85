"""`%tool openapi`: operations of a service as tools of the notebook."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentnb.errors import AgentnbError
from agentnb.messages import Data
from agentnb.notebook.errand import wait_for
from agentnb.notebook.openapi_verb import openapi
from agentnb.tools.base import InlineRunner, ToolContext
from tests.kernel.conftest import ThreadedProvider
from tests.notebook.conftest import Notebook
from tests.provider import document

SPEC: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Pet Shop"},
    "servers": [{"url": "https://pets.example"}],
    "security": [{"key": []}],
    "paths": {
        "/pets": {
            "get": {"operationId": "list_pets", "summary": "All pets", "tags": ["read"]},
            "post": {"operationId": "add_pet", "tags": ["write"]},
        },
        "/bad": {"get": {"parameters": [{"in": "query"}]}},
    },
    "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}},
}


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "my spec.json"
    path.write_text(json.dumps(SPEC))
    return path


def _said(notebook: Notebook, line: str, capsys: pytest.CaptureFixture[str]) -> str:
    openapi(notebook.workspace, line)
    return capsys.readouterr().out


def test_a_document_becomes_tools_and_says_which(
    notebook: Notebook, spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = _said(notebook, f'"{spec}"', capsys)
    assert said.splitlines() == [
        "pet-shop: 2 tools at https://pets.example, which ask you before they run.",
        "  list_pets  GET /pets  All pets",
        "  add_pet    POST /pets",
        "1 left out, such as GET /bad: a parameter has no name, or no place.",
    ]
    assert {"list_pets", "add_pet"} <= notebook.workspace.toolbox.all().keys()


def test_options_choose_and_name(notebook: Notebook, spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = "--name shop --server http://localhost:9/x --only list* --tag read --approve always"
    assert _said(notebook, f"'{spec.name}' {options}", capsys).splitlines() == [
        "shop: 1 tool at http://localhost:9/x, which run without a question.",
        "  list_pets  GET /pets  All pets",
        "1 left out, such as GET /bad: a parameter has no name, or no place.",
    ]
    assert "add_pet" not in notebook.workspace.toolbox.all()


def test_a_variable_may_hold_the_document(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.workspace.namespace["my_spec"] = SPEC
    assert "2 tools" in _said(notebook, "my_spec", capsys)


def test_a_key_is_sent_and_masked(
    notebook: Notebook, remote: ThreadedProvider, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = remote.serve(document(SPEC), document([]))
    monkeypatch.setenv("PETS_KEY", "sk-pets-secret-123")
    said = _said(notebook, f"{server.url}/openapi.json --auth key=PETS_KEY --server {server.url}", capsys)
    assert "2 tools" in said
    tool = notebook.workspace.toolbox.all()["list_pets"]
    context = ToolContext(lambda _: None, {}, InlineRunner())
    made = wait_for(notebook.workspace, lambda: tool.call({}, context))
    assert made.content == (Data([]),)
    assert server.requests[1].headers["x-key"] == "sk-pets-secret-123"
    assert notebook.workspace.mask("sk-pets-secret-123") == "[key]"


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("missing.json", "There is no file"),
        ("SPEC --aprove ask", r"no option --aprove\. Did you mean '--approve'"),
        ("SPEC --approve maybe", "--approve takes always, ask, never, not 'maybe'"),
        ("SPEC extra", "What is 'extra'"),
        ("SPEC --auth NOWHERE", "no credential and no variable 'NOWHERE'"),
        ("SPEC --only lst_pets", r"no operation 'lst_pets'\. Did you mean 'list_pets'"),
        ("MANY", r"has 200 operations, more than a model can choose from \(128\)\. .*--tag: a, b"),
    ],
)
def test_what_is_written_wrongly_is_said_in_one_line(notebook: Notebook, line: str, match: str) -> None:
    paths = {f"/{n}": {"get": {"tags": ["a"] if n % 3 else ["b"]}} for n in range(200)}
    notebook.workspace.namespace.update(SPEC=SPEC, MANY={**SPEC, "paths": paths})
    with pytest.raises(AgentnbError, match=match) as raised:
        openapi(notebook.workspace, line)
    assert "\n" not in str(raised.value)
    assert "list_pets" not in notebook.workspace.toolbox.all()


def test_many_tools_are_not_all_listed(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.workspace.namespace["MANY"] = {**SPEC, "paths": {f"/{n}": {"get": {}} for n in range(100)}}
    assert "  … and 60 more: %tool lists them.\n" in _said(notebook, "MANY", capsys)


@pytest.mark.parametrize("line", ["", "--help", "-h"])
def test_help_names_every_option(notebook: Notebook, capsys: pytest.CaptureFixture[str], line: str) -> None:
    said = _said(notebook, line, capsys)
    assert all(f"--{name}" in said for name in ("name", "server", "auth", "only", "tag", "approve"))
