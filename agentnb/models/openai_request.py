"""Our request in OpenAI's Chat Completions words."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from agentnb.errors import UsageError
from agentnb.messages import Data, JSONObject, Message, Opaque, Text, Thinking, ToolCall, ToolResult
from agentnb.models.base import Request
from agentnb.models.dialect import Quirks
from agentnb.models.openai_options import format_options
from agentnb.models.openai_parts import media_of, part_or_note, plain, tool_name, user_content, valid_arguments, words
from agentnb.models.turns import UNANSWERED
from agentnb.models.wire import Prefix, WireCache


@dataclass(frozen=True, slots=True)
class Wire:
    """What became of one message: its JSON objects joined by commas, and what the messages around it must know."""

    body: bytes = b""
    #: Of an assistant message, the ids it asks answers for; of a tool message, the ids it answers.
    ids: tuple[str, ...] = ()
    #: A user message with the media that a message of a tool or of the model cannot hold.
    media: bytes = b""


@dataclass(slots=True)
class _Turn:
    """An assistant message with calls (and its media), and what followed until the next one."""

    ids: tuple[str, ...]
    media: bytes
    results: list[tuple[Message, Wire]] = field(default_factory=list)


def format_request(
    request: Request, *, model: str, quirks: Quirks | None = None, cache: WireCache[Wire] | None = None
) -> bytes:
    """The JSON body of a request; `cache` spares serializing the messages of earlier rounds again."""
    quirks = quirks or Quirks()
    streams = request.options.stream is not False
    head: dict[str, object] = {"model": model, "stream": streams}
    if quirks.stream_options and streams:
        head["stream_options"] = {"include_usage": True}
    head |= format_options(request, quirks)
    try:
        fields = orjson.dumps(head)
    except TypeError as reason:
        raise UsageError(
            f"An option of the request is not JSON: {reason}. Use strings, numbers, lists, dicts."
        ) from None
    try:
        messages = _messages(request.messages, quirks, WireCache() if cache is None else cache)
    except TypeError as reason:
        raise UsageError(f"A message of the conversation cannot be sent as JSON: {reason}.") from None
    return fields[:-1] + b',"messages":[' + messages + b"]}"


def _messages(messages: Sequence[Message], quirks: Quirks, cache: WireCache[Wire]) -> bytes:
    """Bytes of the messages in an order the dialect accepts: each call is answered right after it was asked.

    Within a loop of tool calls only what came since the last round is looked at.
    """
    known = cache.prefix(messages, quirks)
    if any(message.role == "user" for message in messages[len(known.messages) :]):
        known = Prefix()  # a new question changes how what was thought before it is sent
    begin, last_user = len(known.messages), known.last_user
    if not begin:
        last_user = max((i for i, m in enumerate(messages) if m.role == "user"), default=-1)
    pieces: list[bytes] = [known.body] if known.body else []
    settled = begin, len(pieces)
    turn: _Turn | None = None
    after: list[bytes] = []
    for i, message in enumerate(messages[begin:], begin):
        wire = _cached(message, quirks, cache, looped=i > last_user)
        match message.role:
            case "tool":
                if turn is not None:
                    turn.results.append((message, wire))
            case "assistant":
                pieces += _close(turn, after, quirks)
                settled = i, len(pieces)
                turn, after = (_Turn(wire.ids, wire.media) if wire.ids else None), []
                pieces += filter(None, (wire.body, b"" if turn else wire.media))
            case _ if turn is None:
                pieces.append(wire.body)
            case _:
                after.append(wire.body)
    pieces += _close(turn, after, quirks)
    count, made = settled
    if count > max(begin, last_user):
        cache.keep_prefix(Prefix(tuple(messages[:count]), b",".join(pieces[:made]), last_user, quirks), known)
    return b",".join(pieces)


def _cached(message: Message, quirks: Quirks, cache: WireCache[Wire], *, looped: bool) -> Wire:
    # What was thought before the last question is over; within a loop of tool calls it must go back.
    variant = f"{quirks} {'looped' if looped else 'over'}"
    wire = cache.get(message, variant)
    return cache.keep(message, variant, _wire(message, quirks, looped)) if wire is None else wire


def _close(turn: _Turn | None, after: Iterable[bytes], quirks: Quirks) -> Iterator[bytes]:
    """The answers of a turn in its order, then the media they carry, then what was said meanwhile."""
    if turn is not None:
        if len(turn.results) == 1 and turn.results[0][1].ids == turn.ids:
            yield turn.results[0][1].body
        else:
            answers = {r.call_id: r for message, _ in turn.results for r in _results(message)}
            yield _dump(
                _tool_message(answers.get(call) or ToolResult(call, "", (Text(UNANSWERED),)), quirks)
                for call in turn.ids
            )
        yield from filter(None, (turn.media, *(wire.media for _, wire in turn.results)))
    yield from after


def _results(message: Message) -> Iterator[ToolResult]:
    return (block for block in message.content if isinstance(block, ToolResult))


def _dump(objects: Iterable[JSONObject]) -> bytes:
    return b",".join(map(orjson.dumps, objects))


def _wire(message: Message, quirks: Quirks, looped: bool) -> Wire:
    match message.role:
        case "assistant":
            return _assistant(message, quirks, looped)
        case "tool":
            results = tuple(_results(message))
            said = _dump(_tool_message(result, quirks) for result in results)
            return Wire(said, tuple(result.call_id for result in results), _promoted(results, quirks))
        case "system":
            told: JSONObject = {"role": quirks.system_role, **_named(message, quirks)}
            return Wire(_dump([{**told, "content": plain(message.content)}]))
        case "user":
            return Wire(_dump([{"role": "user", **_named(message, quirks), "content": user_content(message.content)}]))


def _named(message: Message, quirks: Quirks) -> JSONObject:
    return {"name": tool_name(message.name)} if message.name and "name" not in quirks.without else {}


def _assistant(message: Message, quirks: Quirks, looped: bool) -> Wire:
    own = (message.model or "").partition(":")[0] == quirks.provider
    calls, media = message.calls, media_of(message.content)
    text = plain(b for b in message.content if isinstance(b, (Text, Data)))
    if media:
        text = _with_note(text, len(media))
    if not text and not calls:
        # An answer that was stopped before its first word; servers refuse an empty one.
        return Wire()
    out: JSONObject = {"role": "assistant", **_named(message, quirks), "content": text or None}
    thoughts = "".join(b.text for b in message.content if isinstance(b, Thinking))
    if looped and thoughts:
        out |= _thoughts(thoughts, text, quirks)
    for block in message.content:
        if isinstance(block, Opaque) and block.provider == quirks.provider and "reasoning_details" in block.payload:
            out |= block.payload
    if calls:
        out["tool_calls"] = [_tool_call(call, quirks, own=own) for call in calls]
    shown: list[JSONObject] = [{"type": "text", "text": "From you:"}, *map(part_or_note, media)] if media else []
    return Wire(_dump([out]), tuple(call.id for call in calls), _from_user(shown))


def _thoughts(thoughts: str, text: str, quirks: Quirks) -> JSONObject:
    match quirks.reasoning_field:
        case None:
            return {}
        case "content":
            return {"content": f"<think>\n{thoughts}\n</think>\n\n{text}"}
        case name:
            return {name: thoughts}


def _id(call_id: str, quirks: Quirks) -> str:
    """The id as the server takes it: those of other providers are too long for some, or have other characters."""
    if quirks.call_id is None or re.fullmatch(quirks.call_id, call_id):
        return call_id
    return hashlib.blake2b(call_id.encode(), digest_size=5).hexdigest()[:9]


def _tool_call(call: ToolCall, quirks: Quirks, *, own: bool) -> JSONObject:
    return {
        **(call.extra or {} if own else {}),
        "id": _id(call.id, quirks),
        "type": "function",
        "function": {"name": tool_name(call.name), "arguments": valid_arguments(call.arguments)},
    }


def _tool_message(result: ToolResult, quirks: Quirks) -> JSONObject:
    text = "\n".join(words(b) for b in result.content if isinstance(b, (Text, Data)))
    if media := media_of(result.content):
        text = _with_note(text, len(media))
    return {"role": "tool", "tool_call_id": _id(result.call_id, quirks), "content": text}


def _with_note(text: str, media: int) -> str:
    return f"{text}\n({media} attached below)".lstrip()


def _promoted(results: Sequence[ToolResult], quirks: Quirks) -> bytes:
    parts: list[JSONObject] = []
    for result in results:
        if media := media_of(result.content):
            parts.append({"type": "text", "text": f"From {result.name or 'the tool'} ({_id(result.call_id, quirks)}):"})
            parts += map(part_or_note, media)
    return _from_user(parts)


def _from_user(parts: Sequence[JSONObject]) -> bytes:
    return _dump([{"role": "user", "content": [*parts]}]) if parts else b""
