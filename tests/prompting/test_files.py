from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from inline_snapshot import snapshot

from agentnb.errors import PromptError
from agentnb.messages import Audio, Content, File, Image, Text
from agentnb.prompting import estimate_tokens, to_blocks

WAV = b"RIFF\0\0\0\0WAVEfmt "


def only(value: object, budget: int = 2000) -> Content:
    (block,) = to_blocks(value, budget)
    return block


def told(value: object, budget: int = 2000) -> str:
    block = only(value, budget)
    assert isinstance(block, Text)
    return block.text


def encoded(picture: PIL.Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


def test_a_text_file_is_fenced_and_cut_to_the_budget(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = '```'\n" * 1000)
    text = told(tmp_path / "a.py", 100)
    assert text.startswith("a.py, 10.0 kB:\n````py\nx = '```'\n")
    assert text.endswith("\n````")
    assert "of 10,000 characters left out" in text
    assert estimate_tokens(text) <= 120


def test_a_huge_text_file_is_read_at_its_ends(tmp_path: Path) -> None:
    (tmp_path / "big.csv").write_bytes("1,é\n".encode() * 2_000_000)
    text = told(tmp_path / "big.csv", 100)
    assert text.startswith("big.csv, 10.0 MB:\n```csv\n1,é\n")
    assert "of 10,000,000 bytes left out" in text
    assert estimate_tokens(text) <= 120


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "f.txt (empty file)"),
        (b"\xef\xbb\xbfhi", "f.txt, 5 bytes:\n```txt\nhi\n```"),
        ("hé".encode("utf-16"), "f.txt, 6 bytes:\n```txt\nhé\n```"),
        (b"\xe9t\xe9", "f.txt (binary file, 3 bytes)"),
        (bytes(range(256)) * 40, "f.txt (binary file, 10.2 kB)"),
    ],
)
def test_text_is_told_from_binary(tmp_path: Path, data: bytes, text: str) -> None:
    (tmp_path / "f.txt").write_bytes(data)
    assert told(tmp_path / "f.txt") == text


def test_media_files_become_media(tmp_path: Path) -> None:
    picture = PIL.Image.new("RGB", (30, 20), "red")
    for name, kind in (("p.png", "PNG"), ("p.jpg", "JPEG"), ("p.gif", "GIF"), ("p.webp", "WEBP")):
        (tmp_path / name).write_bytes(encoded(picture, kind))
        block = only(tmp_path / name)
        assert block == Image((tmp_path / name).read_bytes(), f"image/{kind.lower()}", alt=name)
    (tmp_path / "sound").write_bytes(WAV)
    assert only(tmp_path / "sound") == Audio(WAV, "audio/wav")
    (tmp_path / "d.pdf").write_bytes(b"%PDF-1.4")
    assert only(tmp_path / "d.pdf") == File("d.pdf", b"%PDF-1.4", "application/pdf")


def test_pictures_that_are_large_or_of_a_rare_kind_are_converted(tmp_path: Path) -> None:
    noise = PIL.Image.fromarray(np.random.default_rng(0).integers(0, 255, (1800, 2400, 3), dtype=np.uint8))
    (tmp_path / "photo.png").write_bytes(encoded(noise, "PNG"))
    photo = only(tmp_path / "photo.png")
    assert isinstance(photo, Image)
    assert (photo.media_type, len(photo.data) <= 400_000) == ("image/jpeg", True)
    for kind in ("TIFF", "BMP"):
        block = only(encoded(noise.resize((20, 20)), kind))
        assert isinstance(block, Image)
        assert block.media_type in {"image/png", "image/jpeg"}


def test_a_broken_picture_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "p.tiff").write_bytes(b"II*\0 broken")
    with pytest.raises(PromptError, match=r"p\.tiff cannot be read as a picture"):
        to_blocks(tmp_path / "p.tiff")


def test_a_directory_is_listed(tmp_path: Path) -> None:
    root = tmp_path / "data"
    (root / "sub").mkdir(parents=True)
    (root / "a.csv").write_text("12345")
    (root / "gone").symlink_to("/nowhere")
    assert told(root) == snapshot("""\
directory data, 3 entries:
sub/
a.csv (5 bytes)
gone (broken link)\
""")
    for i in range(500):
        (root / f"{i}.txt").touch()
    assert "of 503 entries left out" in told(root, 100)
    assert estimate_tokens(told(root, 100)) <= 120


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").touch()
    with pytest.raises(PromptError, match=r"No file '.*slaes\.csv'\. Did you mean 'sales\.csv'\? Paths begin at "):
        to_blocks(tmp_path / "slaes.csv")


def test_a_device_is_not_read() -> None:
    assert told(Path(os.devnull)) == f"{os.devnull} (neither a file nor a directory)"


def test_bytes_are_sniffed() -> None:
    png = encoded(PIL.Image.new("RGB", (3, 3)), "PNG")
    assert only(png) == Image(png, "image/png", alt="Image")
    assert only(WAV) == Audio(WAV, "audio/wav")
    assert told(b"abc") == told(bytearray(b"abc")) == told(memoryview(b"abc")) == "abc"
    assert told(b"\0\1\2") == snapshot("bytes, 3 bytes, starting with 00 01 02")
