"""Live objects stay in the kernel: the model names notebook variables, and results become new ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass

from agentnb.errors import ToolError, UsageError, nearest
from agentnb.messages import JSON, JSONObject

#: At most so many variables are offered, the newest: a long list helps no model.
OFFERED = 50
#: IPython's own names, never offered.
SHELL = frozenset({"In", "Out", "exit", "quit", "open", "get_ipython", "display"})


@dataclass(frozen=True, slots=True)
class Reference:
    """A place in the arguments that takes the name of a notebook variable of one of `types`."""

    types: tuple[type, ...]

    def __post_init__(self) -> None:
        for kind in self.types:
            try:
                issubclass(object, kind)
            except TypeError as error:
                raise UsageError(
                    f"Type {kind.__name__!r} of a tool's parameter cannot be checked. "
                    "Decorate it with @runtime_checkable, or use a class without data members."
                ) from error

    @property
    def label(self) -> str:
        """The types by name: "DataFrame or ndarray"."""
        return " or ".join(dict.fromkeys(kind.__name__ for kind in self.types))

    def fits(self, value: object) -> bool:
        """Whether `value` is of one of the types. Asks its type only: a lazy proxy would run code of its own."""
        return issubclass(type(value), self.types)

    def names(self, namespace: Mapping[str, object]) -> list[str]:
        """The variables that fit, oldest first; private names and the shell's own are left out."""
        # A copy at one blow: another thread may add a variable meanwhile.
        variables = tuple(namespace.items())
        return [n for n, v in variables if not n.startswith("_") and n not in SHELL and self.fits(v)]

    def schema(self, namespace: Mapping[str, object], about: str = "") -> JSONObject:
        """The JSON Schema of this place as `namespace` is now; `about` is what the docstring says of it."""
        names = self.names(namespace)
        offered: list[JSON] = [*names[-OFFERED:]]
        note = f"name of a notebook variable of type {self.label}"
        if not names:
            note += "; there is none now"
        description = f"{about.rstrip('.')} ({note})" if about else note[0].upper() + note[1:]
        schema: JSONObject = {"type": "string", "description": description}
        return {**schema, "enum": offered} if offered else schema

    def resolve(self, value: object, namespace: Mapping[str, object]) -> object:
        """The object that `value` names; nothing is evaluated. Raises ToolError that says which names fit."""
        if not isinstance(value, str):
            if self.fits(value):
                return value
            raise ToolError(f"should be the name of a notebook variable of type {self.label}")
        names = self.names(namespace)
        if value in names:
            return namespace[value]
        if value in namespace and not value.startswith("_"):
            problem = f"variable {value!r} is of type {type(namespace[value]).__name__}, not {self.label}."
        else:
            problem = f"there is no notebook variable {value!r}.{nearest(value, names)}"
        fitting = f"Of type {self.label}: {', '.join(names[-OFFERED:])}." if names else f"None is of type {self.label}."
        raise ToolError(f"{problem} {fitting}")


def keep(value: object, stem: str, numbers: Iterator[int], namespace: MutableMapping[str, object]) -> str:
    """Store `value` in the first free variable `stem_N` and return its name; a variable is never overwritten."""
    stem = re.sub(r"\W", "_", stem)
    stem = f"result_{stem}" if stem[0].isdigit() else stem
    while True:
        name = f"{stem}_{next(numbers)}"
        # setdefault, because a tool in another thread may have taken the name in between.
        if name not in namespace and namespace.setdefault(name, value) is value:
            return name
