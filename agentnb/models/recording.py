"""The file of a cassette: what a model was asked and what it answered, as JSON that a person reads and compares.

Of each exchange it holds the digest of the request and the request in short (what it shares with the exchange before
is not repeated, long texts are cut), and the events of the answer, or its error. Headers are never in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from agentnb import codec
from agentnb.errors import AgentnbError, ModelError, UsageError
from agentnb.events import ModelEvent, Usage
from agentnb.masking import masked
from agentnb.messages import JSON, JSONObject
from agentnb.models.attempt import kind_of, kinds
from agentnb.models.base import Request
from agentnb.models.canonical import canonical, fingerprint
from agentnb.models.kept import joined, write_whole

Mask: TypeAlias = Callable[[str], str]

_VERSION = 1
#: Characters of a text in the short form of a request.
_LENGTH = 1500
_AS_BEFORE = "as before"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as a cassette knows it: by its digest; `short` is for people."""

    digest: str
    short: JSONObject = field(repr=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that ended an answer, as a value: its kind is one of `attempt.kinds`."""

    kind: str
    message: str
    status: int | None = None
    code: str | None = None
    retryable: bool = False
    retry_after: float | None = None

    def error(self) -> AgentnbError:
        """The error itself, to be raised. Raises a ValueError where the kind is none of ours."""
        kind = kinds().get(self.kind)
        if kind is None:
            raise ValueError(f"no error is called {self.kind!r}")
        if not issubclass(kind, ModelError):
            return kind(self.message)
        return kind(
            self.message,
            status=self.status,
            code=self.code,
            retryable=self.retryable,
            retry_after=self.retry_after,
        )


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer; a failure ended it, where there is one."""

    asked: Asked
    events: tuple[ModelEvent, ...]
    failure: Failure | None = None


def known_as(request: Request, mask: Mask) -> Asked:
    """What a cassette knows a request by: with other keys in it, it is the same request."""
    form = masked(canonical(request), mask)
    assert isinstance(form, dict)
    return Asked(fingerprint(form), {key: _short(value) for key, value in form.items()})


def answered(asked: Asked, events: Sequence[ModelEvent], error: AgentnbError | None, mask: Mask) -> Exchange:
    """An exchange that can be kept: few pieces, no keys, and no times, which are other ones at each run."""
    timeless = [
        replace(event, usage=replace(event.usage, seconds=0.0, first=None)) if isinstance(event, Usage) else event
        for event in joined(events)
    ]
    # The names are ours; and under "data" are bytes: no words, a mask could only break them.
    clean = masked(codec.dump(timeless, list[ModelEvent]), mask, names=False, but="data")
    said: list[ModelEvent] = codec.load(list[ModelEvent], clean)
    return Exchange(asked, tuple(said), None if error is None else _failure(error, mask))


def _failure(error: AgentnbError, mask: Mask) -> Failure:
    kind, said = kind_of(error).__name__, mask(str(error))
    if not isinstance(error, ModelError):
        return Failure(kind, said)
    return Failure(kind, said, error.status, error.code, error.retryable, error.retry_after)


def write_cassette(path: Path, model: str, exchanges: Sequence[Exchange]) -> None:
    """Write all of it. Raises UsageError where the file cannot be written."""
    before: JSONObject = {}
    rows: list[JSON] = []
    for exchange in exchanges:
        row: JSONObject = {"digest": exchange.asked.digest, "request": _against(exchange.asked.short, before)}
        row["events"] = [_format_event(event) for event in exchange.events]
        if exchange.failure is not None:
            row["error"] = {key: value for key, value in codec.dump(exchange.failure).items() if value}
        rows.append(row)
        before = exchange.asked.short
    document = {"cassette": _VERSION, "model": model, "exchanges": rows}
    text = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    try:
        write_whole(path, text.encode("utf-8", "backslashreplace"))
    except OSError as reason:
        raise UsageError(f"The cassette {str(path)!r} cannot be written: {reason.strerror}. Check the path.") from None


def read_cassette(path: Path) -> tuple[str, list[Exchange]]:
    """The model's name and the exchanges. Raises UsageError for a file that is none, in one line."""
    name = path.name
    try:
        document = json.loads(path.read_bytes())
    except OSError as reason:
        raise UsageError(f"No cassette at {str(path)!r}: {reason.strerror}. Check the path, or record one.") from None
    except (ValueError, RecursionError) as reason:
        said = " ".join(str(reason).split())
        raise UsageError(f"The cassette {name} is damaged: it is not JSON ({said}). Record it again.") from None
    match document:
        case {"cassette": int(version)} if version > _VERSION:
            raise UsageError(
                f"The cassette {name} was written by a newer agentnb (its form is {version}, this one reads "
                f"{_VERSION}). Update agentnb, or record it again."
            )
        case {"cassette": 1, "model": str(model), "exchanges": list(rows)}:
            return model, _read_rows(rows, name)
    raise UsageError(f"{name} is not a cassette. Check the path, or record one.")


def _read_rows(rows: Sequence[JSON], name: str) -> list[Exchange]:
    exchanges: list[Exchange] = []
    before: JSONObject = {}
    for at, row in enumerate(rows, 1):
        try:
            exchanges.append(_read_row(row, before))
        except (ValueError, TypeError) as reason:
            said = " ".join(str(reason).split())[:200]
            raise UsageError(f"Exchange {at} of the cassette {name} is damaged: {said}. Record it again.") from None
        before = exchanges[-1].asked.short
    return exchanges


def _read_row(row: JSON, before: JSONObject) -> Exchange:
    if not isinstance(row, dict):
        raise ValueError("it is not an object")
    match row:
        case {"digest": str(digest), "request": dict(request), "events": list(events)}:
            read = codec.load(list[ModelEvent], [_joined_lines(event) for event in events])
            failure: Failure | None = codec.load(Failure, row["error"]) if "error" in row else None
            if failure is not None:
                failure.error()
            return Exchange(Asked(digest, _filled(request, before)), tuple(read), failure)
    raise ValueError("it lacks its digest, its request or its events")


def _format_event(event: ModelEvent) -> JSONObject:
    """An event without what it does not say; a long text as the list of its lines."""
    out: JSONObject = {key: value for key, value in codec.dump(event).items() if value is not None and key != "run_id"}
    for key in ("text", "delta"):
        value = out.get(key)
        if isinstance(value, str) and "\n" in value.rstrip("\n"):
            out[key] = list[JSON](value.splitlines(keepends=True))
    if isinstance(usage := out.get("usage"), dict):
        out["usage"] = {key: value for key, value in usage.items() if value and key != "type"}
    return {"type": out.pop("type"), **out}


def _joined_lines(event: JSON) -> JSON:
    if not isinstance(event, dict):
        raise ValueError("an event is an object")
    return {
        key: "".join(map(str, value)) if key in ("text", "delta") and isinstance(value, list) else value
        for key, value in event.items()
    }


def _against(short: JSONObject, before: JSONObject) -> JSONObject:
    """The short form without what it shares with the one before: messages at its beginning, and all other parts."""
    out: JSONObject = {}
    for key, value in short.items():
        out[key] = _AS_BEFORE if key in before and before[key] == value else value
    now, then = short.get("messages"), before.get("messages")
    if isinstance(now, list) and isinstance(then, list) and out["messages"] is now:
        shared = common(now, then)
        if shared:
            out["messages"] = [f"{shared} {_AS_BEFORE}", *now[shared:]]
    return out


def _filled(request: JSONObject, before: JSONObject) -> JSONObject:
    out: JSONObject = {key: before.get(key) if value == _AS_BEFORE else value for key, value in request.items()}
    match out.get("messages"), before.get("messages"):
        case [str(first), *rest], list(then) if first.endswith(_AS_BEFORE):
            out["messages"] = [*then[: int(first.split()[0])], *rest]
    return out


def common(one: Sequence[JSON], other: Sequence[JSON]) -> int:
    """How many values two lists have in common at their beginning."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _short(value: JSON) -> JSON:
    match value:
        case str() if len(value) > _LENGTH:
            sha = hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()[:12]
            return f"{value[: _LENGTH // 2]} … [{len(value)} characters, sha256 {sha}] … {value[-_LENGTH // 4 :]}"
        case list():
            return [_short(each) for each in value]
        case dict():
            return {key: _short(each) for key, each in value.items()}
    return value
