"""A SKILL.md taken apart: YAML front matter and the Markdown below it. The only module that knows YAML."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.errors import UsageError
from agentnb.messages import JSON, JSONObject

if TYPE_CHECKING:
    import yaml

#: The name of the document, as the specification has it first.
NAMES = ("SKILL.md", "skill.md")
#: Bytes of a document: all of it goes to the model, and the specification asks for less than a tenth of this.
MOST_BYTES = 256 * 1024
MOST_FRONT_MATTER = 64 * 1024
DEEPEST = 30
_FENCE = "---"


@dataclass(frozen=True, slots=True)
class Document:
    """A SKILL.md: the fields of its front matter, every scalar as the text that was written, and the body.

    `typed` holds the entries of `metadata` that are lists and mappings, with numbers as numbers.
    """

    fields: JSONObject
    body: str
    typed: JSONObject = field(default_factory=dict)


def find(folder: Path) -> Path | None:
    """The document of a skill's folder; None where there is none."""
    # Not Path.is_file, which fails for a folder that may not be looked into.
    return next((folder / name for name in NAMES if os.path.isfile(folder / name)), None)


def read(folder: Path) -> str:
    """The document's text. Raises UsageError where there is none, or none that can be read."""
    try:
        path = find(folder)
        if path is None:
            gone = "" if folder.is_dir() else f" There is no folder {str(folder)!r}."
            raise UsageError(f"SKILL.md not found in {str(folder)!r}.{gone} A skill is a folder with a SKILL.md.")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"The SKILL.md of {str(folder)!r} cannot be read: {reason}.") from None
    if len(data) > MOST_BYTES:
        raise UsageError(
            f"{path} has more than {MOST_BYTES // 1024} KB, all of which a model would read. "
            "Move what it need not always know into files beside it."
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UsageError(f"{path} is not text in UTF-8. Save it as UTF-8.")
    return text


def parse(text: str) -> Document:
    """Take a document apart. Raises UsageError for what is no YAML mapping between two lines of `---` at its head."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if lines[0].rstrip() != _FENCE:
        raise UsageError("SKILL.md must start with YAML front matter: a line of --- at the very top.")
    end = next((at for at, line in enumerate(lines) if at and line.rstrip() == _FENCE), None)
    if end is None:
        raise UsageError("The front matter of SKILL.md is not closed: put a line of --- below its fields.")
    fields, typed = _mapping("".join(f"{line}\n" for line in lines[1:end]))
    return Document(fields, "\n".join(lines[end + 1 :]).strip(), typed)


def _mapping(text: str) -> tuple[JSONObject, JSONObject]:
    import yaml

    if len(text) > MOST_FRONT_MATTER:
        raise UsageError(f"The front matter of SKILL.md has more than {MOST_FRONT_MATTER // 1024} KB. Shorten it.")
    try:
        _check(yaml.parse(text, Loader=yaml.SafeLoader))
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(node, yaml.MappingNode):
            raise UsageError("The front matter of SKILL.md must be a YAML mapping: lines of `key: value`.")
        fields = _fields(node, typed=False)
        return _with_plain_metadata(fields), _typed(node)
    except yaml.YAMLError as error:
        raise UsageError(f"The front matter of SKILL.md is not valid YAML{_where(error)}.") from None


def _check(events: Iterator[yaml.Event]) -> None:
    """Refuse what grows when it is read, while it is read: the parser takes its time for what is nested deep."""
    import yaml

    depth = 0
    for event in events:
        if getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise UsageError("The front matter of SKILL.md uses YAML anchors or tags. Write the values out.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise UsageError(f"The front matter of SKILL.md is nested more than {DEEPEST} deep. Make it flatter.")


def _where(error: yaml.YAMLError) -> str:
    """Line, counted in the file, and what is wrong there."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    words = " ".join(str(problem or error).split())
    return f" (line {mark.line + 2}: {words})" if mark else f" ({words})"


def _fields(node: yaml.MappingNode, *, typed: bool) -> JSONObject:
    import yaml

    fields: JSONObject = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise UsageError(f"A key in the front matter of SKILL.md is not a word (line {key.start_mark.line + 2}).")
        if key.value in fields:
            raise UsageError(f"{key.value!r} is given twice in the front matter of SKILL.md.")
        fields[str(key.value)] = _value(value, typed=typed)
    return fields


def _value(node: yaml.Node, *, typed: bool) -> JSON:
    import yaml

    if isinstance(node, yaml.MappingNode):
        return _fields(node, typed=typed)
    if isinstance(node, yaml.SequenceNode):
        return [_value(each, typed=typed) for each in node.value]
    return _scalar(node) if typed else str(node.value)


def _scalar(node: yaml.Node) -> JSON:
    """A scalar as JSON has it; what JSON writes otherwise (a date, 1_000, .inf) stays text."""
    text = str(node.value)
    match node.tag.rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return text.lower() in ("true", "yes", "on")
        case "int" | "float":
            try:
                number: JSON = json.loads(text)
            except ValueError:
                return text
            return number
    return text


def _typed(node: yaml.MappingNode) -> JSONObject:
    import yaml

    below: Sequence[tuple[yaml.Node, yaml.Node]] = next(
        (value.value for key, value in node.value if key.value == "metadata" and isinstance(value, yaml.MappingNode)),
        [],
    )
    return {str(key.value): _value(value, typed=True) for key, value in below if not isinstance(value, yaml.ScalarNode)}


def _with_plain_metadata(fields: JSONObject) -> JSONObject:
    """The specification has texts in `metadata`, so what is more is written as one."""
    metadata = fields.get("metadata")
    if not isinstance(metadata, dict):
        return fields
    plain: JSONObject = {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in metadata.items()
    }
    return {**fields, "metadata": plain}
