"""The dialects we speak, by the names that providers.toml gives them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from agentnb.models import anthropic, dashscope, gemini, ollama, openai_chat, responses
from agentnb.models.dialect import Dialect

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        each.name: each
        for each in (
            openai_chat.DIALECT,
            openai_chat.AZURE,
            responses.DIALECT,
            anthropic.DIALECT,
            dashscope.DIALECT,
            gemini.DIALECT,
            ollama.DIALECT,
        )
    }
)
