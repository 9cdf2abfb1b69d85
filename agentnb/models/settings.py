"""What stands around a model, as a person writes it: {"retries": "3", "rate": "10/s", "timeout": "first=30"}."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from agentnb.errors import UsageError, nearest
from agentnb.models.base import Model
from agentnb.models.checks import secrets_check
from agentnb.models.key_shapes import with_known_keys
from agentnb.models.rates import parse_rates
from agentnb.models.recording import Mask
from agentnb.models.stack import StackOptions


def read_stack(
    settings: Mapping[str, object],
    *,
    open_model: Callable[[str], Model],
    base_dir: Path | None = None,
    mask: Mask | None = None,
) -> StackOptions:
    """The arguments of `stack` from names and values; those without a value (None, "") are left out.

    "fallback" is a model or a list of them and "balance" such as "groq:x=2, openai:y": names become models by
    `open_model`. "timeout" is seconds in all, or "first=30, idle=60, total=600"; "cache" is "on" or a folder; "check"
    is "secrets". Relative paths are taken from `base_dir`; `mask` knows secrets. Raises UsageError for a bad name or
    value.
    """
    out: StackOptions = {} if mask is None else {"mask": mask}
    for name, value in settings.items():
        read = _READERS.get(name)
        if read is None:
            known = ", ".join(sorted(_READERS))
            raise UsageError(f"There is no setting {name!r} of a model.{nearest(name, _READERS)} There are: {known}.")
        if value is not None and value != "":
            out.update(read(_Setting(name, value, open_model, base_dir or Path(), mask)))
    return out


@dataclass(frozen=True, slots=True)
class _Setting:
    """One name and its value, and what it takes to read it."""

    name: str
    value: object
    open_model: Callable[[str], Model]
    base_dir: Path
    mask: Mask | None

    def wrong(self, needed: str) -> UsageError:
        return UsageError(f"The setting {self.name!r} takes {needed}, not {str(self.value)[:60]!r}.")

    def words(self) -> list[str]:
        """A list of texts, or a text with commas in it."""
        given = self.value.split(",") if isinstance(self.value, str) else self.value
        if isinstance(given, (list, tuple)) and all(isinstance(each, str) for each in given):
            return [word for each in given for part in each.split(",") if (word := part.strip())]
        raise self.wrong("a text, or a list of texts")

    def number(self, text: object, needed: str) -> float:
        try:
            number = float(text) if isinstance(text, (int, float, str)) and not isinstance(text, bool) else math.nan
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise self.wrong(needed)
        return number

    def count(self, least: int) -> int:
        needed = f"a whole number from {least} up"
        number = self.number(self.value, needed)
        if number < least or not number.is_integer():
            raise self.wrong(needed)
        return int(number)

    def seconds(self, text: object, needed: str = "seconds greater than 0") -> float:
        number = self.number(text.strip().removesuffix("s") if isinstance(text, str) else text, needed)
        if number <= 0:
            raise self.wrong(needed)
        return number

    def path(self) -> Path:
        if not isinstance(self.value, (str, Path)):
            raise self.wrong("a path")
        return self.base_dir / os.path.expanduser(self.value)


def _fallbacks(setting: _Setting) -> StackOptions:
    return {"fallbacks": [setting.open_model(name) for name in setting.words()]}


def _balance(setting: _Setting) -> StackOptions:
    needed = "models with weights, such as 'openai:a=2, groq:b=1'"
    given = setting.value
    pairs = given.items() if isinstance(given, Mapping) else _pairs(setting, alone="1")
    weights = {setting.open_model(str(name)): setting.number(weight, needed) for name, weight in pairs}
    if not weights or min(weights.values()) <= 0:
        raise setting.wrong(needed)
    return {"balance": weights}


def _timeouts(setting: _Setting) -> StackOptions:
    needed = "seconds, or 'first=30, idle=60, total=600'"
    if isinstance(setting.value, (int, float)):
        return {"total": setting.seconds(setting.value, needed)}
    out: StackOptions = {}
    for name, seconds in _pairs(setting, default="total"):
        match name:
            case "first" | "idle" | "total":
                out[name] = setting.seconds(seconds, needed)
            case _:
                raise setting.wrong(needed)
    return out


def _pairs(setting: _Setting, *, alone: str = "", default: str = "") -> Iterator[tuple[str, str]]:
    """The NAME=VALUE of a text; of one part alone, it is the name (with the value `alone`) or that of `default`."""
    for word in setting.words():
        name, equals, value = word.rpartition("=")
        if equals:
            yield name.strip(), value.strip()
        else:
            yield (default, word) if default else (word, alone)


def _rates(setting: _Setting) -> StackOptions:
    return {"rates": parse_rates(", ".join(setting.words()))}


def _cache(setting: _Setting) -> StackOptions:
    match setting.value:
        case True | "on" | "yes" | "true" | "memory":
            return {"cache": True}
        case False | "off" | "no" | "false":
            return {}
    return {"cache": setting.path()}


def _check(setting: _Setting) -> StackOptions:
    if setting.value != "secrets":
        raise setting.wrong("'secrets' (checks of your own: agentnb.models.checks.CheckModel)")
    return {"check_request": secrets_check(with_known_keys(setting.mask))}


_READERS: Mapping[str, Callable[[_Setting], StackOptions]] = {
    "fallback": _fallbacks,
    "fallbacks": _fallbacks,
    "balance": _balance,
    "retries": lambda setting: {"retries": setting.count(0)},
    "concurrency": lambda setting: {"concurrency": setting.count(1)},
    "rate": _rates,
    "rates": _rates,
    "timeout": _timeouts,
    "first": lambda setting: {"first": setting.seconds(setting.value)},
    "idle": lambda setting: {"idle": setting.seconds(setting.value)},
    "total": lambda setting: {"total": setting.seconds(setting.value)},
    "cache": _cache,
    "cassette": lambda setting: {"cassette": setting.path()},
    "record": lambda setting: {"record": setting.path()},
    "replay": lambda setting: {"replay": setting.path()},
    "check": _check,
}
