"""Our request in DashScope's words."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from agentnb.models.openai_request import tool_name
from agentnb.models.options import Thinking as ThinkingOption
from agentnb.models.wire import WireCache

#: The options that the dialect has words for.
OPTIONS = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "max_tokens",
        "presence_penalty",
        "seed",
        "stop",
        "thinking",
        "parallel_tool_calls",
    }
)
#: An effort as tokens of thought; "max" leaves the bound to the model.
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_768}
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
    """An assistant message with calls, the messages that answer them, and what was said meanwhile."""

    ids: tuple[str, ...] = ()
    answers: list[tuple[Message, Wire]] = field(default_factory=list)
    meanwhile: list[bytes] = field(default_factory=list)

    def close(self) -> Iterator[bytes]:
        """Each call answered right after it was asked, in its order; then media, and what was said meanwhile."""
        if len(self.answers) == 1 and self.answers[0][1].ids == self.ids:
            yield self.answers[0][1].body
        elif self.ids:
            given = {result.call_id: result for message, _ in self.answers for result in _results(message)}
            yield _dump(
                _tool_message(given.get(call) or ToolResult(call, "", (Text(_UNANSWERED),))) for call in self.ids
            )
        yield from (wire.media for _, wire in self.answers)
        yield from self.meanwhile


def format_request(
    request: Request, *, model: str, quirks: Quirks | None = None, cache: WireCache[Wire] | None = None
) -> bytes:
    """The JSON body of a request; `cache` spares serializing the messages of earlier rounds again.

    `options.body` is added to the parameters, where DashScope keeps all that is neither model nor messages.
    """
    quirks = quirks or Quirks()
    try:
        messages = _messages(request.messages, quirks, WireCache() if cache is None else cache)
        head = orjson.dumps({"model": model, "parameters": _parameters(request)})
    except TypeError as reason:
        raise UsageError(f"The request is not JSON: {reason}. Use strings, numbers, lists, dicts.") from None
    return head[:-1] + b',"input":{"messages":[' + messages + b"]}}"


def _parameters(request: Request) -> dict[str, object]:
    out: dict[str, object] = {"result_format": "message"}
    if request.options.stream is not False:
        out["incremental_output"] = True
    if request.tools:
        out["tools"] = [
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
            out["tool_choice"] = _tool_choice(request)
    out.update({name: value for name, value in request.options.given().items() if name in OPTIONS})
    if request.options.thinking is not None:
        del out["thinking"]
        out.update(_thinking(request.options.thinking))
    if request.output is not None:
        wanted = {"name": request.output.name, "schema": dict(request.output.schema), "strict": True}
        out["response_format"] = {"type": "json_schema", "json_schema": wanted}
    return out | _added(request.options.body)


def _added(body: Mapping[str, JSON]) -> dict[str, JSON]:
    """What a person adds, written beside the parameters or among them."""
    own = {name: value for name, value in body.items() if name not in ("model", "input", "parameters")}
    inner = body.get("parameters")
    return own | inner if isinstance(inner, dict) else own


def _tool_choice(request: Request) -> JSON:
    choice = request.tool_choice
    if choice == "required" and len(request.tools) == 1:
        # The same, in words that every model of theirs knows.
        choice = request.tools[0].name
    if choice in ("none", "required"):
        return choice
    return {"type": "function", "function": {"name": tool_name(choice)}}


def _thinking(option: ThinkingOption) -> dict[str, object]:
    if option == "off":
        return {"enable_thinking": False}
    budget = option if isinstance(option, int) else _BUDGETS.get(option)
    return {"enable_thinking": True} | ({} if budget is None else {"thinking_budget": budget})


def _messages(messages: Sequence[Message], quirks: Quirks, cache: WireCache[Wire]) -> bytes:
    last_user = max((i for i, m in enumerate(messages) if m.role == "user"), default=-1)
    pieces: list[bytes] = []
    turn = _Turn()
    for i, message in enumerate(messages):
        wire = _cached(message, quirks, cache, looped=i > last_user)
        match message.role:
            case "assistant":
                pieces += turn.close()
                turn = _Turn(wire.ids)
                pieces.append(wire.body)
            case "tool":
                # An answer that nobody asked for is refused; it may have been asked before the history was cut.
                if turn.ids:
                    turn.answers.append((message, wire))
            case _:
                turn.meanwhile.append(wire.body)
    pieces += turn.close()
    return b",".join(filter(None, pieces))


def _cached(message: Message, quirks: Quirks, cache: WireCache[Wire], *, looped: bool) -> Wire:
    # Where reasoning goes back at all, it does so within a loop of tool calls only.
    thinks = looped and quirks.reasoning_field is not None and message.role == "assistant"
    variant = f"{quirks.provider} {quirks.reasoning_field if thinks else ''}"
    wire = cache.get(message, variant)
    return cache.keep(message, variant, _wire(message, quirks, thinks)) if wire is None else wire


def _results(message: Message) -> Iterator[ToolResult]:
    return (block for block in message.content if isinstance(block, ToolResult))


def _dump(objects: Iterable[JSONObject]) -> bytes:
    return b",".join(map(orjson.dumps, objects))


def _wire(message: Message, quirks: Quirks, thinks: bool) -> Wire:
    match message.role:
        case "assistant":
            return _assistant(message, quirks, thinks)
        case "tool":
            results = tuple(_results(message))
            return Wire(_dump(map(_tool_message, results)), tuple(r.call_id for r in results), _promoted(results))
        case role:
            return Wire(_dump([{"role": role, "content": _content(message.content)}]))


def _assistant(message: Message, quirks: Quirks, thinks: bool) -> Wire:
    calls = message.calls
    content = _content(message.content)
    if not content and not calls:
        # An answer that was stopped before its first word; servers refuse an empty one.
        return Wire()
    out: JSONObject = {"role": "assistant", "content": content or []}
    thoughts = "".join(block.text for block in message.content if isinstance(block, Thinking))
    if thinks and quirks.reasoning_field and thoughts:
        out[quirks.reasoning_field] = thoughts
    if calls:
        out["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": tool_name(call.name), "arguments": _valid_arguments(call.arguments)},
            }
            for call in calls
        ]
    return Wire(_dump([out]), tuple(call.id for call in calls))


def _valid_arguments(arguments: str) -> str:
    """Servers parse the arguments of the history too, and refuse the conversation for a call that was cut off."""
    try:
        return arguments if isinstance(orjson.loads(arguments), dict) else "{}"
    except orjson.JSONDecodeError:
        return "{}"


def _tool_message(result: ToolResult) -> JSONObject:
    words = [_words(block) for block in result.content if isinstance(block, (Text, Data))]
    if media := len(result.content) - len(words):
        words.append(f"({media} attached below)")
    out: JSONObject = {"role": "tool", "tool_call_id": result.call_id, "content": "\n".join(words)}
    return out | ({"name": tool_name(result.name)} if result.name else {})


def _promoted(results: Sequence[ToolResult]) -> bytes:
    parts: list[JSON] = []
    for result in results:
        media = [block for block in result.content if not isinstance(block, (Text, Data))]
        if media:
            parts.append({"text": f"From {result.name or 'the tool'} ({result.call_id}):"})
            parts += [_part_or_note(block) for block in media]
    return _dump([{"role": "user", "content": parts}]) if parts else b""


def _part_or_note(block: Block) -> JSONObject:
    try:
        return _part(block)
    except UsageError as reason:
        # The person did not choose what a tool returns: the model is told, the run goes on.
        return {"text": f"({reason})"}


def _content(content: Sequence[Block]) -> JSON:
    """A string wherever it suffices, as models that take no media want it; else a list of parts."""
    sent = [block for block in content if not isinstance(block, (Thinking, Opaque, ToolCall, ToolResult))]
    if all(isinstance(block, (Text, Data)) for block in sent):
        return "".join(map(_words, sent))
    return [_part(block) for block in sent]


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
            return {"image": url or _data_url(media_type, data)}
        case Audio(data=data, media_type=media_type, url=url):
            return {"audio": url or _data_url(media_type, data)}
        case File(data=data, media_type=media_type, url=url) if media_type.startswith("video/"):
            return {"video": url or _data_url(media_type, data)}
        case File(name=name, media_type=media_type):
            raise UsageError(f"{name} ({media_type}) cannot be sent to DashScope. Send its text, or pictures of it.")
    return {"text": _words(block)}


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
