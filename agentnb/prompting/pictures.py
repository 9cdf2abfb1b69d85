"""Pictures small enough to send: at most 1568 pixels on the longest side and 400 kB, whatever they were before.

The pixels are what Anthropic and OpenAI scale to anyway; the bytes keep a notebook of twenty figures a small file.
"""

from __future__ import annotations

import io
import struct
import warnings
from typing import TYPE_CHECKING

from agentnb.errors import PromptError
from agentnb.messages import Image
from agentnb.prompting.budget import one_line

if TYPE_CHECKING:
    import PIL.Image

LONGEST_SIDE = 1568
MOST_BYTES = 400_000
#: The lowest of the providers' limits for one picture: what may be sent unscaled where Pillow is not there to scale.
_PROVIDERS_LIMIT = 5_000_000
_SENT_AS_THEY_ARE = {"image/png", "image/jpeg", "image/gif", "image/webp"}


def image_type(data: bytes) -> str | None:
    """The media type that the first bytes tell, or None where it is no picture."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[:4] in {b"II*\0", b"MM\0*"}:
        return "image/tiff"
    starts = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"GIF87a": "gif", b"GIF89a": "gif"}
    for start, name in starts.items():
        if data.startswith(start):
            return f"image/{name}"
    return "image/bmp" if data[:2] == b"BM" and data[6:10] == b"\0\0\0\0" else None


def audio_type(data: bytes) -> str | None:
    """The media type that the first bytes tell, or None where it is no sound."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "audio/wav"
    if data[:3] == b"ID3" or data[:2] in {b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"}:
        return "audio/mpeg"
    starts = {b"OggS": "audio/ogg", b"fLaC": "audio/flac"}
    return starts.get(data[:4])


def png_size(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG, from its header."""
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def image_from_bytes(data: bytes, alt: str) -> Image:
    """A picture file as a block: as it is where providers take it, else scaled and converted."""
    kind = image_type(data)
    fits = len(data) <= MOST_BYTES and (kind != "image/png" or max(png_size(data)) <= LONGEST_SIDE)
    if kind in _SENT_AS_THEY_ARE and fits:
        return Image(data, kind, alt=alt)
    try:
        import PIL.Image
    except ImportError:
        if kind in _SENT_AS_THEY_ARE and len(data) <= _PROVIDERS_LIMIT:
            return Image(data, kind, alt=alt)
        raise PromptError(f"{alt} must be scaled or converted before it is sent. Run: pip install pillow") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, which is not sent
            with PIL.Image.open(io.BytesIO(data)) as picture:
                return image_from_pillow(picture, alt)
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        reason = one_line(str(error), 100)
        raise PromptError(f"{alt} cannot be read as a picture: {reason}.") from None


def image_from_pillow(picture: PIL.Image.Image, alt: str) -> Image:
    """A Pillow picture scaled to the limits, as PNG or JPEG, whichever is smaller."""
    picture = _plain_mode(picture.copy())
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    png, opaque = _encoded(picture, "PNG"), _on_white(picture)
    data = _encoded(opaque, "JPEG")
    # JPEG loses transparency and blurs text: only where it is clearly smaller.
    if len(png) <= min(MOST_BYTES, 2 * len(data)):
        return Image(png, alt=alt)
    while len(data) > MOST_BYTES:
        side = int(max(opaque.size) * 0.8)
        opaque.thumbnail((side, side))
        data = _encoded(opaque, "JPEG")
    return Image(data, "image/jpeg", alt=alt)


def _plain_mode(picture: PIL.Image.Image) -> PIL.Image.Image:
    if picture.mode in {"L", "RGB", "RGBA"}:
        return picture
    see_through = picture.mode in {"LA", "PA", "RGBa", "La"} or "transparency" in picture.info
    return picture.convert("RGBA" if see_through else "RGB")


def _on_white(picture: PIL.Image.Image) -> PIL.Image.Image:
    if picture.mode != "RGBA":
        return picture
    import PIL.Image

    white = PIL.Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    return white


def _encoded(picture: PIL.Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **({"quality": 85} if kind == "JPEG" else {}))
    return out.getvalue()
