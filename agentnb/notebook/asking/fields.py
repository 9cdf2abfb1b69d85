"""A JSON Schema as the fields of a form: what a person fills in, and what their words mean."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentnb.messages import JSON, JSONObject

Kind: TypeAlias = Literal["text", "multiline", "secret", "integer", "number", "boolean", "choice", "several", "json"]

#: Characters above which a text wants more than a line.
_LONG = 80
_LONG_NAMES = frozenset(("code", "content", "body", "text", "script", "command", "source", "query", "prompt", "task"))
#: How deep references to references are followed: a schema may be a circle.
_DEPTH = 16
_WORDS: Mapping[Kind, str] = {
    "text": "text",
    "multiline": 'text, or a "JSON string"',
    "secret": "not shown",
    "integer": "whole number",
    "number": "number",
    "boolean": "yes or no",
    "json": "JSON",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One value of a field that offers several, and what a person reads."""

    value: JSON
    label: str


@dataclass(frozen=True, slots=True)
class Field:
    """One entry of a form. `least` and `most` bound a number; `type` is what a JSON field must be, where known."""

    name: str
    kind: Kind
    label: str
    description: str = ""
    required: bool = False
    default: JSON = None
    has_default: bool = False
    options: tuple[Option, ...] = ()
    least: float | None = None
    most: float | None = None
    type: str = ""

    @property
    def hint(self) -> str:
        """What may be entered, in a few words."""
        if self.options:
            shown = ", ".join(option.label for option in self.options)
            return f"{shown}; several with commas" if self.kind == "several" else shown
        return (
            "a JSON list" if self.type == "array" else "a JSON object" if self.type == "object" else _WORDS[self.kind]
        )

    def read(self, text: str) -> JSON:
        """What a person's words mean. Raises ValueError, which says what would be right."""
        text = text if self.kind in ("text", "secret") else text.strip()
        match self.kind:
            case "multiline":
                return _maybe_json_text(text)
            case "text" if text.strip() == '""':
                return ""
            case "integer" | "number":
                return self._number(text)
            case "boolean":
                return _truth(text)
            case "choice":
                return self._picked(text)
            case "several":
                return [self._picked(each.strip()) for each in text.split(",") if each.strip()]
            case "json":
                return self._json(text)
        return text

    def _number(self, text: str) -> int | float:
        try:
            value: int | float = int(text) if self.kind == "integer" else float(text)
        except ValueError:
            raise ValueError(f"{self.name} is a {_WORDS[self.kind]}, not {text!r}.") from None
        if not math.isfinite(value):
            raise ValueError(f"{self.name} is a {_WORDS[self.kind]}, not {text!r}.")
        if self.least is not None and value < self.least:
            raise ValueError(f"{self.name} is at least {self.least:g}.")
        if self.most is not None and value > self.most:
            raise ValueError(f"{self.name} is at most {self.most:g}.")
        return value

    def _picked(self, text: str) -> JSON:
        for option in self.options:
            if text in (option.label, _plain(option.value)):
                return option.value
        raise ValueError(f"{self.name} is one of {', '.join(option.label for option in self.options)}.")

    def _json(self, text: str) -> JSON:
        try:
            value: JSON = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{self.name} is not valid JSON: {error}.") from None
        if self.type == "array" and not isinstance(value, list):
            raise ValueError(f"{self.name} is a JSON list: […].")
        if self.type == "object" and not isinstance(value, dict):
            raise ValueError(f"{self.name} is a JSON object: {{…}}.")
        return value


def read_fields(schema: JSONObject | None, values: JSONObject | None = None) -> tuple[Field, ...]:
    """The fields of a form for an object of this schema, those that must be filled in as the schema orders them.

    `values` is what the form begins with: a long text gets room.
    """
    if schema is None:
        return ()
    properties, required = schema.get("properties"), schema.get("required")
    must = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    found = properties.items() if isinstance(properties, dict) else ()
    return tuple(_field(name, each, name in must, schema, (values or {}).get(name)) for name, each in found)


def _field(name: str, declared: JSON, required: bool, root: JSONObject, value: JSON) -> Field:
    schema = _resolved(declared, root)
    kind, options = _kind(name, schema, root, value)
    description, title, of_type = schema.get("description"), schema.get("title"), schema.get("type")
    return Field(
        name,
        kind,
        title if isinstance(title, str) and title.lower().replace(" ", "_") != name.lower() else name,
        description if isinstance(description, str) else "",
        required,
        schema.get("default"),
        "default" in schema,
        options,
        _bound(schema.get("minimum")),
        _bound(schema.get("maximum")),
        of_type if isinstance(of_type, str) and kind == "json" else "",
    )


def _kind(name: str, schema: JSONObject, root: JSONObject, value: JSON) -> tuple[Kind, tuple[Option, ...]]:
    if options := tuple(_options(schema)):
        return "choice", options
    match schema.get("type"):
        case "boolean":
            return "boolean", ()
        case "integer":
            return "integer", ()
        case "number":
            return "number", ()
        case "string" if value is None or isinstance(value, str):
            return _text_kind(name, schema, value or ""), ()
        case "array" if options := tuple(_options(_resolved(schema.get("items"), root))):
            return "several", options
    return "json", ()


def _text_kind(name: str, schema: JSONObject, value: str) -> Kind:
    if schema.get("format") == "password" or schema.get("writeOnly") is True:
        return "secret"
    long = "\n" in value or len(value) > _LONG or name.lower() in _LONG_NAMES
    return "multiline" if long or schema.get("format") == "multiline" else "text"


def _options(schema: JSONObject) -> Iterator[Option]:
    values = schema.get("enum")
    if isinstance(values, list):
        names = schema.get("enumNames")
        labels = names if isinstance(names, list) and len(names) == len(values) else values
        yield from (Option(value, _plain(label)) for value, label in zip(values, labels, strict=True))
        return
    named = schema.get("oneOf") or schema.get("anyOf")
    each = named if isinstance(named, list) else []
    if each and all(isinstance(one, dict) and "const" in one for one in each):
        for one in each:
            if isinstance(one, dict):
                yield Option(one["const"], _plain(one.get("title", one["const"])))


def _resolved(schema: JSON, root: JSONObject) -> JSONObject:
    """A schema without references, and without the "or null" of what may be left out."""
    for _ in range(_DEPTH):
        if not isinstance(schema, dict):
            return {}
        reference, either = schema.get("$ref"), schema.get("anyOf")
        rest = {name: value for name, value in schema.items() if name not in ("$ref", "anyOf")}
        if isinstance(reference, str):
            schema = {**_at(reference, root), **rest}
            continue
        cases = [one for one in either if one != {"type": "null"}] if isinstance(either, list) else []
        if len(cases) == 1 and isinstance(cases[0], dict):
            schema = {**cases[0], **rest}
            continue
        return schema
    return {}


def _at(reference: str, root: JSONObject) -> JSONObject:
    found: JSON = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _bound(value: JSON) -> float | None:
    try:
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    except OverflowError:  # a bound that no number reaches
        return None


def _plain(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _truth(text: str) -> bool:
    match text.lower():
        case "y" | "yes" | "true" | "1" | "on":
            return True
        case "n" | "no" | "false" | "0" | "off":
            return False
    raise ValueError(f"yes or no, not {text!r}.")


def _maybe_json_text(text: str) -> str:
    if text.startswith('"'):
        try:
            value = json.loads(text)
        except ValueError:
            return text
        if isinstance(value, str):
            return value
    return text
