"""Pictures, sounds and files of a run: what a front end can show or play, and the name of anything else."""

from __future__ import annotations

import base64

from agentnb.messages import Audio, File, Image
from agentnb.render import calls, cards
from agentnb.render.pieces import Bundle, Piece
from agentnb.render.terminal import one_line

#: What is larger is named: it would stay in the notebook file.
_MEDIUM_BYTES = 2_000_000
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_SOUNDS = (
    *("audio/wav", "audio/x-wav", "audio/mpeg", "audio/mp3", "audio/ogg", "audio/flac"),
    *("audio/aac", "audio/mp4", "audio/webm"),
)


def medium_piece(at: str, block: Image | Audio | File) -> Piece:
    """What a front end can show or play, and the name of anything else; nothing is fetched from anywhere."""
    if isinstance(block, Image):
        return _picture(at, block)

    def make() -> Bundle:
        name = one_line(calls.named(block), 300)
        if block.data and block.media_type in _SOUNDS and len(block.data) <= _MEDIUM_BYTES:
            return Bundle(at, {"text/html": cards.sound(block.media_type, block.data), "text/plain": name})
        return Bundle(at, {"text/html": cards.named(name), "text/plain": name})

    return Piece(at, len(block.data), len(block.data) * 4 // 3, True, make)


def _picture(at: str, image: Image) -> Piece:
    def make() -> Bundle:
        alt = one_line(image.alt, 200) or "image"
        if image.data and image.media_type in _PICTURES and len(image.data) <= _MEDIUM_BYTES:
            picture = base64.b64encode(image.data).decode("ascii")
            return Bundle(at, {image.media_type: picture, "text/plain": f"[{alt}]"})
        name = one_line(calls.named(image), 300)
        return Bundle(at, {"text/plain": f"{name} {alt}" if image.alt else name})

    return Piece(at, len(image.data), len(image.data) * 4 // 3, True, make)
