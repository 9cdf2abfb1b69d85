"""Variables in the settings of MCP servers: what `${env:NAME}` and its relatives stand for, and which are secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from agentnb.errors import UsageError, nearest

_VARIABLE = re.compile(r"\$\{(?P<kind>env:|input:)?(?P<name>[A-Za-z_][\w.-]*)(?::-(?P<default>[^}]*))?\}")
_SECRET = re.compile(r"key|token|secret|passw|auth|credential|cookie|session", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Whether what goes by this name should not be shown: `API_TOKEN`, `Authorization`."""
    return _SECRET.search(name) is not None


class Expansion:
    """Fills in `${env:NAME}`, `${NAME}`, `${NAME:-default}`, `${workspaceFolder}`, `${userHome}`; keeps the secrets."""

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self._environ = environ
        self._folders = {"workspaceFolder": folder, "userHome": Path.home()}
        self.secrets: set[str] = set()

    def __repr__(self) -> str:
        return "Expansion()"

    def fill(self, text: str, place: str) -> str:
        """The text with its variables filled in. `place` names it in errors. Raises UsageError for a missing one."""
        return _VARIABLE.sub(lambda found: self._value(found, place), text)

    def _value(self, found: re.Match[str], place: str) -> str:
        kind, name, default = found["kind"], found["name"], found["default"]
        if kind == "input:":
            raise UsageError(f"{place} asks for the input {name!r}. Put it into a variable and write ${{env:{name}}}.")
        if not kind and name in self._folders:
            return str(self._folders[name])
        value = self._environ.get(name) or default
        if value is None:
            near = nearest(name, [each for each in self._environ if each.isupper()])
            raise UsageError(f"{place} needs the environment variable {name}, which is not set.{near}")
        if is_secret(name):
            self.secrets.add(value)
        return value
