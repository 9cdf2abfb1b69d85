"""Which context goes along, where a cell does not say: none for models that it would only harm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentnb import config
from agentnb.errors import UsageError, nearest
from agentnb.models import weights
from agentnb.models.base import Model
from agentnb.models.cached import CacheModel
from agentnb.models.cassette import CassetteModel
from agentnb.models.fake import FakeModel

Mode: TypeAlias = Literal["none", "minimal", "notebook"]

#: The part of a model's context that goes to it, and how much at most, in tokens.
_PART, _MOST = 16, {"none": 0, "minimal": 2_000, "notebook": 8_000}
#: What a model whose context is not known is taken to read, in tokens: the least that is usual.
_UNKNOWN = 8_192


@dataclass(frozen=True, slots=True)
class Choice:
    """What goes along, and why: words for the person. `shown`: a dry run names it also where nothing goes along."""

    mode: Mode
    why: str
    shown: bool = False


def chosen(asked: str | None, usual: Callable[[], str | None], model: Model) -> Choice:
    """What the cell asked for; else nothing where answers are found by their request; else what is set as `usual`.

    Where nothing is set, "minimal", and "none" for the built-in models. Raises UsageError for another word.
    """
    if asked is not None:
        return Choice(mode_named(asked), "asked for by --context")
    if _by_request(model):
        return Choice("none", "its answers are found by their request")
    if (given := usual()) is not None:
        return Choice(mode_named(given), "set by $AGENTNB_CONTEXT, or in config.toml")
    if _is_built_in(model):
        return Choice(
            "none",
            "it is a small model, which more words confuse and slow down; --context minimal sends some",
            shown=True,
        )
    return Choice("minimal", "the default")


def budget(mode: Mode, context: int | None) -> int:
    """How many tokens may go to a model that reads `context`."""
    return min((context or _UNKNOWN) // _PART, _MOST[mode])


def mode_named(word: str) -> Mode:
    """What `--context` says. Raises UsageError for another word."""
    match word:
        case "none" | "minimal" | "notebook":
            return word
    raise UsageError(
        f"--context {word!r} is not known.{nearest(word, config.CONTEXTS)} It is none, minimal or notebook."
    )


def _members(model: Model) -> tuple[Model, ...]:
    members: tuple[Model, ...] = getattr(model, "members", ())
    return members


def _by_request(model: Model) -> bool:
    return isinstance(model, CacheModel | CassetteModel | FakeModel) or any(map(_by_request, _members(model)))


def _is_built_in(model: Model) -> bool:
    members = _members(model)
    return any(map(_is_built_in, members)) if members else model.name in {f"local:{row.id}" for row in weights.KNOWN}
