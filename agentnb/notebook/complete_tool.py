"""Tab behind `%tool`: verbs, tools and where they come from, files, saved tools, and arguments of a call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agentnb.approval import APPROVALS
from agentnb.errors import AgentnbError
from agentnb.notebook import call_line, openapi_verb, tool_shelf
from agentnb.notebook.tool_magics import VERBS
from agentnb.notebook.tool_rules import DEFAULT
from agentnb.passing import properties
from agentnb.workspace import Workspace


def suggest(workspace: Workspace, earlier: Sequence[str], word: str, functions: Sequence[str]) -> Sequence[str]:
    """What may stand at `word`; `functions` are those that can become tools."""
    if not earlier:
        return [*VERBS, *functions]
    verb, *named = earlier
    match verb:
        case "load" | "forget" | "export" | "import" | "openapi":
            return _from_files(workspace, verb, named, word)
        case "call":
            return _arguments(workspace, named[0], named[1:], word) if named else _tools(workspace, word)
        case "on" | "off" | "rm" | "list" | "approve":
            rules = [*APPROVALS, DEFAULT, "--notebook"] if verb == "approve" and named else []
            return [*rules, *_tools(workspace, word), *workspace.toolbox.toolsets()]
    if verb not in VERBS:
        return functions
    return _tools(workspace, word) if not named or verb == "save" else []


def _from_files(workspace: Workspace, verb: str, named: Sequence[str], word: str) -> Sequence[str]:
    """Files, and the tools that are kept in some of them."""
    match verb:
        case "load":
            return [*_saved(workspace), *_files(word, ".py")]
        case "forget":
            return _saved(workspace)
        case "import":
            return ["--yes", *_files(word, ".json")]
        case "openapi":
            flags = [f"--{option.name}" for option in openapi_verb.OPTIONS]
            return flags if word.startswith("-") else _files(word, ".json", ".yaml", ".yml")
    return [*_tools(workspace, word), *_saved(workspace)] if named else _files(word, ".json")


def _arguments(workspace: Workspace, name: str, given: Sequence[str], word: str) -> Sequence[str]:
    """The names of arguments that are not there yet; behind one, what it may be."""
    last = given[-1] if given else ""
    if last in ("-f", "--format"):
        return call_line.FORMATS
    if word.startswith("-"):
        return [f"--{option.name}" for option in call_line.CALL_OPTIONS]
    try:
        known = properties(workspace.toolbox.get(name).tool.spec(workspace.namespace))
    except AgentnbError:
        return []
    if last not in known:
        return [f"{key}=" for key in known if key not in given]
    variables = [f"@{each}" for each in workspace.namespace if not each.startswith("_")]
    if word.startswith("@"):
        return variables
    values = known[last].get("enum")
    if isinstance(values, list):
        return [str(value) for value in values]
    return ["true", "false"] if known[last].get("type") == "boolean" else variables


def _tools(workspace: Workspace, word: str) -> list[str]:
    """The names of all tools; once something is written, their ids as well."""
    listed = workspace.toolbox.listed()
    return [*(each.name for each in listed), *(each.id for each in listed if word and each.id != each.name)]


def _saved(workspace: Workspace) -> list[str]:
    return [each.name for each in tool_shelf.shelf(workspace).list()]


def _files(word: str, *kinds: str) -> list[str]:
    """Files of some kinds, and folders, that a path may go on with."""
    head, slash, _ = word.rpartition("/")
    try:
        below = sorted(Path(f"{head}{slash}" or ".").expanduser().iterdir())
    except (OSError, RuntimeError):  # no such folder, no such person
        return []
    shown = [each for each in below if not each.name.startswith(".")]
    return [f"{head}{slash}{each.name}{'/' * each.is_dir()}" for each in shown if each.is_dir() or each.suffix in kinds]
