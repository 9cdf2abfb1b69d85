"""What a turn showed below its cell, after what was sent with its prompt: the displays that page and notebook have."""

from __future__ import annotations

from collections.abc import Iterator

from agentnb.exporting.conversation import Said
from agentnb.render import Bundle, Renderer
from agentnb.render.media import medium_piece


def displays(said: Said) -> Iterator[Bundle]:
    """The bundles, in order; a run that still goes on is shown as one without an end."""
    for number, block in enumerate(said.media):
        yield medium_piece(f"p{number}", block).make()
    for piece in Renderer(said.provenance).pieces(said.transcript, closing=True):
        yield piece.make()
