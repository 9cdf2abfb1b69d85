"""JSON Schemas as models like them: what pydantic writes, without its noise."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agentnb.messages import JSON, JSONObject

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema

#: Under these keys stand names, not keywords.
_NAMES = frozenset({"properties", "$defs"})
#: Under these keys stand values, not schemas.
_VALUES = frozenset({"default", "examples", "enum", "const"})


def schema_of(adapter: TypeAdapter[Any]) -> JSONObject:
    """The schema of what `adapter` accepts, without titles. Raises pydantic's errors where JSON cannot carry it."""
    schema = _untitled(adapter.json_schema(schema_generator=_generator()))
    assert isinstance(schema, dict)
    return schema


def speaks_json(hint: Any) -> bool:
    """Whether pydantic can read a value of the type `hint` from JSON."""
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError

    try:
        schema_of(TypeAdapter(hint))
    except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError):
        return False
    except PydanticUserError as error:
        if error.code == "typed-dict-version":
            return False
        raise
    return True


def inlined(schema: JSONObject) -> JSONObject:
    """`schema` with the definitions that are used once put in their place: small models follow no references."""
    definitions = schema.get("$defs")
    if not isinstance(definitions, dict):
        return schema
    text = json.dumps(schema)
    once = {name: d for name, d in definitions.items() if text.count(f'"{_pointer(name)}"') == 1}
    kept = {name: _expanded(d, once) for name, d in definitions.items() if name not in once}
    rest = {key: _expanded(value, once) for key, value in schema.items() if key != "$defs"}
    return {**rest, "$defs": kept} if kept else rest


def _expanded(node: JSON, once: Mapping[str, JSON]) -> JSON:
    if isinstance(node, list):
        return [_expanded(item, once) for item in node]
    if not isinstance(node, dict):
        return node
    for name, definition in once.items():
        if node.get("$ref") == _pointer(name):
            inside = _expanded(definition, once)
            beside = {key: value for key, value in node.items() if key != "$ref"}
            return {**inside, **beside} if isinstance(inside, dict) else node
    return {key: _expanded(value, once) for key, value in node.items()}


def _pointer(name: str) -> str:
    return f"#/$defs/{name}"


def _untitled(node: JSON, *, names: bool = False) -> JSON:
    if isinstance(node, list):
        return [_untitled(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: value if key in _VALUES and not names else _untitled(value, names=key in _NAMES and not names)
        for key, value in node.items()
        if names or key != "title"
    }


@functools.cache
def _generator() -> type[GenerateJsonSchema]:
    # Defined on first use: pydantic takes longer to load than the whole extension may.
    from pydantic.errors import PydanticInvalidForJsonSchema
    from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind

    class Strict(GenerateJsonSchema):
        """A union keeps all its members: one that JSON cannot carry is an error here, not left out."""

        def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
            if kind == "skipped-choice":
                raise PydanticInvalidForJsonSchema(detail)

    return Strict
