"""Where an operation is asked: the person's server, else its own, its path's or the document's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit

from agentnb.errors import UsageError
from agentnb.models.routes import leads_inside
from agentnb.openapi.operations import Operation
from agentnb.openapi.shape import Node

_MOST_VARIABLES = 50


def checked(url: str) -> str:
    """A server's address as a person gives it, without the slash at its end. Raises UsageError."""
    address = url.strip().rstrip("/")
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise UsageError(f"{address.partition('?')[0][:120]!r} is not a server's address. Write https://HOST/PATH.")
    if "@" in parts.netloc:
        raise UsageError(
            f"The address of {host} holds a user or a password. Take it out, and name a credential: --auth"
        )
    if re.search(r"[\s\x00-\x1f\x7f{}\\]", address):
        raise UsageError(f"The address of {host} has characters that no address has. Correct it.")
    return address


def base_url(operation: Operation, document: str, override: str | None, variables: Mapping[str, str]) -> str:
    """The address that an operation's path is added to; `document` is the URI that relative ones count from.

    Raises UsageError where there is none, or one that a page of the network must not send us to.
    """
    if override is not None:
        return override
    here = document if document.startswith(("http://", "https://")) else ""
    reason = None
    for server in operation.servers or (Node({"url": "/"}),):
        try:
            address = checked(urljoin(here, _filled(server, variables)))
        except (UsageError, ValueError) as error:
            reason = reason or error
            continue
        inside = leads_inside(urlsplit(address).hostname or "")
        if here and inside and not leads_inside(urlsplit(here).hostname or ""):
            raise UsageError(f"it is asked at {address}, inside this network. If that is meant, say so: --server URL")
        return address
    if operation.servers and here:
        raise UsageError(str(reason))
    raise UsageError("the document names no server that can be reached. Name one: --server URL")


def _filled(server: Node, variables: Mapping[str, str]) -> str:
    url = server.text("url")
    for name, described in server.get("variables").items()[:_MOST_VARIABLES]:
        value = variables.get(name) or str(described.fields.get("default", ""))
        choices = described.fields.get("enum")
        if name in variables and isinstance(choices, list) and value not in choices:
            raise UsageError(f"the server variable {name!r} is one of {', '.join(map(str, choices))}, not {value!r}")
        url = url.replace(f"{{{name}}}", value)
    return url
