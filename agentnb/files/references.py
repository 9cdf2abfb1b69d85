"""`<file>path</file>` in a prompt: the picture, or the text, that a file of the workspace holds."""

from __future__ import annotations

import os
from pathlib import PurePosixPath

from agentnb.builtins.folder import Folder
from agentnb.errors import PromptError, ToolError, nearest
from agentnb.messages import Image
from agentnb.prompting.files import decoded
from agentnb.prompting.pictures import image_from_bytes, image_type
from agentnb.prompting.plain import size

#: Bytes. A larger file is not read at all: what is sent of a text is far less.
LARGEST = 20_000_000


def referenced(folder: Folder, path: str, *, largest: int = LARGEST) -> str | Image:
    """What the file holds. Raises PromptError for one that is missing, outside, too large, neither picture nor text."""
    try:
        real = folder.resolve(path)
        if os.path.isdir(real):  # unlike Path's, it takes a name that is too long for any file
            raise PromptError("It is a folder. Name a file in it.")
        with folder.reading(path) as file:
            if (length := os.fstat(file.fileno()).st_size) > largest:
                raise PromptError(
                    f"It has {size(length)}, and {size(largest)} are the most that is read. Load what you need of it "
                    "into a variable, offer a tool that reads files, or write {{Path('…')}} for its two ends."
                )
            data = file.read(largest + 1)
    except ToolError as error:
        raise PromptError(_refused(folder, path, error)) from None
    if image_type(data):
        return image_from_bytes(data, real.name)
    text = decoded(data)
    if text is None:
        raise PromptError(
            f"Unsupported workspace file reference type: neither a picture nor text in UTF-8 ({size(length)}). Load it "
            "into a variable, or offer a tool that reads it."
        )
    return text


def _refused(folder: Folder, path: str, error: ToolError) -> str:
    words = str(error).removesuffix(".")
    if "Did you mean" in words:
        return words
    try:
        return f"{words}.{nearest(PurePosixPath(path).name, os.listdir(folder.root))}"
    except OSError:
        return f"{words}."
