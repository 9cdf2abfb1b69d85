"""The files that a skill brings along, for a model to read: those in its folder, and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from agentnb.builtins.files import ReadFile
from agentnb.builtins.folder import Folder
from agentnb.errors import ToolError, nearest
from agentnb.skills.skill import bundled
from agentnb.tools.base import ToolContext, ToolReturn

NAME = "read_skill_file"


class SkillFiles(ReadFile):
    """Reads files of a skill's folder, as `read_file` does those of the workspace.

    `others` are the folders of further skills: where several are open, an absolute path says which one is meant.
    """

    name = NAME

    def __init__(self, folder: Path, others: Callable[[], Iterable[Path]] = tuple) -> None:
        super().__init__(Folder(folder))
        self._skill = folder
        self._others = others

    async def run(self, context: ToolContext, path: str, offset: int = 1, limit: int = 2_000) -> ToolReturn:
        """Read a file that belongs to the skill: text with line numbers, or a picture.

        Args:
            path: The file, from the skill's directory on: references/guide.md
            offset: The first line to read, counted from 1.
            limit: How many lines to read at most.
        """
        other = next((each for each in self._others() if Path(path).is_absolute() and _is_of(path, each)), None)
        if other is not None and other != self._skill:
            return await SkillFiles(other).run(context, path, offset, limit)
        try:
            return await super().run(context, path, offset, limit)
        except ToolError as error:
            names, more = bundled(self._skill)
            there = f"{', '.join(names)}{f' and {more} more' if more else ''}" if names else "none"
            said = str(error).replace("the workspace folder", "the skill's directory")
            said = said.replace("list_files shows what is in it.", "").replace("Use python to read it.", "").strip()
            said = said if said.endswith(("?", ".")) else f"{said}."
            near = "" if "Did you mean" in said else nearest(path, names)
            raise ToolError(f"{said}{near} The skill's files: {there}.") from None


def _is_of(path: str, folder: Path) -> bool:
    """Whether a path is written as one of a folder; whether it really is, is checked where it is opened."""
    return Path(path).is_relative_to(folder)
