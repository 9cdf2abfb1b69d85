"""The text of a document as plain JSON values, within bounds: what a stranger wrote must not fill or hang a kernel."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping

from agentnb.errors import UsageError
from agentnb.messages import JSON, JSONObject

MOST_BYTES = 20_000_000
_MOST_VALUES = 1_000_000
_DEEPEST = 200


def parse(text: str, where: str) -> JSON:
    """What JSON or YAML text holds. Raises UsageError, with `where` it stands, for what is neither or too much."""
    if len(text) > MOST_BYTES:
        raise UsageError(f"{where} is longer than {MOST_BYTES // 1_000_000} MB, which is not read. Take what you need.")
    return plain(_json(text, where) if text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[") else _yaml(text, where), where)


def document(value: object, where: str) -> JSONObject:
    """The object that a document must be. Raises UsageError."""
    made = plain(value, where)
    if not isinstance(made, dict):
        raise UsageError(f"{where} is not an OpenAPI document: it is no object. Check the address.")
    return made


def _json(text: str, where: str) -> object:
    try:
        return json.loads(text.lstrip("\ufeff"))
    except RecursionError:
        raise _too_deep(where) from None
    except ValueError as reason:
        # YAML's own brackets begin as JSON does.
        try:
            return _yaml(text, where)
        except UsageError:
            raise UsageError(f"{where} is not valid JSON: {reason}. Correct it.") from None


def _yaml(text: str, where: str) -> object:
    import yaml

    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except RecursionError:
        raise _too_deep(where) from None
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as reason:
        said = " ".join(str(reason).split())[:200].rstrip(".")
        raise UsageError(f"{where} is neither JSON nor YAML: {said}. Correct it.") from None


def plain(value: object, where: str) -> JSON:
    """A copy with the names as texts and without what JSON has not; what YAML's aliases share is counted each time.

    Raises UsageError for more than a million values, or 200 levels.
    """
    return _Copy(where).of(value, 0)


class _Copy:
    def __init__(self, where: str) -> None:
        self._where = where
        self._left = _MOST_VALUES

    def of(self, value: object, depth: int) -> JSON:
        self._left -= 1
        if self._left < 0:
            raise UsageError(f"{self._where} holds more than {_MOST_VALUES:,} values. Take what you need of it.")
        if depth > _DEEPEST:
            raise _too_deep(self._where)
        match value:
            case None | bool() | int() | str():
                return value
            case float():
                return value if math.isfinite(value) else None
            case Mapping():
                return {_name(name): self.of(each, depth + 1) for name, each in value.items()}
            case list() | tuple() | set():
                return [self.of(each, depth + 1) for each in value]
            case datetime.date():
                return value.isoformat()
            case bytes():
                return value.decode("utf-8", "replace")
        raise UsageError(f"{self._where} holds a {type(value).__name__}, which no JSON has. Take it out.")


def _name(name: object) -> str:
    """A field's name: YAML takes 200 for a number, and `on` for true."""
    return name if isinstance(name, str) else str(name).lower() if isinstance(name, bool) else str(name)


def _too_deep(where: str) -> UsageError:
    return UsageError(f"{where} is nested more than {_DEEPEST} levels deep, which no OpenAPI document needs.")
