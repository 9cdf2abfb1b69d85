"""What is wrong with a skill's folder, all of it, by the rules of the Agent Skills specification."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from agentnb.errors import UsageError
from agentnb.messages import JSON, JSONObject
from agentnb.skills.parse import find, parse, read
from agentnb.skills.steps import read_steps

FIELDS = ("name", "description", "license", "compatibility", "metadata", "allowed-tools")
MOST_NAME, MOST_DESCRIPTION, MOST_COMPATIBILITY = 64, 1024, 500


def validate(folder: Path) -> list[str]:
    """Every problem of a skill's folder, a sentence each; none where it is a skill."""
    try:
        if not folder.exists():
            return [f"There is no {str(folder)!r}."]
        if not folder.is_dir():
            return [f"{str(folder)!r} is not a folder. A skill is a folder with a SKILL.md."]
        if find(folder) is None:
            return [f"SKILL.md is missing in {str(folder)!r}."]
        document = parse(read(folder))
    except OSError as error:
        return [f"{str(folder)!r} cannot be read: {error.strerror}."]
    except UsageError as error:
        return [str(error)]
    found = problems(document.fields, folder_name(folder))
    try:
        read_steps(document.typed.get("steps"))
    except UsageError as error:
        found.append(str(error))
    return found


def folder_name(folder: Path) -> str:
    """What a folder is called, also where it was given as `.`; a link is called what the link is."""
    return folder.name if folder.name not in ("", "..") else folder.resolve().name


def problems(fields: JSONObject, folder: str | None = None) -> list[str]:
    """Every problem of a front matter; `folder` is the name that the skill's must be."""
    return [
        *_unknown(fields),
        *_required(fields, folder),
        *_texts(fields),
        *_allowed_tools(fields.get("allowed-tools", "")),
    ]


def _unknown(fields: JSONObject) -> Iterator[str]:
    unknown = sorted(set(fields) - set(FIELDS))
    if unknown:
        one = "is no field" if len(unknown) == 1 else "are no fields"
        yield f"{', '.join(unknown)} {one} of a SKILL.md: it has {', '.join(FIELDS)}; put others under metadata."


def _required(fields: JSONObject, folder: str | None) -> Iterator[str]:
    for field in ("name", "description"):
        value = fields.get(field)
        if field not in fields:
            yield f"The front matter has no {field}."
        elif not isinstance(value, str) or not value.strip():
            yield f"{field} must be a text, and not empty."
        elif field == "name":
            yield from _name(unicodedata.normalize("NFKC", value.strip()), folder)
        elif len(value) > MOST_DESCRIPTION:
            yield f"description has {len(value):,} characters, more than {MOST_DESCRIPTION:,}."


def _name(name: str, folder: str | None) -> Iterator[str]:
    shown = f"name {name!r}" if len(name) <= MOST_NAME else f"name '{name[:MOST_NAME]}…'"
    if len(name) > MOST_NAME:
        yield f"{shown} has {len(name):,} characters, more than {MOST_NAME}."
    if name != name.lower():
        yield f"{shown} must be in lower case."
    if name.startswith("-") or name.endswith("-"):
        yield f"{shown} must not begin or end with a hyphen."
    if "--" in name:
        yield f"{shown} must not have two hyphens in a row."
    if not all(char.isalnum() or char == "-" for char in name):
        yield f"{shown} may have letters, digits and hyphens only."
    if folder is not None and unicodedata.normalize("NFKC", folder) != name:
        yield f"{shown} must be the name of its folder, {folder!r}: rename one of them."


def _texts(fields: JSONObject) -> Iterator[str]:
    compatibility = fields.get("compatibility", "any")
    if not isinstance(compatibility, str) or not compatibility.strip():
        yield "compatibility must be a text, and not empty, where it is given."
    elif len(compatibility) > MOST_COMPATIBILITY:
        yield f"compatibility has {len(compatibility):,} characters, more than {MOST_COMPATIBILITY}."
    if not isinstance(fields.get("license", ""), str):
        yield "license must be a text: a license's name, or that of a file beside SKILL.md."
    if not isinstance(fields.get("metadata", {}), dict):
        yield "metadata must be a mapping of texts to texts."


def _allowed_tools(value: JSON) -> Sequence[str]:
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        return ()
    return ("allowed-tools must be a text of names with spaces between them, or a list of names.",)
