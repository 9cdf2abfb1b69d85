"""What a provider says when it refuses, in whatever shape it says it, as one of our errors."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from agentnb.errors import CredentialError, RequestRefused, StreamBroken
from agentnb.messages import JSON

#: Said in words or in `code`, by vendors that give no status of their own in a stream.
_TRANSIENT = {"server_error", "overloaded", "overloaded_error", "rate_limit_exceeded", "rate_limit_error", "api_error"}
_NO_MONEY = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
_MESSAGE_LENGTH = 400


@dataclass(frozen=True, slots=True)
class Source:
    """Who is asked and with which key, as errors name them; the `secrets` are only ever masked out."""

    provider: str
    host: str
    key_name: str | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class _Said:
    message: str
    code: str | None = None
    status: int | None = None


def refused(source: Source, status: int, headers: Mapping[str, str], body: bytes) -> RequestRefused:
    """The error for an HTTP status that is not a success (header names lower-case)."""
    said = _parse(source, _loads(body))
    message = f"{source.provider} refused the request (HTTP {status}): {said.message or 'it gave no reason'}."
    wait = retry_after(headers)
    if status in (401, 403):
        return CredentialError(f"{message} {_key_advice(source)}", status=status, code=said.code)
    return RequestRefused(
        f"{message} {_advice(status, said)}",
        status=status,
        code=said.code,
        retryable=_retryable(status, said, headers),
        retry_after=wait,
    )


def refused_in_stream(source: Source, error: JSON, *, begun: bool) -> RequestRefused | StreamBroken:
    """The error for an error object on a 200; `begun` when some of the answer was already given."""
    said = _parse(source, error)
    message = said.message or "it gave no reason"
    status = said.status
    retryable = _retryable(status, said, {})
    if begun:
        return StreamBroken(
            f"{source.provider} broke its answer off: {message}. {_advice(status, said)}",
            status=status,
            code=said.code,
            retryable=retryable,
        )
    if status in (401, 403):
        text = f"{source.provider} refused the request: {message}. {_key_advice(source)}"
        return CredentialError(text, status=status, code=said.code)
    return RequestRefused(
        f"{source.provider} refused the request: {message}. {_advice(status, said)}",
        status=status,
        code=said.code,
        retryable=retryable,
    )


def words_of(source: Source, text: str) -> str:
    """What a page or a text says, on one line."""
    return _clean(source, _from_html(text))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds a server asks to wait: `retry-after-ms`, else `retry-after` in seconds or as an HTTP date."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or not value:
        return seconds
    # Rare, and it brings a mail parser along.
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _retryable(status: int | None, said: _Said, headers: Mapping[str, str]) -> bool:
    if said.code in _NO_MONEY:
        return False
    match headers.get("x-should-retry"):
        case "true":
            return True
        case "false":
            return False
    if status is None:
        return said.code in _TRANSIENT
    return status in (408, 409, 429) or status >= 500


def _advice(status: int | None, said: _Said) -> str:
    if said.code in _NO_MONEY:
        return "Add credit to the account, or choose another model."
    if said.code == "context_length_exceeded" or status == 413:
        return "Shorten the prompt, or begin a new session."
    match status:
        case 404:
            return "Check the model's name and the base URL."
        case int() if 300 <= status < 400:
            return "Check the base URL: it points somewhere else."
        case int() if status in (408, 409, 429) or status >= 500:
            return "Try again later, or choose another model."
        case None:
            return "Try again, or choose another model."
    return "Check the model's name and the options of the request."


def _key_advice(source: Source) -> str:
    if source.key_name:
        return f"Set {source.key_name} to a key that {source.host} accepts."
    return f"{source.host} asks for a key: name the variable that holds it with --api-key-name."


def _loads(body: bytes) -> JSON:
    try:
        value: JSON = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body[:100_000].decode("utf-8", "replace")
    return value


def _parse(source: Source, said: JSON) -> _Said:
    """The vendor's message, code and status out of any of the shapes they come in."""
    match said:
        case str():
            return _Said(_clean(source, _from_html(said)))
        case [first, *_]:
            return _parse(source, first)
        case {"error": dict() | list() as error}:
            return _parse(source, error)
        case dict():
            message = next((said[k] for k in ("message", "detail", "error", "msg") if said.get(k)), None)
            inner = _parse(source, message).message
            code = said.get("code")
            # OpenRouter puts the HTTP status where others put their own word.
            word = said.get("type") if code is None or isinstance(code, int) else code
            status = _status(said.get("status_code")) or _status(said.get("status")) or _status(code)
            return _Said(_clean(source, _where(said) + inner + _more(said)), _text(word) or _text(code), status)
    return _Said("")


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
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    return value if isinstance(value, int) and 100 <= value < 600 else None


def _from_html(text: str) -> str:
    if "<" not in text:
        return text
    title = re.search(r"(?is)<(title|h1)[^>]*>(.*?)</\1", text)
    text = title[2] if title else re.sub(r"(?is)<(script|style).*?</\1>|<[^>]*>", " ", text)
    return re.sub(r"<[^>]*>", " ", text)


def _clean(source: Source, text: str) -> str:
    """One line, of bounded length, without control characters, the final stop or the key."""
    for secret in source.secrets:
        text = text.replace(secret, "[key]")
    text = " ".join("".join(c if c.isprintable() else " " for c in text[:20_000]).split())
    if len(text) > _MESSAGE_LENGTH:
        text = text[: _MESSAGE_LENGTH - 1] + "…"
    return text.rstrip(".")
