"""Pictures small enough to send: at most 1568 pixels on the longest side and 400 kB, whatever they were before.

The pixels are what Anthropic and OpenAI scale to anyway; the bytes keep a notebook of twenty figures a small file.
"""

from __future__ import annotations

import struct
import warnings
from typing import TYPE_CHECKING

from agentnb import pixels, sniff
from agentnb.errors import PromptError, UsageError
from agentnb.messages import Image

if TYPE_CHECKING:
    import PIL.Image

LONGEST_SIDE = 1568
MOST_BYTES = 400_000
#: The lowest of the providers' limits for one picture: what may be sent unscaled where Pillow is not there to scale.
_PROVIDERS_LIMIT = 5_000_000
_SENT_AS_THEY_ARE = {"image/png", "image/jpeg", "image/gif", "image/webp"}
_READ = _SENT_AS_THEY_ARE | {"image/tiff", "image/bmp", "image/avif"}


def image_type(data: bytes) -> str | None:
    """The media type that the first bytes tell, or None where it is no picture that can be read."""
    kind = sniff.media_type(data)
    return kind if kind in _READ else None


def audio_type(data: bytes) -> str | None:
    """The media type that the first bytes tell, or None where it is no sound."""
    kind = sniff.media_type(data)
    return kind if kind is not None and kind.startswith("audio/") else None


def png_size(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG, from its header."""
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def image_from_bytes(data: bytes, alt: str) -> Image:
    """A picture file as a block: as it is where providers take it, else scaled and converted."""
    kind, size = image_type(data), sniff.picture_size(data)
    fits = len(data) <= MOST_BYTES and size is not None and max(size) <= LONGEST_SIDE
    if kind in _SENT_AS_THEY_ARE and fits and sniff.looks_whole(data):
        return Image(data, kind, alt=alt)
    if not pixels.available():
        if kind in _SENT_AS_THEY_ARE and len(data) <= _PROVIDERS_LIMIT:
            return Image(data, kind, alt=alt)
        raise PromptError(f"{alt} must be scaled or converted before it is sent. Run: pip install pillow")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, which is not sent
            return pixels.decoded(data, alt, lambda picture: image_from_pillow(picture, alt), side=LONGEST_SIDE)
    except UsageError as error:
        raise PromptError(str(error)) from None


def image_from_pillow(picture: PIL.Image.Image, alt: str) -> Image:
    """A Pillow picture scaled to the limits, as PNG or JPEG, whichever is smaller."""
    scaled = pixels.within(picture, LONGEST_SIDE)
    png, jpeg = pixels.encoded(scaled, "PNG"), pixels.encoded(scaled, "JPEG")
    # JPEG loses transparency and blurs text: only where it is clearly smaller.
    if len(png) <= min(MOST_BYTES, 2 * len(jpeg)):
        return Image(png, alt=alt)
    if len(jpeg) > MOST_BYTES:
        jpeg = pixels.encoded_within(scaled, "JPEG", MOST_BYTES)
    return Image(jpeg, "image/jpeg", alt=alt)
