"""How a parameter's value stands in a path, a query, a header or a cookie: OpenAPI's styles, exploded or not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TypeAlias
from urllib.parse import quote

from agentnb.messages import JSON

_Coding: TypeAlias = Callable[[JSON], str]

#: What may stand as it is where a parameter says `allowReserved`.
_RESERVED = ":/?#[]@!$&'()*+,;="
_QUERY_RESERVED = ":/?@!$'()*,;"
_DELIMITERS = {"spaceDelimited": "%20", "pipeDelimited": "%7C"}


def encoded(text: str, safe: str = "") -> str:
    """A text as addresses have it; what no text of the web can hold is a question mark."""
    return quote(text, safe=safe, errors="replace")


def plain(value: JSON) -> str:
    """A single value as text: true, 3, and JSON for what has parts."""
    match value:
        case str():
            return value
        case None:
            return ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def in_path(name: str, value: JSON, *, style: str = "simple", explode: bool = False, reserved: bool = False) -> str:
    """A value as a path has it, encoded."""
    safe = _RESERVED.replace("?", "").replace("#", "") if reserved else ""

    def coded(each: JSON) -> str:
        return encoded(plain(each), safe=safe)

    label = encoded(name)
    match style, value:
        case "label", list():
            return "." + ("." if explode else ",").join(map(coded, value))
        case "label", dict():
            return "." + ("." if explode else ",").join(_pairs(value, coded, "=" if explode else ","))
        case "label", _:
            return "." + coded(value)
        case "matrix", list() if explode:
            return "".join(f";{label}={coded(each)}" for each in value)
        case "matrix", dict() if explode:
            return "".join(f";{pair}" for pair in _pairs(value, coded, "="))
        case "matrix", _:
            return f";{label}={_simple(value, coded, explode=False)}"
    return _simple(value, coded, explode=explode)


def in_header(value: JSON, *, explode: bool = False) -> str:
    """A value as a header has it, not encoded."""
    return _simple(value, plain, explode=explode)


def in_query(name: str, value: JSON, *, style: str = "form", explode: bool = True, reserved: bool = False) -> list[str]:
    """The `name=value` pairs of a query (or a form), encoded; none for an empty list."""
    safe = _QUERY_RESERVED if reserved else ""

    def coded(each: JSON) -> str:
        return encoded(plain(each), safe=safe)

    label = encoded(name)
    match value:
        case dict() if style == "deepObject":
            return [f"{encoded(key, safe='[]')}={coded(each)}" for key, each in _deep(name, value)]
        case dict() if explode:
            return _pairs(value, coded, "=")
        case dict():
            parts = [part for key, each in value.items() for part in (encoded(key), coded(each))]
            return [f"{label}={_DELIMITERS.get(style, ',').join(parts)}"] if parts else []
        case list() if explode:
            return [f"{label}={coded(each)}" for each in value]
        case list():
            return [f"{label}={_DELIMITERS.get(style, ',').join(map(coded, value))}"] if value else []
    return [f"{label}={coded(value)}"]


def _simple(value: JSON, coded: _Coding, *, explode: bool) -> str:
    match value:
        case list():
            return ",".join(map(coded, value))
        case dict():
            return ",".join(_pairs(value, coded, "=" if explode else ","))
    return coded(value)


def _pairs(value: dict[str, JSON], coded: _Coding, between: str) -> list[str]:
    return [f"{coded(key)}{between}{coded(each)}" for key, each in value.items()]


def _deep(name: str, value: JSON) -> Iterator[tuple[str, JSON]]:
    """`filter[size][min]` and its value: beyond the first level no standard says how, but all do it so."""
    match value:
        case dict():
            for key, each in value.items():
                yield from _deep(f"{name}[{key}]", each)
        case list():
            for each in value:
                yield name, each
        case _:
            yield name, value
