"""The skills of a workspace: loaded from folders, offered to every run as a toolset."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentnb import config
from agentnb.errors import UsageError, nearest
from agentnb.messages import JSONObject
from agentnb.skills.parse import find
from agentnb.skills.skill import Skill, read_skill
from agentnb.skills.tool import SkillTool, Unlocks
from agentnb.skills.workflow import Infer, Rule, Surroundings, WorkflowTool, execute_skill
from agentnb.tools.base import Tool, ToolContext, ToolReturn


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a look into a folder gave: skills, and for each that was passed over the reason, one line each."""

    skills: tuple[Skill, ...] = ()
    skipped: tuple[str, ...] = ()


class SkillShelf:
    """Skills by name; a Toolset of one tool each. Safe from any thread.

    `unlocks` makes the tools that follow an opened skill, for its folder; `tools` are those that the steps of a
    workflow may call, `infer` what its questions go to outside of a run, `rule` the person's rules by tool id.
    `changed` is called when there are others.
    """

    name = "skills"

    def __init__(
        self,
        unlocks: Unlocks = lambda _: (),
        *,
        tools: Callable[[], Mapping[str, Tool]] = dict,
        infer: Infer | None = None,
        rule: Rule = lambda _: None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._unlocks = unlocks
        self._tools = tools
        self._infer = infer
        self._rule = rule
        self._changed = changed
        self._lock = threading.Lock()
        self._shelf: dict[str, Skill] = {}
        self._made: dict[str, Tool] = {}
        self._looking = threading.local()

    # What there is

    def known(self) -> Sequence[Tool]:
        """A tool for each skill."""
        with self._lock:
            return list(self._made.values())

    async def ready(self) -> Sequence[Tool]:
        """The same: nothing has to be started."""
        return self.known()

    def list(self) -> list[Skill]:
        """The skills, in the order in which they came."""
        with self._lock:
            return [*self._shelf.values()]

    def get(self, name: str) -> Skill:
        """A skill by its name, or its id. Raises UsageError for one that is not loaded."""
        with self._lock:
            skill = self._shelf.get(name) or self._shelf.get(name.removeprefix("skill-"))
            known = [*self._shelf]
        if skill is None:
            raise UsageError(f"There is no skill {name!r}.{nearest(name, known)} %skill load DIR loads one.")
        return skill

    def tool(self, name: str) -> Tool:
        """The tool of a skill. Raises UsageError for one that is not loaded."""
        skill = self.get(name)
        with self._lock:
            return self._made[skill.name]

    # What comes and goes

    def load(self, folder: Path | str) -> Skill:
        """Load the skill in a folder; one of the same name is replaced. Raises UsageError, saying all that is wrong."""
        return self.add(read_skill(folder))

    def add(self, skill: Skill) -> Skill:
        """Put a skill on the shelf: one that was made in Python, with steps, needs no folder."""
        if skill.folder is None and not skill.steps:
            raise UsageError(f"Skill {skill.name!r} has neither a folder nor steps. Give it one of them.")
        made = WorkflowTool(skill, self._around) if skill.steps else SkillTool(skill, self._unlocks, self._folders)
        with self._lock:
            self._shelf[skill.name], self._made[skill.name] = skill, made
        self._changed()
        return skill

    def load_dir(self, base: Path | str) -> Loaded:
        """Load each folder in `base` that has a SKILL.md, by name; a broken one is passed over, and the reason given.

        Raises UsageError where `base` is no folder.
        """
        where = Path(os.path.expanduser(base)).absolute()
        try:
            folders = sorted(each for each in where.iterdir() if find(each))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise UsageError(f"No skills can be looked for in {str(where)!r}: {reason}.") from None
        skills: list[Skill] = []
        skipped: list[str] = []
        for folder in folders:
            try:
                skills.append(self.load(folder))
            except UsageError as error:
                skipped.append(str(error))
        return Loaded(tuple(skills), tuple(skipped))

    def load_places(self, folders: Sequence[Path]) -> Loaded:
        """Load what is in these folders, where they are; of two skills of one name the first stays."""
        skills: dict[str, Skill] = {}
        skipped: list[str] = []
        for base in folders:
            if not base.is_dir():
                continue
            held = SkillShelf()
            found = held.load_dir(base)
            skipped += found.skipped
            for skill in found.skills:
                if skill.name in skills:
                    skipped.append(f"{str(skill.folder)!r} is passed over: {skills[skill.name].folder} goes before it.")
                else:
                    skills[skill.name] = self.add(skill)
        return Loaded(tuple(skills.values()), tuple(skipped))

    def pick(self, words: Sequence[str]) -> Sequence[Tool]:
        """Tools of skills by name; a folder is loaded. Raises UsageError for what is neither."""
        picked = []
        for word in words:
            is_path = os.sep in word or word.startswith((".", "~"))
            loaded = any(word == skill.name for skill in self.list())
            if not loaded and (is_path or find(Path(word))):
                word = self.load(word).name
            picked.append(self.tool(word))
        return picked

    def remove(self, name: str) -> None:
        """Take a skill off the shelf; its folder stays. Raises UsageError for one that is not loaded."""
        skill = self.get(name)
        with self._lock:
            self._shelf.pop(skill.name, None)
            self._made.pop(skill.name, None)
        self._changed()

    async def execute_skill(self, name: str, context: JSONObject, tool_context: ToolContext) -> ToolReturn:
        """Run the steps of a workflow skill. Raises StepFailed at the first that fails, UsageError for no skill."""
        return await execute_skill(self.get(name).again(), context, self._around(), tool_context)

    def _folders(self) -> Iterable[Path]:
        return [skill.folder for skill in self.list() if skill.folder is not None]

    def _around(self) -> Surroundings:
        # Among the tools are ours, which are asked for their approval when tools are listed: once round is enough.
        if getattr(self._looking, "now", False):
            return Surroundings({}, self._infer, self._rule)
        self._looking.now = True
        try:
            return Surroundings(dict(self._tools()), self._infer, self._rule)
        finally:
            self._looking.now = False


def places(environ: Mapping[str, str], here: Path | None = None) -> list[Path]:
    """Where skills are looked for: beside the notebook, in the person's folders, in agentnb's own."""
    here = here or Path.cwd()
    own = [here / "skills", here / ".claude" / "skills", Path.home() / ".claude" / "skills"]
    return [*own, config.home(environ) / "skills"]
