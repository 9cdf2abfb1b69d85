"""One operation of a service as a tool."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import cached_property, partial

from agentnb.errors import AgentnbError, ToolError
from agentnb.masking import Mask
from agentnb.messages import Content, Data, JSONObject, Text, ToolSpec
from agentnb.models.http import Fetched, Http
from agentnb.openapi.answers import result
from agentnb.openapi.arguments import Arguments, arrange
from agentnb.openapi.operations import Operation
from agentnb.openapi.refs import References
from agentnb.openapi.requests import Request, build
from agentnb.openapi.security import ANY, Guard, Keys, Sent, Shown, guard
from agentnb.tools.base import Approval, ToolContext, ToolReturn, Traits
from agentnb.tools.references import keep

SECONDS = 30.0
#: What is read of an answer, in bytes.
MOST_READ = 100_000_000
#: Bytes that take a moment to read.
_MUCH = 1_000_000
#: What a preview shows of a body, in characters.
_LONGEST_BODY = 4_000


@dataclass(frozen=True, slots=True)
class Service:
    """What the operations of a document share; `auth` names credentials by security scheme ("" for any)."""

    source: str
    references: References = field(repr=False)
    http: Http = field(repr=False)
    keys: Keys = field(repr=False)
    auth: Mapping[str, str] = field(default_factory=dict)
    approval: Approval = "ask"


class OpenApiTool:
    """An operation that a model may call, at `base` and its path."""

    parallel = True

    def __init__(self, operation: Operation, base: str, service: Service) -> None:
        self.operation = operation
        self.base = base
        self._service = service
        self._numbers = itertools.count(1)
        self.name = operation.name
        self.traits = Traits(f"openapi-{service.source}-{operation.name}", service.source, service.approval, base)

    def __repr__(self) -> str:
        return f"<tool {self.name}: {self.operation.label} of {self._service.source}>"

    @property
    def description(self) -> str:
        """What the model is told it does."""
        return self.operation.description

    def spec(self, namespace: MutableMapping[str, object]) -> ToolSpec:  # noqa: ARG002  # the same in every notebook
        """What the model is told."""
        return ToolSpec(self.name, self.description, self._arguments.schema)

    def check(self, arguments: JSONObject, context: ToolContext) -> None:  # noqa: ARG002
        """Raises ToolError for arguments that do not fit."""
        self._request(arguments)

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolReturn:
        """Ask the service. Raises ToolError where the arguments do not fit, or nothing can be asked."""
        request = self._request(arguments)
        shown = self._shown(request)
        mask = Mask(*shown.hidden)
        fetched = await self._sent(request.with_secrets(shown), mask)

        def kept(value: object) -> str:
            return keep(value, self.name, self._numbers, context.namespace)

        read = partial(result, self.operation.label, fetched, mask, kept, "" if shown.hidden else self._hint)
        # To read much takes long, and the loop has other runs to attend to.
        return await asyncio.to_thread(read) if len(fetched.body) > _MUCH else read()

    async def preview(self, arguments: JSONObject, context: ToolContext) -> tuple[Content, ...]:  # noqa: ARG002
        """The request that a call would send, without secrets. Raises ToolError for one that cannot be sent."""
        request = self._request(arguments)
        lines = [f"{request.method} {request.url}"]
        told = ("accept", "user-agent")
        lines += [f"{name}: {value}" for name, value in request.headers.items() if name not in told]
        lines += [f"cookie: {each}" for each in request.cookies]
        if names := self._named:
            lines.append(f"(with the credential {' and '.join(map(repr, names))})")
        return Text("\n".join(lines)), *_shown_body(request)

    @cached_property
    def _arguments(self) -> Arguments:
        return arrange(self.operation, self._service.references)

    @cached_property
    def _guard(self) -> Guard:
        return guard(self._service.references, self.operation)

    @property
    def _named(self) -> list[str]:
        """The credentials that a call shows; the first alternative is the likeliest."""
        alternatives = self._guard.named(self._service.auth)
        return list(dict.fromkeys(name for _, name in alternatives[0])) if alternatives else []

    @property
    def _hint(self) -> str:
        schemes = [each for alternative in self._guard.schemes or () for each in alternative]
        if self._service.auth.get(ANY) or not (schemes or self._guard.unknown):
            return ""
        asked = ", ".join(dict.fromkeys(map(str, schemes))) or "a scheme that is not supported"
        return f" It asks for a credential ({asked}), and none was given: the person can name one with --auth."

    def _request(self, arguments: JSONObject) -> Request:
        given = self._arguments.take_apart(self.name, arguments)
        return build(self.operation, self.base, given, self._arguments.body_schema)

    def _shown(self, request: Request) -> Shown:
        sent = Sent(request.method, request.url, request.body)
        try:
            return self._guard.show(self._service.auth, self._service.keys, sent)
        except AgentnbError as error:
            raise ToolError(str(error)) from None

    async def _sent(self, request: Request, mask: Mask) -> Fetched:
        try:
            return await self._service.http.request(
                request.method,
                request.url,
                headers=request.headers,
                body=request.body,
                limit=MOST_READ,
                timeout=SECONDS,
            )
        except AgentnbError as error:
            raise ToolError(mask(str(error))) from None


def _shown_body(request: Request) -> tuple[Content, ...]:
    if not request.body:
        return ()
    text = request.body.decode("utf-8", "replace")
    if len(text) > _LONGEST_BODY:
        return (Text(f"{text[:_LONGEST_BODY]} … ({len(text) - _LONGEST_BODY:,} more characters)"),)
    if request.headers.get("content-type", "").endswith("json"):
        return (Data(json.loads(text)),)
    return (Text(text),)
