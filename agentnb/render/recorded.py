"""Provenance read back: a run as a notebook file has it. The file may come from anywhere: nothing in it is believed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from agentnb.errors import UsageError
from agentnb.masking import MASKED
from agentnb.messages import JSON, Content, Data, Image, JSONObject, Text, Usage
from agentnb.render.record import VERSION

T = TypeVar("T")
#: Characters of a record: none of ours is as long.
_MOST = 64_000
#: How deep its values are nested, at most: whatever walks through them must come back.
_DEEPEST = 60
_MOST_TOKENS, _MOST_AMOUNT = 10**12, 1e9


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run as its record has it.

    `sent` is the prompt as the model got it, None where the record has it only in part. `prompt`, as it was written,
    and `system` and `params` are None where they are not whole. `text` is the answer; `whole` says whether all of it.
    `tools` are those offered, None where an older record does not say; `calls` are the tools that were called.
    `template` names the one that the prompt was written with.
    """

    model: str
    prompt: str | None
    head: str
    sent: tuple[Content, ...] | None
    text: str
    whole: bool
    variables: Mapping[str, str]
    params: Mapping[str, JSON] | None
    system: str | None
    cut: tuple[str, ...]
    context: str
    tools: tuple[str, ...] | None
    schema: JSONObject | None
    template: str
    turns: int
    replays: str
    outcome: str
    error: str
    rounds: int
    usage: Usage
    calls: tuple[str, ...]


def read_record(value: object) -> Recorded:
    """A run from what stands under RUN_MIME. Raises UsageError, in a line, for what no agentnb wrote."""
    if not isinstance(value, dict) or not isinstance(value.get("version"), int):
        raise UsageError("This is no record of a run. Run the cell again.")
    if value["version"] > VERSION:
        raise UsageError(
            f"The record of this run was written by a newer agentnb (version {str(value['version'])[:20]}, this one "
            f"reads up to {VERSION}). Upgrade agentnb, or run the cell again."
        )
    if _is_deep(value) or len(json.dumps(value)) > _MOST:
        raise UsageError("The record of this run is longer or deeper than any that agentnb writes. Run the cell again.")
    cut = tuple(_texts(value, "cut") or ())
    messages = _messages(value)
    prompt, usage = _text(value, "prompt"), _object(value, "usage")
    answers = [message for message in messages if message["role"] == "assistant"]
    said = list(_of_type(answers[-1], "text")) if answers else []
    return Recorded(
        model=_text(value, "model"),
        prompt=None if "prompt" in cut else prompt,
        head=prompt,
        sent=_sent(messages),
        text="".join(_text(block, "text") for block in said),
        whole=not any("cut" in block for block in said) and (bool(answers) or "messages_left_out" not in value),
        variables={name: digest for name, digest in _object(value, "variables").items() if isinstance(digest, str)},
        params=None if "params" in cut else _object(value, "params"),
        system=None if "system" in cut else _text(value, "system") or None,
        cut=cut,
        context=_text(value, "context"),
        tools=_texts(value, "tools"),
        schema=None if "schema" in cut else _object(value, "schema") or None,
        template=_text(_object(value, "template"), "name"),
        turns=_count(value, "turns"),
        replays=_text(value, "replays"),
        outcome=_text(value, "outcome"),
        error=_text(value, "error"),
        rounds=_count(value, "rounds"),
        usage=_usage(usage),
        calls=tuple(_text(block, "name") for message in answers for block in _of_type(message, "tool_call")),
    )


def _is_deep(value: JSON) -> bool:
    left: list[tuple[JSON, int]] = [(value, 0)]
    while left:
        each, depth = left.pop()
        if depth > _DEEPEST:
            return True
        within = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        left += [(child, depth + 1) for child in within]
    return False


def _sent(messages: Sequence[JSONObject]) -> tuple[Content, ...] | None:
    """The prompt as the model got it; None where there is more to it than the record has."""
    if not messages or messages[0]["role"] != "user":
        return None
    out: list[Content] = []
    for block in _blocks(messages[0]):
        match block:
            case {"type": "text", "text": str() as text, **rest} if "cut" not in rest and MASKED not in text:
                out.append(Text(text.encode("utf-8", "replace").decode()))
            case {"type": "data", "value": (dict() | list()) as value} if MASKED not in json.dumps(value):
                out.append(Data(value))
            case {"type": "image", "url": str() as url} if url.startswith("https://") and "\n" not in url:
                out.append(Image(url=url))
            case _:
                return None
    return tuple(out) or None


def _messages(record: JSONObject) -> list[JSONObject]:
    messages = record.get("messages", [])
    if not isinstance(messages, list) or not all(
        isinstance(m, dict) and isinstance(m.get("role"), str) for m in messages
    ):
        raise _damaged("messages")
    return [message for message in messages if isinstance(message, dict)]


def _blocks(message: JSONObject) -> Iterator[JSONObject]:
    content = message.get("content", [])
    if not isinstance(content, list):
        raise _damaged("content")
    for block in content:
        if not isinstance(block, dict):
            raise _damaged("content")
        yield block


def _of_type(message: JSONObject, kind: str) -> Iterator[JSONObject]:
    return (block for block in _blocks(message) if block.get("type") == kind)


def _usage(given: JSONObject) -> Usage:
    read, said, cached, thought = (_count(given, name) for name in ("input", "output", "cached", "reasoning"))
    seconds = _amount(given, "seconds") or 0.0
    return Usage(read, said, cached, thought, seconds=seconds, usd=_amount(given, "usd"))


def _given(record: JSONObject, name: str, kind: type[T], usual: T) -> T:
    value = record.get(name)
    if value is None:
        return usual
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _damaged(name)
    return value


def _text(record: JSONObject, name: str) -> str:
    return _given(record, name, str, "")


def _texts(record: JSONObject, name: str) -> tuple[str, ...] | None:
    values = record.get(name)
    if values is None:
        return None
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise _damaged(name)
    return tuple(str(each) for each in values)


def _object(record: JSONObject, name: str) -> JSONObject:
    return _given(record, name, dict, {})


def _count(record: JSONObject, name: str) -> int:
    number = _given(record, name, int, 0)
    if not 0 <= number < _MOST_TOKENS:
        raise _damaged(name)
    return number


def _amount(record: JSONObject, name: str) -> float | None:
    value = record.get(name)
    if value is None:
        return None
    # Neither an infinity nor what is no number is in between.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _MOST_AMOUNT:
        raise _damaged(name)
    return float(value)


def _damaged(name: str) -> UsageError:
    return UsageError(f"The record of this run is damaged: {name!r} is not what it should be. Run the cell again.")
