"""The notebook's headings come from its file, whatever is in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentnb.context.outline import source


def saved(folder: Path, *cells: object) -> Path:
    file = folder / "sales.ipynb"
    file.write_text(json.dumps({"cells": cells, "nbformat": 4}))
    return file


def markdown(text: object) -> dict[str, object]:
    return {"cell_type": "markdown", "source": text}


def told(file: Path, room: int = 500) -> str:
    made = source(file, str)
    assert not isinstance(made, str), made
    part = made(room)
    assert part is not None
    return part.text


def test_headings_are_told_in_order_and_by_level(tmp_path: Path) -> None:
    code = {"cell_type": "code", "source": "# no heading"}
    file = saved(tmp_path, markdown(["# Sales\n", "words\n", "## Clean ##"]), code, markdown("### Plot\n#hash\n"))
    assert told(file) == "File: sales.ipynb\n- Sales\n  - Clean\n    - Plot"


def test_what_stands_in_a_fence_is_no_heading(tmp_path: Path) -> None:
    assert told(saved(tmp_path, markdown("```\n# no\n```\n# Yes\n~~~\n# no\n```\n# no\n~~~"))).count("- ") == 1


def test_a_long_outline_is_cut_and_says_so(tmp_path: Path) -> None:
    text = told(saved(tmp_path, *(markdown(f"# Heading {n} {'x' * 400}") for n in range(500))), room=150)
    assert "headings left out" in text
    assert len(text) <= 600


@pytest.mark.parametrize("data", ["", "[]", "{}", '{"cells": 1}', "[" * 100_000, "no json", "\udcff"])
def test_a_file_that_is_no_notebook_is_named(tmp_path: Path, data: str) -> None:
    file = tmp_path / "sales.ipynb"
    file.write_bytes(data.encode("utf-8", "surrogateescape"))
    assert source(file, str) == "sales.ipynb: it is no notebook"


def test_odd_cells_are_passed_over(tmp_path: Path) -> None:
    file = saved(tmp_path, 1, None, {}, markdown(None), markdown([1, "# Yes"]), {"cell_type": ["markdown"]})
    assert told(file) == "File: sales.ipynb\n- Yes"


def test_a_notebook_that_was_never_saved_has_no_outline(tmp_path: Path) -> None:
    assert source(tmp_path / "new.ipynb", str) == ""


def test_a_very_large_notebook_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "big.ipynb"
    with file.open("wb") as opened:
        opened.truncate(20_000_001)
    assert source(file, str) == "big.ipynb: larger than 20 MB"
