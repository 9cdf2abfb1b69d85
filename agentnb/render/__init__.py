"""What a run looks like: a transcript in, ordered MIME bundles out; pure, and the one place that escapes."""

from agentnb.render.bundles import FORMATS, Format, Renderer, bundles, footer, plain, summary
from agentnb.render.pieces import Bundle, Piece
from agentnb.render.record import RUN_MIME, Provenance
from agentnb.render.spent import money, spent, usd

__all__ = [
    "FORMATS",
    "RUN_MIME",
    "Bundle",
    "Format",
    "Piece",
    "Provenance",
    "Renderer",
    "bundles",
    "footer",
    "money",
    "plain",
    "spent",
    "summary",
    "usd",
]
