"""A document and all that it refers to, fetched once and from no further than its own folder or its own server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from agentnb.errors import UsageError
from agentnb.messages import JSON
from agentnb.models.http import Http, host_of
from agentnb.openapi.reading import MOST_BYTES, document, parse

#: A path, a URL, JSON or YAML text, or the document itself.
Source: TypeAlias = str | Path | Mapping[str, object]

_MOST_DOCUMENTS = 100
_SECONDS = 30
#: What stands under these is an example of a value, no part of the document.
_VALUES = frozenset({"default", "enum", "const", "example", "examples", "value"})
#: Under these the names are the author's own.
_NAMED = frozenset({
    "$defs", "callbacks", "definitions", "headers", "links", "parameters", "pathItems", "paths", "patternProperties",
    "properties", "requestBodies", "responses", "schemas",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Documents:
    """What was read: each document by its URI; `root` is that of the first ("" for one that was given as it is)."""

    root: str
    by_uri: Mapping[str, JSON] = field(repr=False)


def is_url(source: object) -> bool:
    """Whether a document is to be fetched."""
    return isinstance(source, str) and source.strip().lower().startswith(("http://", "https://"))


def called(source: Source) -> str:
    """A document as messages name it: without a query, which may hold a key."""
    match source:
        case Path():
            return str(source)
        case str() if is_url(source):
            parts = urlsplit(source.strip())
            return f"{parts.scheme}://{host_of(source.strip())}{parts.path}"
        case str() if not _is_text(source):
            return source.strip()[:200]
    return "the document"


async def gather(source: Source, http: Http) -> Documents:
    """Read a document and what it refers to. Raises UsageError, ConnectionFailed, StreamBroken."""
    root, value = await _open(source, http)
    found: dict[str, JSON] = {root: document(value, called(source))}
    own = found[root]
    itself = urljoin(root, str(own.get("$self") or "")) if isinstance(own, dict) else root
    waiting = [root]
    while waiting:
        uri = waiting.pop()
        for target in sorted({urldefrag(urljoin(uri, ref))[0] for ref in references(found[uri])} - found.keys()):
            if target == itself:
                found[target] = found[root]
                continue
            if len(found) >= _MOST_DOCUMENTS:
                raise UsageError(
                    f"{called(source)} refers to more than {_MOST_DOCUMENTS} documents. Bundle it into one."
                )
            _check(root, target)
            found[target] = await _fetch(target, http)
            waiting.append(target)
    return Documents(root, found)


def references(value: JSON) -> Iterator[str]:
    """The references that a document holds, examples left out."""
    waiting = [(value, False)]
    while waiting:
        node, named = waiting.pop()
        match node:
            case list():
                waiting.extend((each, False) for each in node)
            case dict():
                ref = node.get("$ref")
                if isinstance(ref, str) and not named:
                    yield ref
                for name, each in node.items():
                    if named or not (name in _VALUES or name.startswith("x-")):
                        waiting.append((each, not named and name in _NAMED))


def _is_text(source: str) -> bool:
    return "\n" in source.strip() or source.lstrip().startswith(("{", "["))


async def _open(source: Source, http: Http) -> tuple[str, object]:
    """The URI of a document, and what it holds."""
    match source:
        case str() if is_url(source):
            uri = urldefrag(source.strip())[0]
            return uri, await _fetch(uri, http)
        case str() if _is_text(source):
            return "", await asyncio.to_thread(parse, source, "the document")
        case str() | Path():
            path = Path(source if isinstance(source, Path) else source.strip()).expanduser().absolute()
            return path.as_uri(), await asyncio.to_thread(_read, path)
        case Mapping():
            return "", source
    raise UsageError(f"An OpenAPI document is a path, a URL, a text or a dict, not a {type(source).__name__}.")


def _check(root: str, target: str) -> None:
    """Whether a document may refer to another one."""
    shown = called(target) if is_url(target) else unquote(target)[:200]
    if not root:
        raise UsageError(f"The document refers to {shown!r}, but has no place of its own. Give its path or its URL.")
    here, there = urlsplit(root), urlsplit(target)
    if here.scheme in ("http", "https"):
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            raise UsageError(
                f"{called(root)} refers to {shown!r} on another server, which is not followed. Bundle it into one file."
            )
        return
    if there.scheme != "file" or there.netloc:
        raise UsageError(f"The document refers to {shown!r}, which a file must not. Fetch it, and put it beside.")
    folder = _path(root).parent.resolve()
    # Resolved, so that neither `..` nor a link leads out of the folder.
    if not _path(target).resolve().is_relative_to(folder):
        raise UsageError(f"The document refers to {shown!r} outside its folder, which is not read. Put it beside.")


def _path(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))


async def _fetch(uri: str, http: Http) -> JSON:
    if not is_url(uri):
        return await asyncio.to_thread(_read, _path(uri))
    shown = called(uri)
    accept = {"accept": "application/json, application/yaml, text/yaml, */*;q=0.5"}
    fetched = await http.request("GET", uri, headers=accept, limit=MOST_BYTES, timeout=_SECONDS)
    if fetched.status != 200:
        raise UsageError(f"{shown} answers with HTTP {fetched.status}. Check the address, or download the document.")
    return await asyncio.to_thread(parse, fetched.body.decode("utf-8", "replace"), shown)


def _read(path: Path) -> JSON:
    try:
        if not path.is_file():
            raise UsageError(f"There is no file {str(path)[:200]!r}. Give the path of an OpenAPI document.")
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path} is bigger than {MOST_BYTES // 1_000_000} MB, which is not read.")
        return parse(path.read_text("utf-8", "replace"), str(path))
    except (OSError, ValueError) as reason:
        raise UsageError(f"{str(path)[:200]!r} cannot be read: {str(reason)[:200]}. Check the path.") from None
