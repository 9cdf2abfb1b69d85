"""Each model that wraps others, around one: what it adds must not show in what a model keeps to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agentnb.messages import Message
from agentnb.models.balance import BalanceModel
from agentnb.models.base import Model
from agentnb.models.cached import CacheModel
from agentnb.models.checks import CheckModel, secrets_check
from agentnb.models.fake import FakeModel
from agentnb.models.fallback import FallbackModel
from agentnb.models.limits import LimitModel
from agentnb.models.retry import RetryModel
from agentnb.models.stack import stack
from agentnb.models.timeouts import TimeoutModel


def _fine(_text: str, _message: Message) -> None:
    """Lets every answer pass."""


def _stack(model: Model) -> Model:
    return stack(
        model,
        fallbacks=[FakeModel()],
        balance={FakeModel(): 0.001},
        concurrency=4,
        rates="1000/s, 1e6 tokens/m",
        first=5,
        idle=5,
        total=5,
        cache=True,
        check_request=secrets_check(),
        check_response=_fine,
    )


WRAPPERS: Mapping[str, Callable[[Model], Model]] = {
    "retry": RetryModel,
    "fallback": lambda model: FallbackModel(model, FakeModel()),
    "balance": lambda model: BalanceModel([(model, 2), (model, 1)]),
    "limits": lambda model: LimitModel(model, concurrency=2, rates="1000/s, 1e6 tokens/m"),
    "timeouts": lambda model: TimeoutModel(model, first=5, idle=5, total=5),
    "cache": CacheModel,
    "checks": lambda model: CheckModel(model, request=secrets_check(), response=_fine),
    "checks, held back": lambda model: CheckModel(model, response=_fine, every=2),
    "stack": _stack,
}
