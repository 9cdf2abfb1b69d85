"""The `<available_skills>` block: how the reference implementation tells a model which skills there are."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from agentnb.skills.parse import find
from agentnb.skills.properties import properties


def prompt(folders: Iterable[Path]) -> str:
    """The block for skills' folders, everything in it escaped. Raises UsageError for a folder that is no skill."""
    lines = ["<available_skills>"]
    for folder in folders:
        where = folder.resolve()
        known = properties(where)
        lines.append("<skill>")
        for tag, text in (("name", known.name), ("description", known.description), ("location", str(find(where)))):
            lines += [f"<{tag}>", escape(text), f"</{tag}>"]
        lines.append("</skill>")
    return "\n".join([*lines, "</available_skills>"])
