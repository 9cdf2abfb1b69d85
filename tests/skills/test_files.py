"""A skill's own files can be read, and no others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentnb.errors import ToolError
from agentnb.messages import JSON
from agentnb.skills.files import MOST_BYTES, MOST_CHARACTERS, SkillFiles
from tests.skills.conftest import Make, context

pytestmark = pytest.mark.anyio


async def _read(folder: Path, path: JSON, **more: JSON) -> str:
    content = (await SkillFiles("pdf", folder).call({"path": path, **more}, context())).content
    return "".join(block.text for block in content if block.type == "text")


async def test_a_file_of_the_skill_is_read(make: Make) -> None:
    folder = make("pdf", files={"references/guide.md": "# Guide"})
    assert await _read(folder, "references/guide.md") == "# Guide"
    assert await _read(folder, "./scripts/../references/guide.md") == "# Guide"
    assert await _read(folder, str(folder / "references/guide.md")) == "# Guide"
    assert "Do it." in await _read(folder, "SKILL.md")


async def test_a_long_file_is_read_in_parts(make: Make) -> None:
    text = "abcdefghij" * (MOST_CHARACTERS // 10) + "the end"
    folder = make("pdf", files={"long.txt": text, "empty.txt": ""})
    first = await _read(folder, "long.txt")
    assert first.endswith(f"… 7 more characters: read on with offset={MOST_CHARACTERS}")
    assert await _read(folder, "long.txt", offset=MOST_CHARACTERS) == "the end"
    assert await _read(folder, "empty.txt") == "(nothing there)"


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
        with pytest.raises(ToolError, match="outside of the skill's directory"):
            await _read(folder, path)


async def test_a_link_within_the_folder_is_followed(make: Make) -> None:
    folder = make("pdf", files={"a.md": "words"})
    (folder / "b.md").symlink_to("a.md")
    assert await _read(folder, "b.md") == "words"


async def test_what_cannot_be_read_is_one_line(make: Make) -> None:
    folder = make("pdf", files={"guide.md": "x"})
    (folder / "data.bin").write_bytes(b"a\0b")
    (folder / "big.txt").write_bytes(b"x" * (MOST_BYTES + 1))
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    cases: list[tuple[JSON, str]] = [
        ("guied.md", "Did you mean 'guide.md'"),
        (".", "no file"),
        ("pipe", "no file"),
        ("data.bin", "no text"),
        ("big.txt", "more than 4 MB"),
        ("a\0b", "cannot be read"),
        ("loop", "(cannot be read|no file)"),
        ("x" * 5000, "cannot be read"),
        ("", "must be a text"),
        (3, "must be a text"),
    ]
    for path, why in cases:
        with pytest.raises(ToolError, match=why) as caught:
            await _read(folder, path)
        assert "\n" not in str(caught.value)
    with pytest.raises(ToolError, match="whole number"):
        await _read(folder, "guide.md", offset=-1)
