"""Functions of a file as tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentnb.errors import UsageError
from agentnb.tools.base import traits
from agentnb.tools.loading import load

TWO = '''from agentnb import tool
from json import dumps

@tool
def marked(n: int) -> int:
    """Marked."""
    return n

def plain(n: int) -> int:
    """Plain."""
    return n
'''


def write(folder: Path, text: str, name: str = "own.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_function_is_taken_by_its_name(tmp_path: Path) -> None:
    [made] = load(write(tmp_path, TWO), "plain")
    assert traits(made).id == "function-plain"
    assert made.description == "Plain."


def test_those_that_are_marked_are_taken_where_no_name_is_given(tmp_path: Path) -> None:
    assert [made.name for made in load(write(tmp_path, TWO))] == ["marked"]


def test_without_a_mark_all_public_documented_functions_of_the_file_are(tmp_path: Path) -> None:
    text = "from json import dumps\ndef a(): 'A.'\ndef _b(): 'B.'\ndef c(): pass\ndef d(): 'D.'\n"
    assert [made.name for made in load(write(tmp_path, text))] == ["a", "d"]


def test_the_file_is_read_anew_also_within_a_second_and_at_the_same_size(tmp_path: Path) -> None:
    path = write(tmp_path, "def f():\n    'F.'\n    return 1\n")
    assert load(path, "f")[0]() == 1
    path.write_text("def f():\n    'F.'\n    return 2\n")
    assert load(path, "f")[0]() == 2


def test_a_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write(tmp_path, TWO)
    assert load(Path("~/own.py"), "plain")[0].name == "plain"


def test_a_file_may_import_its_neighbours_and_have_types_by_name(tmp_path: Path) -> None:
    write(tmp_path, "FACTOR = 3\n", "neighbour_of_own.py")
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom neighbour_of_own import FACTOR\n"
        "@dataclass\nclass Point:\n    x: int\ndef scale(p: Point) -> int:\n    'Scale.'\n    return p.x * FACTOR\n"
    )
    [made] = load(write(tmp_path, text), "scale")
    assert made.spec({}).parameters["required"] == ["p"]


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("x = 1\n\ndef f(:\n", None, ", line 3: SyntaxError: "),
        ("x = 1\n\nundefined\n", None, ", line 3: NameError: name 'undefined' is not defined. No tool was loaded."),
        ("def f():\n    raise ValueError('two\\nlines')\nf()\n", None, ", line 2: ValueError: two lines. No tool"),
        ("import not_there_at_all\n", None, ", line 1: ModuleNotFoundError: No module named 'not_there_at_all'."),
        ("import sys\nsys.exit(3)\n", None, ", line 2: SystemExit: 3."),
        ("def bigger(): 'B.'\n", "biger", " has no function 'biger'. Did you mean 'bigger'? No tool was loaded."),
        ("size = 3\n", "size", "'size' of "),
        ("size = 3\n", None, " has no function with @tool, and none with a docstring."),
        ("def f(*args): 'F.'\n", "f", ": Tool 'f' takes *args, which a model cannot fill by name."),
        ("x = '\0'\n", None, "null bytes"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_file(tmp_path: Path, text: str, name: str | None, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as wrong:
        load(path, name)
    assert str(path) in str(wrong.value)
    assert said in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        load(tmp_path / "nowhere.py", "f")
    with pytest.raises(UsageError, match="no Python file"):
        load(write(tmp_path, "", "notes.txt"), "f")
