from __future__ import annotations

import contextlib
import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest

from agentnb import pixels
from agentnb.errors import UsageError


def _saved(picture: PIL.Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _size(picture: PIL.Image.Image) -> tuple[int, int]:
    return picture.size


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def bomb(side: int) -> bytes:
    """A PNG of a few hundred bytes that claims `side` times `side` pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(bytes(1000))) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


NOISE = PIL.Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8))


def test_a_photo_is_turned_upright() -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    assert pixels.decoded(_saved(NOISE, "JPEG", exif=exif), "it", _size) == (300, 400)


def test_a_jpeg_is_decoded_no_larger_than_needed() -> None:
    assert pixels.decoded(_saved(NOISE, "JPEG"), "it", _size, side=90) == (200, 150)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\x89PNG\r\n\x1a\n",
        _saved(NOISE, "PNG")[:5000],
        _saved(NOISE, "JPEG")[:5000],
        _saved(NOISE, "WEBP")[:5000],
        _saved(NOISE, "TIFF")[:5000],
        _saved(NOISE.convert("P"), "GIF")[:5000],
        bomb(9_000),
        bomb(60_000),
        bomb(2**31 - 1),
    ],
)
def test_broken_and_hostile_bytes_are_an_error(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"^The photo cannot be read as a picture: .+\.$"):
        pixels.decoded(data, "The photo", _size)


def test_bytes_broken_at_any_place_are_a_picture_or_an_error() -> None:
    draw = np.random.default_rng(1)
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"):
        whole = np.frombuffer(_saved(NOISE.resize((40, 30)), kind), np.uint8)
        for _ in range(50):
            data = whole.copy()
            data[draw.integers(0, len(data), 10)] = draw.integers(0, 256, 10)
            with contextlib.suppress(UsageError):
                pixels.decoded(data.tobytes(), "it", _size)


def test_a_picture_is_scaled_until_it_has_few_enough_bytes() -> None:
    assert len(pixels.encoded_within(NOISE, "PNG", 50_000)) <= 50_000
    assert len(pixels.encoded_within(NOISE, "JPEG", 700)) <= 700
