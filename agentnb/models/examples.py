"""Worked examples for small models, made from the tools' own schemas: they imitate better than they follow rules."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from agentnb.messages import JSON, JSONObject, ToolSpec

_SAMPLES: Mapping[str, JSON] = {"string": "example", "integer": 3, "number": 2.5, "boolean": True, "null": None}


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
    return {name: example_value(part, name) for name, part in properties.items() if name in required}


def example_value(schema: JSON, name: str = "") -> JSON:
    """A value that fits a schema."""
    if not isinstance(schema, dict):
        return None
    if "const" in schema:
        return schema["const"]
    for keyword in ("enum", "anyOf", "allOf"):
        choices = schema.get(keyword)
        if isinstance(choices, list) and choices:
            return choices[0] if keyword == "enum" else example_value(choices[0], name)
    kind = schema.get("type")
    if kind == "object":
        return example_arguments(schema)
    if kind == "array":
        return [example_value(schema.get("items"), name)]
    if kind == "integer" and isinstance(schema.get("minimum"), int):
        return schema["minimum"]
    return _SAMPLES.get(kind, None) if isinstance(kind, str) else None


def example_turns(tools: Sequence[tuple[ToolSpec, JSONObject]], *, most: int = 4) -> list[tuple[str, JSONObject]]:
    """Questions with their decisions, tools first: one for each of the first `most` tools."""
    turns: list[tuple[str, JSONObject]] = []
    for tool, schema in tools[:most]:
        arguments = example_arguments(schema)
        words = ", ".join(f"{name} {_word(value)}" for name, value in arguments.items())
        asked = first_sentence(tool.description) or tool.name.replace("_", " ")
        turns.append((f"{asked}: {words}" if words else asked, {"tool": tool.name, "arguments": arguments}))
    return turns


def _word(value: JSON) -> str:
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
