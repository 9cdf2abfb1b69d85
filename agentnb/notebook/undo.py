"""`%agent undo`: what the newest call of a built-in tool changed is taken back."""

from __future__ import annotations

from agentnb.workspace import Workspace


def wanted(line: str, body: str | None) -> bool:
    """Whether a line is `%agent undo`: exactly that word; any other is a prompt."""
    return body is None and line.strip() == "undo"


def undo(workspace: Workspace) -> str:
    """Take it back, and say what came of it; without secrets."""
    said = workspace.mask(workspace.undo())
    workspace.changed()  # a tool may have been among the variables
    return said
