from __future__ import annotations

import io
import random
import struct

import PIL.Image
import pytest

from agentnb import sniff

_ISO = b"\0\0\0\x20ftyp"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"BM\0\0\0\0\0\0\0\0", "image/bmp"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (_ISO + b"heic", "image/heic"),
        (_ISO + b"mif1", "image/heic"),
        (_ISO + b"avif", "image/avif"),
        (b"<svg xmlns='x'>", "image/svg+xml"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a -->\n<!DOCTYPE svg PUBLIC 'x'>\n<svg>", "image/svg+xml"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"ID3\4", "audio/mpeg"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"),
        (b"\xff\xf1\x50\x80", "audio/aac"),
        (b"OggS", "audio/ogg"),
        (b"fLaC", "audio/flac"),
        (b"FORM\0\0\0\0AIFF", "audio/aiff"),
        (b"#!AMR\n", "audio/amr"),
        (_ISO + b"M4A ", "audio/mp4"),
        (_ISO + b"isom", "video/mp4"),
        (_ISO + b"qt  ", "video/quicktime"),
        (b"\x1aE\xdf\xa3 webm V_VP9 A_OPUS", "video/webm"),
        (b"\x1aE\xdf\xa3 webm A_OPUS", "audio/webm"),
        (b"\x1aE\xdf\xa3 matroska", "video/x-matroska"),
        (b"RIFF\0\0\0\0AVI LIST", "video/x-msvideo"),
        (b"%PDF-1.7", "application/pdf"),
        (b"", None),
        (b"RIFF\0\0\0\0????", None),
        (b"hello <svg>", None),
        ("hé".encode("utf-16"), None),
        (b"\xff", None),
    ],
)
def test_bytes_tell_their_type(data: bytes, kind: str | None) -> None:
    assert sniff.media_type(data) == kind


def _saved(kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    PIL.Image.new("RGB", (31, 17)).save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        *map(_saved, ("PNG", "GIF", "BMP", "JPEG", "WEBP")),
        _saved("JPEG", progressive=True),
        _saved("WEBP", lossless=True),
        _saved("WEBP", exif=b"Exif\0\0II*\0\0\0\0\0"),
    ],
)
def test_a_pictures_size_is_in_its_head(data: bytes) -> None:
    assert sniff.picture_size(data) == (31, 17)
    assert sniff.looks_whole(data)
    assert data.startswith(b"BM") or not sniff.looks_whole(data[: len(data) // 2])


def test_a_size_that_is_not_there_is_none() -> None:
    for data in (_saved("PNG")[:20], _saved("GIF")[:8], _saved("BMP")[:20], b"RIFF\0\0\0\0WEBPVP8 ", b"%PDF-"):
        assert sniff.picture_size(data) is None
    jpeg = _saved("JPEG")
    assert all(sniff.picture_size(jpeg[:n]) is None for n in range(3, 100))
    assert sniff.picture_size(b"\xff\xd8\xff\xff\xff\xc0" + struct.pack(">HBHHB", 11, 8, 5, 6, 1)) == (6, 5)


def test_any_bytes_may_be_asked_about() -> None:
    draw = random.Random(0)
    starts = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8X", b"BM\0\0\0\0\0\0\0\0", b"\xff"]
    for _ in range(500):
        data = draw.choice(starts) + draw.randbytes(draw.randrange(40))
        sniff.picture_size(data)
        sniff.looks_whole(data)
