"""Models made of models, to import from one place: each is a model again, so they go into one another.

    RetryModel(FallbackModel(model("openai:gpt-5-mini"), model("anthropic:claude-sonnet-4-5")))

`stack` puts them around a model in the order that makes sense.
"""

from __future__ import annotations

from agentnb.models.balance import BalanceModel
from agentnb.models.cached import CacheModel
from agentnb.models.cassette import CassetteModel
from agentnb.models.checks import CheckModel
from agentnb.models.fallback import FallbackModel
from agentnb.models.limits import LimitModel
from agentnb.models.meter import Budget, BudgetModel
from agentnb.models.multi_agent import MultiAgentModel
from agentnb.models.preset import PresetModel
from agentnb.models.retry import RetryModel
from agentnb.models.stack import stack
from agentnb.models.timeouts import TimeoutModel

__all__ = [
    "BalanceModel",
    "Budget",
    "BudgetModel",
    "CacheModel",
    "CassetteModel",
    "CheckModel",
    "FallbackModel",
    "LimitModel",
    "MultiAgentModel",
    "PresetModel",
    "RetryModel",
    "TimeoutModel",
    "stack",
]
