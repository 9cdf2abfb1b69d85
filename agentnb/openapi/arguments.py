"""An operation's arguments: parameters and body fields side by side as a model writes them, checked before anything is
sent, and taken apart again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from agentnb.errors import ToolError, nearest
from agentnb.messages import JSON, JSONObject
from agentnb.openapi.operations import Body, Operation, Parameter, is_json
from agentnb.openapi.refs import References
from agentnb.openapi.schemas import expanded
from agentnb.openapi.shape import Node, texts

if TYPE_CHECKING:
    import jsonschema
    from jsonschema.protocols import Validator

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PROBLEMS = 5
_LONGEST_PROBLEM = 300
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True, slots=True)
class Given:
    """Arguments taken apart: values by parameter, and the body (in a tuple: null is a body too)."""

    values: tuple[tuple[Parameter, JSON], ...] = ()
    body: tuple[JSON] | None = None


@dataclass(frozen=True)  # not slotted: what checks is built at the first call
class Arguments:
    """What a model writes: the schema of it all, the parameter behind each name, and where the body's fields are.

    `lifted` are the body's fields at the top level; `nested` the one argument that is the body, where there is one.
    """

    schema: JSONObject
    parameters: Mapping[str, Parameter]
    lifted: frozenset[str] = frozenset()
    nested: str | None = None
    body_needed: bool = False
    body_schema: JSONObject = field(default_factory=dict)

    def take_apart(self, name: str, arguments: JSONObject) -> Given:
        """The arguments of a call to `name`, checked. Raises ToolError that names every place that is wrong."""
        known = self._properties()
        for each in arguments:
            if each not in known:
                takes = f"It takes: {', '.join(known)}." if known else "It takes none."
                raise ToolError(f"{name} has no argument {each[:80]!r}.{nearest(each, known)} {takes}")
        given = {key: value for key, value in arguments.items() if not self._means_nothing(key, value)}
        problems = [*_problems(self._whole, given)]
        fields = {key: value for key, value in given.items() if key in self.lifted}
        # Optional as a whole: what it requires counts once there is something of it.
        if self.lifted and not self.body_needed and fields:
            problems += _problems(self._of_body, fields)
        if problems:
            raise ToolError(f"the arguments of {name} do not fit: {'; '.join(problems[:_PROBLEMS])}. Correct them.")
        values = tuple((self.parameters[key], value) for key, value in given.items() if key in self.parameters)
        return Given(values, self._body(given, fields))

    @cached_property
    def _whole(self) -> Validator:
        return _validator(self.schema)

    @cached_property
    def _of_body(self) -> Validator:
        return _validator(self.body_schema)

    def _body(self, given: JSONObject, fields: JSONObject) -> tuple[JSON] | None:
        if self.nested is not None:
            return (given[self.nested],) if self.nested in given else None
        return (fields,) if fields or (self.lifted and self.body_needed) else None

    def _properties(self) -> JSONObject:
        found = self.schema["properties"]
        return found if isinstance(found, dict) else {}

    def _means_nothing(self, name: str, value: JSON) -> bool:
        """Whether a null stands for an argument that was left out, as many models write it."""
        if value is not None or name in texts(self.schema.get("required")):
            return False
        return name in self.parameters or not _takes_null(self._properties()[name])


def arrange(operation: Operation, references: References) -> Arguments:
    """The arguments of an operation."""
    named = _named(operation.parameters)
    properties: JSONObject = {name: _described(references, each) for name, each in named.items()}
    required: list[JSON] = [name for name, each in named.items() if each.required]
    body = operation.body
    if body is None:
        return Arguments(_object(properties, required), named)
    schema = _schema_of(references, body)
    fields = _fields(schema)
    if fields and not fields.keys() & properties.keys():
        lifted = frozenset(fields)
        needed = [name for name in texts(schema.get("required")) if name in lifted] if body.required else []
        whole = _object({**properties, **fields}, [*required, *needed])
        return Arguments(whole, named, lifted, body_needed=body.required, body_schema=schema)
    nested = _free("body", properties)
    words = body.description or schema.get("description") or f"The body, as {body.media}."
    properties[nested] = {**schema, "description": words}
    whole = _object(properties, [*required, *([nested] if body.required else [])])
    return Arguments(whole, named, nested=nested, body_schema=schema)


def _object(properties: JSONObject, required: list[JSON]) -> JSONObject:
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _named(parameters: tuple[Parameter, ...]) -> dict[str, Parameter]:
    """Parameters by the name a model writes: their own, else with their place as a suffix."""
    named: dict[str, Parameter] = {}
    for each in parameters:
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", each.wire).strip("_")[:50] or each.place
        named[plain if plain not in named else _free(f"{plain}_{each.place}", named)] = each
    return named


def _free(name: str, taken: Mapping[str, object]) -> str:
    number = 2
    made = name
    while made in taken:
        made, number = f"{name}_{number}", number + 1
    return made


def _described(references: References, parameter: Parameter) -> JSONObject:
    schema = expanded(references, parameter.schema)
    words = parameter.description[:1_000] or schema.get("description", "")
    return {**schema, "description": words} if words else schema


def _schema_of(references: References, body: Body) -> JSONObject:
    """A body's schema; one of `allOf` objects alone is one object."""
    kind = body.media.partition(";")[0].strip().lower()
    # What is neither JSON nor a form is written by the model as text.
    textual = kind not in _FORMS and not is_json(kind)
    schema = expanded(references, body.schema if not textual else Node({"type": "string"}))
    parts = schema.get("allOf")
    if not isinstance(parts, list):
        return schema
    objects = [each for each in [*parts, {key: value for key, value in schema.items() if key != "allOf"}] if each]
    if any(not isinstance(each, dict) or each.keys() - _MERGED for each in objects):
        return schema
    merged: JSONObject = {"type": "object"}
    properties: JSONObject = {}
    required: list[JSON] = []
    for each in objects:
        if isinstance(each, dict):
            merged.update({key: value for key, value in each.items() if key in ("title", "description")})
            found = each.get("properties")
            properties.update(found if isinstance(found, dict) else {})
            required += [name for name in texts(each.get("required")) if name not in required]
    return {**merged, "properties": properties, **({"required": required} if required else {})}


_MERGED = {"type", "properties", "required", "title", "description", "examples"}


def _fields(schema: JSONObject) -> JSONObject:
    """The fields that a body is made of, where it is an object with known ones that a model can name."""
    found = schema.get("properties")
    if not isinstance(found, dict) or schema.get("type", "object") != "object":
        return {}
    # What other fields it has, or which go together, can only be said of it as a whole.
    if schema.get("additionalProperties") not in (None, False) or schema.keys() & {"anyOf", "oneOf", "allOf", "not"}:
        return {}
    return found if all(map(_NAME.fullmatch, found)) else {}


def _takes_null(schema: JSON) -> bool:
    match schema:
        case {"type": "null"}:
            return True
        case {"type": str()}:
            return False
        case {"type": list() as kinds}:
            return "null" in kinds
        case {"anyOf": list() as parts} | {"oneOf": list() as parts}:
            return any(map(_takes_null, parts))
    return True


def _problems(validator: Validator, value: JSONObject) -> Iterator[str]:
    for error in sorted(validator.iter_errors(value), key=lambda each: [str(part) for part in each.absolute_path]):
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
        said = error.message if len(error.message) <= _LONGEST_PROBLEM else f"{error.message[:_LONGEST_PROBLEM]}…"
        yield f"{place.lstrip('.')}: {said}" if place else said


def _validator(schema: JSONObject) -> Validator:
    import jsonschema

    # A stranger's pattern can take for ever, and is of another dialect: the service checks it.
    draft = jsonschema.Draft202012Validator
    kind: type[Validator] = jsonschema.validators.extend(draft, {"pattern": _unchecked})  # type: ignore[no-untyped-call]
    return kind(schema)


def _unchecked(*_: object) -> Iterator[jsonschema.ValidationError]:
    return iter(())
