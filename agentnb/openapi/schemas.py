"""OpenAPI's schemas as one self-contained JSON Schema: references put in place, cycles cut, growth bounded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

from agentnb.messages import JSON, JSONObject
from agentnb.openapi.refs import References
from agentnb.openapi.shape import Node, texts

#: Schemas that one tool's arguments may be made of: a model reads all of it, at each call.
MOST_SCHEMAS = 3_000
#: How deep references in references are put in place, tried in turn until it is small enough.
_DEPTHS = (40, 5, 3, 2, 1, 0)
_TYPES = ("null", "boolean", "object", "array", "number", "string", "integer")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "not", "contains", "propertyNames")
_TEXTS = ("description", "title", "format", "pattern", "contentEncoding", "contentMediaType")
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_DEEPEST = 60
#: Characters: of one description, of all of them, of a field's name, of a value that is an example.
_LONGEST, _MOST_WORDS, _LONGEST_NAME, _LONGEST_VALUE = 2_000, 100_000, 200, 1_000
#: Fields of one object, and choices of one value.
_MOST_FIELDS, _MOST_CHOICES = 1_000, 500


class _TooMany(Exception):
    """More schemas than there is room for."""


@dataclass(frozen=True, slots=True)
class _Way:
    """How an expansion came to a schema: the references it followed, and how many schemas lie around it."""

    followed: frozenset[tuple[str, str]] = frozenset()
    level: int = 0


def expanded(references: References, node: Node) -> JSONObject:
    """A schema without references. Where one repeats itself, or leads too far or nowhere, any value is allowed."""
    for depth in _DEPTHS:
        try:
            return _Expansion(references, depth, last=depth == _DEPTHS[-1]).of(node, _Way())
        except _TooMany:
            continue
    return {}


class _Expansion:
    def __init__(self, references: References, depth: int, *, last: bool) -> None:
        self._references = references
        self._depth = depth
        self._last = last
        self._left = MOST_SCHEMAS
        self._words = _MOST_WORDS

    def of(self, node: Node, way: _Way) -> JSONObject:
        """The schema of a node."""
        self._left -= 1
        if self._left < 0 and not self._last:
            raise _TooMany
        if self._left < 0 or way.level > _DEEPEST:
            return {}
        ref = node.fields.get("$ref")
        if not isinstance(ref, str):
            return self._written(node, way)
        target = self._references.at(node.uri, ref)
        place = node.uri, ref
        if target is None or place in way.followed or len(way.followed) >= self._depth:
            return self._said(node)
        here = {name: value for name, value in node.fields.items() if name != "$ref"}
        made = self.of(target, _Way(way.followed | {place}, way.level + 1))
        return {**made, **self._written(Node(here, node.uri), way)} if here else made

    def _written(self, node: Node, way: _Way) -> JSONObject:
        within = replace(way, level=way.level + 1)

        def inner(each: Node) -> JSONObject:
            return self.of(each, within)

        out = {**self._said(node), **_bounds(node.fields)}
        if (kinds := _kinds(node.fields.get("type"))) is not None:
            out["type"] = kinds
        out.update(_values(node.fields))
        for name in _LISTS:
            if parts := [inner(each) for each in node.get(name).elements()]:
                out[name] = [*parts]
        for name in _SINGLE:
            match node.fields.get(name):
                case bool(word):
                    out[name] = word
                case dict():
                    out[name] = inner(node.get(name))
        out.update(_properties(node, inner))
        if node.get("patternProperties").fields:
            # Names by pattern are the server's to check: a stranger's pattern can take for ever.
            out.pop("additionalProperties", None)
        return _nullable(out) if node.flag("nullable") else out

    def _said(self, node: Node) -> JSONObject:
        """The words of a schema, as long as there is room for them."""
        out: JSONObject = {}
        for name in _TEXTS:
            said = node.text(name)[: min(_LONGEST, self._words)]
            self._words -= len(said)
            if said:
                out[name] = said
        return out


def _properties(node: Node, inner: Callable[[Node], JSONObject]) -> JSONObject:
    written = node.get("properties")
    known = [(name, Node(each, node.uri)) for name, each in islice(written.fields.items(), _MOST_FIELDS)]
    # What only the server sets is nothing to ask a model for.
    hidden = {name for name, each in known if each.flag("readOnly") or len(name) > _LONGEST_NAME}
    out: JSONObject = {}
    if properties := {name: inner(each) for name, each in known if name not in hidden}:
        out["properties"] = {**properties}
    if required := [name for name in texts(node.fields.get("required")) if name not in hidden]:
        out["required"] = [*dict.fromkeys(required)]
    return out


def _kinds(value: JSON) -> JSON:
    known = [each for each in ((value,) if isinstance(value, str) else texts(value)) if each in _TYPES]
    if not known:
        return None
    return known[0] if isinstance(value, str) else [*dict.fromkeys(known)]


def _values(fields: JSONObject) -> JSONObject:
    out: JSONObject = {name: fields[name] for name in ("const", "default") if name in fields and _short(fields[name])}
    match fields.get("enum"):
        case [_, *_] as values if len(values) <= _MOST_CHOICES and all(map(_short, values)):
            out["enum"] = values
    match fields:
        case {"examples": [first, *_]} if _short(first):
            out["examples"] = [first]
        case {"example": example} if example is not None and _short(example):
            out["examples"] = [example]
    for name in ("uniqueItems", "deprecated"):
        if fields.get(name) is True:
            out[name] = True
    return out


def _short(value: JSON) -> bool:
    return len(json.dumps(value)) <= _LONGEST_VALUE


def _bounds(fields: JSONObject) -> JSONObject:
    out: JSONObject = {}
    for name in _NUMBERS:
        value = fields.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and (name != "multipleOf" or value > 0):
            out[name] = value
    for name in _COUNTS:
        count = fields.get(name)
        if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
            out[name] = count
    # OpenAPI 3.0 says with a word what JSON Schema says with the number itself.
    for word, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if fields.get(word) is True and bound in out:
            out[word] = out.pop(bound)
    return out


def _nullable(schema: JSONObject) -> JSONObject:
    """OpenAPI 3.0's `nullable` in JSON Schema's words."""
    kinds = schema.get("type")
    if isinstance(kinds, str):
        more: JSONObject = {"type": [kinds, "null"]}
        match schema.get("enum"):
            case list() as values if None not in values:
                more["enum"] = [*values, None]
        return {**schema, **more}
    if schema.keys() & {"allOf", "anyOf", "oneOf"}:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema
