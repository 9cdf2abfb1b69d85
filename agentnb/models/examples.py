"""Worked examples for small models, made from the tools' own schemas: they imitate better than they follow rules."""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence

from agentnb.messages import JSON, JSONObject, ToolSpec

_EXAMPLE = re.compile(r"\b(?:e\.g\.|for example|such as)[,:]? [\"'`]([^\"'`\n]{1,60})[\"'`]", re.IGNORECASE)
_SAMPLES: Mapping[str, JSON] = {"boolean": True, "null": None}
_BOUNDS: Mapping[str, Callable[[float, float], bool]] = {
    "minimum": operator.ge,
    "maximum": operator.le,
    "exclusiveMinimum": operator.gt,
    "exclusiveMaximum": operator.lt,
}


def signature(tool: ToolSpec, schema: JSONObject) -> str:
    """`name(a: "x"|"y", n?: integer): what it does`; `schema` is the tool's schema with its `$ref`s put in place."""
    properties, required = _properties(schema)
    described = _properties(tool.parameters)[0]
    parameters = [
        f"{name}{'' if name in required else '?'}: {_kind(part)}{_note(described.get(name))}"
        for name, part in properties.items()
    ]
    return f"{tool.name}({', '.join(parameters)}): {first_sentence(tool.description)}"


def first_sentence(text: str) -> str:
    """The first line of a description, without its last full stop."""
    return text.strip().split("\n", 1)[0].rstrip(".")


def example_arguments(schema: JSONObject) -> JSONObject:
    """Arguments that fit the schema: its first enum values, and plain samples; optional ones are left out."""
    properties, required = _properties(schema)
    return {name: example_value(part) for name, part in properties.items() if name in required}


def example_value(schema: JSON) -> JSON:
    """A value that fits a schema."""
    if not isinstance(schema, dict):
        return None
    if "const" in schema:
        return schema["const"]
    for keyword in ("enum", "anyOf", "allOf"):
        choices = schema.get(keyword)
        if isinstance(choices, list) and choices:
            return choices[0] if keyword == "enum" else example_value(choices[0])
    return _plain(schema)


def _plain(schema: JSONObject) -> JSON:
    match schema.get("type"):
        case "object":
            return example_arguments(schema)
        case "array":
            return _list(schema)
        case "integer":
            return _number(schema, 3)
        case "number":
            return _number(schema, 2.5)
        case "string":
            return "example"[: _count(schema, "maxLength", 7)].ljust(_count(schema, "minLength", 0), "e")
        case str(kind):
            return _SAMPLES.get(kind)
    return None


def _list(schema: JSONObject) -> list[JSON]:
    """One item, or as many as there must be."""
    first = schema.get("prefixItems")
    kinds = first if isinstance(first, list) else []
    count = min(max(_count(schema, "minItems", 1), len(kinds), 1), _count(schema, "maxItems", 100))
    kinds = [*kinds, *[schema.get("items")] * count]
    return [example_value(kind) for kind in kinds[:count]]


def _number(schema: JSONObject, sample: float) -> float:
    """The sample if it is within the bounds, else a number that is: a bound, its neighbour, or the middle."""
    bounds = {key: limit for key in _BOUNDS if isinstance(limit := schema.get(key), int | float)}
    ends = bounds.values()
    tried = [sample, *ends, *(math.floor(end) + 1 for end in ends), *(math.ceil(end) - 1 for end in ends)]
    tried.append(sum(ends) / max(len(ends), 1))
    fitting = (n for n in tried if all(_BOUNDS[key](n, limit) for key, limit in bounds.items()))
    if schema.get("type") == "integer":
        return next((int(n) for n in fitting if n == int(n)), sample)
    return next(fitting, sample)


def _count(schema: JSONObject, keyword: str, otherwise: int) -> int:
    count = schema.get(keyword)
    return count if isinstance(count, int) else otherwise


def example_turns(tools: Sequence[tuple[ToolSpec, JSONObject]], *, most: int = 4) -> list[tuple[str, JSONObject]]:
    """Questions with their decisions, tools first: one for each of the first `most` tools."""
    turns: list[tuple[str, JSONObject]] = []
    for tool, schema in tools[:most]:
        described = _properties(tool.parameters)[0]
        arguments = {name: _named(described.get(name), value) for name, value in example_arguments(schema).items()}
        given = words(arguments)
        asked = first_sentence(tool.description) or tool.name.replace("_", " ")
        turns.append((f"{asked}: {given}" if given else asked, {"tool": tool.name, "arguments": arguments}))
    return turns


def _named(schema: JSON, otherwise: JSON) -> JSON:
    """The example that whoever wrote the tool gives: under `examples`, or as `e.g. 'Europe/Paris'` in its words."""
    if not isinstance(schema, dict) or "enum" in schema or "const" in schema:
        return otherwise
    given = schema.get("examples")
    if isinstance(given, list) and given and isinstance(given[0], type(otherwise)):
        return given[0]
    said = _EXAMPLE.search(str(schema.get("description", ""))) if isinstance(otherwise, str) else None
    return said[1] if said else otherwise


def words(arguments: JSONObject) -> str:
    """Arguments as a person would say them: `species Adelie, n 3`."""
    return ", ".join(f"{name} {word(value)}" for name, value in arguments.items())


def word(value: JSON) -> str:
    """A value as a person would write it: a text without quotes, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _properties(schema: Mapping[str, JSON]) -> tuple[JSONObject, Sequence[JSON]]:
    properties, required = schema.get("properties"), schema.get("required")
    return (
        properties if isinstance(properties, dict) else {},
        required if isinstance(required, list) else [],
    )


def _note(schema: JSON) -> str:
    note = schema.get("description") if isinstance(schema, dict) else None
    return f" ({first_sentence(note)})" if isinstance(note, str) and note else ""


def _kind(schema: JSON) -> str:
    if not isinstance(schema, dict):
        return "any"
    if "const" in schema:
        return json.dumps(schema["const"], ensure_ascii=False)
    if isinstance(values := schema.get("enum"), list):
        return "|".join(json.dumps(value, ensure_ascii=False) for value in values)
    if isinstance(choices := schema.get("anyOf"), list):
        return "|".join(dict.fromkeys(_kind(choice) for choice in choices))
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_kind(schema.get('items'))}"
    return str(kind)


def shape(schema: JSON, name: str = "value") -> JSON:
    """JSON of a schema's form, with a placeholder for each value: small models follow a shape, not a definition."""
    match schema:
        case {"properties": dict(properties)}:
            return {key: shape(inner, key) for key, inner in properties.items()}
        case {"items": inner}:
            return [shape(inner, name), "…"]
        case {"enum": list(values)}:
            return " or ".join(map(str, values))
        case {"anyOf": [first, *_]}:
            return shape(first, name)
        case {"description": str(words), "type": kind}:
            return f"<{kind}: {words}>"
        case {"type": kind}:
            return f"<{name}: {kind}>"
    return f"<{name}>"
