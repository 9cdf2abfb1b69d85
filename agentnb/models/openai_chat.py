"""OpenAI's Chat Completions dialect, which most servers speak: OpenAI, llama.cpp, vLLM, DeepSeek, OpenRouter, …"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace

from agentnb.errors import CredentialError, RequestRefused
from agentnb.events import MessageEnd, ModelEvent
from agentnb.models.base import Request
from agentnb.models.http import Http, Reply, host_of
from agentnb.models.openai_request import Dialect, Wire, format_request
from agentnb.models.openai_stream import parse_stream
from agentnb.models.refusal import Source, refused
from agentnb.models.wire import WireCache

__all__ = ["Dialect", "OpenAIChat", "format_request", "parse_stream"]

#: Asked in turn by servers that refuse the role before; the last is one that all accept.
_SYSTEM_ROLES = ("system", "developer", "user")


class OpenAIChat:
    """A model behind an OpenAI-compatible server.

    `base_url` may lack its `/v1`. `key_name` is the variable of `environ` that holds the key, read at each call; None
    sends no key. What a server turns out not to accept (usage in streams, the system role, the base URL) is tried
    another way once, and remembered.
    """

    def __init__(
        self,
        model: str,
        *,
        http: Http,
        base_url: str = "https://api.openai.com/v1",
        key_name: str | None = "OPENAI_API_KEY",
        dialect: Dialect | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._model = model
        self._http = http
        self._bases = _bases(base_url)
        self._key_name = key_name
        self._dialect = dialect or Dialect()
        self._environ = environ
        self._cache: WireCache[Wire] = WireCache()

    @property
    def name(self) -> str:
        """ "provider:model"."""
        return f"{self._dialect.provider}:{self._model}"

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The answer, event by event. Raises CredentialError, RequestRefused, ConnectionFailed, StreamBroken."""
        dialect, bases = self._dialect, self._bases
        while True:
            source = self._source(bases[0])
            body = format_request(request, model=self._model, dialect=dialect, cache=self._cache)
            async with self._http.post_stream(
                f"{bases[0]}/chat/completions", headers=_headers(source), body=body
            ) as reply:
                if reply.status < 300:
                    # Remembered only now: a server that refuses every way has taught us nothing.
                    self._dialect, self._bases = dialect, bases[:1]
                    async with aclosing(self._answer(reply, source, request)) as events:
                        async for event in events:
                            yield event
                    return
                said = await reply.read()
            refusal = refused(source, reply.status, reply.headers, said)
            if reply.status in (404, 405) and len(bases) > 1 and b"model_not_found" not in said:
                bases = bases[1:]
            else:
                dialect = _adapted(dialect, reply.status, said, refusal)

    async def _answer(self, reply: Reply, source: Source, request: Request) -> AsyncGenerator[ModelEvent, None]:
        stream = parse_stream(
            reply.blocks,
            source=source,
            model=self._model,
            think_tags=self._dialect.think_tags,
            history=request.messages,
        )
        async with aclosing(stream) as events:
            async for event in events:
                if isinstance(event, MessageEnd):
                    await reply.drain()
                yield event

    def _source(self, base: str) -> Source:
        provider, host = self._dialect.provider, host_of(base)
        if self._key_name is None:
            return Source(provider, host)
        key = self._environ.get(self._key_name, "").strip()
        if not key:
            raise CredentialError(f"No key for {provider!r}: {self._key_name} is not set. Set it to a key for {host}.")
        if not (key.isascii() and key.isprintable()):
            raise CredentialError(f"{self._key_name} does not hold a key: it has characters that no key has. Set it.")
        return Source(provider, host, self._key_name, key)


def _bases(base_url: str) -> tuple[str, ...]:
    """Where to try, in order: a base URL may be given with its `/v1` or without it."""
    base = base_url.strip().rstrip("/").removesuffix("/chat/completions")
    if base.rpartition("/")[2] in ("v1", "v2", "v3", "v4"):
        return (base,)
    versioned = f"{base}/v1"
    return (base, versioned) if "/" in base.partition("://")[2] else (versioned, base)


def _headers(source: Source) -> dict[str, str]:
    headers = {"content-type": "application/json", "accept": "text/event-stream, application/json"}
    if source.key:
        headers["authorization"] = f"Bearer {source.key}"
    return headers


def _adapted(dialect: Dialect, status: int, said: bytes, refusal: RequestRefused) -> Dialect:
    """The dialect without what this refusal is about; raises the refusal where it is about something else."""
    said = said.lower()
    if status in (400, 422):
        if dialect.stream_options and (b"stream_options" in said or b"include_usage" in said):
            return replace(dialect, stream_options=False)
        role = dialect.system_role
        if b"role" in said and role.encode() in said and role != _SYSTEM_ROLES[-1]:
            return replace(dialect, system_role=_SYSTEM_ROLES[_SYSTEM_ROLES.index(role) + 1])
    raise refusal
