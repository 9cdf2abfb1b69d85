"""Structured output: what an answer must be, told to the model as a schema, and read back as an instance."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agentnb.errors import UsageError
from agentnb.messages import JSON, JSONObject
from agentnb.models.base import OutputSpec
from agentnb.tools.schema import inlined, schema_of

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Providers want an object; anything else is wrapped under this name.
_WRAPPED = "response"
_SCHEMA_WORDS = {"type", "properties", "$ref", "anyOf", "oneOf", "allOf", "enum", "const", "$schema", "items"}
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
            self._adapter = TypeAdapter(kind)  # type: ignore[arg-type]  # whether it is a type is what is asked
            return _rooted(inlined(schema_of(self._adapter)))
        except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError, NameError) as reason:
            why = " ".join(str(reason).split("\n")[0].split())[:200]
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
        self._validator = kind(schema)
        return dict(schema)

    def parse(self, text: str) -> object:
        """The instance that an answer is. Raises Mismatch."""
        value = _json_in(text)
        if self._wraps and isinstance(value, dict) and set(value) == {_WRAPPED}:
            value = value[_WRAPPED]
        return self._validated(value) if self._adapter is None else self._instance(value)

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


def _json_in(text: str) -> JSON:
    """The JSON value of an answer: all of it, what a code fence holds, or the first one between words."""
    found: list[JSON] = []
    for candidate in _candidates(text.strip()):
        try:
            value, _ = json.JSONDecoder().raw_decode(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, (dict, list)):
            return value
        found.append(value)
    if found:
        return found[0]
    raise Mismatch("it is not JSON" if text.strip() else "it is empty")


def _candidates(text: str) -> Iterator[str]:
    yield text
    yield from re.findall(r"```[\w-]*\s*\n(.*?)```", text, re.DOTALL)
    for begin in re.finditer(r"[{\[]", text):
        yield text[begin.start() :]
        if begin.start() > 10_000:  # words without end hold no answer
            return


def _wrapped(schema: JSONObject) -> JSONObject:
    """An object with the schema under one key; its definitions stay at the root, where references look for them."""
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    hoisted = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    return {
        "type": "object",
        "properties": {_WRAPPED: inner},
        "required": [_WRAPPED],
        "additionalProperties": False,
        **hoisted,
    }


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
