"""`fetch`: one HTTP request, its answer as a model can read it: pages as text, JSON in order, pictures as pictures."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from agentnb.builtins.declared import BuiltIn
from agentnb.builtins.picture import picture
from agentnb.errors import AgentnbError, ToolError
from agentnb.messages import JSON, Content, JSONObject, Text
from agentnb.models.http import Fetched, Http
from agentnb.models.redirects import resolves_inside
from agentnb.prompting.budget import fence
from agentnb.prompting.pictures import image_type
from agentnb.prompting.plain import size
from agentnb.sniff import media_type
from agentnb.tools.base import ToolContext, ToolReturn
from agentnb.tools.capture import left_out_mark
from agentnb.tools.references import keep
from agentnb.tools.results import to_return

#: Seconds for all of a request; bytes of text handed on (or $FETCH_MAX_SIZE) and read at all; characters of an error.
_SECONDS, _HANDED_ON, _READ, _ERROR = 30.0, 262_144, 20_000_000, 2_000
_INSIDE = "This is an address of this machine or of its own network."
_HEADERS = {"user-agent": "Mozilla/5.0 (compatible; agentnb)", "accept": "text/html,application/json,*/*;q=0.8"}
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([A-Za-z0-9_.:-]{1,40})", re.I)


class Fetch(BuiltIn):
    """Fetches over `http` (a function that gives it: then nothing is opened before the first call)."""

    name = "fetch"

    def __init__(self, http: Http | Callable[[], Http], *, environ: Mapping[str, str] = os.environ) -> None:
        self.parallel = True
        self._http = http
        self._environ = environ
        self._kept = itertools.count(1)

    async def run(
        self,
        context: ToolContext,
        url: str,
        method: str = "GET",
        body: str | None = None,
        headers: dict[str, str] | str | None = None,
    ) -> ToolReturn:
        """Send an HTTP request and read the answer: a web page as text with its links, JSON, a picture.

        Args:
            url: The address, with http:// or https://
            method: GET, POST, PUT, PATCH, DELETE, HEAD
            body: What to send, as text.
            headers: Headers to send, as a JSON object.
        """
        _check(url)
        sent = {**_HEADERS, **_headers(headers)}
        http = self._http if isinstance(self._http, Http) else self._http()
        try:
            got = await http.request(
                method, url, headers=sent, body=(body or "").encode(), limit=_READ, timeout=_SECONDS
            )
        except AgentnbError as error:  # what the network did, in a line
            raise ToolError(str(error)) from None
        if got.status >= 400:
            raise ToolError(await asyncio.to_thread(_refused, got, url))
        if kind := image_type(got.body):
            return ToolReturn((picture(got.body, f"{url} ({kind})"),))
        return self._read(got, await asyncio.to_thread(_text, got, url), context)

    async def preview(self, arguments: JSONObject, context: ToolContext) -> tuple[Content, ...]:
        """The request. Raises ToolError for an address that is none."""
        given = self.checked(arguments, context)
        _check(url := str(given["url"]))
        asked = given.get("headers")
        lines = [f"{str(given.get('method') or 'GET').upper()} {url}"]
        lines += [
            f"{name}: {value}" for name, value in _headers(asked if isinstance(asked, dict | str) else None).items()
        ]
        lines += ["", str(given["body"])] if given.get("body") else []
        request = Text(fence("\n".join(lines), "http"))
        return (Text(_INSIDE), request) if await resolves_inside(url) else (request,)

    def _read(self, got: Fetched, text: str, context: ToolContext) -> ToolReturn:
        def kept(value: object) -> str:
            return keep(value, self.name, self._kept, context.namespace)

        if (kind := _binary(got)) is not None:
            named = to_return(got.body, kept)
            return ToolReturn((Text(f"{kind}, {size(len(got.body))}: not text."), *named.content), handle=named.handle)
        most = self._most()
        data = text.encode("utf-8", "replace")
        if len(data) > most:
            text = f"{data[:most].decode('utf-8', 'ignore')}\n{left_out_mark(len(data) - most)}"
        empty = f"(HTTP {got.status}, an empty answer)"
        return to_return(text or empty, kept)

    def _most(self) -> int:
        given = self._environ.get("FETCH_MAX_SIZE", "").strip()
        if given and not given.isdecimal():
            raise ToolError("FETCH_MAX_SIZE is set to something that is no number of bytes")
        return int(given) if given else _HANDED_ON


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or any(not char.isprintable() or char.isspace() for char in url):
        raise ToolError(f"{url[:200]!r} is not an address that can be fetched: it begins with http:// or https://")


def _headers(given: Mapping[str, str] | str | None) -> dict[str, str]:
    """Headers as an object, or as its JSON text, names in lower case. Raises ToolError."""
    read: JSON = dict(given) if isinstance(given, Mapping) else None
    if isinstance(given, str) and given.strip():
        try:
            read = json.loads(given)
        except ValueError:
            read = given
    if read is None:
        return {}
    if not isinstance(read, dict) or not all(isinstance(value, str | int | float) for value in read.values()):
        raise ToolError('headers is an object of texts, such as {"Accept": "application/json"}')
    return {name.lower(): str(value) for name, value in read.items()}


def _refused(got: Fetched, url: str) -> str:
    from http import HTTPStatus

    try:
        phrase = f" {HTTPStatus(got.status).phrase}"
    except ValueError:
        phrase = ""
    return f"HTTP {got.status}:{phrase}\n{_text(got, url)[:_ERROR]}".rstrip()


def _kind(got: Fetched) -> str:
    return got.headers.get("content-type", "").partition(";")[0].strip().lower()


def _binary(got: Fetched) -> str | None:
    """What an answer is that is no text; None for text."""
    found = media_type(got.body)
    if found and found != "image/svg+xml":
        return found
    return (_kind(got) or "binary data") if b"\0" in got.body[:8_192] else None


def _text(got: Fetched, url: str) -> str:
    """An answer as text; empty for one that is none."""
    if _binary(got):
        return ""
    text = _decoded(got)
    kind = _kind(got)
    if "json" in kind or (not kind and text[:1] in "[{"):
        try:
            return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
        except (ValueError, RecursionError):
            return text
    beginning = text[:200].lstrip().lower()
    if "html" in kind or (not kind and beginning.startswith(("<!doctype html", "<html"))):
        from agentnb.builtins.readable import readable  # its parser of HTML takes longer to load than all else here

        return readable(text, url)
    return text


def _decoded(got: Fetched) -> str:
    _, _, named = got.headers.get("content-type", "").lower().partition("charset=")
    declared = _CHARSET.search(got.body[:2_048])
    charset = named.partition(";")[0].strip(" \"'") or (declared[1].decode("ascii") if declared else "utf-8")
    try:
        return got.body.decode(charset, "replace").removeprefix("\ufeff")
    except LookupError:
        return got.body.decode("utf-8", "replace")
