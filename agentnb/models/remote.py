"""A model behind HTTP, in any dialect: post, follow the answer, and try another way what a server refuses."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from agentnb.errors import CredentialError, RequestRefused, UsageError
from agentnb.events import MessageEnd, ModelEvent
from agentnb.models import media, structured
from agentnb.models.base import Request
from agentnb.models.cards import Card
from agentnb.models.credentials import Credential, from_environment
from agentnb.models.dialect import Dialect, Quirks
from agentnb.models.dialects import DIALECTS
from agentnb.models.http import Http, Reply, host_of
from agentnb.models.providers import Provider
from agentnb.models.refusal import Source, refused
from agentnb.models.wire import WireCache


class RemoteModel:
    """A model of a provider.

    `base_url` is another server that speaks the provider's dialect. `credential` is asked at each call (by default
    the variable that the provider's row names, in `environ`); it raises CredentialError where there is none. What a
    server turns out not to accept (usage in streams, the system role, the base URL, a schema) is tried another way
    once, and remembered. `connect` is the seconds to wait for a connection, `known` the names of the provider's models,
    of which the nearest is named where there is none of this name.
    """

    def __init__(
        self,
        model: str,
        *,
        provider: Provider,
        http: Http,
        base_url: str | None = None,
        credential: Callable[[], Credential | None] | None = None,
        environ: Mapping[str, str] = os.environ,
        card: Card | None = None,
        connect: float | None = None,
        known: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._model = model
        self._provider = provider
        self._http = http
        self._environ = environ
        self._card = card
        self._connect = connect
        self._known = known
        self._credential = credential or (lambda: from_environment(provider, environ))
        self._dialect = DIALECTS[provider.dialect] if isinstance(provider.dialect, str) else provider.dialect
        # What only a provider understands is known by the provider's name.
        self._quirks = replace(provider.quirks, provider=provider.name)
        self._bases = self._dialect.bases(base_url or self._own_base())
        self._cache: WireCache[Any] = WireCache()
        self._media = media.Fitter(self._dialect.limits)

    @property
    def name(self) -> str:
        """ "provider:model"."""
        return f"{self._provider.name}:{self._model}"

    @property
    def dialect(self) -> Dialect:
        """The wire format it is spoken to in."""
        return self._dialect

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The answer, event by event.

        Raises UsageError for what this model cannot do (before anything is sent), CredentialError, RequestRefused,
        ConnectionFailed, StreamBroken.
        """
        self._check(request)
        fitted = await self._media.fit(request.messages, http=self._http, model=self.name)
        request = replace(request, messages=fitted)
        began, bases = self._quirks, self._bases
        quirks = began
        while True:
            asked = structured.prepared(request, quirks.structured, forced=quirks.forced)
            url = self._url(bases[0], asked, quirks)
            body = self._dialect.format_request(asked, model=self._model, quirks=quirks, cache=self._cache)
            source, headers = self._signed(url, asked, body)
            async with self._http.post_stream(url, headers=headers, body=body, connect=self._connect) as reply:
                if reply.status < 300:
                    # Remembered only now: a server that refuses every way has taught us nothing.
                    self._bases = bases[:1]
                    if quirks != began:
                        self._quirks = quirks
                    answer = self._answer(reply, source, asked, quirks)
                    async with aclosing(structured.unwrapped(answer) if asked.tools != request.tools else answer) as it:
                        async for event in it:
                            yield event
                    return
                said = await reply.read()
            known = self._known() if reply.status == 404 else ()
            refusal = refused(source, reply.status, reply.headers, said, model=self._model, known=known)
            if reply.status in (404, 405) and len(bases) > 1 and b"model_not_found" not in said:
                bases = bases[1:]
            else:
                quirks = self._adapted(quirks, asked, reply.status, said, refusal)

    def _check(self, request: Request) -> None:
        quirks = self._quirks
        request.options.checked(self.name, self._dialect.options - set(quirks.without))
        if self._card is not None:
            self._card.check(request)

    async def _answer(
        self, reply: Reply, source: Source, request: Request, quirks: Quirks
    ) -> AsyncGenerator[ModelEvent, None]:
        parse = self._dialect.parse_stream
        stream = parse(reply.blocks, source=source, model=self._model, quirks=quirks, history=request.messages)
        async with aclosing(stream) as events:
            async for event in events:
                if isinstance(event, MessageEnd):
                    await reply.drain()
                yield event

    def _own_base(self) -> str:
        row = self._provider
        base = (self._environ.get(row.base_url_name, "") if row.base_url_name else "").strip() or row.base_url
        if not base:
            raise UsageError(f"No address for {row.name!r}: {row.base_url_name} is not set. Set it, or use --api-base.")
        return base

    def _url(self, base: str, request: Request, quirks: Quirks) -> str:
        row = self._provider
        path = self._filled(row.path) if row.path else self._dialect.path(request, self._model, quirks)
        query = {**{k: self._filled(v) for k, v in row.query.items()}, **request.options.query}
        if not query:
            return base + path
        return f"{base}{path}{'&' if '?' in path else '?'}{urlencode(query)}"

    def _filled(self, pattern: str) -> str:
        def value(found: re.Match[str]) -> str:
            name, _, default = found[1].partition("=")
            if name == "model":
                return quote(self._model, safe="")
            given = self._environ.get(name, "").strip() or default
            if not given:
                raise UsageError(f"{self._provider.name} needs the variable {name}. Set it.")
            return given

        return re.sub(r"\{([^{}]+)\}", value, pattern)

    def _signed(self, url: str, request: Request, body: bytes) -> tuple[Source, dict[str, str]]:
        row, credential = self._provider, self._credential()
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream, application/json",
            **self._dialect.headers(request),
            **request.options.headers,
        }
        if credential is None:
            return Source(row.name, host_of(url)), headers
        key_header = row.key_header or self._dialect.key_header
        headers |= credential.headers(key_header=key_header, method="POST", url=url, body=body)
        return Source(row.name, host_of(url), credential.where, credential.hidden), headers

    def _adapted(self, quirks: Quirks, request: Request, status: int, said: bytes, refusal: RequestRefused) -> Quirks:
        """The quirks without what this refusal is about; raises the refusal where it is about something else."""
        if isinstance(refusal, CredentialError):
            raise refusal
        lesson = self._dialect.adapt(quirks, status, said.lower())
        if lesson is None and refusal.code == "context_length_exceeded":
            raise refusal
        if lesson is None and request.output is not None and status in (400, 404, 422, 501):
            # Whatever was said: without the schema the same question may be welcome. If it is not, that is said.
            lesson = replace(quirks, structured="tool")
        elif lesson is None and quirks.structured == "tool" and request.tools[-1:] and status in (400, 422):
            lesson = _without_force(quirks, request)
        if lesson is None or lesson == quirks:
            raise refusal
        return lesson


def _without_force(quirks: Quirks, request: Request) -> Quirks | None:
    """What is left where a server refuses the tool that stands for the answer."""
    if request.tools[-1].name != structured.ANSWER:
        return None
    return replace(quirks, forced=False) if quirks.forced else replace(quirks, structured="text")
