"""What there is, as tables: providers, models, credentials, and what the runs took."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Literal

from agentnb import render
from agentnb.ledger import Row
from agentnb.messages import Usage
from agentnb.models import weights
from agentnb.models.cards import Card, Price
from agentnb.models.keys import Entry
from agentnb.models.providers import Provider
from agentnb.notebook.tables import Table
from agentnb.workspace import Workspace

#: Models that are listed at once: some providers have hundreds.
MOST = 50
_MEDIA = ("text", "image", "audio", "video", "file")


def providers(workspace: Workspace) -> Table:
    """What can answer now, your own models first; and which providers would with a key."""
    own = workspace.models.names()
    own |= {name: each.words for name, each in workspace.made_models.items() if name in own}
    keyed: list[tuple[str, str, str]] = []
    free: list[tuple[str, str, str]] = []
    waiting = []
    entries = workspace.credentials.list()
    for name, row in workspace.models.providers().items():
        if missing := _missing(row, entries):
            waiting.append(name if missing == f"{name.upper()}_API_KEY" else f"{name} ({missing})")
        else:
            has_key = any(entry.provider == name for entry in entries)
            said = (f"{name}:…", ", ".join((row.title or name, *row.aliases)), _state(row, entries))
            (keyed if has_key else free).append(said)
    rows = [*((name, what, "yours") for name, what in own.items()), *keyed, *free]
    rows += [(f"local:{row.id}", f"built in, {row.size / 1e6:,.0f} MB", _fetched(row)) for row in weights.KNOWN]
    notes = [
        f"With a key (in NAME_API_KEY, or by %credential add NAME) also: {', '.join(waiting)}." if waiting else "",
        "%model list NAME shows the models of one, with prices; --api-base reaches any other compatible server.",
    ]
    return Table(("model", "what", "state"), tuple(rows), "\n".join(notes))


def built_in() -> Table:
    """The models that run here."""
    rows = tuple(
        (f"local:{row.id}", f"{row.size / 1e6:,.0f} MB", row.licence, _fetched(row), "weak" if row.weak else "")
        for row in weights.KNOWN
    )
    note = "They run on this machine and cost nothing; %model pull NAME fetches one now. local:FILE.gguf runs your own."
    return Table(("model", "size", "licence", "state", ""), rows, note)


def _fetched(row: weights.Weights) -> str:
    return "ready" if weights.is_here(row) else "fetched when needed"


def missing_key(workspace: Workspace, provider: str) -> str:
    """The variable that a provider's key is missing from; empty where it has one, or needs none."""
    row = workspace.models.providers().get(provider)
    if row is None or any(workspace.environ.get(name, "").strip() for name in (row.key or "", *row.key_names)):
        return ""
    return _missing(row, workspace.credentials.list())


def _missing(row: Provider, entries: Sequence[Entry]) -> str:
    if not row.key or not row.key_required or any(entry.provider == row.name for entry in entries):
        return ""
    return row.key


def _state(row: Provider, entries: Sequence[Entry]) -> str:
    own = [entry for entry in entries if entry.provider == row.name]
    if on := next((entry for entry in reversed(own) if entry.enabled), None):
        return f"key in {on.where}" if on.where in (row.key, *row.key_names) else f"key kept as {on.name}"
    return f"off: %credential enable {own[-1].name}" if own else "a server of your own, no key needed"


def cards(found: Sequence[Card], words: Sequence[str] = (), failure: str = "") -> Table:
    """What a provider has, by name where `words` must occur in it; `failure` says why it was not asked."""
    fitting = [card for card in found if all(word.lower() in f"{card.name} {card.title}".lower() for word in words)]
    rows = tuple((card.name, card.title, *_abilities(card), *_prices(card.price)) for card in fitting[:MOST])
    dates = {card.read for card in fitting[:MOST] if card.price and card.read}
    notes = [
        f"Known without asking the provider: {failure}" if failure else "",
        f"No model of {len(found):,} has {' '.join(words)!r} in its name." if words and not rows else "",
        f"These are {MOST} of {len(fitting):,}: a word after the provider leaves those that have it in their names."
        if len(fitting) > MOST
        else "",
        f"Prices in USD for a million tokens, read on {max(dates)}: a guide, not an offer." if dates else "",
    ]
    return Table(("model", "name", "context", "takes", "USD in", "USD out"), rows, "\n".join(notes))


def _abilities(card: Card) -> tuple[str, str]:
    takes = [medium for medium in _MEDIA if medium in card.inputs] + sorted(card.inputs - set(_MEDIA))
    return f"{card.context:,}" if card.context else "", ", ".join(takes)


def _prices(price: Price | None) -> tuple[str, str]:
    return ("", "") if price is None else (_price(price.input), _price(price.output))


def _price(usd: float) -> str:
    """With two digits, and more where they say something."""
    whole, _, digits = f"{usd:.6f}".rstrip("0").partition(".")
    return f"${int(whole):,}.{digits:0<2}"


def credentials(workspace: Workspace) -> Table:
    """The keys there are, each masked."""
    rows = tuple(
        (entry.name, entry.provider, entry.type, entry.hint or "hidden", entry.where, "on" if entry.enabled else "off")
        for entry in workspace.credentials.list()
    )
    note = "" if rows else "No keys yet. Keep one with %credential add PROVIDER, or set the provider's variable."
    return Table(("name", "provider", "type", "key", "where", "state"), rows, note)


def spent(workspace: Workspace, by: Literal["cell", "model", "notebook"]) -> Table:
    """What the runs took, by cell or by model, and all of them together."""
    found = workspace.ledger.by(by)
    rows = [(row.key or "this notebook", *_counts(row)) for row in found]
    total = reduce(_joined, found, Row("all", 0, Usage()))
    if len(rows) > 1:
        rows.append((total.key, *_counts(total)))
    budget = workspace.budget
    unpriced = sum(entry.usage.usd is None and entry.usage.total > 0 for entry in workspace.ledger.entries)
    notes = [
        "" if found else "No runs yet.",
        f"No price is known of {unpriced:,} of the runs; the USD are those of the others." if unpriced else "",
        f"Cap of this notebook: {render.usd(budget.limit)}." if budget and budget.limit is not None else "",
    ]
    return Table(
        (by, "runs", "tokens in", "cached", "tokens out", "thinking", "seconds", "to first", "USD"),
        tuple(rows),
        "\n".join(notes),
    )


def _joined(row: Row, other: Row) -> Row:
    return Row(row.key, row.runs + other.runs, row.usage + other.usage)


def _counts(row: Row) -> tuple[str, ...]:
    usage = row.usage
    first = f"{usage.first:.1f}" if row.runs == 1 and usage.first is not None else ""
    cached, thinking = (f"{count:,}" if count else "" for count in (usage.cached, usage.reasoning))
    counts = (f"{row.runs:,}", f"{usage.input:,}", cached, f"{usage.output:,}", thinking)
    return (*counts, f"{usage.seconds:.1f}", first, "–" if usage.usd is None else render.money(usage.usd) or "$0")
