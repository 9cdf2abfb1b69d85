"""A call's arguments as the request they mean, before anything secret is added."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from agentnb.errors import ToolError
from agentnb.messages import JSON, JSONObject
from agentnb.openapi.arguments import Given
from agentnb.openapi.bodies import encode
from agentnb.openapi.operations import Operation, Parameter
from agentnb.openapi.security import Shown
from agentnb.openapi.styles import encoded, in_header, in_path, in_query, plain

_ACCEPT = "application/json, */*;q=0.8"
_IN_COOKIES = "!#$&'()*+-./:<=>?@[]^_`{|}~"


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent: `query` are encoded pairs, `cookies` too."""

    method: str
    address: str
    query: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()
    body: bytes = field(default=b"", repr=False)

    @property
    def url(self) -> str:
        """The whole address."""
        return f"{self.address}?{'&'.join(self.query)}" if self.query else self.address

    def with_secrets(self, shown: Shown) -> Request:
        """The same, with what says who asks. Never to be shown."""
        query = tuple(f"{encoded(name, safe='')}={encoded(value, safe='')}" for name, value in shown.query)
        cookies = self.cookies + tuple(_cookie(name, value) for name, value in shown.cookies)
        headers = {**self.headers, **shown.headers, **({"cookie": "; ".join(cookies)} if cookies else {})}
        return Request(self.method, self.address, self.query + query, headers, (), self.body)


def build(operation: Operation, base: str, given: Given, schema: JSONObject) -> Request:
    """The request of a call; `schema` is the body's. Raises ToolError for a path that would lead elsewhere."""
    headers = {"accept": _ACCEPT, "user-agent": "agentnb"}
    body = b""
    if given.body is not None and operation.body is not None:
        headers["content-type"], body = encode(operation.body, given.body[0], schema)
    query: list[str] = []
    cookies: list[str] = []
    for parameter, value in given.values:
        match parameter.place:
            case "query" | "querystring":
                query += _query(parameter, value)
            case "header":
                headers[parameter.wire.lower()] = _whole(parameter, value) or in_header(
                    value, explode=parameter.explode
                )
            case "cookie":
                cookies += _cookies(parameter, value)
    address = base + _path(operation.path, {each.wire: (each, value) for each, value in given.values if _in_path(each)})
    return Request(operation.method, address, tuple(query), headers, tuple(cookies), body)


def _in_path(parameter: Parameter) -> bool:
    return parameter.place == "path"


def _whole(parameter: Parameter, value: JSON) -> str:
    """The value as its media type has it; empty where the parameter has none."""
    return plain(value) if parameter.media else ""


def _path(template: str, values: Mapping[str, tuple[Parameter, JSON]]) -> str:
    def filled(match: re.Match[str]) -> str:
        found = values.get(match[1])
        if found is None:
            raise ToolError(f"the path {template} needs {match[1]!r}")
        each, value = found
        if each.media:
            return encoded(plain(value))
        made = in_path(each.wire, value, style=each.style, explode=each.explode, reserved=each.reserved)
        if not made:
            raise ToolError(f"{match[1]}: an empty text is no part of the path {template}")
        return made

    # What is written in a template is encoded already, or was meant to be.
    pieces = re.split(r"(\{[^{}]*\})", template.partition("?")[0].partition("#")[0])
    path = "".join(
        re.sub(r"\{([^{}]*)\}", filled, each) if each.startswith("{") else encoded(each, safe="/%:@!$&'()*+,;=~")
        for each in pieces
    )
    for segment in path.split("/"):
        if unquote(segment) in (".", ".."):
            raise ToolError(f"the path {template} would lead elsewhere with {unquote(segment)!r}. Give another value")
    return path


def _query(parameter: Parameter, value: JSON) -> Iterator[str]:
    if parameter.place == "querystring" and isinstance(value, dict):
        for name, each in value.items():
            yield from in_query(name, each)
    elif parameter.place == "querystring":
        yield encoded(plain(value), safe="=&")
    elif parameter.media:
        yield from in_query(parameter.wire, plain(value))
    else:
        yield from in_query(
            parameter.wire, value, style=parameter.style, explode=parameter.explode, reserved=parameter.reserved
        )


def _cookies(parameter: Parameter, value: JSON) -> Iterator[str]:
    if parameter.media or not isinstance(value, dict | list):
        yield _cookie(parameter.wire, plain(value))
    elif isinstance(value, dict) and parameter.explode:
        for name, each in value.items():
            yield _cookie(name, plain(each))
    else:
        yield _cookie(parameter.wire, in_header(value))


def _cookie(name: str, value: str) -> str:
    return f"{encoded(name, safe=_IN_COOKIES.replace('=', ''))}={encoded(value, safe=_IN_COOKIES)}"
