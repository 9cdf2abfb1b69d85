"""A skill as a value: what its SKILL.md says, and where its files are."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agentnb.errors import UsageError
from agentnb.messages import JSONObject
from agentnb.skills.parse import NAMES, Document, parse, read
from agentnb.skills.properties import of
from agentnb.skills.steps import Step, read_steps
from agentnb.skills.validate import folder_name, problems

#: Bundled files that are named to a model, and that are counted at all.
NAMED_FILES, COUNTED_FILES = 40, 2000
_TOOL = re.compile(r"[^\s,(]+(?:\([^)]*\))?")


@dataclass(frozen=True, slots=True)
class Skill:
    """A skill: instructions that a model reads when it chooses to, or `steps` that run instead.

    `folder` is None for a workflow that was made in Python. `allowed_tools` None says that nothing was said of it.
    `parameters` is the JSON Schema of what the steps take.
    """

    name: str
    description: str
    folder: Path | None = None
    body: str = ""
    allowed_tools: tuple[str, ...] | None = None
    license: str | None = None
    compatibility: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    parameters: JSONObject | None = None

    @property
    def id(self) -> str:
        """What it is called among all tools of a workspace."""
        return f"skill-{self.name}"

    def again(self) -> Skill:
        """The same as its SKILL.md says now. Raises UsageError where there is none any more, or a broken one."""
        return self if self.folder is None else read_skill(self.folder)


def read_skill(folder: Path | str) -> Skill:
    """The skill in a folder. Raises UsageError, with all that is wrong with it, for what is none."""
    where = Path(os.path.expanduser(folder)).absolute()
    try:
        document = parse(read(where))
    except UsageError as error:
        raise _no_skill(where, str(error)) from None
    found = problems(document.fields, folder_name(where))
    if found:
        raise _no_skill(where, " ".join(found))
    return _skill(document, where)


def _no_skill(where: Path, why: str) -> UsageError:
    shown = str(where)
    return UsageError(why if shown in why else f"{shown!r} is no skill: {why}")


def _skill(document: Document, where: Path) -> Skill:
    known = of(document)
    try:
        steps = read_steps(document.typed.get("steps"))
    except UsageError as error:
        raise _no_skill(where, str(error)) from None
    parameters = document.typed.get("parameters")
    return Skill(
        known.name,
        known.description,
        where,
        document.body,
        None if known.allowed_tools is None else tuple(_TOOL.findall(known.allowed_tools)),
        known.license,
        known.compatibility,
        known.metadata or {},
        steps,
        parameters if isinstance(parameters, dict) else None,
    )


def bundled(folder: Path) -> tuple[list[str], int]:
    """The files beside a SKILL.md, by paths from its folder, the first of them; and how many more there are.

    Hidden ones are left out, links to folders are not followed.
    """
    names: list[str] = []
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
        here = Path(at).relative_to(folder)
        names += [(here / name).as_posix() for name in sorted(files) if not name.startswith(".")]
        if len(names) > COUNTED_FILES:
            break
    names = [name for name in names if name not in NAMES][:COUNTED_FILES]
    return names[:NAMED_FILES], len(names[NAMED_FILES:])
