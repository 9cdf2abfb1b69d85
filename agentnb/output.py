"""Structured output: what an answer must be, told to the model as a schema, and read back as an instance."""

from __future__ import annotations

import contextlib
import functools
import json
import operator
import re
import sys
import types
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from agentnb.errors import UsageError
from agentnb.messages import JSON, JSONObject
from agentnb.models.base import OutputSpec
from agentnb.tools.schema import inlined, schema_of

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Providers want an object; anything else is wrapped under this name.
_WRAPPED = "response"
_DEFINITIONS = ("$defs", "definitions")
_SCHEMA_WORDS = {"type", "properties", "$ref", "anyOf", "oneOf", "allOf", "enum", "const", "$schema", "items"}
_DECODER = json.JSONDecoder()
_OPENING = re.compile(r"[{\[]")
#: How many beginnings of JSON are looked at: words without end hold no answer.
_TRIED = 1_000
_FENCE = re.compile(r"```[\w-]*[^\S\n]*\n(.*?)```", re.DOTALL)
#: How many of the mistakes are told: the model needs to see the pattern, not all of them.
_TOLD = 5


class Mismatch(ValueError):
    """An answer that is not what was asked for; the message says why, in a line or a few."""


class Output:
    """What `output=` asks for: a pydantic model, a dataclass, a TypedDict, `list[City]`, any type that JSON can carry,
    or a JSON Schema (a dict).

    Raises UsageError for what is neither.
    """

    def __init__(self, kind: object) -> None:
        self._adapter: Any = None
        self._validator: Any = None
        schema = self._of_schema(kind) if isinstance(kind, Mapping) else self._of_type(kind)
        self._wraps = schema.get("type") != "object"
        self.spec = OutputSpec(_name(kind, schema), _wrapped(schema) if self._wraps else schema, _words(schema))

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return self.spec.name

    def _of_type(self, kind: object) -> JSONObject:
        # pydantic is needed only here, and takes its time.
        from pydantic import TypeAdapter
        from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError

        try:
            self._adapter = TypeAdapter(_readable(kind))
            return _rooted(inlined(schema_of(self._adapter)))
        except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError, NameError) as reason:
            why = " ".join(str(reason).split("\n")[0].split())[:200].rstrip(".")
            raise UsageError(
                f"{_called(kind)} cannot be an answer: {why}. Use a pydantic model, a dataclass, a TypedDict, list[…], "
                "or a JSON Schema."
            ) from None

    def _of_schema(self, schema: Mapping[str, JSON]) -> JSONObject:
        import jsonschema

        if not schema.keys() & _SCHEMA_WORDS:
            raise UsageError("This dict is not a JSON Schema: it has neither 'type' nor 'properties'. Write one.")
        kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        try:
            kind.check_schema(dict(schema))
        except jsonschema.SchemaError as reason:
            raise UsageError(f"This JSON Schema is not valid: {reason.message}. Correct it.") from None
        if (lost := _lost_reference(schema)) is not None:
            raise UsageError(f"This JSON Schema refers to {lost!r}, which it does not hold. Define it under '$defs'.")
        self._validator = kind(schema)
        return dict(schema)

    def parse(self, text: str) -> object:
        """The instance that an answer is: the first JSON in it that is valid. Raises Mismatch."""
        first: Mismatch | None = None
        for value in _values(text.strip()):
            try:
                return self._read(value)
            except Mismatch as mistake:
                first = first or mistake
        raise first or Mismatch("it is not JSON" if text.strip() else "it is empty")

    def _read(self, value: JSON) -> object:
        if self._wraps and isinstance(value, dict) and set(value) == {_WRAPPED}:
            value = value[_WRAPPED]
        try:
            return self._validated(value) if self._adapter is None else self._instance(value)
        except RecursionError:
            raise Mismatch("it is nested too deeply") from None

    def _instance(self, value: JSON) -> object:
        from pydantic import ValidationError

        try:
            return self._adapter.validate_json(json.dumps(value))
        except ValidationError as reason:
            told = [f"{_where(e['loc'])}{e['msg']}" for e in reason.errors(include_url=False, include_input=False)]
            raise Mismatch(_joined(told)) from None

    def _validated(self, value: JSON) -> object:
        told = [f"{_where(error.absolute_path)}{error.message[:200]}" for error in self._validator.iter_errors(value)]
        if told:
            raise Mismatch(_joined(told))
        return value

    def again(self, mistake: Mismatch) -> str:
        """What the model is told when its answer was not it."""
        schema = json.dumps(self.spec.schema, ensure_ascii=False)
        return (
            f"Your answer is not valid: {mistake}. Give the whole answer again, corrected, as JSON that matches this "
            f"JSON Schema, with nothing around it:\n{schema}"
        )


def _values(text: str) -> Iterator[JSON]:
    """The JSON values of an answer: those of its code fences, then all others; a lone number or text comes last."""
    fenced = _FENCE.findall(text)
    pieces = [text, *fenced] if text.startswith(("{", "[")) else [*fenced, text]
    for piece in pieces:
        yield from _documents(piece)
    for piece in pieces:
        with contextlib.suppress(ValueError, RecursionError):
            value, _ = _DECODER.raw_decode(piece)
            if not isinstance(value, (dict, list)):
                yield value


def _documents(text: str) -> Iterator[JSON]:
    """The objects and lists between words. What is within one that is broken or cut off is not the answer."""
    at = 0
    for _ in range(_TRIED):
        if (begin := _OPENING.search(text, at)) is None:
            return
        try:
            value, at = _DECODER.raw_decode(text, begin.start())
        except json.JSONDecodeError as broken:
            if broken.msg.startswith("Unterminated string"):
                return
            at = max(broken.pos, begin.end())
        except (ValueError, RecursionError):  # a number of thousands of digits, nesting beyond reason
            return
        else:
            yield value


def _wrapped(schema: JSONObject) -> JSONObject:
    """An object with the schema under one key; its definitions stay at the root, where references look for them."""
    inner = {key: value for key, value in schema.items() if key not in _DEFINITIONS}
    hoisted = {key: schema[key] for key in _DEFINITIONS if key in schema}
    return {
        "type": "object",
        "properties": {_WRAPPED: inner},
        "required": [_WRAPPED],
        "additionalProperties": False,
        **hoisted,
    }


def _lost_reference(schema: Mapping[str, JSON]) -> str | None:
    """A reference into the schema that leads nowhere; None where all lead somewhere."""
    waiting: list[JSON] = [dict(schema)]
    while waiting:
        match waiting.pop():
            case list(each):
                waiting += each
            case dict(part):
                waiting += part.values()
                reference = part.get("$ref")
                if isinstance(reference, str) and reference.startswith("#/") and not _leads(reference, schema):
                    return reference
    return None


def _leads(reference: str, schema: Mapping[str, JSON]) -> bool:
    place: object = schema
    for step in unquote(reference[2:]).split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(place, list) and name.isdecimal() and int(name) < len(place):
            place = place[int(name)]
        elif isinstance(place, Mapping) and name in place:
            place = place[name]
        else:
            return False
    return True


def _rooted(schema: JSONObject) -> JSONObject:
    """A schema whose root is only a reference (a type that contains itself), with what it refers to at the root."""
    reference, definitions = schema.get("$ref"), schema.get("$defs")
    if not isinstance(reference, str) or not isinstance(definitions, dict):
        return schema
    target = definitions.get(reference.rpartition("/")[2])
    return {**target, "$defs": definitions} if isinstance(target, dict) else schema


def _name(kind: object, schema: JSONObject) -> str:
    named = schema.get("title") if isinstance(kind, Mapping) else _called(kind)
    return re.sub(r"[^A-Za-z0-9_-]+", "_", str(named or "answer")).strip("_")[:64] or "answer"


def _called(kind: object) -> str:
    whole = isinstance(kind, type) and not hasattr(kind, "__origin__")
    return str(getattr(kind, "__name__", kind)) if whole else re.sub(r"\b(?:\w+\.)+(?=\w)", "", str(kind))


def _words(schema: JSONObject) -> str:
    said = schema.get("description")
    return said if isinstance(said, str) else ""


def _where(path: Any) -> str:
    place = ".".join(map(str, path))
    return f"{place}: " if place else ""


def _joined(told: list[str]) -> str:
    more = f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return "; ".join(told[:_TOLD]) + more


def _readable(kind: Any) -> Any:
    """The type with `typing`'s TypedDicts as those of `typing_extensions`, which pydantic wants before Python 3.12."""
    if sys.version_info >= (3, 12):
        return kind
    if typing.is_typeddict(kind):
        from typing_extensions import TypedDict

        hints = typing.get_type_hints(kind, include_extras=True)
        fields = {name: _readable(hint) for name, hint in hints.items()}
        return TypedDict(kind.__name__, fields, total=kind.__total__)  # type: ignore[operator]  # its functional form
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    changed = tuple(map(_readable, inner)) if origin not in (None, Literal) else inner
    if changed == inner:
        return kind
    return functools.reduce(operator.or_, changed) if origin is types.UnionType else origin[changed]
