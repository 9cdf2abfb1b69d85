"""What a docstring says of a function and of its parameters, for the model to read."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field

#: The longest description that OpenAI's API takes, in characters.
LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Documentation:
    """A function's description and the descriptions of its parameters."""

    description: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_docstring(text: str | None) -> Documentation:
    """Read a Google, NumPy or Sphinx docstring; a text in none of these styles is all description."""
    if not text or not text.strip():
        return Documentation()
    import docstring_parser

    text = inspect.cleandoc(text)
    try:
        parsed = docstring_parser.parse(text)
    except docstring_parser.ParseError:
        return Documentation(_cut(text))
    parameters = {
        name.strip().lstrip("*"): " ".join(p.description.split())
        for p in parsed.params
        for name in p.arg_name.split(",")
        if p.description
    }
    return Documentation(_cut(parsed.description or ""), parameters)


def _cut(text: str) -> str:
    text = text.strip()
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"
