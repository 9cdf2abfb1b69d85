"""What a person says of tools: that they go, what they are called, when they ask."""

from __future__ import annotations

from collections.abc import Sequence

from agentnb import config
from agentnb.approval import APPROVALS
from agentnb.errors import UsageError, nearest
from agentnb.notebook.tool_lists import approval
from agentnb.toolbox import Listed
from agentnb.tools.base import Approval, traits
from agentnb.workspace import Workspace

#: What takes a rule back: the tool's own holds again.
DEFAULT = "default"
_FLAG = "--notebook"
#: So many names are told of tools that were switched at once.
_TOLD = 12


def removed(workspace: Workspace, names: Sequence[str]) -> str:
    """Take tools away, and say what became of each. Raises UsageError where none of them is there."""
    if len(names) == 1:
        known = workspace.toolbox.all()
        if not workspace.toolbox.match(names[0]):
            raise UsageError(f"No tool {names[0]!r}.{nearest(names[0], known)} %tool lists them.")
    gone = workspace.toolbox.discard(names)
    if not (gone.deleted or gone.skipped):
        raise UsageError(f"No tools {', '.join(names)}. %tool lists them.")
    said = {
        "deleted": gone.deleted,
        "not found": gone.not_found,
        "skipped (still there, and switched off)": gone.skipped,
    }
    return "\n".join(f"{what}: {', '.join(each)}" for what, each in said.items() if each)


def switched(workspace: Workspace, names: Sequence[str], on: bool) -> str:
    """Offer tools, or not for now, and say which. Raises UsageError for one that there is not."""
    for name in names:
        workspace.toolbox.enable(name, on)
    which = list(dict.fromkeys(each.name for name in names for each in workspace.toolbox.match(name)))
    more = f" and {len(which) - _TOLD} more" if len(which) > _TOLD else ""
    return f"{', '.join(which[:_TOLD] or names)}{more}: {'offered' if on else 'not offered for now'}."


def rename(workspace: Workspace, names: Sequence[str]) -> str:
    """Let models know a tool by another name. Raises UsageError."""
    if len(names) != 2:
        raise UsageError("%tool rename takes the name it has and the one it gets: %tool rename OLD NEW")
    workspace.toolbox.rename(*names)
    return f"{names[0]} is {names[1]} from now on."


def approve(workspace: Workspace, given: Sequence[str]) -> str:
    """Say whether calls of tools ask first, or show it. Raises UsageError."""
    unknown = [word for word in given if word.startswith("-") and word != _FLAG]
    if unknown:
        raise UsageError(f"%tool approve has no option {unknown[0]}.{nearest(unknown[0], [_FLAG])}")
    names = [word for word in given if word != _FLAG]
    rule = next((each for each in APPROVALS if names and names[-1] == each), None)
    found = _found(workspace, names[:-1] if rule or names[-1:] == [DEFAULT] else names)
    if rule:
        for each in found:
            workspace.policy.remember(traits(each.tool).rule, rule, scope="notebook" if _FLAG in given else "session")
    elif names[-1:] == [DEFAULT]:
        for each in found:
            workspace.policy.forget(traits(each.tool).rule)
    workspace.changed()
    kept = _kept(workspace) if rule and _FLAG in given else ""
    return "\n".join(f"{each.name}: {_said(rule) if rule else approval(workspace, each)}{kept}" for each in found)


def _kept(workspace: Workspace) -> str:
    """How long a rule holds that is to outlive the kernel."""
    if config.notebook(workspace.environ, workspace.namespace) is None:
        return ", until the kernel ends: the front end does not say which notebook this is"
    return ", in this notebook also after a restart"


def _found(workspace: Workspace, names: Sequence[str]) -> list[Listed]:
    if not names:
        raise UsageError(f"%tool approve takes a tool and one of {', '.join((*APPROVALS, DEFAULT))}.")
    found = [each for name in names for each in workspace.toolbox.match(name) or [_one(workspace, name)]]
    return list({each.id: each for each in found}.values())


def _one(workspace: Workspace, name: str) -> Listed:
    try:
        return workspace.toolbox.get(name)
    except UsageError as error:
        if near := nearest(name, (*APPROVALS, DEFAULT)):
            raise UsageError(f"{error} As a rule:{near.removeprefix(' Did you mean')}") from None
        raise


def _said(rule: Approval) -> str:
    words = {"always": "always, without asking", "ask": "ask before each call", "never": "never"}
    return words[rule]
