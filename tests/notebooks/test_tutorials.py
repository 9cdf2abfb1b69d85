"""What the tutorials must be beside correct; that each cell prints what it stores is for `pytest --nbval` to say."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
TUTORIALS = sorted(FOLDER.glob("*.ipynb"))

tutorials = pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)


@tutorials
def test_a_tutorial_is_small_and_tells_nothing_of_the_machine_it_was_recorded_on(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text) < 150_000
    assert not re.search(r"/home/|/root/|/tmp/|/work/|site-packages|C:\\", text)
    assert not re.search(r"0x[0-9a-f]{6,}", text)


@tutorials
def test_a_tutorial_keeps_no_metadata_that_changes_from_run_to_run(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.language_info == {"name": "python"}
    assert {key for cell in notebook.cells for key in cell.metadata} <= {"tags"}


@tutorials
def test_every_cell_of_a_tutorial_was_run_in_order(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


def test_the_script_answers_what_the_tutorials_ask_and_nothing_else() -> None:
    asked = "".join(cell.source for path in TUTORIALS for cell in nbformat.read(path, as_version=4).cells)
    asked = asked.replace("{{by}}", "species") + asked.replace("{{by}}", "island")
    script = json.loads((FOLDER / "script.json").read_text(encoding="utf-8"))
    assert [words for words in script if words not in asked] == []


def test_the_data_is_the_published_table() -> None:
    content = (FOLDER / "data" / "penguins.csv").read_bytes()
    assert hashlib.sha256(content).hexdigest() == "f204db2c753b0937caac3cb35258562c14f073e4bbc76be24b4c51ce22767a93"
