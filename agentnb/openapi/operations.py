"""The operations of a document: each path and method with its parameters, its body, its servers and its security."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from agentnb.errors import UsageError
from agentnb.openapi.refs import References
from agentnb.openapi.shape import Node, texts

Place: TypeAlias = Literal["path", "query", "querystring", "header", "cookie"]
PLACES: tuple[Place, ...] = get_args(Place)

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
_LONGEST_NAME = 64
_LONGEST_DESCRIPTION = 2_000
_DEFAULT_STYLE: dict[Place, str] = {"query": "form", "cookie": "form", "path": "simple", "header": "simple"}
#: Headers that have a place of their own in OpenAPI, or that would change how a request is read.
_NOT_PARAMETERS = frozenset({
    "accept", "authorization", "connection", "content-length", "content-type", "cookie", "expect", "host",
    "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: `wire` is its name as the service has it, `media` the type of its content where it has one."""

    wire: str
    place: Place
    schema: Node = field(repr=False)
    required: bool = False
    style: str = "simple"
    explode: bool = False
    reserved: bool = False
    media: str | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent: its media type, its schema, and how single fields of a form are written."""

    media: str
    schema: Node = field(repr=False)
    required: bool = False
    encoding: Node = field(default=Node(None), repr=False)
    description: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """What can be asked of a service; `name` is the tool's, `id` the author's. `security` None is none at all."""

    name: str
    method: str
    path: str
    id: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    servers: tuple[Node, ...] = field(default=(), repr=False)
    security: Node = field(default=Node(None), repr=False)

    @property
    def label(self) -> str:
        """`GET /pets/{id}`."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Operations:
    """What a document offers, and what of it cannot be read: the reasons by the operation's label."""

    title: str
    found: tuple[Operation, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)


def read(references: References) -> Operations:
    """The operations of a document. Raises UsageError for one that is no OpenAPI 3.0 to 3.2."""
    root = references.root
    check_version(root)
    found: list[Operation] = []
    left_out: dict[str, str] = {}
    names: set[str] = set()
    for path, method, item, node in _each(references, left_out):
        try:
            operation = _operation(references, names, path, method, item, node)
        except UsageError as reason:
            left_out[f"{method} {path}"] = str(reason)
            continue
        names.add(operation.name)
        found.append(operation)
    return Operations(root.get("info").text("title"), tuple(found), left_out)


def check_version(root: Node) -> None:
    """Whether a document is one of those that are read. Raises UsageError that says how to convert another."""
    said = str(root.fields.get("openapi", "")).strip()
    if re.match(r"3\.[012](\.|$|-)", said):
        return
    if "swagger" in root.fields:
        raise UsageError(
            f"This is a document of Swagger {str(root.fields['swagger'])[:10]}, which is not read. Convert it to "
            "OpenAPI 3: npx swagger2openapi FILE -o openapi.json, or with Edit > Convert on https://editor.swagger.io"
        )
    what = f"OpenAPI {said[:20]}" if said else "no OpenAPI: it has no field 'openapi'"
    raise UsageError(f"This document is {what}. Give one of OpenAPI 3.0, 3.1 or 3.2.")


def _each(references: References, left_out: dict[str, str]) -> Iterator[tuple[str, str, Node, Node]]:
    """Path, method, path item and operation."""
    for path, written in references.root.get("paths").items():
        if not path.startswith("/"):
            continue
        try:
            item = references.follow(written)
        except UsageError as reason:
            left_out[path] = str(reason)
            continue
        for method in METHODS:
            if isinstance((node := item.get(method)).value, dict):
                yield path, method.upper(), item, node
        for name, node in item.get("additionalOperations").items():
            if isinstance(node.value, dict) and re.fullmatch("[A-Za-z][A-Za-z0-9-]{0,31}", name):
                yield path, name, item, node


def _operation(references: References, names: set[str], path: str, method: str, item: Node, node: Node) -> Operation:
    wanted = node.text("operationId")
    summary, more = node.text("summary"), node.text("description")
    words = [summary, more if more != summary else "", "Deprecated." if node.flag("deprecated") else ""]
    root = references.root
    servers = next(filter(None, map(_servers, (node, item, root))), [])
    return Operation(
        name=_unique(wanted or f"{method}_{path.strip('/{}')}", names),
        method=method,
        path=path,
        id=wanted,
        description="\n\n".join(filter(None, words))[:_LONGEST_DESCRIPTION] or f"{method} {path}",
        tags=texts(node.fields.get("tags")),
        parameters=_parameters(references, path, item, node),
        body=_body(references, node),
        servers=tuple(servers),
        security=node.get("security") if "security" in node.fields else root.get("security"),
    )


def _servers(node: Node) -> list[Node]:
    return [each for each in node.get("servers").elements() if each.fields]


def _unique(wanted: str, names: set[str]) -> str:
    """A name that a model can call, not yet taken."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", wanted).strip("_")[:_LONGEST_NAME] or "operation"
    number = 2
    made = name
    while made in names:
        tail = f"_{number}"
        made, number = name[: _LONGEST_NAME - len(tail)] + tail, number + 1
    return made


def _parameters(references: References, path: str, item: Node, node: Node) -> tuple[Parameter, ...]:
    """Those of the path and of the operation, which go before; in the order of their places."""
    by_key: dict[tuple[str, str], Parameter] = {}
    for written in [*item.get("parameters").elements(), *node.get("parameters").elements()]:
        parameter = _parameter(references, references.follow(written))
        if parameter is not None:
            by_key[parameter.place, parameter.wire] = parameter
    in_path = set(re.findall(r"\{([^{}]*)\}", path))
    known = {wire for place, wire in by_key if place == "path"}
    for wire in in_path - known:
        # A template whose parameter nobody described is a text.
        by_key["path", wire] = Parameter(wire, "path", Node({"type": "string"}), required=True)
    kept = (each for each in by_key.values() if each.place != "path" or each.wire in in_path)
    return tuple(sorted(kept, key=lambda each: PLACES.index(each.place)))


def _parameter(references: References, node: Node) -> Parameter | None:
    wire = node.text("name")
    place = next((each for each in PLACES if each == node.text("in")), None)
    if place is None or not wire:
        raise UsageError("a parameter has no name, or no place")
    if place == "header" and (wire.lower() in _NOT_PARAMETERS or not _HEADER.fullmatch(wire)):
        return None
    media, content = next(iter(node.get("content").items()), (None, Node(None)))
    style = node.text("style") or _DEFAULT_STYLE.get(place, "form")
    return Parameter(
        wire,
        place,
        references.follow(content).get("schema") if media else node.get("schema"),
        required=place == "path" or node.flag("required"),
        style=style,
        explode=node.flag("explode", default=style in ("form", "deepObject")),
        reserved=node.flag("allowReserved"),
        media=media,
        description=node.text("description"),
    )


def _body(references: References, node: Node) -> Body | None:
    if "requestBody" not in node.fields:
        return None
    body = references.follow(node.get("requestBody"))
    content = body.get("content").items()
    if not content:
        return None
    media, described = min(content, key=lambda each: _preference(each[0]))
    described = references.follow(described)
    # Where nothing is said it is optional, which hardly any author means who requires a field of it.
    needed = body.flag("required", default=bool(references.follow(described.get("schema")).fields.get("required")))
    return Body(media, described.get("schema"), needed, described.get("encoding"), body.text("description"))


def _preference(media: str) -> int:
    """How gladly a media type is written, the smallest first."""
    kind = media.partition(";")[0].strip().lower()
    if kind == "application/json":
        return 0
    if is_json(kind):
        return 1
    order = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
    return 2 + order.index(kind) if kind in order else 9


def is_json(media: str) -> bool:
    """Whether a media type is JSON's."""
    kind = media.partition(";")[0].strip().lower()
    return kind in ("application/json", "text/json", "*/*", "application/*") or kind.endswith("+json")
