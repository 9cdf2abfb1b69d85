"""What a model is told of the place where it works, composed anew for each cell within a budget of tokens."""

from __future__ import annotations

from agentnb.context.parts import Part

__all__ = ["Part"]
