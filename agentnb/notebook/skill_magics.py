"""`%skill`: the skills that agents of this notebook may open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand

from agentnb.errors import UsageError, nearest
from agentnb.notebook import show
from agentnb.notebook.options import shell_words
from agentnb.notebook.tables import Table
from agentnb.skills.parse import find
from agentnb.skills.shelf import Loaded, places
from agentnb.skills.skill import Skill, bundled
from agentnb.skills.validate import problems, validate
from agentnb.skills.workflow import label
from agentnb.workspace import Workspace

VERBS = ("list", "load", "show", "rm", "new", "validate")
_HELP = """%skill [list]             the skills that models are offered, by name and description
%skill load               load those in ./skills, ./.claude/skills, ~/.claude/skills and agentnb's own folder
%skill load DIR           load the skill in a folder, or all skills in the folders below it
%skill show NAME          what a skill says of itself, its files, and its document
%skill rm NAME            offer it no longer; its folder stays
%skill new NAME           begin a skill in ./skills/NAME
%skill validate DIR       what is wrong with a skill's folder, by the Agent Skills specification

A model first sees names and descriptions. When it calls one, it gets the document, a shell in the skill's folder,
fetch, and the skill's files. %%agent --skill NAME|DIR offers one in a single cell."""
_NEW = """---
name: {name}
description: Say in a sentence or two what this does, and when to use it. This is all a model sees at first.
---

# {name}

Say here, step by step, what to do.

1. Read `references/example.md` if …
2. Run `python scripts/example.py …`
3. Answer with …
"""


@magics_class
class SkillMagics(Magics):
    """`%skill` over one workspace."""

    def __init__(self, shell: InteractiveShell, workspace: Workspace) -> None:
        super().__init__(shell)
        self.workspace = workspace

    @no_var_expand
    @line_magic
    @show.documented(_HELP)
    def skill(self, line: str) -> None:
        """List, load, show, forget, begin and check skills."""
        words = shell_words(line)
        if {"--help", "-h"} & set(words[:2]):
            show.text(_HELP)
        elif words in ([], ["list"]):
            show.table(skills(self.workspace), self.workspace.mask)
        elif words[0] not in VERBS:
            raise UsageError(f"%skill has no verb {words[0]!r}.{nearest(words[0], VERBS)} See %skill --help")
        else:
            self._do(words[0], words[1:])

    def _do(self, verb: str, rest: Sequence[str]) -> None:
        match verb, rest:
            case "load", []:
                self._load_places()
            case "load", folders:
                for folder in folders:
                    self._load(Path(folder).expanduser())
            case "show", [name]:
                self._say(_shown(self.workspace.skills.get(name).again()))
            case "rm", [_, *_]:
                for name in rest:
                    self.workspace.skills.remove(name)
                    show.text(f"{name} is not offered any more.")
            case "new", [name]:
                show.text(_begin(name))
            case "validate", [folder]:
                self._say(_checked(Path(folder).expanduser()))
            case _:
                what = "a folder" if verb == "validate" else "the name of a skill"
                raise UsageError(f"%skill {verb} needs {what}, and nothing else. See %skill --help")

    def _load_places(self) -> None:
        looked = places(self.workspace.environ)
        found = self.workspace.skills.load_places(looked)
        if not found.skills and not found.skipped:
            raise UsageError(f"There is no skill in {', '.join(map(str, looked))}. %skill new NAME begins one.")
        self._report(found)

    def _load(self, folder: Path) -> None:
        if find(folder) or not folder.is_dir():
            self._report(Loaded((self.workspace.skills.load(folder),)))
            return
        found = self.workspace.skills.load_dir(folder)
        if not found.skills and not found.skipped:
            raise UsageError(f"There is no skill in {str(folder)!r}: neither it nor a folder in it has a SKILL.md.")
        self._report(found)

    def _report(self, found: Loaded) -> None:
        lines = [f"✓ {skill.name}: {skill.description}" for skill in found.skills]
        self._say("\n".join([*lines, *(f"✗ {reason}" for reason in found.skipped)]))

    def _say(self, words: str) -> None:
        show.foreign(words, self.workspace.mask)


def skills(workspace: Workspace) -> Table:
    """The skills that are loaded."""
    rows = tuple(
        (skill.name, _kind(skill), _where(skill.folder), skill.description) for skill in workspace.skills.list()
    )
    note = "" if rows else "No skills yet. %skill load looks for some; %skill new NAME begins one."
    return Table(("skill", "what", "folder", "description"), rows, note)


def _where(folder: Path | None) -> str:
    """A folder in few words: from here, or from home."""
    for base, sign in ((Path.cwd(), Path()), (Path.home(), Path("~"))):
        if folder is not None and folder.is_relative_to(base):
            return str(sign / folder.relative_to(base))
    return str(folder or "")


def _kind(skill: Skill) -> str:
    if skill.steps:
        return f"{len(skill.steps)} step{'s' * (len(skill.steps) != 1)}"
    names, more = bundled(skill.folder) if skill.folder else ([], 0)
    count = len(names) + more
    return f"{count} file{'s' * (count != 1)}" if count else "document"


def _shown(skill: Skill) -> str:
    allowed = None if skill.allowed_tools is None else " ".join(skill.allowed_tools) or "none"
    known = {
        "name": skill.name,
        "description": skill.description,
        "folder": skill.folder,
        "license": skill.license,
        "compatibility": skill.compatibility,
        "allowed tools": allowed,
        **{key: value for key, value in skill.metadata.items() if key not in ("steps", "parameters")},
    }
    lines = [f"{key}: {value}" for key, value in known.items() if value is not None]
    lines += [f"step {number}: {label(step)}" for number, step in enumerate(skill.steps, 1)]
    names, more = bundled(skill.folder) if skill.folder else ([], 0)
    if names:
        lines.append(f"files: {', '.join(names)}{f' and {more} more' if more else ''}")
    return "\n".join([*lines, "", skill.body]).rstrip()


def _begin(name: str) -> str:
    found = problems({"name": name, "description": "A skill."}, name)
    if found:
        raise UsageError(" ".join(found))
    folder = Path("skills") / name
    try:
        folder.mkdir(parents=True)
        (folder / "SKILL.md").write_text(_NEW.format(name=name), "utf-8")
    except FileExistsError:
        raise UsageError(f"There is a {str(folder)!r} already. Take another name, or remove it.") from None
    except OSError as error:
        raise UsageError(f"{str(folder)!r} cannot be made: {error.strerror}.") from None
    return f"{folder / 'SKILL.md'} is there. Write what it does into it, then: %skill load {folder}"


def _checked(folder: Path) -> str:
    """The problems of a folder; of those in it, where it is none itself."""
    below = [] if find(folder) or not folder.is_dir() else sorted(each for each in folder.iterdir() if find(each))
    lines = []
    for each in below or [folder]:
        found = validate(each)
        lines += [f"✗ {each.name or each}: {problem}" for problem in found] or [f"✓ {each.name or each}"]
    return "\n".join(lines)
