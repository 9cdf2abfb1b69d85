from __future__ import annotations

import os
import time

import pytest

from agentnb.builtins import seek
from agentnb.builtins.search import ListFiles, SearchFiles
from agentnb.errors import ToolError
from tests.builtins.conftest import Call, Place

pytestmark = pytest.mark.anyio


@pytest.fixture
def tree(place: Place) -> Place:
    for name, content in {
        "a.py": "import os\nprint('hi')  # TODO one\n",
        "sub/b.py": "x = 1\n# todo two\n",
        "sub/deep/c.txt": "TODO (three)\n",
        ".git/config": "TODO hidden\n",
        "node_modules/m.js": "TODO hidden\n",
    }.items():
        path = place.ws / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (place.ws / "image.bin").write_bytes(b"TODO\0\0")
    (place.ws / "in.txt").unlink()
    return place


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"pattern": "TODO"}, ["a.py:2: print('hi')  # TODO one", "sub/deep/c.txt:1: TODO (three)"]),
        ({"pattern": "todo t", "ignore_case": True, "glob": "*.py"}, ["sub/b.py:2: # todo two"]),
        ({"pattern": "TODO (three)", "regex": False}, ["sub/deep/c.txt:1: TODO (three)"]),
        ({"pattern": r"^x\s*=", "path": "sub"}, ["sub/b.py:1: x = 1"]),
        ({"pattern": "TODO", "glob": "sub/**/*.txt"}, ["sub/deep/c.txt:1: TODO (three)"]),
        ({"pattern": "TODO", "glob": "*.rs"}, ["Nothing matches 'TODO' in *.rs of .."]),
    ],
)  # fmt: skip
async def test_text_is_found(call: Call, tree: Place, arguments: dict[str, object], found: list[str]) -> None:
    assert (await call(SearchFiles(tree.folder), **arguments)).text.split("\n") == found


async def test_many_finds_are_cut_and_long_lines_too(call: Call, tree: Place) -> None:
    (tree.ws / "many.txt").write_text("hit\n" * 5_000)
    text = (await call(SearchFiles(tree.folder), pattern="hit")).text
    assert text.count("many.txt:") == 200
    assert "more than 200 lines match" in text
    (tree.ws / "many.txt").write_text("x" * 1_000_000 + "needle" + "y" * 1_000_000)
    text = (await call(SearchFiles(tree.folder), pattern="needle")).text
    assert "needle" in text
    assert len(text) < 300


async def test_a_pattern_that_takes_for_ever_is_stopped(call: Call, tree: Place) -> None:
    (tree.ws / "trap.txt").write_text("first a!\n" + "a" * 60 + "!\n")
    got = await call(SearchFiles(tree.folder, seconds=1.0), pattern=r"first|(a+)+$")
    assert got.text == "trap.txt:1: first a!\n… the search was stopped after 1 s …"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"pattern": "("}, "no regular expression"),
        ({"pattern": ""}, "pattern is empty"),
        ({"pattern": "x", "path": "a.py"}, "no folder"),
    ],
)
async def test_a_search_that_cannot_be_made_is_refused(
    call: Call, tree: Place, arguments: dict[str, object], words: str
) -> None:
    with pytest.raises(ToolError, match=words):
        await call(SearchFiles(tree.folder), **arguments)


async def test_files_are_listed_with_sizes(call: Call, tree: Place) -> None:
    text = (await call(ListFiles(tree.folder), glob="*.py")).text
    assert text == "2 files:\na.py  (34 bytes)\nsub/b.py  (17 bytes)"
    assert (await call(ListFiles(tree.folder), path="sub/deep")).text == "1 file:\nsub/deep/c.txt  (13 bytes)"
    assert (await call(ListFiles(tree.folder), glob="*.rs")).text == "No file matches *.rs."


async def test_a_long_list_is_cut(call: Call, tree: Place) -> None:
    for number in range(600):
        (tree.ws / f"f{number}").touch()
    assert "more than 500 files" in (await call(ListFiles(tree.folder))).text


async def test_symlinks_are_not_followed(call: Call, tree: Place) -> None:
    os.symlink(tree.secret.parent, tree.ws / "out")
    os.symlink(tree.secret, tree.ws / "link.txt")
    os.symlink(tree.ws, tree.ws / "round")
    assert "secret" not in (await call(SearchFiles(tree.folder), pattern="secret")).text.replace("'secret'", "")
    assert "link" not in (await call(ListFiles(tree.folder))).text


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("*.py", "a/b/c.py", True),
        ("*.py", "a.pyc", False),
        ("src/*.ts", "src/x.ts", True),
        ("src/*.ts", "src/a/x.ts", False),
        ("src/**/*.ts", "src/x.ts", True),
        ("src/**/*.ts", "src/a/b/x.ts", True),
        ("**/test_?.py", "t/test_a.py", True),
        ("./x", "x", True),
        ("a+b.txt", "aab.txt", False),
        ("**", "a/b", True),
        ("src/**", "src/a/b.py", True),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "a-b-c-d", False),
        ("**/x/**/*.md", "x/y/z.md", True),
        ("a[1].txt", "a[1].txt", True),
    ],
)
def test_globs_match_as_one_expects(glob: str, path: str, matches: bool) -> None:
    assert seek.Glob(glob).match(path) == matches


@pytest.mark.parametrize(
    "glob", ["*a" * 30 + "*b", "**/" * 40 + "b", "/".join(["**", "*a*"] * 20) + "/b", "*" * 500 + "b"]
)
def test_no_glob_takes_for_ever(glob: str) -> None:
    path = "/".join(["a" * 100] * 40)
    begun = time.process_time()
    assert not seek.Glob(glob).match(path)
    assert time.process_time() - begun < 1
