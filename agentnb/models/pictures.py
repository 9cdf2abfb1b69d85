"""One picture within a provider's limits: as it is where it fits, otherwise scaled or converted, without loss first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentnb import pixels, sniff
from agentnb.errors import UsageError
from agentnb.models.dialect import Limits

if TYPE_CHECKING:
    import PIL.Image

_FORMATS: dict[str, pixels.Format] = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}


def picture_within(data: bytes, limits: Limits, name: str, model: str) -> tuple[bytes, str]:
    """The bytes and their media type; the very same bytes where they fit.

    Raises UsageError for what is no picture, cannot be read, or cannot be made to fit.
    """
    kind = sniff.media_type(data)
    if kind is None or not kind.startswith("image/"):
        raise UsageError(f"{name} is {kind or 'no picture'}: {model} takes {', '.join(limits.image_types)}.")
    size = sniff.picture_size(data)
    small = len(data) <= limits.image_bytes and (size is None or max(size) <= limits.image_side)
    known = kind in limits.image_types
    if small and known and sniff.looks_whole(data) and (size is not None or kind not in _FORMATS):
        return data, kind
    if kind == "image/svg+xml":
        raise UsageError(f"{name} is an SVG drawing, which {model} does not take. Save it as PNG.")
    if not pixels.available():
        raise UsageError(f"{name} must be scaled or converted for {model}. Run: pip install pillow")

    def fit(picture: PIL.Image.Image) -> tuple[bytes, str]:
        # It only looked broken: its end is unusual, and it can be read.
        if small and known:
            return data, kind
        return _fitted(picture, kind, limits)

    fitted = pixels.decoded(data, name, fit, side=limits.image_side)
    if len(fitted[0]) > limits.image_bytes:
        raise UsageError(f"{name} cannot be made as small as {model} wants it ({limits.image_bytes:,} bytes).")
    return fitted


def _fitted(picture: PIL.Image.Image, kind: str, limits: Limits) -> tuple[bytes, str]:
    scaled = pixels.within(picture, limits.image_side)
    data, found = b"", "image/png"
    for found in _candidates(kind, limits.image_types):
        data = pixels.encoded(scaled, _FORMATS[found])
        if len(data) <= limits.image_bytes:
            return data, found
    return pixels.encoded_within(scaled, _FORMATS[found], limits.image_bytes), found


def _candidates(kind: str, types: Sequence[str]) -> Sequence[str]:
    """Its own format, then one without loss, then one that is small: those of them that are taken."""
    # What was compressed with loss once gains nothing from a format without.
    order = (kind,) if kind == "image/jpeg" else (kind, "image/png", "image/jpeg")
    return [each for each in dict.fromkeys(order) if each in _FORMATS and each in types] or ["image/png"]
