"""The files that a skill brings along, for a model to read: those in its folder, and no others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import MutableMapping
from pathlib import Path

from agentnb.errors import ToolError, nearest
from agentnb.messages import JSONObject, Text, ToolSpec
from agentnb.skills.skill import bundled
from agentnb.tools.base import ToolContext, ToolReturn, Traits

NAME = "read_skill_file"
#: Characters of one answer, and bytes of a file that are looked at.
MOST_CHARACTERS, MOST_BYTES = 40_000, 4 * 1024 * 1024
_PARAMETERS: JSONObject = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "description": "the file, from the skill's directory: references/guide.md"},
        "offset": {"type": "integer", "description": "the character to begin at, for a long file", "minimum": 0},
    },
    "required": ["path"],
}


class SkillFiles:
    """Reads text files of one skill's folder."""

    name = NAME
    parallel = True

    def __init__(self, skill: str, folder: Path) -> None:
        self._skill = skill
        self._folder = folder

    @property
    def traits(self) -> Traits:
        """It reads what the person has put there for models, so it does not ask."""
        return Traits(f"builtin-{NAME}", "skills")

    def spec(self, _: MutableMapping[str, object]) -> ToolSpec:
        """What the model is told."""
        return ToolSpec(NAME, f"Read a file that belongs to the skill {self._skill}.", _PARAMETERS)

    async def call(self, arguments: JSONObject, _: ToolContext) -> ToolReturn:
        """The file's text. Raises ToolError for what is no file of the skill, or no text."""
        path, offset = arguments.get("path"), arguments.get("offset", 0)
        if not isinstance(path, str) or not path.strip():
            raise ToolError("path must be a text: the file, from the skill's directory.")
        if not isinstance(offset, int) or isinstance(offset, bool) or offset < 0:
            raise ToolError("offset must be a whole number from 0 on.")
        text = await asyncio.to_thread(self._read, path.strip())
        part = text[offset : offset + MOST_CHARACTERS]
        rest = len(text) - offset - len(part)
        more = f"\n\n… {rest:,} more characters: read on with offset={offset + len(part)}" if rest > 0 else ""
        return ToolReturn((Text(f"{part}{more}" if part else "(nothing there)"),))

    def _read(self, path: str) -> str:
        try:
            file = inside(self._folder, path)
            if not file.is_file():
                raise ToolError(self._missing(path))
            with open(file, "rb", opener=_no_link) as opened:
                data = opened.read(MOST_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise ToolError(f"{path!r} cannot be read: {reason}.") from None
        if len(data) > MOST_BYTES or b"\0" in data:
            what = f"more than {MOST_BYTES // 2**20} MB" if len(data) > MOST_BYTES else "no text"
            raise ToolError(f"{path!r} is {what}. Use a command for it: it is at {str(file)!r}.")
        return data.decode("utf-8", "replace")

    def _missing(self, path: str) -> str:
        names, more = bundled(self._folder)
        there = ", ".join(names) + (f" and {more} more" if more else "") if names else "none"
        return f"The skill has no file {path!r}.{nearest(path, names)} Its files: {there}."


def inside(folder: Path, path: str) -> Path:
    """The file that `path` names in a folder, links followed. Raises ToolError where it is not in the folder."""
    root = folder.resolve()
    try:
        found = (root / path).resolve()
    except RuntimeError as error:  # links in a circle, as Python before 3.13 says it
        raise ToolError(f"{path!r} cannot be read: {error}.") from None
    if not found.is_relative_to(root):
        raise ToolError(f"{path!r} is outside of the skill's directory. Only its own files can be read.")
    return found


def _no_link(path: str, flags: int) -> int:
    # What was checked is what is opened: a link that was put there meanwhile is not followed, a pipe not waited for.
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
