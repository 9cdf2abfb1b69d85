"""Prompts are made of live objects: `{{expression}}` in a prompt becomes what a model can read of the value."""

from __future__ import annotations

from agentnb.prompting.blocks import to_blocks
from agentnb.prompting.budget import estimate_tokens
from agentnb.prompting.filling import Filled, evaluate, fill
from agentnb.prompting.media import to_media

__all__ = ["Filled", "estimate_tokens", "evaluate", "fill", "to_blocks", "to_media"]
