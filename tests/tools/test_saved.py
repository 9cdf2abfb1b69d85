"""Tools that are kept for every notebook, and given to others."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from agentnb.errors import UsageError
from agentnb.tools.bundle import format_bundle, read_bundle
from agentnb.tools.definitions import ToolConfig, format_tools, parse_tools
from agentnb.tools.function import FunctionTool, as_tool
from agentnb.tools.loading import load
from agentnb.tools.saved import SavedTools
from agentnb.tools.sourcing import source_of

#: What another program has written.
FOREIGN = """[
  {
    "tool_id": "function-add",
    "tool_type": "function",
    "name": "add",
    "description": "Add numbers",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    "function_file_path": "%s",
    "function_name": "add"
  },
  {
    "tool_id": "skill-demo-skill",
    "tool_type": "skill",
    "name": "demo-skill",
    "description": "Answers questions.",
    "parameters": {"type": "object", "properties": {}, "required": []},
    "skill_dir": "/data/home/skill/demo-skill"
  },
  {"tool_id": "bash", "tool_type": "function", "name": "bash", "builtin": true}
]"""


def kept(folder: Path, source: str, name: str = "f") -> SavedTools:
    saved = SavedTools(folder / "tools")
    saved.save([(ToolConfig(f"function-{name}", name, function_name=name, description="What it does."), source)])
    return saved


def cell(shell: InteractiveShell, code: str) -> None:
    assert shell.run_cell(code).success  # type: ignore[no-untyped-call]  # IPython has no types here


@pytest.fixture
def shell() -> InteractiveShell:
    return InteractiveShell(user_ns={"__name__": "__main__"})  # type: ignore[no-untyped-call]  # as above


def test_a_kept_tool_comes_back(tmp_path: Path) -> None:
    saved = kept(tmp_path, "def f(n: int) -> int:\n    'Double.'\n    return 2 * n\n")
    again = SavedTools(tmp_path / "tools")
    assert again.load("f")(4) == 8
    assert again.load("function-f").description == "Double."
    assert [each.name for each in saved.list()] == ["f"]


def test_the_files_are_as_other_programs_read_them_and_only_for_their_owner(tmp_path: Path) -> None:
    saved = kept(tmp_path, "def f(): 'F.'\n")
    [entry] = json.loads((saved.folder / "tools.json").read_text())
    assert entry == {
        "tool_id": "function-f",
        "tool_type": "function",
        "name": "f",
        "description": "What it does.",
        "parameters": {},
        "function_file_path": str(saved.folder / "function-f.py"),
        "function_name": "f",
    }
    if sys.platform != "win32":
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in saved.folder.iterdir()}
        assert modes == {"tools.json": 0o600, "function-f.py": 0o600, ".lock": 0o600}


def test_keeping_a_tool_again_replaces_it_and_forgetting_deletes_its_source(tmp_path: Path) -> None:
    saved = kept(tmp_path, "def f(): return 1\n")
    kept(tmp_path, "def f(): return 2\n")
    kept(tmp_path, "def g(): return 3\n", "g")
    assert [each.name for each in saved.list()] == ["f", "g"]
    assert saved.load("f")() == 2
    saved.forget("f")
    assert [each.name for each in saved.list()] == ["g"]
    assert not (saved.folder / "function-f.py").exists()
    with pytest.raises(UsageError, match="No saved tool 'h'"):
        saved.forget("h")


def test_a_kept_tool_has_the_name_it_was_kept_under_and_the_description_its_function_lacks(tmp_path: Path) -> None:
    saved = SavedTools(tmp_path)
    config = ToolConfig("function-twice", "twice", description="Double.", function_name="f")
    saved.save([(config, "def f(n): return n")])
    made = saved.load("twice")
    assert (made.name, made.description) == ("twice", "Double.")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such modes")
def test_a_source_that_others_can_write_is_not_run(tmp_path: Path) -> None:
    saved = kept(tmp_path, "def f(): return 1\n")
    (saved.folder / "function-f.py").chmod(0o622)
    with pytest.raises(UsageError, match="Others can write"):
        saved.load("f")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("{}", "holds no list of tools"),
        ("[1]", "tool 1 is not an object"),
        ('[{"tool_id": "x"}]', "tool 1 has no name"),
        ('[{"name": "x", "tool_type": "magic"}]', "has the type 'magic'"),
        ('[{"name": "x", "function_name": 3}]', "function_name is a text"),
    ],
)
def test_a_file_of_tools_that_is_none_says_where(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "tools.json").write_text(text)
    with pytest.raises(UsageError, match=said) as wrong:
        SavedTools(tmp_path).list()
    assert str(tmp_path / "tools.json") in str(wrong.value)


def test_definitions_of_other_programs_are_read_and_written_back(tmp_path: Path) -> None:
    file = tmp_path / "add.py"
    file.write_text("def add(a): return a + 1\n")
    tools = parse_tools(FOREIGN % file, "tools.json")
    assert [(each.name, each.tool_type, each.builtin) for each in tools] == [
        ("add", "function", False),
        ("demo-skill", "skill", False),
        ("bash", "function", True),
    ]
    assert format_tools(tools) == json.loads(FOREIGN % file)[:2]
    (tmp_path / "tools.json").write_text(FOREIGN % file)
    saved = SavedTools(tmp_path)
    assert saved.load("add").description == "Add numbers"
    with pytest.raises(UsageError, match=r"is a skill\. Load it with: %skill load"):
        saved.load("demo-skill")


def test_a_bundle_carries_the_sources(tmp_path: Path) -> None:
    source = "def f(): return 1\n"
    config = ToolConfig("function-f", "f", function_file_path="function-f.py", function_name="f")
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps(format_bundle([(config, source)])))
    assert read_bundle(file).tools == ((config, source),)


def test_a_list_of_tools_is_a_bundle_where_its_files_are_here(tmp_path: Path) -> None:
    file = tmp_path / "add.py"
    file.write_text("def add(a): return a + 1\n")
    listed = tmp_path / "tools.json"
    listed.write_text(FOREIGN % file)
    found = read_bundle(listed)
    assert [(config.name, source) for config, source in found.tools] == [("add", "def add(a): return a + 1\n")]
    assert found.left_out == ("demo-skill", "bash")
    file.unlink()
    with pytest.raises(UsageError, match="the source of 'add'"):
        read_bundle(listed)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "not JSON"),
        ('{"tools": 3}', "holds no list"),
        ('{"tools": [], "files": []}', "its files are no object"),
        ('{"tools": [{"name": "x", "function_file_path": "x.py"}], "files": {}}', "has no source of 'x'"),
        ('{"tools": [{"name": "../x", "function_file_path": "x.py"}], "files": {"x.py": ""}}', "no name for a tool"),
    ],
)
def test_what_is_no_bundle_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bundle.json").write_text(text)
    with pytest.raises(UsageError, match=said):
        read_bundle(tmp_path / "bundle.json")


CELLS = """from typing import Annotated, Literal
import math as m
import json
from dataclasses import dataclass
from agentnb import tool
FACTOR = 3
UNUSED = object()
@dataclass
class Point:
    x: int
def helper(p: "Point") -> float:
    return m.sqrt(p.x) * FACTOR
"""
TOOL = """@tool(thread=True)
def scale(p: Point, unit: Annotated[Literal["kg", "g"], "the unit"] = "kg") -> str:
    'Scale it.'
    local = [number for number in range(3)]
    return json.dumps([helper(p), unit, len(local)])
"""


def test_the_source_of_a_notebooks_function_has_what_it_needs(shell: InteractiveShell, tmp_path: Path) -> None:
    cell(shell, CELLS)
    cell(shell, TOOL)
    text, name = source_of(as_tool_of(shell, "scale"))
    file = tmp_path / "scale.py"
    file.write_text(text)
    assert "UNUSED" not in text
    [made] = load(file, name)
    assert made.thread
    point = made.function.__globals__["Point"](16)
    assert json.loads(str(made(point))) == [12.0, "kg", 3]


def as_tool_of(shell: InteractiveShell, name: str) -> FunctionTool:
    made = as_tool(shell.user_ns[name])
    assert isinstance(made, FunctionTool)
    return made


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("table = object()\ndef f(): return table", "f uses 'table' \\(object\\) of this notebook"),
        ("f = lambda: 1", "no function with a name of its own"),
        ("def outer():\n    def f(): return 1\n    return f\nf = outer()", "no function with a name of its own"),
        ("KEY = 'sk-0123456789abcdefghij'\ndef f(): return KEY", "holds a key"),
    ],
)
def test_what_cannot_be_written_down_is_named(shell: InteractiveShell, code: str, said: str) -> None:
    cell(shell, code)
    tool = FunctionTool(shell.user_ns["f"], name="f")
    with pytest.raises(UsageError, match=said):
        source_of(tool)


def test_a_function_of_a_file_brings_its_file_and_one_that_is_installed_its_import(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("SIZE = 3\ndef f(): return SIZE\n")
    [made] = load(file, "f")
    assert source_of(made) == (file.read_text(), "f")
    assert source_of(FunctionTool(json.dumps)) == ("from json import dumps\n", "dumps")
