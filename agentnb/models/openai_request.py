"""Our request in OpenAI's Chat Completions words."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from agentnb.errors import UsageError
from agentnb.messages import (
    JSON,
    Audio,
    Block,
    Data,
    File,
    Image,
    JSONObject,
    Message,
    Opaque,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from agentnb.models.base import Request
from agentnb.models.dialect import Quirks
from agentnb.models.wire import Prefix, WireCache

_AUDIO = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}
#: The options that the dialect has words for.
OPTIONS = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "max_tokens",
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "stop",
        "thinking",
        "parallel_tool_calls",
    }
)
_UNANSWERED = "This call was not run."


@dataclass(frozen=True, slots=True)
class Wire:
    """What became of one message: its JSON objects joined by commas, and what the messages around it must know."""

    body: bytes = b""
    #: Of an assistant message, the ids it asks answers for; of a tool message, the ids it answers.
    ids: tuple[str, ...] = ()
    #: Of a tool message: a user message with the media that a tool message cannot hold.
    media: bytes = b""


@dataclass(slots=True)
class _Turn:
    """An assistant message with calls, and what followed until the next one."""

    ids: tuple[str, ...]
    results: list[tuple[Message, Wire]] = field(default_factory=list)


def format_request(
    request: Request, *, model: str, quirks: Quirks | None = None, cache: WireCache[Wire] | None = None
) -> bytes:
    """The JSON body of a streaming request; `cache` spares serializing the messages of earlier rounds again."""
    quirks = quirks or Quirks()
    streams = request.options.stream is not False
    head: dict[str, object] = {"model": model, "stream": streams}
    if quirks.stream_options and streams:
        head["stream_options"] = {"include_usage": True}
    if request.tools:
        head["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool_name(tool.name),
                    "description": tool.description,
                    "parameters": dict(tool.parameters),
                },
            }
            for tool in request.tools
        ]
        if request.tool_choice != "auto":
            head["tool_choice"] = _tool_choice(request.tool_choice)
    head.update(_options(request, quirks))
    messages = _messages(request.messages, quirks, WireCache() if cache is None else cache)
    try:
        return orjson.dumps(head)[:-1] + b',"messages":[' + messages + b"]}"
    except TypeError as reason:
        raise UsageError(
            f"An option of the request is not JSON: {reason}. Use strings, numbers, lists, dicts."
        ) from None


def _options(request: Request, quirks: Quirks) -> dict[str, object]:
    out: dict[str, object] = {}
    for name, value in request.options.given().items():
        match name:
            case "max_tokens":
                out[quirks.max_tokens] = value
            case "thinking":
                out["reasoning_effort"] = value
            case "headers" | "query" | "stream" | "body":
                continue
            case _:
                out[name] = value
    if request.output is not None:
        wanted = {"name": request.output.name, "schema": dict(request.output.schema), "strict": True}
        out["response_format"] = {"type": "json_schema", "json_schema": wanted}
    return out | {k: v for k, v in request.options.body.items() if k != "messages"}


def tool_name(name: str) -> str:
    """The name as the dialect allows it: [A-Za-z0-9_-]{1,64}."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "_"


def _tool_choice(choice: str) -> JSON:
    if choice in ("none", "required"):
        return choice
    return {"type": "function", "function": {"name": tool_name(choice)}}


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
                pieces += _close(turn, after)
                settled = i, len(pieces)
                turn, after = (_Turn(wire.ids) if wire.ids else None), []
                if wire.body:
                    pieces.append(wire.body)
            case _ if turn is None:
                pieces.append(wire.body)
            case _:
                after.append(wire.body)
    pieces += _close(turn, after)
    count, made = settled
    if count > max(begin, last_user):
        cache.keep_prefix(Prefix(tuple(messages[:count]), b",".join(pieces[:made]), last_user, quirks), known)
    return b",".join(pieces)


def _cached(message: Message, quirks: Quirks, cache: WireCache[Wire], *, looped: bool) -> Wire:
    # What was thought before the last question is over; within a loop of tool calls it must go back.
    variant = f"{quirks} {'looped' if looped else 'over'}"
    wire = cache.get(message, variant)
    return cache.keep(message, variant, _wire(message, quirks, looped)) if wire is None else wire


def _close(turn: _Turn | None, after: Iterable[bytes]) -> Iterator[bytes]:
    """The answers of a turn in its order, then the media they carry, then what was said meanwhile."""
    if turn is not None:
        if len(turn.results) == 1 and turn.results[0][1].ids == turn.ids:
            yield turn.results[0][1].body
        else:
            answers = {r.call_id: r for message, _ in turn.results for r in _results(message)}
            yield _dump(
                _tool_message(answers.get(call) or ToolResult(call, "", (Text(_UNANSWERED),))) for call in turn.ids
            )
        yield from (wire.media for _, wire in turn.results if wire.media)
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
            return Wire(_dump(map(_tool_message, results)), tuple(r.call_id for r in results), _promoted(results))
        case "system":
            return Wire(_dump([{"role": quirks.system_role, "content": _plain(message.content)}]))
        case "user":
            return Wire(_dump([{"role": "user", "content": _user_content(message.content)}]))


def _assistant(message: Message, quirks: Quirks, looped: bool) -> Wire:
    own = (message.model or "").partition(":")[0] == quirks.provider
    calls = message.calls
    text = _plain(b for b in message.content if isinstance(b, (Text, Data)))
    if not text and not calls:
        # An answer that was stopped before its first word; servers refuse an empty one.
        return Wire()
    out: JSONObject = {"role": "assistant", "content": text or None}
    thoughts = "".join(b.text for b in message.content if isinstance(b, Thinking))
    if looped and quirks.reasoning_field and thoughts:
        out[quirks.reasoning_field] = thoughts
    for block in message.content:
        if isinstance(block, Opaque) and block.provider == quirks.provider:
            out.update(block.payload)
    if calls:
        out["tool_calls"] = [_tool_call(call, own) for call in calls]
    return Wire(_dump([out]), tuple(call.id for call in calls))


def _tool_call(call: ToolCall, own: bool) -> JSONObject:
    return {
        **(call.extra or {} if own else {}),
        "id": call.id,
        "type": "function",
        "function": {"name": tool_name(call.name), "arguments": _valid_arguments(call.arguments)},
    }


def _valid_arguments(arguments: str) -> str:
    """Servers parse the arguments of the history too, and refuse the conversation for a call that was cut off."""
    try:
        return arguments if isinstance(orjson.loads(arguments), dict) else "{}"
    except orjson.JSONDecodeError:
        return "{}"


def _tool_message(result: ToolResult) -> JSONObject:
    text = "\n".join(_words(b) for b in result.content if isinstance(b, (Text, Data)))
    media = sum(not isinstance(b, (Text, Data)) for b in result.content)
    if media:
        text = f"{text}\n({media} attached below)".lstrip()
    return {"role": "tool", "tool_call_id": result.call_id, "content": text}


def _promoted(results: Sequence[ToolResult]) -> bytes:
    parts: list[JSON] = []
    for result in results:
        media = [b for b in result.content if not isinstance(b, (Text, Data))]
        if media:
            parts.append({"type": "text", "text": f"From {result.name or 'the tool'} ({result.call_id}):"})
            parts += [_part_or_note(block) for block in media]
    return _dump([{"role": "user", "content": parts}]) if parts else b""


def _part_or_note(block: Block) -> JSONObject:
    try:
        return _part(block)
    except UsageError as reason:
        # The person did not choose what a tool returns: the model is told, the run goes on.
        return {"type": "text", "text": f"({reason})"}


def _user_content(content: Sequence[Block]) -> JSON:
    # A string wherever it suffices: many servers know no list of parts.
    if all(isinstance(block, (Text, Data)) for block in content):
        return _plain(content)
    return [_part(block) for block in content if not isinstance(block, (Thinking, Opaque, ToolCall, ToolResult))]


def _plain(content: Iterable[Block]) -> str:
    return "".join(map(_words, content))


def _words(block: Block) -> str:
    match block:
        case Text(text=text):
            return text
        case Data(value=value):
            return orjson.dumps(value).decode()
    return ""


def _part(block: Block) -> JSONObject:
    match block:
        case Image(data=data, media_type=media_type, url=url):
            return {"type": "image_url", "image_url": {"url": url or _data_url(media_type, data)}}
        case Audio(data=data, media_type=media_type):
            if media_type not in _AUDIO:
                raise UsageError(f"Sound of type {media_type} cannot be sent to this model. Convert it to WAV or MP3.")
            sound: JSON = {"data": base64.b64encode(data).decode(), "format": _AUDIO[media_type]}
            return {"type": "input_audio", "input_audio": sound}
        case File(name=name, data=data, media_type=media_type):
            document: JSON = {"filename": name, "file_data": _data_url(media_type, data)}
            return {"type": "file", "file": document}
    return {"type": "text", "text": _words(block)}


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
