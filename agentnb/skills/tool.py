"""A skill as a tool: its name and description until the model calls it, then its document and what that needs."""

from __future__ import annotations

import asyncio
import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import TypeAlias

from agentnb.builtins.bash import Bash
from agentnb.builtins.fetch import Fetch
from agentnb.errors import ToolError, UsageError
from agentnb.messages import JSONObject, Text, ToolSpec
from agentnb.models.http import Http
from agentnb.skills.allowed import narrowed
from agentnb.skills.files import SkillFiles
from agentnb.skills.skill import Skill, bundled
from agentnb.tools.base import Tool, ToolContext, ToolReturn, Traits

#: Makes the tools that follow a skill's document, for its folder: a shell that works there, a door to the web.
Unlocks: TypeAlias = Callable[[Path], Sequence[Tool]]

_UNLOCKED = ("bash", "fetch")


def built_ins(
    http: Http | Callable[[], Http], *, environ: Mapping[str, str], hidden: Callable[[], Iterable[str]]
) -> Unlocks:
    """The shell and the door to the web, for any folder; `hidden` names variables that commands must not see."""
    return lambda folder: (Bash(folder, environ=environ, hidden=hidden), Fetch(http, environ=environ))


class SkillTool:
    """Offers a skill by name and description; a call opens it: the document, and tools that work in its folder.

    `unlocks` makes those tools; the skill's `allowed-tools` narrow them. Reading its own files is always possible, and
    those of skills in `others`, which may be open as well.
    """

    parallel = False

    def __init__(self, skill: Skill, unlocks: Unlocks, others: Callable[[], Iterable[Path]] = tuple) -> None:
        self.skill = skill
        self.name = tool_name(skill.name)
        self._unlocks = unlocks
        self._others = others

    def __repr__(self) -> str:
        return f"<skill {self.skill.name}>"

    @property
    def traits(self) -> Traits:
        """Opening a skill only shows a document, so it does not ask; what it unlocks has rules of its own."""
        return Traits(self.skill.id, "skills", "always")

    def spec(self, _: MutableMapping[str, object]) -> ToolSpec:
        """Name and description, and nothing to fill in."""
        return ToolSpec(self.name, description(self.skill), {"type": "object", "properties": {}})

    async def call(self, _arguments: JSONObject, _context: ToolContext) -> ToolReturn:
        """Open it as its SKILL.md is now. Raises ToolError where that is gone or broken."""
        return await self.reopen()

    async def reopen(self) -> ToolReturn:
        """The same, for a run that opened it before a pause."""
        try:
            skill = await asyncio.to_thread(self.skill.again)
        except UsageError as error:
            raise ToolError(f"the skill {self.skill.name!r} cannot be opened. {error}") from None
        if skill.folder is None:
            raise ToolError(f"the skill {skill.name!r} has no document.")
        names, more = await asyncio.to_thread(bundled, skill.folder)
        files: list[Tool] = [SkillFiles(skill.folder, self._others)] if names else []
        tools = [*narrowed(self._unlocks(skill.folder), skill.allowed_tools), *files]
        text = opened(skill, [tool.name for tool in tools], names, more)
        return ToolReturn((Text(text),), unlocks=tuple(tools), used_up=True)


def opened(skill: Skill, tools: Sequence[str], files: Sequence[str], more: int) -> str:
    """What the model reads when it has chosen a skill: where it is, what there is to use, and the whole document."""
    use = f"with the built-in tools ({', '.join(tools)})" if tools else "with the tools you have"
    lines = [
        f"The user's agent chose the skill {skill.name}. Its document follows: do what it says to answer the user's "
        f"request, {use}.",
        f"Skill directory: {_told(skill.folder)}",
    ]
    if files:
        rest = f" and {more} more" if more else ""
        lines.append(f"Bundled files: {', '.join(files)}{rest}")
    return "\n\n".join([*lines, skill.body or "(The document says nothing more.)"])


def _told(folder: Path | None) -> str:
    """A folder below the notebook's as it is from there: so a conversation is the same on every machine."""
    here = Path.cwd()
    return str(folder.relative_to(here) if folder is not None and folder.is_relative_to(here) else folder)


def description(skill: Skill) -> str:
    """What a model is told that a skill is for; with its real name, where a model could not call it by that."""
    own = tool_name(skill.name) == unicodedata.normalize("NFKC", skill.name)
    return skill.description if own else f"{skill.name}: {skill.description}"


def tool_name(name: str) -> str:
    """A skill's name as models can call it: its own, or what is left of it in ASCII with a short digest.

    One that is named like a tool that skills unlock would be taken away together with it.
    """
    name = unicodedata.normalize("NFKC", name)
    if name in _UNLOCKED:
        return f"skill-{name}"
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        return name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40]
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return "-".join(filter(None, ("skill", plain, digest)))
