"""Words in files: all of them, or one of them; with ripgrep and without."""

from __future__ import annotations

import os
import re
import shutil
import time

import pytest

from agentnb.errors import UsageError
from agentnb.files.search import Hit, Query, command, read_query, search
from tests.files.conftest import OUTSIDE, Place


@pytest.fixture
def tree(place: Place) -> Place:
    for name, content in {
        "a.py": "import os\nprint('Penguin')\n",
        "sub/b.py": "# penguin mass\nmass = 1\n",
        "sub/deep/c.txt": "MASS of a (penguin)\n",
        ".git/config": "penguin mass\n",
        "node_modules/m.js": "penguin mass\n",
        "dist/m.js": "penguin mass\n",
        "home.md": "ice\n",
    }.items():
        path = place.ws / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (place.ws / "image.bin").write_bytes(b"penguin mass\0\0")
    return place


def _found(place: Place, query: str, path: str = "", **options: object) -> list[str]:
    found = search(place.folder, path, query, ripgrep="no-such-program", **options)  # type: ignore[arg-type]
    return [f"{hit.path}:{hit.line}" for hit in found.hits]


def test_all_words_must_be_in_the_file_in_whichever_line(tree: Place) -> None:
    assert _found(tree, "penguin mass") == ["sub/b.py:1", "sub/b.py:2", "sub/deep/c.txt:1"]
    assert _found(tree, "penguin mass nowhere") == []


def test_one_of_several_is_enough(tree: Place) -> None:
    assert _found(tree, "import os | ice") == ["a.py:1", "home.md:1"]
    assert _found(tree, "|a (penguin)|") == ["sub/deep/c.txt:1"]


def test_words_are_taken_as_they_are_written(tree: Place) -> None:
    (tree.ws / "r.txt").write_text("x.*y\nxaay\n")
    assert _found(tree, "x.*y") == ["r.txt:1"]


def test_names_narrow_a_search(tree: Place) -> None:
    assert _found(tree, "penguin", name_filter="*.PY") == ["a.py:2", "sub/b.py:1"]
    assert _found(tree, "penguin", name_filter="sub/**/*.txt") == ["sub/deep/c.txt:1"]
    assert _found(tree, "penguin", "sub", name_filter="b") == ["sub/b.py:1"]


def test_a_hit_has_its_line_or_what_is_around_the_word(tree: Place) -> None:
    (tree.ws / "wide.txt").write_text("x" * 1_000_000 + "needle" + "y" * 1_000_000)
    (hit,) = search(tree.folder, "", "needle").hits
    assert "needle" in hit.text
    assert len(hit.text) < 300
    assert search(tree.folder, "", "ice").hits == (Hit("home.md", 1, "ice"),)


def test_what_is_more_than_is_told_is_said(tree: Place) -> None:
    (tree.ws / "many.txt").write_text("hit\n" * 100)
    found = search(tree.folder, "", "hit", most=10)
    assert (len(found.hits), found.more, found.late) == (10, True, False)


def test_a_search_ends_when_its_time_is_up(tree: Place) -> None:
    began = time.monotonic()
    found = search(tree.folder, "", "hit", seconds=0.0)
    assert found.late
    assert time.monotonic() - began < 5


def test_neither_links_nor_what_agentnb_keeps_are_read(tree: Place) -> None:
    tree.home = tree.ws / "own"
    tree.home.mkdir()
    (tree.home / "keys").write_text("secret\n")
    os.symlink(tree.secret, tree.ws / "linked.txt")
    assert _found(tree, "secret") == []


def test_names_that_are_not_utf8_are_found(tree: Place) -> None:
    try:
        (tree.ws / "caf\udce9.txt").write_text("lonely\n")
    except OSError:
        pytest.skip("this disk has no such names")
    assert _found(tree, "lonely") == ["caf\udce9.txt:1"]


@pytest.mark.parametrize("query", ["", "  ", "|", " | ", "a\x1bb"])
def test_a_query_without_a_word_is_refused(tree: Place, query: str) -> None:
    with pytest.raises(UsageError):
        search(tree.folder, "", query)


@pytest.mark.parametrize("path", [*OUTSIDE, "in.txt", "gone"])
def test_nothing_outside_is_searched(tree: Place, path: str) -> None:
    with pytest.raises(UsageError):
        search(tree.folder, path, "secret")


def test_ripgrep_is_asked_for_the_longest_of_all_words_or_each_of_several() -> None:
    every = command("rg", read_query("mass penguin"))
    assert every is not None
    assert every[0] == "rg"
    assert [each for each in every if each.startswith("--regexp")] == ["--regexp=pengu[iI\u0130\u0131]n"]
    either = command("rg", read_query("a.b|--x"))
    assert either is not None
    assert either[-4:] == [r"--regexp=a\.b", r"--regexp=\-\-x", "--", "."]
    assert "--glob=!**/dist/**" in either


@pytest.mark.parametrize("word", ["caf\ufffd", "a\udce9"])
def test_ripgrep_is_not_asked_for_what_it_cannot_tell(word: str) -> None:
    assert command("rg", Query((word,), every=True)) is None


@pytest.mark.parametrize("word", ["KİSS", "straße", "企鹅 mass", "ſ", "a+b(c", "tab\there", "İ", "Σ"])
def test_what_ripgrep_is_asked_for_takes_in_all_that_python_finds(word: str) -> None:
    order = command("rg", Query((word,), every=True))
    assert order is not None
    asked = next(each for each in order if each.startswith("--regexp=")).removeprefix("--regexp=")
    alike = {word, word.lower(), word.upper(), word.swapcase()} | {word.replace("i", "ı"), word.replace("s", "ſ")}
    found = [each for each in alike if re.search(re.escape(word), each, re.I)]
    assert found
    assert all(re.search(asked, each, re.I) for each in found)


def test_only_files_that_were_ruled_in_are_read(tree: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentnb.files.search._ruled_in", lambda *_: ["sub/b.py"])
    assert _found(tree, "penguin") == ["sub/b.py:1"]


@pytest.mark.skipif(shutil.which("rg") is None, reason="ripgrep is not on this machine")
@pytest.mark.parametrize("query", ["penguin mass", "import os|ice", "a (penguin)|x", "secret", "MASS", "nothing"])
def test_ripgrep_changes_nothing_about_what_is_found(tree: Place, query: str) -> None:
    assert [f"{hit.path}:{hit.line}" for hit in search(tree.folder, "", query).hits] == _found(tree, query)
