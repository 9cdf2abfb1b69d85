"""A service described by an OpenAPI document, as tools: one for each operation that is wanted."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from agentnb import config
from agentnb.errors import UsageError, nearest
from agentnb.models.http import Http
from agentnb.models.keys import Credentials
from agentnb.openapi import operations
from agentnb.openapi.documents import Source, called, gather
from agentnb.openapi.operations import Operation, Operations
from agentnb.openapi.refs import References
from agentnb.openapi.security import ANY, Keys
from agentnb.openapi.servers import base_url, checked
from agentnb.openapi.tool import OpenApiTool, Service
from agentnb.tools.base import Approval


class OpenApiTools:
    """The tools of one document: a `Toolset`, and a sequence of tools by name or number.

    `left_out` says of each operation that could not be made a tool why.
    """

    def __init__(self, name: str, tools: Sequence[OpenApiTool], left_out: Mapping[str, str]) -> None:
        self.name = name
        self.left_out = dict(left_out)
        self._tools = tuple(tools)
        self._by_name = {tool.name: tool for tool in tools}

    def known(self) -> Sequence[OpenApiTool]:
        """The tools."""
        return self._tools

    async def ready(self) -> Sequence[OpenApiTool]:
        """The tools: a service need not be started."""
        return self._tools

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses that are asked, each once."""
        return tuple(dict.fromkeys(tool.base for tool in self._tools))

    def __iter__(self) -> Iterator[OpenApiTool]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def __getitem__(self, name: str) -> OpenApiTool:
        if name not in self._by_name:
            raise UsageError(f"{self.name} has no tool {name!r}.{nearest(name, self._by_name)}")
        return self._by_name[name]

    def __repr__(self) -> str:
        return f"<{len(self)} tools of {self.name} at {', '.join(self.hosts)}>"


async def load(
    source: Source,
    *,
    name: str | None = None,
    server: str | None = None,
    variables: Mapping[str, str] | None = None,
    auth: str | Mapping[str, str] | None = None,
    only: Sequence[str] | None = None,
    tags: Sequence[str] | None = None,
    approval: Approval = "ask",
    http: Http | None = None,
    credentials: Credentials | None = None,
    environ: Mapping[str, str] | None = None,
) -> OpenApiTools:
    """The operations of an OpenAPI document (a path, a URL, JSON or YAML text, a dict) as tools.

    `name` goes before the document's title, `server` before its servers; `variables` fill in a server's address.
    `auth` names a stored credential or an environment variable, or one for each security scheme. `only` are names,
    operationIds or "METHOD /path", with `*` where you like; `tags` those of which one must fit.
    Raises UsageError, ConnectionFailed, StreamBroken, CredentialError.
    """
    environ = os.environ if environ is None else environ
    override = None if server is None else checked(server)
    http = http or Http(settings=config.read(environ, config.home(environ)))
    references = References(await gather(source, http))
    found = operations.read(references)
    named = _auth(auth)
    keys = Keys(credentials or Credentials(environ), environ)
    for each in named.values():
        keys.find(each)  # a name that is wrong is said now, not at the first call
    title = _title(name or found.title or called(source))
    service = Service(title, references, http, keys, named, approval)
    left_out, tools = dict(found.left_out), []
    for operation in _chosen(found, only, tags):
        try:
            base = base_url(operation, references.root.uri, override, variables or {})
        except UsageError as reason:
            left_out[operation.label] = str(reason)
            continue
        tools.append(OpenApiTool(operation, base, service))
    if not tools:
        why = next(iter(left_out.values()), "it has no operations that were asked for")
        raise UsageError(f"{called(source)} gives no tools: {why}.")
    return OpenApiTools(title, tools, left_out)


def _auth(auth: str | Mapping[str, str] | None) -> dict[str, str]:
    return {} if auth is None else {ANY: auth} if isinstance(auth, str) else dict(auth)


def _title(words: str) -> str:
    """What a toolset is called: in the id of each tool, and by a person in a magic."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", words).strip("-.")[:40].lower() or "openapi"


def _chosen(found: Operations, only: Sequence[str] | None, tags: Sequence[str] | None) -> Iterator[Operation]:
    every = {tag for operation in found.found for tag in operation.tags}
    for tag in tags or ():
        if tag not in every:
            raise UsageError(f"No operation has the tag {tag!r}.{nearest(tag, every)}")
    for pattern in only or ():
        if not any(_fits(operation, pattern) for operation in found.found):
            names = [operation.name for operation in found.found]
            raise UsageError(f"There is no operation {pattern!r}.{nearest(pattern, names)}")
    for operation in found.found:
        named = only is None or any(_fits(operation, pattern) for pattern in only)
        if named and (tags is None or set(tags) & set(operation.tags)):
            yield operation


def _fits(operation: Operation, pattern: str) -> bool:
    return any(fnmatchcase(each, pattern) for each in (operation.name, operation.id, operation.label))
