"""Ask a provider what models it has, and a model whether it answers."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol

import orjson

from agentnb import messages
from agentnb.errors import AgentnbError, RequestRefused, UsageError
from agentnb.messages import JSON
from agentnb.models.base import Model, Request
from agentnb.models.cards import Card, Cards
from agentnb.models.credentials import Credential
from agentnb.models.dialect import Dialect
from agentnb.models.dialects import DIALECTS
from agentnb.models.entries import entries_of, parse_entry, query_of_next
from agentnb.models.http import Fetched, host_of
from agentnb.models.meter import metered
from agentnb.models.options import Options
from agentnb.models.providers import Provider
from agentnb.models.refusal import Source, refused, words_of
from agentnb.transcript import Folder

#: Pages of a list at most: nobody has more, and some lists never end.
_PAGES = 50
#: The first page, as large as it may be, where a dialect has pages.
_FIRST_PAGE = {"anthropic": "limit=1000", "gemini": "pageSize=1000"}
#: Enough for a model that thinks before it says a word.
_TRIAL_TOKENS = 64


class Fetches(Protocol):
    """What gets a URL: `Http` does."""

    async def get(self, url: str, *, headers: Mapping[str, str]) -> Fetched: ...


async def list_models(
    provider: Provider,
    *,
    http: Fetches,
    credential: Credential | None,
    cards: Cards,
    environ: Mapping[str, str] = os.environ,
    base_url: str | None = None,
) -> tuple[Card, ...]:
    """The models of a provider: those it lists, with what it says of them and what our cards add; then our others.

    Raises CredentialError, RequestRefused, ConnectionFailed; UsageError where the provider lists nothing and no card is
    of it.
    """
    known = [card for card in cards if card.name.startswith(f"{provider.name}:") and card.status == "active"]
    if provider.models_path is None:
        if not known:
            raise UsageError(f"{provider.name} has no list of its models. Write the name as {provider.name}:MODEL.")
        return tuple(known)
    listed: dict[str, Card] = {}
    async with aclosing(_entries(provider, http, credential, _base(provider, environ, base_url))) as entries:
        async for entry in entries:
            card = parse_entry(entry, provider, cards)
            if card is not None:
                listed.setdefault(card.name, card)
    others = (card for card in known if card.name not in listed)
    return (*listed.values(), *others)


def _base(row: Provider, environ: Mapping[str, str], base_url: str | None) -> str:
    base = base_url or (environ.get(row.base_url_name, "").strip() if row.base_url_name else "") or row.base_url
    if not base:
        raise UsageError(f"No address for {row.name!r}: {row.base_url_name} is not set. Set it.")
    return base


async def _entries(
    row: Provider, http: Fetches, credential: Credential | None, base: str
) -> AsyncGenerator[JSON, None]:
    """What the list holds, page after page."""
    dialect = DIALECTS[row.dialect] if isinstance(row.dialect, str) else row.dialect
    bases = dialect.bases(base)
    first = _FIRST_PAGE.get(dialect.name, "")
    query, seen = first, {""}
    for _ in range(_PAGES):
        page, bases = await _page(row, dialect, http, credential, bases, query)
        for entry in entries_of(page) or ():
            yield entry
        following = query_of_next(page)
        if following in seen:
            return
        seen.add(following)
        query = f"{first}&{following}" if first else following


async def _page(
    row: Provider, dialect: Dialect, http: Fetches, credential: Credential | None, bases: tuple[str, ...], query: str
) -> tuple[JSON, tuple[str, ...]]:
    """One page, and the bases that are left to try."""
    while True:
        url = f"{bases[0]}{row.models_path}{f'?{query}' if query else ''}"
        headers = {"accept": "application/json", **dialect.headers(Request(()))}
        source = Source(row.name, host_of(url))
        if credential is not None:
            key_header = row.key_header or dialect.key_header
            headers |= credential.headers(key_header=key_header, method="GET", url=url, body=b"")
            source = replace(source, key_name=credential.where, secrets=credential.hidden)
        got = await http.get(url, headers=headers)
        if got.status in (404, 405) and len(bases) > 1:
            bases = bases[1:]
        elif got.status >= 300:
            raise refused(source, got.status, got.headers, got.body)
        else:
            return _read(source, got), bases[:1]


def _read(source: Source, got: Fetched) -> JSON:
    try:
        page: JSON = orjson.loads(got.body)
    except orjson.JSONDecodeError:
        page = None
    if entries_of(page) is None:
        said = words_of(source, got.body[:2000].decode("utf-8", "replace"))[:100]
        raise RequestRefused(
            f"{source.provider} answered with no list of models, but with: {said or 'nothing'}. Check the base URL.",
            status=got.status,
        )
    return page


@dataclass(frozen=True, slots=True)
class Trial:
    """Whether a model answers: what it said, or the error that says why it did not; and what that took."""

    name: str
    said: str
    error: str | None
    usage: messages.Usage

    @property
    def ok(self) -> bool:
        """Whether it answered."""
        return self.error is None

    def __str__(self) -> str:
        took = f"{self.usage.seconds:.1f} s"
        if self.error is not None:
            return f"{self.name} does not answer ({took}): {self.error}"
        first = f"the first word after {self.usage.first:.1f} s, " if self.usage.first is not None else ""
        return f"{self.name} answers: {first}all in {took}, {self.usage.total:,} tokens."


async def try_model(
    model: Model, *, cards: Cards | None = None, clock: Callable[[], float] = time.perf_counter
) -> Trial:
    """Ask a model for one word."""
    request = Request((messages.user("Answer with one word: ready"),), options=Options(max_tokens=_TRIAL_TOKENS))
    stream = metered(model.stream(request), cards=cards or Cards(), name=model.name, clock=clock)
    folder, began, error = Folder(), clock(), None
    try:
        async with aclosing(stream) as events:
            async for event in events:
                folder.feed(event)
    except AgentnbError as reason:
        error = str(reason)
    got = folder.transcript()
    usage = got.usage if error is None else replace(got.usage, seconds=clock() - began)
    return Trial(model.name, got.text.strip(), error, usage)
