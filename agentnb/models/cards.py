"""What is known of a model before it is asked: how much it reads, what it takes, what it costs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from agentnb.errors import UsageError
from agentnb.messages import Audio, Block, File, Image, Usage
from agentnb.models.base import Request

_MILLION = 1_000_000
#: Whose answers cost nothing: they come from a machine of one's own, or from a file.
_FREE = frozenset({"fake", "llamacpp", "lmstudio", "local", "ollama", "replay", "vllm"})
#: The same models at the same prices, by another way.
_SAME = {"azure": "openai", "dashscope-compatible": "dashscope", "openai-responses": "openai"}
#: What OpenRouter calls those who made a model, and who they are here.
_VENDORS = {
    "google": "gemini",
    "mistralai": "mistral",
    "moonshotai": "kimi",
    "qwen": "dashscope",
    "x-ai": "xai",
    "z-ai": "zai",
}
#: Others serve these too, at prices of their own.
_SOLE_VENDORS = frozenset({"anthropic", "gemini", "openai", "xai"})
#: Whose models are known by how their names begin.
_FAMILIES = {"claude-": "anthropic", "gemini-": "gemini", "qwen": "dashscope"}
_PLURALS = {"image": "images", "file": "files"}
_DATED = re.compile(r"[-@](\d{4}-\d\d-\d\d|\d{8}|00\d|latest)$|:latest$")


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens; `cached` of the input read from the provider's cache, `written` of what is put there.

    `above`: for a request of more input tokens than so many, all of it costs that price; the last that fits counts.
    """

    input: float
    output: float
    cached: float | None = None
    written: float | None = None
    above: tuple[tuple[int, Price], ...] = ()

    def cost(self, usage: Usage) -> float:
        """USD of these tokens of one request."""
        at = next((price for tokens, price in reversed(self.above) if usage.input > tokens), self)
        cached = at.input if at.cached is None else at.cached
        written = at.input if at.written is None else at.written
        fresh = max(0, usage.input - usage.cached - usage.written)
        usd = fresh * at.input + usage.cached * cached + usage.written * written + usage.output * at.output
        return usd / _MILLION


@dataclass(frozen=True, slots=True)
class Card:
    """One model, by its "provider:model". None, or an empty set, where nothing is known.

    `context` and `output` are in tokens: what it reads and answers at most. `inputs` and `outputs` are of "text",
    "image", "audio", "video" and "file". `read` is the day (ISO) the figures were read; `status` is "active",
    "deprecated" or "sunset".
    """

    name: str
    title: str = ""
    context: int | None = None
    output: int | None = None
    inputs: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()
    tools: bool | None = None
    thinking: bool | None = None
    price: Price | None = None
    read: str = ""
    status: str = "active"

    def cost(self, usage: Usage) -> float | None:
        """USD of these tokens of one request; None where no price is known."""
        return None if self.price is None else self.price.cost(usage)

    def check(self, request: Request) -> None:
        """Raises UsageError where the request holds what this model cannot take.

        What a tool's result holds is not looked at: the dialect says in words what it cannot send.
        """
        source = f"its card ({f'read {self.read}' if self.read else 'of yours'})"
        for medium in self._not_taken(request):
            takes = ", ".join(sorted(self.inputs))
            raise UsageError(
                f"{self.name} takes no {_PLURALS.get(medium, medium)}: {source} lists {takes}. Leave the {medium} out, "
                "or choose a model that takes it."
            )
        if request.tools and self.tools is False:
            raise UsageError(
                f"{self.name} calls no tools: {source} says so. Ask without tools, or choose a model that calls them."
            )

    def _not_taken(self, request: Request) -> Iterator[str]:
        if self.inputs:
            media = (_medium(block) for message in request.messages for block in message.content)
            yield from (medium for medium in media if medium and medium not in self.inputs)


class Cards:
    """The cards we have, by the names of their models; read when first asked for one."""

    def __init__(self, cards: Iterable[Card] = (), *, path: Path | None = None) -> None:
        self._path = path
        self._cards = {card.name: card for card in cards}
        self._rows: Mapping[str, Mapping[str, Any]] | None = None
        self._read = ""

    @classmethod
    def bundled(cls) -> Cards:
        """The cards that come with the package: a guide, as of the day that each names."""
        return cls(path=Path(__file__).with_name("cards.json"))

    def __iter__(self) -> Iterator[Card]:
        """All of them."""
        names = dict.fromkeys((*self._table(), *self._cards))
        return (card for name in names if (card := self._exact(name)) is not None)

    def add(self, card: Card) -> None:
        """Add a card, in place of the one of that name."""
        self._cards[card.name] = card

    def find(self, name: str) -> Card | None:
        """The card of "provider:model", under that name; also where it is known by a shorter one, or costs nothing."""
        if card := self._exact(name):
            return card
        provider, _, model = name.partition(":")
        model = model.removeprefix("models/")
        free = _is_free(provider, model)
        for known, same_price in _candidates(provider, model):
            if card := self._exact(known):
                price = Price(0, 0) if free else card.price if same_price else None
                return replace(card, name=name, price=price)
        return Card(name, price=Price(0, 0)) if free else None

    def names_of(self, provider: str) -> tuple[str, ...]:
        """The models of a provider, by their own names."""
        return tuple(card.name.partition(":")[2] for card in self if card.name.startswith(f"{provider}:"))

    def providers_of(self, model: str) -> tuple[str, ...]:
        """The providers that a model's name alone leads to."""
        family = next((provider for start, provider in _FAMILIES.items() if model.startswith(start)), None)
        names = (name.partition(":") for name in (*self._table(), *self._cards))
        return (family,) if family else tuple(dict.fromkeys(each[0] for each in names if each[2] == model))

    def _table(self) -> Mapping[str, Mapping[str, Any]]:
        if self._rows is None:
            table: Mapping[str, Any] = orjson.loads(self._path.read_bytes()) if self._path else {}
            self._rows, self._read = table.get("cards", {}), table.get("read", "")
        return self._rows

    def _exact(self, name: str) -> Card | None:
        if name not in self._cards and (row := self._table().get(name)):
            self._cards[name] = _parse(name, row, self._read)
        return self._cards.get(name)


def _candidates(provider: str, model: str) -> Iterator[tuple[str, bool]]:
    """Names that the card may have, the likeliest first; and whether the price there is the price here."""
    shorter = _DATED.sub("", model)
    for each in dict.fromkeys((model, shorter)):
        yield f"{provider}:{each}", True
        if provider in _SAME:
            yield f"{_SAME[provider]}:{each}", True
        elif provider == "bigmodel":
            yield f"zai:{each}", False
    vendor, slash, model = shorter.partition("/")
    if provider == "openrouter" and slash:
        model = model.partition(":")[0]
        maker = _VENDORS.get(vendor, vendor)
        for each in dict.fromkeys((model, model.replace(".", "-"))):
            yield f"{maker}:{each}", maker in _SOLE_VENDORS


def _is_free(provider: str, model: str) -> bool:
    if provider == "openrouter":
        return model.endswith(":free")
    return provider in _FREE and not model.endswith(("-cloud", ":cloud"))


def _parse(name: str, row: Mapping[str, Any], read: str) -> Card:
    fields = {"read": read, **row}
    above = fields.pop("above", {})
    fields |= {key: frozenset(fields[key].split()) for key in ("inputs", "outputs") if key in fields}
    if prices := fields.pop("price", None):
        tiers = tuple((int(tokens), Price(*each)) for tokens, each in above.items())
        fields["price"] = replace(Price(*prices), above=tiers)
    return Card(name, **fields)


def _medium(block: Block) -> str | None:
    """What a model must be able to take for this block; None where every model can, or nobody knows."""
    match block:
        case Image():
            return "image"
        case Audio():
            return "audio"
        case File(media_type=kind) if kind.startswith("video/"):
            return "video"
        case File(media_type=kind) if not kind.startswith("text/"):
            return "file"
    return None
