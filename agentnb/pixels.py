"""The one door to Pillow: pictures read with care, scaled and written; bad bytes of any kind are a UsageError."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from agentnb.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image

T = TypeVar("T")
Format: TypeAlias = Literal["PNG", "JPEG", "WEBP"]

#: What is decoded at most: a quarter of a gigabyte of memory, and more than any model looks at.
MOST_PIXELS = 64_000_000
_QUALITY = {"JPEG": 85, "WEBP": 85}


def available() -> bool:
    """Whether Pillow is installed."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        return False
    return True


def decoded(data: bytes, name: str, use: Callable[[PIL.Image.Image], T], *, side: int | None = None) -> T:
    """What `use` makes of the picture in these bytes, upright; decoded no larger than a `side` needs it.

    Raises UsageError for bytes that are no whole picture, or one of too many pixels; `name` is what it is called.
    """
    with _read(name) as unreadable:
        import PIL.Image
        import PIL.ImageOps

        with PIL.Image.open(io.BytesIO(data)) as picture:
            if side is not None:
                # A JPEG can be decoded smaller than it is.
                picture.draft(None, (side, side))
            pixels = picture.width * picture.height
            if pixels > MOST_PIXELS:
                raise unreadable(f"it has {pixels:,} pixels, more than {MOST_PIXELS:,}")
            picture.load()
            upright = PIL.ImageOps.exif_transpose(picture)
    return use(upright)


def from_values(values: np.ndarray[Any, Any]) -> PIL.Image.Image:
    """The picture of an array of bytes: height × width, or height × width × 3 or 4."""
    import PIL.Image

    return PIL.Image.fromarray(values)


@contextmanager
def _read(name: str) -> Iterator[Callable[[str], UsageError]]:
    def unreadable(reason: str) -> UsageError:
        return UsageError(f"{name} cannot be read as a picture: {' '.join(reason.split())[:150].rstrip('.')}.")

    try:
        yield unreadable
    except UsageError:
        raise
    except Exception as error:  # damaged and hostile bytes: Pillow's readers raise whatever they stumble over
        raise unreadable(str(error).partition(" <_io")[0] or type(error).__name__) from None


def within(picture: PIL.Image.Image, side: int) -> PIL.Image.Image:
    """A copy of the picture in plain colours, at most `side` pixels wide and high."""
    scaled = picture.copy()
    if scaled.mode not in {"L", "RGB", "RGBA"}:
        see_through = scaled.mode in {"LA", "PA", "RGBa", "La"} or "transparency" in scaled.info
        scaled = scaled.convert("RGBA" if see_through else "RGB")
    scaled.thumbnail((side, side))
    return scaled


def encoded(picture: PIL.Image.Image, kind: Format) -> bytes:
    """The bytes of a picture that `within` made; where the format has no transparency, on white."""
    out = io.BytesIO()
    (on_white(picture) if kind == "JPEG" else picture).save(out, kind, **_options(kind))
    return out.getvalue()


def _options(kind: Format) -> dict[str, int]:
    return {"quality": _QUALITY[kind]} if kind in _QUALITY else {}


def on_white(picture: PIL.Image.Image) -> PIL.Image.Image:
    """The picture without its transparency."""
    if picture.mode != "RGBA":
        return picture
    import PIL.Image

    white = PIL.Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    return white


def encoded_within(picture: PIL.Image.Image, kind: Format, most_bytes: int) -> bytes:
    """The same, scaled down until it has at most so many bytes."""
    data = encoded(picture, kind)
    while len(data) > most_bytes and max(picture.size) > 1:
        picture = within(picture, int(max(picture.size) * 0.8))
        data = encoded(picture, kind)
    return data
