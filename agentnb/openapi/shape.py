"""What a stranger's document holds, taken for no more than it is: a wrong kind of value is an absent one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agentnb.messages import JSON, JSONObject


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a document; `uri` is the document's, from which the value's references count."""

    value: JSON
    uri: str = ""

    @property
    def fields(self) -> JSONObject:
        """Its fields; none where it is no object."""
        return self.value if isinstance(self.value, dict) else {}

    def get(self, name: str) -> Node:
        """A field; null where it is not there."""
        return Node(self.fields.get(name), self.uri)

    def items(self) -> list[tuple[str, Node]]:
        """Its fields with their names."""
        return [(name, Node(value, self.uri)) for name, value in self.fields.items()]

    def elements(self) -> list[Node]:
        """Its elements; none where it is no list."""
        return [Node(value, self.uri) for value in self.value] if isinstance(self.value, list) else []

    def text(self, name: str) -> str:
        """A field that is a text; empty for any other."""
        return text(self.fields, name)

    def flag(self, name: str, default: bool = False) -> bool:
        """A field that is true or false."""
        value = self.fields.get(name)
        return value if isinstance(value, bool) else default


def text(value: Mapping[str, JSON], name: str) -> str:
    """A field that is a text; empty for any other."""
    found = value.get(name)
    return found.strip() if isinstance(found, str) else ""


def texts(value: JSON) -> tuple[str, ...]:
    """The texts of a list; empty for anything else."""
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()
