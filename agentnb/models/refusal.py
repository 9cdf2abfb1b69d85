"""What a provider says when it refuses, in whatever shape it says it, as one of our errors."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from agentnb.errors import CredentialError, RequestRefused, StreamBroken, nearest
from agentnb.masking import Mask
from agentnb.messages import JSON
from agentnb.models.complaint import Said, from_html, number, parse_body, parse_error
from agentnb.models.topics import Topic, topic_of

_MESSAGE_LENGTH = 400


@dataclass(frozen=True, slots=True)
class Source:
    """Who is asked and with which key, as errors name them; the `secrets` are only ever masked out."""

    provider: str
    host: str
    key_name: str | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)


def refused(
    source: Source,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    model: str = "",
    known: Iterable[str] = (),
) -> RequestRefused:
    """The error for an HTTP status that is not a success (header names lower-case).

    `known` are names of models, of which the nearest to `model` is named where that is not found.
    """
    if status == 407:
        return RequestRefused(
            f"A proxy on the way to {source.host} asks for a user and a password (HTTP 407). Write them into its "
            "address: http://USER:PASSWORD@HOST:PORT.",
            status=status,
        )
    said = parse_body(body, lambda text: _clean(source, text))
    code = said.code or headers.get("x-amzn-errortype", "").partition(":")[0] or None
    said = _judged(replace(said, code=code), status)
    message = f"{source.provider} refused the request (HTTP {status}): {said.message or 'it gave no reason'}."
    if _is_about_key(said, status):
        return CredentialError(f"{message} {_key_advice(source)}", status=status, code=said.code)
    advice = _advice(source, status, said, location=headers.get("location", ""))
    wait = retry_after(headers)
    return RequestRefused(
        f"{message}{nearest(model, known) if status == 404 else ''} {advice}",
        status=status,
        code=said.code,
        retryable=_retryable(status, said, headers),
        retry_after=said.wait if wait is None else wait,
    )


def refused_in_stream(source: Source, error: JSON, *, begun: bool) -> RequestRefused | StreamBroken:
    """The error for an error object on a 200; `begun` when some of the answer was already given."""
    said = parse_error(error, lambda text: _clean(source, text))
    said = _judged(said, said.status)
    message, status = said.message or "it gave no reason", said.status
    retryable, advice = _retryable(status, said, {}), _advice(source, status, said)
    if begun:
        return StreamBroken(
            f"{source.provider} broke its answer off: {message}. {advice}",
            status=status,
            code=said.code,
            retryable=retryable,
            retry_after=said.wait,
        )
    if _is_about_key(said, status):
        text = f"{source.provider} refused the request: {message}. {_key_advice(source)}"
        return CredentialError(text, status=status, code=said.code)
    return RequestRefused(
        f"{source.provider} refused the request: {message}. {advice}",
        status=status,
        code=said.code,
        retryable=retryable,
        retry_after=said.wait,
    )


def _judged(said: Said, status: int | None) -> Said:
    return (
        said if said.topic == "quota" else replace(said, topic=topic_of(status, said.code, said.message) or said.topic)
    )


def _is_about_key(said: Said, status: int | None) -> bool:
    return said.topic == "key" or (status == 403 and said.topic is None)


def words_of(source: Source, text: str) -> str:
    """What a page or a text says, on one line."""
    return _clean(source, from_html(text))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds a server asks to wait: `retry-after-ms`, else `retry-after` in seconds or as an HTTP date."""
    milliseconds = number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = number(value)
    if seconds is not None or not value:
        return seconds
    # Rare, and it brings a mail parser along.
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _retryable(status: int | None, said: Said, headers: Mapping[str, str]) -> bool:
    if said.topic in ("money", "quota", "length"):
        return False
    match headers.get("x-should-retry"):
        case "true":
            return True
        case "false":
            return False
    if status is None or said.topic == "moment":
        return said.topic == "moment"
    return status in (408, 409, 429) or status >= 500


_ADVICE: Mapping[Topic, str] = {
    "money": "Add credit to the account, or choose another model.",
    "quota": "Wait until the quota is renewed, or choose another model.",
    "length": "Shorten the prompt, or begin a new session.",
}


def _advice(source: Source, status: int | None, said: Said, *, location: str = "") -> str:
    if said.topic is not None and said.topic in _ADVICE:
        return _ADVICE[said.topic]
    if said.topic == "moment" and status is not None:
        return "Try again later, or choose another model."
    match status:
        case 404 if source.provider == "ollama" and (name := re.search(r"model ['\"`]([^'\"`]+)['\"`]", said.message)):
            return f"Fetch it with: ollama pull {name[1]}"
        case 404:
            return "Check the model's name and the base URL."
        case int() if 300 <= status < 400:
            place = _clean(source, location.partition("?")[0])
            return f"Check the base URL: it points somewhere else{place and f', to {place}'}."
        case int() if status in (408, 409, 429) or status >= 500:
            return "Try again later, or choose another model."
        case 403:
            return f"A firewall or a proxy answers in the place of {source.host}. Check the network and the base URL."
        case None:
            return "Try again, or choose another model."
    return "Check the model's name and the options of the request."


def _key_advice(source: Source) -> str:
    match source.key_name:
        case None | "":
            return f"{source.host} asks for a key: name the variable that holds it with --api-key-name."
        case name if name.isidentifier():
            return f"Set {name} to a key that {source.host} accepts."
        case name if name.startswith("the credential"):
            stored = name.removeprefix("the credential").strip(" '")
            return f"Store another one that {source.host} accepts: %credential add {stored}"
    return f"Use a key that {source.host} accepts."


def _clean(source: Source, text: str) -> str:
    """One line, of bounded length, without control characters, the final stop or the key."""
    text = Mask(*source.secrets)(text)
    text = " ".join("".join(c if c.isprintable() else " " for c in text[:20_000]).split())
    if len(text) > _MESSAGE_LENGTH:
        text = text[: _MESSAGE_LENGTH - 1] + "…"
    return text.rstrip(".")
