"""Which variables code reads: found by its tree, or where it has none, by how it looks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agentnb.env_reads import detect
from agentnb.errors import UsageError


def found(folder: Path, code: str, name: str = "a.py") -> list[tuple[str, str, bool]]:
    (folder / name).write_text(code)
    return [(each.name, each.place, each.optional) for each in detect(folder).found]


@pytest.mark.parametrize(
    ("code", "optional"),
    [
        ('os.environ["K"]', False),
        ("os.environ['K']", False),
        ('os.environ.get("K")', False),
        ("os.environ.get('K', 'x')", True),
        ('os.getenv("K")', False),
        ("os.getenv('K', default='x')", True),
        ('"K" in os.environ', True),
        ('f"{os.environ["K"]}"', False),
        ("lambda: [os.getenv('K')]", False),
    ],
)
def test_each_way_to_read_one(tmp_path: Path, code: str, optional: bool) -> None:
    assert found(tmp_path, f"import os\n{code}\n") == [("K", "a.py:2", optional)]


@pytest.mark.parametrize(
    "code",
    [
        "from os import environ\nenviron['K']",
        "from os import environ as e\ne.get('K')",
        "from os import getenv\ngetenv('K')",
        "from os import getenv as g\ng('K')",
        "import os as o\no.environ['K']",
    ],
)
def test_other_names_of_it_are_known(tmp_path: Path, code: str) -> None:
    assert [name for name, _, _ in found(tmp_path, code)] == ["K"]


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.environ['K'] = 'x'",
        "import os\ndel os.environ['K']",
        "import os\nos.environ[name]",
        "import os\nos.environ['not a name']",
        "settings.environ['K']\nget('K')",
        "# os.environ['K']\n'''os.getenv(\"K\")'''",
    ],
)
def test_what_reads_none_is_passed_over(tmp_path: Path, code: str) -> None:
    assert found(tmp_path, code) == []


def test_code_that_cannot_be_parsed_is_searched(tmp_path: Path) -> None:
    code = "print 'x'\nos.environ['A'] = 1\nx = os.environ['B']\ny = getenv(\"C\", 1)\nos.environ['D'] == 2\n"
    assert found(tmp_path, code) == [("B", "a.py:3", False), ("C", "a.py:4", True), ("D", "a.py:5", False)]


def test_the_code_cells_of_notebooks_are_looked_at(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": "os.environ['NO']"},
        {"cell_type": "code", "source": ["import os\n", "%pip install x\n", "!ls\n", "os.environ['A']"]},
        {"cell_type": "code", "source": "%%bash\nos.environ['NO']"},
        {"cell_type": "code", "source": "%%time\nimport os\nos.getenv('B')"},
        {"cell_type": "code"},
        "rubbish",
    ]
    book = json.dumps({"cells": cells})
    assert [each[:2] for each in found(tmp_path, book, "n.ipynb")] == [
        ("A", "n.ipynb cell 2:4"),
        ("B", "n.ipynb cell 4:3"),
    ]


def test_folders_of_others_are_passed_over(tmp_path: Path) -> None:
    for name in (".venv", "node_modules", ".git", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text("import os\nos.environ['K']")
    (tmp_path / "mine" / "pyvenv.cfg").write_text("")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("import os\nos.environ['OWN']")
    reads = detect(tmp_path)
    assert [each.place for each in reads.found] == [f"src{os.sep}a.py:2"]
    assert reads.files == 1


def test_rubbish_does_not_stop_it(tmp_path: Path) -> None:
    (tmp_path / "bad.ipynb").write_text("{")
    (tmp_path / "list.ipynb").write_text("[1]")
    (tmp_path / "nul.py").write_bytes(b"\0\xff os.environ['A']")
    (tmp_path / "deep.py").write_text("(" * 5000 + ")" * 5000)
    (tmp_path / "deep.ipynb").write_text("[" * 100_000)
    os.symlink(tmp_path / "nowhere", tmp_path / "gone.py")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.py")
    reads = detect(tmp_path)
    assert [each.name for each in reads.found] == ["A"]
    assert any("bad.ipynb" in each for each in reads.problems)


def test_one_file_and_a_path_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import os\nos.environ['K']")
    assert [each.place for each in detect(tmp_path / "a.py").found] == ["a.py:2"]
    with pytest.raises(UsageError, match="There is no folder"):
        detect(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"cannot be looked at|no folder"):
        detect(Path("a\0b"))
