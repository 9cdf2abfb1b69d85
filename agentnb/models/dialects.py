"""The dialects we speak, by the names that providers.toml gives them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from agentnb.models import openai_chat
from agentnb.models.dialect import Dialect

DIALECTS: Mapping[str, Dialect] = MappingProxyType({each.name: each for each in (openai_chat.DIALECT,)})
