"""A picture's bytes as a block, for tools: what cannot be shown is a result that the model reads."""

from __future__ import annotations

from agentnb.errors import PromptError, ToolError
from agentnb.messages import Image
from agentnb.prompting.pictures import image_from_bytes


def picture(data: bytes, alt: str) -> Image:
    """The picture, scaled where providers would refuse it. Raises ToolError for one that is damaged."""
    try:
        return image_from_bytes(data, alt)
    except PromptError as error:
        raise ToolError(str(error)) from None
