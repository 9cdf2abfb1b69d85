"""JSON Schema as OpenAI's strict mode takes it: closed objects, every property required, few keywords."""

from __future__ import annotations

import json
from collections.abc import Mapping

from agentnb.messages import JSON, JSONObject

#: What strict mode has a keyword for; any one of the first must be there.
_SHAPES = ("type", "anyOf", "$ref", "enum", "const")
_KEPT = ("type", "$ref", "enum", "const", "title", "description")
#: What it has none for is said in words, and whoever asked checks it.
_IN_WORDS = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "pattern", "format", "minItems", "maxItems", "uniqueItems", "default", "examples"),
)
#: What cannot even be said so that the answer still means the same.
_BEYOND = (
    *("not", "if", "then", "else", "prefixItems", "patternProperties", "propertyNames", "contains"),
    *("dependentRequired", "dependentSchemas", "unevaluatedProperties", "unevaluatedItems"),
)
_DEPTH = 100


class _Loose(Exception):
    """The schema allows what strict mode does not know."""


def strict_schema(schema: Mapping[str, JSON]) -> tuple[JSONObject, bool]:
    """The schema made strict, and True; the schema as it is, and False, where that would change what it means.

    An object of any keys, for example, cannot be strict.
    """
    root = _root(schema)
    if root.get("type") != "object" or "anyOf" in root or "oneOf" in root:
        return dict(schema), False
    try:
        return _strict(root, 0), True
    except _Loose:
        return dict(schema), False


def _root(schema: Mapping[str, JSON]) -> JSONObject:
    """The schema with an object at its top, where it only points to one (as a recursive model's does)."""
    out = dict(schema)
    match schema:
        case {"$ref": str() as ref, "$defs": dict() as definitions}:
            found = definitions.get(ref.removeprefix("#/$defs/"))
            if isinstance(found, dict):
                del out["$ref"]
                return {**found, **out}
    return out


def _strict(schema: JSON, depth: int) -> JSONObject:
    if depth > _DEPTH or not isinstance(schema, dict) or any(key in schema for key in _BEYOND):
        raise _Loose
    schema = _merged(schema)
    if not any(key in schema for key in _SHAPES):
        raise _Loose
    out: JSONObject = {key: schema[key] for key in _KEPT if key in schema}
    for key in ("$defs", "definitions"):
        if isinstance(named := schema.get(key), dict):
            out[key] = {name: _strict(each, depth + 1) for name, each in named.items()}
    choices = schema.get("anyOf", schema.get("oneOf"))
    if choices is not None:
        out["anyOf"] = [_strict(each, depth + 1) for each in choices] if isinstance(choices, list) else []
    if _may_be(schema, "array"):
        out["items"] = _strict(schema.get("items"), depth + 1)
    if _may_be(schema, "object") or "properties" in schema:
        out |= _object(schema, depth)
    return _described(out, schema)


def _merged(schema: JSONObject) -> JSONObject:
    """The schema with its only `allOf` and its `oneOf` in other words."""
    match schema:
        case {"allOf": [dict() as only]}:
            return _merged({**only, **{key: value for key, value in schema.items() if key != "allOf"}})
        case {"allOf": _}:
            raise _Loose
        case {"oneOf": choices, **rest} if "anyOf" not in rest:
            return {**rest, "anyOf": choices}
    return schema


def _may_be(schema: JSONObject, kind: str) -> bool:
    own = schema.get("type")
    return kind in own if isinstance(own, list) else own == kind


def _object(schema: JSONObject, depth: int) -> JSONObject:
    """An object's properties, all of them required. Raises _Loose for one that takes other keys."""
    properties = schema.get("properties")
    closed = schema.get("additionalProperties")
    if closed not in (None, False) or (properties is None and closed is None):
        raise _Loose
    properties = properties if isinstance(properties, dict) else {}
    return {
        "properties": {name: _strict(each, depth + 1) for name, each in properties.items()},
        "required": list(properties),
        "additionalProperties": False,
    }


def _described(out: JSONObject, schema: JSONObject) -> JSONObject:
    said = ", ".join(
        f"{key}: {json.dumps(schema[key], ensure_ascii=False)}"
        for key in _IN_WORDS
        if key in schema and schema[key] is not None
    )
    if said:
        out["description"] = f"{schema.get('description') or ''} ({said})".lstrip()
    if "$ref" in out and len(out) > 1:
        # A reference must stand alone.
        return {"anyOf": [{"$ref": out.pop("$ref")}], **out}
    return out
