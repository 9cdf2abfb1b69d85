"""A skill as a value, and the files that it brings along."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentnb.errors import UsageError
from agentnb.skills.skill import COUNTED_FILES, NAMED_FILES, bundled, read_skill
from tests.skills.conftest import Make


def test_what_is_written_is_read(make: Make) -> None:
    folder = make("pdf", license="MIT", allowed_tools="Read, Bash(git add:*) WebFetch", metadata="{by: me}")
    skill = read_skill(folder)
    assert (skill.name, skill.id, skill.description, skill.folder) == ("pdf", "skill-pdf", "Does pdf.", folder)
    assert skill.allowed_tools == ("Read", "Bash(git add:*)", "WebFetch")
    assert (skill.license, dict(skill.metadata), skill.body) == ("MIT", {"by": "me"}, "Do it.")
    assert read_skill(str(folder)) == skill


def test_nothing_said_of_tools_is_not_the_same_as_none(make: Make) -> None:
    assert read_skill(make("a")).allowed_tools is None
    assert read_skill(make("b", allowed_tools="''")).allowed_tools == ()


def test_it_is_read_again_as_it_is_now(make: Make) -> None:
    folder = make("pdf")
    skill = read_skill(folder)
    (folder / "SKILL.md").write_text("---\nname: pdf\ndescription: New.\n---\nOther.")
    assert skill.again().body == "Other."
    (folder / "SKILL.md").unlink()
    with pytest.raises(UsageError, match="not found"):
        skill.again()


def test_all_that_is_wrong_is_in_one_line_with_the_folder(tmp_path: Path) -> None:
    (tmp_path / "pdf").mkdir()
    (tmp_path / "pdf" / "SKILL.md").write_text("---\nname: PDF\nx: y\n---\n")
    with pytest.raises(UsageError) as caught:
        read_skill(tmp_path / "pdf")
    said = str(caught.value)
    assert "\n" not in said
    assert all(words in said for words in (str(tmp_path / "pdf"), "lower case", "no description", "x is no field"))


def test_bundled_files_are_named_in_order_and_bounded(make: Make, tmp_path: Path) -> None:
    files = {"scripts/b.py": "", "scripts/a.py": "", "top.md": "", ".hidden": "", ".git/x": "", "__pycache__/x.pyc": ""}
    folder = make("pdf", files=files)
    (folder / "elsewhere").symlink_to(tmp_path, target_is_directory=True)
    assert bundled(folder) == (["top.md", "scripts/a.py", "scripts/b.py"], 0)
    for number in range(NAMED_FILES + 5):
        (folder / f"x{number:03}").touch()
    names, more = bundled(folder)
    assert (len(names), more) == (NAMED_FILES, 8)
    assert COUNTED_FILES > NAMED_FILES
    assert bundled(tmp_path / "gone") == ([], 0)
