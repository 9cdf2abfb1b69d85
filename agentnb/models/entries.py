"""What providers say of the models they list, each in its own words, as cards."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import quote

from agentnb.messages import JSON
from agentnb.models.cards import Card, Cards, Price
from agentnb.models.providers import Provider

#: What stands in a list without being a model that talks.
_OTHER_KINDS = re.compile(
    r"embed|whisper|\btts\b|dall-e|moderation|transcribe|realtime|gpt-image|\bsora\b|babbage|davinci|rerank|imagen|"
    r"\bveo\b|\baqa\b|guard|lyria|\bocr\b"
)
_OTHER_TYPES = frozenset({"audio", "embedding", "embeddings", "image", "moderation", "rerank", "transcribe", "video"})
_NAME, _TITLE = 300, 100
_MEDIA = ("text", "image", "audio", "video", "file")
#: What they call the tokens that a model reads, and answers, at most.
_FIGURES = {
    "context": (
        *("context_length", "context_window", "max_model_len", "inputTokenLimit", "max_context_length"),
        "max_input_tokens",
    ),
    "output": ("outputTokenLimit", "max_completion_tokens", "max_output_tokens", "max_output_length"),
}


def entries_of(page: JSON) -> list[JSON] | None:
    """The entries of a list, wherever a provider puts them; None where there is no list."""
    match page:
        case {"data": list() as entries} | {"models": list() as entries} | (list() as entries):
            return entries
        case {"data": None} | {"models": None}:
            return []
    return None


def query_of_next(page: JSON) -> str:
    """The query that gets the next page of a list; empty after the last."""
    match page:
        case {"has_more": True, "last_id": str() as last}:
            return f"after_id={quote(last, safe='')}"
        case {"nextPageToken": str() as token} if token:
            return f"pageToken={quote(token, safe='')}"
    return ""


def parse_entry(entry: JSON, provider: Provider, cards: Cards) -> Card | None:
    """The card of one entry, with what our cards add; None where it is no model that talks."""
    if not isinstance(entry, dict):
        return None
    model = next((name for key in ("id", "name", "model") if isinstance(name := entry.get(key), str) and name), "")
    model = model.removeprefix("models/")
    if not re.fullmatch(rf"[^\s<>]{{1,{_NAME}}}", model) or not model.isprintable():
        return None
    name = f"{provider.name}:{model}"
    known = cards.find(name)
    if not _talks(entry, model, known=known is not None and bool(known.context)):
        return None
    return replace(known or Card(name), **dict(_said(entry)))  # type: ignore[arg-type]  # fields of Card


def _talks(entry: Mapping[str, JSON], model: str, *, known: bool) -> bool:
    match entry:
        case {"supportedGenerationMethods": list() as methods} if "generateContent" not in methods:
            return False
        case {"capabilities": {"completion_chat": bool() as chats}}:
            return chats
        case {"type": str() as kind} if kind in _OTHER_TYPES:
            return False
    return known or not _OTHER_KINDS.search(model.lower())


def _said(entry: Mapping[str, JSON]) -> Iterator[tuple[str, object]]:
    """What a provider says of its model, as fields of a card."""
    title = entry.get("display_name") or entry.get("displayName") or ("id" in entry and entry.get("name"))
    if isinstance(title, str) and (title := " ".join(title.split())[:_TITLE]).isprintable() and title:
        yield "title", title
    top = entry.get("top_provider")
    sources = (entry, top) if isinstance(top, dict) else (entry,)
    for field, keys in _FIGURES.items():
        numbers = (_number(source.get(key)) for source in sources for key in keys)
        if number := next((int(number) for number in numbers if number and 1 <= number < 1e12), None):
            yield field, number
    yield from _abilities(entry)
    if price := _price(entry.get("pricing")):
        yield "price", price


def _number(value: JSON) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    # A router that does not know whom it will ask asks less than nothing.
    return number if 0 <= number < math.inf else None


def _abilities(entry: Mapping[str, JSON]) -> Iterator[tuple[str, object]]:
    match entry.get("architecture"):
        case {"input_modalities": [*_] as inputs, "output_modalities": [*_] as outputs}:
            yield "inputs", frozenset(each for each in _MEDIA if each in inputs)
            yield "outputs", frozenset(each for each in _MEDIA if each in outputs)
    match entry.get("supported_parameters"):
        case [*parameters]:
            yield "tools", "tools" in parameters
            yield "thinking", "reasoning" in parameters
    match entry.get("capabilities"):
        case {"function_calling": bool() as calls}:
            yield "tools", calls
    if isinstance(thinks := entry.get("thinking"), bool):
        yield "thinking", thinks


def _price(pricing: JSON) -> Price | None:
    """USD per million tokens, from USD per token as OpenRouter has them, or per million as Together."""
    if not isinstance(pricing, dict):
        return None
    per_token = "prompt" in pricing
    keys = ("prompt", "completion", "input_cache_read", "input_cache_write") if per_token else ("input", "output")
    fresh, answer, *cached = (_number(pricing.get(key)) for key in keys)
    if fresh is None or answer is None or not (per_token or fresh or answer):
        # Together says 0 of what it only rents by the hour.
        return None
    scale = 1_000_000 if per_token else 1
    return Price(*(None if usd is None else round(usd * scale, 9) for usd in (fresh, answer, *cached)))  # type: ignore[arg-type]  # the first two are there
