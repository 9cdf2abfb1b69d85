"""What models around others agree on: who may answer, when an answer has begun, that it must end, an error's words."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from agentnb.errors import (
    AgentnbError,
    BudgetExceeded,
    ConnectionFailed,
    CredentialError,
    ModelError,
    RequestRefused,
    StreamBroken,
    UsageError,
)
from agentnb.events import MessageEnd, ModelEvent, Usage, Waiting
from agentnb.models.base import Model, Request

#: What a model raises, the narrower before the wider.
_MODEL_KINDS = (CredentialError, RequestRefused, ConnectionFailed, StreamBroken, ModelError)
_USAGE_KINDS = (BudgetExceeded, UsageError)


class Around:
    """A model around another one, with its name."""

    def __init__(self, model: Model) -> None:
        self.model = model

    @property
    def name(self) -> str:
        """The wrapped model's."""
        return self.model.name

    @property
    def members(self) -> tuple[Model, ...]:
        """The models that may answer."""
        return (self.model,)


def who_may_answer(model: Model) -> tuple[str, ...]:
    """The names of the models that a model is made of (its `members`, and theirs); its own where it is made of none."""
    members: tuple[Model, ...] = getattr(model, "members", ())
    return tuple(dict.fromkeys(name for each in members for name in who_may_answer(each))) or (model.name,)


def shows(event: ModelEvent) -> bool:
    """Whether a reader sees it: after a wait or a count another try may still follow, after this none may."""
    return not isinstance(event, (Waiting, Usage))


async def whole(model: Model, request: Request) -> AsyncGenerator[ModelEvent, None]:
    """The model's answer; StreamBroken where it ends without an end."""
    ended = False
    async with aclosing(model.stream(request)) as events:
        async for event in events:
            ended = ended or isinstance(event, MessageEnd)
            yield event
    if not ended:
        raise StreamBroken(f"{model.name} stopped in the middle of its answer. Run again.", retryable=True)


def kind_of(error: AgentnbError) -> type[ModelError] | type[UsageError]:
    """The nearest of our own kinds, for a copy of an error whose class may want other arguments."""
    if isinstance(error, ModelError):
        return next(kind for kind in _MODEL_KINDS if isinstance(error, kind))
    return next((kind for kind in _USAGE_KINDS if isinstance(error, kind)), UsageError)


def kinds() -> dict[str, type[ModelError] | type[UsageError]]:
    """Those kinds by name."""
    return {kind.__name__: kind for kind in (*_MODEL_KINDS, *_USAGE_KINDS)}


def reworded(error: AgentnbError, message: str) -> AgentnbError:
    """The same error with another message."""
    kind = kind_of(error)
    if issubclass(kind, ModelError) and isinstance(error, ModelError):
        return kind(
            message,
            status=error.status,
            code=error.code,
            retryable=error.retryable,
            retry_after=error.retry_after,
        )
    return kind(message)


def sentence(what: object, length: int = 300) -> str:
    """The same, with a full stop at its end."""
    said = shortened(what, length)
    return said if said.endswith((".", "…", "!", "?")) else f"{said}."


def shortened(what: object, length: int = 300) -> str:
    """A text, or what an error says, on one line of bounded length."""
    said = " ".join(str(what).split())
    return said if len(said) <= length else said[: length - 1] + "…"
