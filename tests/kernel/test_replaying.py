"""A notebook's file proves how its answers came to be: run it, save it, replay it in a new kernel on another model."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.kernel.conftest import Kernel

SCRIPT = {"rows has": [[{"call": "rows", "arguments": {"name": "penguins"}}], "It has {} rows."]}
TOOL = "%load_ext agentnb\nfrom agentnb import tool\n@tool\ndef rows(name: str) -> int:\n    'Count.'\n    return 344"


def script(path: Path, number: str) -> None:
    path.write_text(json.dumps(SCRIPT).replace("{}", number))


def test_a_saved_notebook_is_replayed_in_a_new_kernel_on_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "a.json", "344")
    script(tmp_path / "b.json", "three hundred")
    path = tmp_path / "penguins.ipynb"
    here = {"AGENTNB_HOME": str(tmp_path / "home"), "AGENTNB_CONTEXT": "none", "JPY_SESSION_NAME": str(path)}
    for name, value in here.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AGENTNB_MODEL", raising=False)
    cells = [TOOL, "%model fake:a.json", "name = 'penguins'", "%%agent\nHow many rows has {{name}}?"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])  # type: ignore[no-untyped-call]  # untyped there
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}, timeout=60).execute()
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]  # as above
    asked = notebook.cells[-1]

    kernel = Kernel(here)
    try:
        kernel.ok(f"import os\nos.chdir({str(tmp_path)!r})\n{TOOL}")
        listed = kernel.ok("%agent replay list")
        assert "fake:a.json  How many rows has {{name}}?" in listed.mime("text/plain")[0]
        shown = kernel.ok("%agent replay -m fake:b.json")
        assert "Replays In [4] on fake:b.json: How many rows has {{name}}?" in shown.stdout
        assert shown.mime("text/markdown") == ["It has three hundred rows."]
        assert shown.outputs[-1]["text/plain"].endswith("It has [-344-] {+three hundred+} rows.")  # type: ignore[attr-defined]  # JSON
        assert kernel.value("_.same, _.before.text, _.after.text") == (
            "(False, 'It has 344 rows.', 'It has three hundred rows.')"
        )
        kernel.ok(f"%agent replay {asked.id} -m fake:a.json")
        assert kernel.value("_.same") == "True"
        frame = "import agentnb\n[list(row) for row in agentnb.runs()[['model', 'prompt', 'calls']].values]"
        rows = kernel.ok(frame).mime("text/plain")[0]
        assert rows.count("fake:a.json") == 2
        assert rows.count("['rows']") == 3
    finally:
        kernel.stop()
