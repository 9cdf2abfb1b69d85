"""Ask another model when one cannot answer, as long as nothing of the answer was shown."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from agentnb.errors import AgentnbError, ModelError, UsageError
from agentnb.events import ModelEvent, Waiting
from agentnb.models.attempt import reworded, sentence, shows, whole
from agentnb.models.base import Model, Request

_LENGTH = 1000


class FallbackModel:
    """A model that asks `first`, and each of the others in turn where the one before fails.

    Any error moves on, a missing key and an option that a model lacks too; one after the first token is raised as it
    is. A `Waiting` event says who is asked instead, and the `model` of the answer's end who answered.
    """

    def __init__(self, first: Model, *others: Model) -> None:
        #: The models that may answer.
        self.members = (first, *others)

    @property
    def name(self) -> str:
        """The first one's."""
        return self.members[0].name

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The answer of the first that gives one. Raises the last one's error, which says what the others said."""
        failures: list[tuple[str, AgentnbError]] = []
        for at, model in enumerate(self.members):
            begun = False
            try:
                async with aclosing(whole(model, request)) as events:
                    async for event in events:
                        begun = begun or shows(event)
                        yield event
                return
            except (ModelError, UsageError) as error:
                if begun or len(self.members) == 1:
                    raise
                failures.append((model.name, error))
            if at + 1 < len(self.members):
                yield Waiting(f"{sentence(failures[-1][1])} Asking {self.members[at + 1].name} instead.")
        raise _last(failures) from failures[-1][1]


def _last(failures: Sequence[tuple[str, AgentnbError]]) -> AgentnbError:
    """The last error, with what those before it said."""
    said = " ".join(f"{name}: {sentence(error)}" for name, error in failures[:-1])
    message = f"{sentence(failures[-1][1], _LENGTH)} Asked before: {said}"
    return reworded(failures[-1][1], message if len(message) <= _LENGTH else message[: _LENGTH - 1] + "…")
