"""A skill's own files can be read, and no others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentnb.errors import ToolError
from agentnb.messages import JSON
from agentnb.skills.files import SkillFiles
from agentnb.tools.base import traits
from tests.skills.conftest import Make, context

pytestmark = pytest.mark.anyio


async def _read(folder: Path, path: JSON, **more: JSON) -> str:
    content = (await SkillFiles(folder).call({"path": path, **more}, context())).content
    return "".join(block.text for block in content if block.type == "text")


async def test_a_file_of_the_skill_is_read(make: Make) -> None:
    folder = make("pdf", files={"references/guide.md": "# Guide", "long.txt": "alpha\nbeta\ngamma\ndelta"})
    assert "# Guide" in await _read(folder, "references/guide.md")
    assert "# Guide" in await _read(folder, "./references/../references/guide.md")
    assert "# Guide" in await _read(folder, str(folder / "references/guide.md"))
    assert "Do it." in await _read(folder, "SKILL.md")
    part = await _read(folder, "long.txt", offset=2, limit=2)
    assert [word in part for word in ("alpha", "beta", "gamma", "delta")] == [False, True, True, False]


async def test_of_several_open_skills_the_absolute_path_says_which(make: Make, tmp_path: Path) -> None:
    pdf, csv = make("pdf", files={"a.md": "of pdf"}), make("csv", files={"a.md": "of csv"})
    (csv / "out").symlink_to(tmp_path)
    reader = SkillFiles(pdf, lambda: [pdf, csv])

    async def read(path: str) -> str:
        return repr((await reader.call({"path": path}, context())).content)

    assert "of pdf" in await read("a.md")
    assert "of csv" in await read(str(csv / "a.md"))
    for away in ("../csv/a.md", str(csv / ".." / "x"), str(csv / "out" / "pdf" / "a.md"), str(tmp_path / "pdf2")):
        with pytest.raises(ToolError, match="outside"):
            await read(away)


def test_it_stands_beside_the_workspaces_own_and_does_not_ask(make: Make) -> None:
    tool = SkillFiles(make("pdf"))
    assert tool.spec({}).name == "read_skill_file"
    assert "belongs to the skill" in tool.spec({}).description
    assert (traits(tool).id, traits(tool).approval) == ("builtin-read_skill_file", "always")


async def test_a_path_that_leaves_the_folder_is_refused(make: Make, tmp_path: Path) -> None:
    folder = make("pdf")
    make("pdf-secrets", files={"key.txt": "secret"})
    (tmp_path / "key.txt").write_text("secret")
    (folder / "file-link").symlink_to(tmp_path / "key.txt")
    (folder / "folder-link").symlink_to(tmp_path, target_is_directory=True)
    away = [
        "../key.txt",
        "../pdf-secrets/key.txt",
        str(tmp_path / "key.txt"),
        str(tmp_path / "pdf-secrets" / "key.txt"),
        "/etc/passwd",
        "file-link",
        "folder-link/key.txt",
        "scripts/../../key.txt",
        "..",
    ]
    for path in away:
        with pytest.raises(ToolError, match="outside the skill's directory"):
            await _read(folder, path)


async def test_a_link_within_the_folder_is_followed(make: Make) -> None:
    folder = make("pdf", files={"a.md": "words"})
    (folder / "b.md").symlink_to("a.md")
    assert "words" in await _read(folder, "b.md")


async def test_what_cannot_be_read_is_one_line_with_what_there_is(make: Make) -> None:
    folder = make("pdf", files={"guide.md": "x"})
    (folder / "data.bin").write_bytes(b"a\0b")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    cases: list[tuple[JSON, str]] = [
        ("guied.md", "Did you mean 'guide.md'"),
        (".", "folder"),
        ("pipe", "a pipe, not a file"),
        ("data.bin", "no text"),
        ("a\0b", "null character"),
        ("loop", "loop"),
        ("x" * 5000, "xxx"),
    ]
    for path, why in cases:
        with pytest.raises(ToolError, match=why) as caught:
            await _read(folder, path)
        said = str(caught.value)
        assert "\n" not in said
        assert said.endswith("The skill's files: data.bin, guide.md, loop, pipe.")
        assert "workspace" not in said
    for path in ("", 3, None):
        with pytest.raises(ToolError):
            await _read(folder, path)
