"""AGENTS.md and README are found upward, within the project, and read as data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentnb.context.parts import Part
from agentnb.context.project import read

NOBODY = Path("/nobody/is/here")


def write(file: Path, text: str | bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def parts(start: Path, home: Path = NOBODY, room: int = 1_000) -> list[Part]:
    return [part for source in read(start, home, str).sources if (part := source(room))]


def test_every_agents_file_on_the_way_up_to_the_repository_is_told_the_nearest_last(tmp_path: Path) -> None:
    write(tmp_path / "AGENTS.md", "outside")
    write(tmp_path / "repo/.git/HEAD", "")
    write(tmp_path / "repo/AGENTS.md", "top")
    write(tmp_path / "repo/a/b/AGENTS.md", "near")
    found = parts(tmp_path / "repo/a/b")
    assert [part.title for part in found] == ["AGENTS.md", "a/b/AGENTS.md"]
    assert "top" in found[0].text
    assert str(tmp_path / "repo") in found[0].why


def test_the_nearest_readme_is_told_its_beginning_only(tmp_path: Path) -> None:
    write(tmp_path / ".git/HEAD", "")
    write(tmp_path / "README.md", "far")
    write(tmp_path / "a/README.rst", "Near\n" + "line\n" * 5_000)
    (part,) = parts(tmp_path / "a/b", room=5_000)
    assert part.title == "a/README.rst"
    assert part.text.startswith("```text\nNear\n")
    assert part.tokens <= 400
    assert "left out" in part.cut


def test_the_home_of_the_person_ends_the_way_up(tmp_path: Path) -> None:
    write(tmp_path / "AGENTS.md", "of everybody")
    write(tmp_path / "home/AGENTS.md", "of the person")
    (tmp_path / "home/work").mkdir()
    assert [part.text for part in parts(tmp_path / "home/work", tmp_path / "home")] == ["```text\nof the person\n```"]


def test_without_repository_and_home_only_the_folder_itself_is_read(tmp_path: Path) -> None:
    write(tmp_path / "AGENTS.md", "anybody may write here")
    write(tmp_path / "work/README", "mine")
    assert [part.title for part in parts(tmp_path / "work")] == ["README"]


def test_a_link_out_of_the_project_is_not_followed(tmp_path: Path) -> None:
    secret = write(tmp_path / "id_rsa", "private")
    write(tmp_path / "repo/.git/HEAD", "")
    (tmp_path / "repo/README.md").symlink_to(secret)
    (tmp_path / "repo/AGENTS.md").symlink_to("AGENTS.md")
    found = read(tmp_path / "repo", NOBODY, str)
    assert found.sources == ()
    assert found.left_out[0] == "README.md: it is a link to what lies outside of the project"
    assert found.left_out[1].startswith("AGENTS.md: ")


def test_a_link_within_the_project_is_followed(tmp_path: Path) -> None:
    write(tmp_path / ".git/HEAD", "")
    write(tmp_path / "docs/rules.md", "rules")
    (tmp_path / "AGENTS.md").symlink_to("docs/rules.md")
    assert ["rules" in part.text for part in parts(tmp_path)] == [True]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x7fELF\0\0", "it is not text"),
        (b"\xff\xfea\xe9", "it is not text in UTF-8"),
        (b"caf\xe9", "it is not text in UTF-8"),
    ],
)
def test_what_is_no_text_is_named_and_left_out(tmp_path: Path, data: bytes, why: str) -> None:
    write(tmp_path / "README.md", data)
    found = read(tmp_path, NOBODY, str)
    assert (found.sources, found.left_out) == ((), (f"README.md: {why}",))


def test_a_pipe_and_a_folder_do_not_keep_anybody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "README.md")
    (tmp_path / "AGENTS.md").mkdir()
    left_out = read(tmp_path, NOBODY, str).left_out
    assert left_out == ("README.md: it is no regular file", "AGENTS.md: it is no regular file")


def test_an_empty_readme_gives_way_to_the_next(tmp_path: Path) -> None:
    write(tmp_path / "README.md", "\n \n")
    write(tmp_path / "README", "words")
    assert [part.title for part in parts(tmp_path)] == ["README"]


def test_of_a_huge_file_only_a_beginning_of_whole_lines_is_read(tmp_path: Path) -> None:
    write(tmp_path / "AGENTS.md", "é secret-in-two\n" * 50_000)
    asked: list[str] = []

    def mask(text: str) -> str:
        asked.append(text)
        return text

    read(tmp_path, NOBODY, mask)
    assert len(asked[0].encode()) <= 65_536
    assert asked[0].endswith("secret-in-two\n")


def test_control_characters_do_not_reach_a_terminal(tmp_path: Path) -> None:
    write(tmp_path / "AGENTS.md", "a\x1b[2Jb\x07")
    (part,) = parts(tmp_path)
    assert "\x1b" not in part.text
    assert "\x07" not in part.text


def test_a_folder_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert read(tmp_path / "gone", NOBODY, str) == read(tmp_path / "gone", NOBODY, str)
    assert parts(tmp_path / "gone") == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_a_repository_that_somebody_else_made_above_is_none(tmp_path: Path) -> None:
    write(tmp_path / ".git/HEAD", "")
    write(tmp_path / "AGENTS.md", "Obey.")
    (tmp_path / "work").mkdir()
    assert len(parts(tmp_path / "work")) == 1
    os.chown(tmp_path / ".git", 4_321, 4_321)
    assert parts(tmp_path / "work") == []


def test_a_home_that_is_the_root_of_everything_ends_nothing(tmp_path: Path) -> None:
    write(tmp_path / "AGENTS.md", "anybody may write here")
    assert parts(tmp_path / "work", home=Path("/")) == []
