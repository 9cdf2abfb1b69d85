"""Tab behind `%template` and `--template`: verbs, templates, and `key=` for the placeholders of one."""

from __future__ import annotations

from collections.abc import Sequence

from agentnb.errors import AgentnbError
from agentnb.notebook.template_magics import VERBS
from agentnb.notebook.templated import PROMPT, SYSTEM
from agentnb.workspace import Workspace

_OPTIONS = (f"--{PROMPT}", f"--{SYSTEM}")


def suggest(workspace: Workspace, earlier: Sequence[str], word: str) -> Sequence[str]:
    """What may stand at `word` behind `%template` or `%%template`."""
    match earlier:
        case []:
            return [*VERBS, *workspace.templates.names()]
        case ["use", *named]:
            return _pairs(workspace, named)
        case ["show" | "history" | "restore" | "form" | "rename"] | ["rm", *_]:
            return workspace.templates.names()
        case ["show" | "restore", _] if word.startswith("-"):
            return ["--version"]
        case ["restore" | "show", name, "--version"]:
            return [str(each.version) for each in workspace.templates.history(name) if each.content is not None]
    return ()


def values(workspace: Workspace, earlier: Sequence[str]) -> Sequence[str] | None:
    """What may stand behind the last `--template NAME …` of a line; None where another option came since."""
    flags = [at for at, each in enumerate(earlier) if each.startswith("-")]
    if not flags or earlier[flags[-1]] not in _OPTIONS:
        return None
    return _pairs(workspace, earlier[flags[-1] + 1 :])


def _pairs(workspace: Workspace, named: Sequence[str]) -> Sequence[str]:
    """Names of templates; behind one, `key=` for what has no value yet; behind that, the notebook's variables."""
    if not named:
        return workspace.templates.names()
    try:
        known = workspace.templates.get(named[0]).arguments
    except AgentnbError:
        return ()
    if named[-1] in known and len(named) > 1:
        return [f"@{each}" for each in workspace.namespace if not each.startswith("_")]
    return [f"{each}=" for each in known if each not in named[1:]]
