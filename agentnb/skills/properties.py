"""What a SKILL.md says of itself: the part that a client reads at start-up, without the body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agentnb.errors import UsageError
from agentnb.messages import JSONObject
from agentnb.skills.parse import Document, parse, read


@dataclass(frozen=True, slots=True)
class Properties:
    """The fields of a front matter; None where one is not given. `allowed_tools` has spaces between the names."""

    name: str
    description: str
    license: str | None = None
    compatibility: str | None = None
    allowed_tools: str | None = None
    metadata: Mapping[str, str] | None = None

    def as_json(self) -> JSONObject:
        """The fields that were given, under the specification's names."""
        values: JSONObject = {
            "name": self.name,
            "description": self.description,
            "license": self.license,
            "compatibility": self.compatibility,
            "allowed-tools": self.allowed_tools,
            "metadata": None if self.metadata is None else {**self.metadata},
        }
        return {key: value for key, value in values.items() if value is not None}


def properties(folder: Path) -> Properties:
    """The properties of a skill's folder. Raises UsageError without a name and a description; checks nothing else."""
    return of(parse(read(folder)))


def of(document: Document) -> Properties:
    """The properties in a document. Raises UsageError without a name and a description."""
    fields = document.fields
    metadata = fields.get("metadata")
    return Properties(
        _needed(fields, "name"),
        _needed(fields, "description"),
        _text(fields, "license"),
        _text(fields, "compatibility"),
        _allowed(fields),
        {key: str(value) for key, value in metadata.items()} if isinstance(metadata, dict) else None,
    )


def _needed(fields: JSONObject, field: str) -> str:
    value = fields.get(field)
    if isinstance(value, str) and value.strip():
        return value.strip()
    wrong = f"no {field}" if field not in fields else f"a {field} that is empty or no text"
    raise UsageError(f"The front matter of SKILL.md has {wrong}. Write {field}: … there.")


def _text(fields: JSONObject, field: str) -> str | None:
    value = fields.get(field)
    return value if isinstance(value, str) else None


def _allowed(fields: JSONObject) -> str | None:
    match fields.get("allowed-tools"):
        case str(text):
            return text
        case list(names) if all(isinstance(name, str) for name in names):
            return " ".join(map(str, names))
        case None:
            return None
    raise UsageError("allowed-tools in SKILL.md must be a text of names, or a list of names.")
