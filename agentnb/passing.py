"""What a person passes to a tool, as the JSON that a model would have written."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager

from agentnb.errors import UsageError
from agentnb.messages import JSON, JSONObject, ToolSpec
from agentnb.tools.references import keep
from agentnb.tools.results import to_json


def properties(spec: ToolSpec) -> dict[str, JSONObject]:
    """The schemas of a tool's arguments, by name."""
    found = spec.parameters.get("properties")
    known = found.items() if isinstance(found, dict) else ()
    return {name: schema if isinstance(schema, dict) else {} for name, schema in known}


def takes_variable(schema: JSON) -> bool:
    """Whether a place in the arguments takes the name of a notebook variable (see tools.references)."""
    if not isinstance(schema, dict):
        return False
    either = schema.get("anyOf")
    if isinstance(either, list) and any(map(takes_variable, either)):
        return True
    return schema.get("type") == "string" and "otebook variable of type" in str(schema.get("description", ""))


def takes_text(schema: JSONObject) -> bool:
    """Whether a place takes a text and nothing else: `007` stays as it is there."""
    return schema.get("type") == "string"


class Passing:
    """Turns Python values into arguments; an object that only the kernel has is passed by the name of its variable.

    An object without one gets a variable for the time of the call.
    """

    def __init__(self, namespace: MutableMapping[str, object]) -> None:
        self._namespace = namespace
        self._lent: list[str] = []

    def argument(self, name: str, value: object, schema: JSON = None) -> JSON:
        """The JSON for one argument. Raises UsageError for a value that no JSON can hold and no variable can."""
        if value is None or (takes_variable(schema) and isinstance(value, str)):
            return value if isinstance(value, str) else None
        if isinstance(schema, dict) and isinstance(value, list | tuple) and takes_variable(schema.get("items")):
            return [self.argument(name, each, schema["items"]) for each in value]
        if takes_variable(schema):
            return self._variable(name, value)
        if isinstance(value, str):
            return str.__str__(value)
        plain = _plain(value)
        return self._variable(name, value) if plain is None else plain[0]

    def named(self, variable: str, schema: JSON) -> JSON:
        """The JSON for a variable of the notebook. Raises UsageError where there is none."""
        if variable not in self._namespace:
            raise UsageError(f"There is no variable {variable!r} in this notebook.")
        if takes_variable(schema):
            return variable
        value = self._namespace[variable]
        return variable if _plain(value) is None else self.argument(variable, value, schema)

    def _variable(self, name: str, value: object) -> str:
        for variable, known in list(self._namespace.items()):
            if known is value and not variable.startswith("_"):
                return variable
        lent = keep(value, name, itertools.count(1), self._namespace)
        self._lent.append(lent)
        return lent

    def give_back(self) -> None:
        """Take the variables away that were lent."""
        for name in self._lent:
            self._namespace.pop(name, None)
        self._lent.clear()


def _plain(value: object) -> list[JSON] | None:
    """The value as JSON, alone in a list: a date or a path would have no quotes outside one; None where it is none."""
    text = to_json([value])
    return None if text is None else json.loads(text)


@contextmanager
def passing(namespace: MutableMapping[str, object]) -> Iterator[Passing]:
    """A `Passing` for one call."""
    made = Passing(namespace)
    try:
        yield made
    finally:
        made.give_back()


def arguments(passed: Passing, values: Mapping[str, object], spec: ToolSpec) -> JSONObject:
    """All arguments of a call as JSON."""
    known = properties(spec)
    return {name: passed.argument(name, value, known.get(name)) for name, value in values.items()}
