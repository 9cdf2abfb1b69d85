"""What the body of an error says, in any of the shapes that vendors give it."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from agentnb.messages import JSON
from agentnb.models.topics import Topic, is_daily

#: Makes one line of a vendor's words, without the key.
Clean: TypeAlias = Callable[[str], str]

#: Errors are nested a few times at most; what is nested deeper was not made by a provider.
_DEPTH = 8
#: Characters of a page that are looked at.
_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Said:
    """A vendor's message, code and status; `wait` are the seconds it asks to wait, `topic` what the shape tells."""

    message: str
    code: str | None = None
    status: int | None = None
    wait: float | None = None
    topic: Topic | None = None


def parse_body(body: bytes, clean: Clean) -> Said:
    """What a body says: JSON, a page, or plain words."""
    try:
        value: JSON = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = body[:100_000].decode("utf-8", "replace")
    return _parse(clean, value)


def parse_error(error: JSON, clean: Clean) -> Said:
    """What an error says that came as JSON."""
    return _parse(clean, error)


def number(value: str | None) -> float | None:
    """A number of seconds or the like; None for anything else."""
    try:
        read = float(value or "")
    except ValueError:
        return None
    return read if math.isfinite(read) and read >= 0 else None


#: Where vendors put their message, best first.
_MESSAGES = ("message", "Message", "detail", "error_description", "status_msg", "msg", "error", "errors", "title")
_INNER = ("error", "errors", "base_resp", "detail")


def _parse(clean: Clean, said: JSON, depth: int = _DEPTH) -> Said:
    """The vendor's message, code and status out of any of the shapes they come in."""
    if depth == 0:
        return Said("")
    match said:
        case str():
            return Said(clean(from_html(said)), topic="page" if _is_page(said) else None)
        case [first, *_]:
            return _parse(clean, first, depth - 1)
        case dict():
            for key in _INNER:
                if isinstance(inner := said.get(key), (dict, list)) and inner:
                    outer = _parse_object(clean, {k: v for k, v in said.items() if k != key}, depth)
                    return _joined(_parse(clean, inner, depth - 1), outer)
            return _parse_object(clean, said, depth)
    return Said("")


def _joined(inner: Said, outer: Said) -> Said:
    """What the inner object says, and where it says nothing, the outer one."""
    code = inner.code or outer.code
    status, wait = inner.status or outer.status, inner.wait if inner.wait is not None else outer.wait
    return Said(inner.message or outer.message, code, status, wait, inner.topic or outer.topic)


def _parse_object(clean: Clean, said: Mapping[str, JSON], depth: int) -> Said:
    message = _parse(clean, next((said[k] for k in _MESSAGES if said.get(k)), None), depth - 1).message
    code = said.get("code")
    if code is None:
        code = said.get("status_code") if "status_msg" in said else said.get("Code")
    words = (said.get(name) for name in ("status", "type", "__type", "error"))
    # OpenRouter and Google put the HTTP status where others put their own word.
    word = code if isinstance(code, str) and code else next((each for each in words if _is_word(each)), code)
    status = next((found for name in _STATUSES if (found := _status(said.get(name)))), None)
    wait, daily = _details(said.get("details"))
    text = clean(_where(said) + message + _more(said))
    # AWS puts a namespace before its words.
    code = _text(word)
    return Said(text, code and code.rpartition("#")[2], status, wait, "quota" if daily else None)


_STATUSES = ("status_code", "statusCode", "status", "code")


def _is_word(value: JSON) -> bool:
    """Whether it can be a vendor's code; that it failed is said already."""
    return isinstance(value, str) and re.fullmatch(r"(?!(?:error|fail|failed|\d+)$)[\w.#:-]{1,80}", value) is not None


def _details(details: JSON) -> tuple[float | None, bool]:
    """Google's: the seconds to wait, and whether a quota of the day is used up."""
    wait, daily = None, False
    for each in details if isinstance(details, list) else ():
        match each:
            case {"retryDelay": str(delay)} if delay.endswith("s"):
                wait = number(delay[:-1])
            case {"violations": list(violations)}:
                quotas = (str(one.get("quotaId", "")) for one in violations if isinstance(one, dict))
                daily = daily or any(map(is_daily, quotas))
    return wait, daily


def _where(said: Mapping[str, JSON]) -> str:
    """The field that pydantic-based servers complain about."""
    match said.get("loc"):
        case [*path] if path:
            return ".".join(map(str, path)) + ": "
    return ""


def _more(said: Mapping[str, JSON]) -> str:
    """What OpenRouter's upstream really said."""
    match said.get("metadata"):
        case {"raw": str() as raw}:
            return f": {raw}"
    return ""


def _text(value: JSON) -> str | None:
    return str(value) if isinstance(value, (str, int)) and value != "" else None


def _status(value: JSON) -> int | None:
    if isinstance(value, str) and value.isdecimal() and len(value) == 3:
        value = int(value)
    return value if isinstance(value, int) and 100 <= value < 600 else None


def _is_page(text: str) -> bool:
    return re.match(r"(?is)\s*<(?:!doctype|html|head|body|title)", text) is not None


def from_html(text: str) -> str:
    """What a page says: its title, or else its text; any other text as it is."""
    if "<" not in text:
        return text
    # Bounded: what a hostile page makes of these patterns grows with the square of its length.
    text = text[:_PAGE]
    title = re.search(r"(?is)<(title|h1)[^<>]*>(.*?)</\1", text)
    text = title[2] if title else re.sub(r"(?is)<(script|style).*?</\1>|<[^<>]*>", " ", text)
    return html.unescape(re.sub(r"<[^<>]*>", " ", text))
