"""Our request in DashScope's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

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
from agentnb.models import options
from agentnb.models.base import Request
from agentnb.models.dialect import Quirks
from agentnb.models.openai_options import chosen, schema_fields, tool_fields
from agentnb.models.openai_parts import data_url, joined, media_of, plain, tool_name, valid_arguments, words
from agentnb.models.turns import serialized
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


def format_request(
    request: Request, *, model: str, quirks: Quirks | None = None, cache: WireCache[bytes] | None = None
) -> bytes:
    """The JSON body of a request; `cache` spares serializing the messages of earlier rounds again.

    `options.body` is added to the parameters, where DashScope keeps all that is neither model nor messages.
    """
    try:
        messages = serialized(
            request.messages,
            cache=WireCache() if cache is None else cache,
            form="dashscope",
            wire=lambda message: b",".join(map(orjson.dumps, _messages(message))),
            join=lambda some: b",".join(body for _, body in some),
        )
        head = orjson.dumps({"model": model, "parameters": _parameters(request, quirks or Quirks())})
    except orjson.JSONEncodeError as reason:
        raise UsageError(f"The request is not JSON: {reason}. Use strings, numbers, lists, dicts.") from None
    return head[:-1] + b',"input":{"messages":[' + messages + b"]}}"


def _parameters(request: Request, quirks: Quirks) -> dict[str, object]:
    out: dict[str, object] = {"result_format": "message"}
    if request.options.stream is not False:
        out["incremental_output"] = True
    if request.tools:
        out["tools"] = [{"type": "function", "function": function} for function in tool_fields(request)]
        if (choice := chosen(request, quirks)) != "auto":
            out["tool_choice"] = _tool_choice(choice, request)
    out.update({name: value for name, value in request.options.given().items() if name in OPTIONS})
    if request.options.thinking is not None:
        del out["thinking"]
        out.update(_thinking(request.options.thinking))
    if request.output is not None:
        out["response_format"] = {"type": "json_schema", "json_schema": schema_fields(request)}
    return joined(out, _added(request.options.body))


def _added(body: Mapping[str, JSON]) -> dict[str, JSON]:
    """What a person adds, written beside the parameters or among them."""
    own = {name: value for name, value in body.items() if name not in ("model", "input", "parameters")}
    inner = body.get("parameters")
    return own | inner if isinstance(inner, dict) else own


def _tool_choice(choice: str, request: Request) -> JSON:
    if choice == "required" and len(request.tools) == 1:
        # The same, in words that every model of theirs knows.
        choice = request.tools[0].name
    if choice in ("none", "required"):
        return choice
    return {"type": "function", "function": {"name": tool_name(choice)}}


def _thinking(option: options.Thinking) -> dict[str, object]:
    if option in ("off", 0):
        return {"enable_thinking": False}
    budget = option if isinstance(option, int) else _BUDGETS.get(option)
    return {"enable_thinking": True} | ({} if budget is None else {"thinking_budget": budget})


def _messages(message: Message) -> Iterator[JSONObject]:
    """What becomes of one message; the media that tools gave follow what they said, as from a person.

    What was thought is not sent back: these models are not made to read it.
    """
    match message.role:
        case "assistant":
            yield from _assistant(message)
        case "tool":
            results = [block for block in message.content if isinstance(block, ToolResult)]
            yield from map(_tool_message, results)
            if media := [part for result in results for part in _promoted(result)]:
                yield {"role": "user", "content": media}
        case role:
            yield {"role": role, "content": _content(message.content)}


def _assistant(message: Message) -> Iterator[JSONObject]:
    content = _content(message.content)
    calls: list[JSON] = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": tool_name(call.name), "arguments": valid_arguments(call.arguments)},
        }
        for call in message.calls
    ]
    # An answer that was stopped before its first word is left out: servers refuse an empty one.
    if content or calls:
        out: JSONObject = {"role": "assistant", "content": content or []}
        yield {**out, "tool_calls": calls} if calls else out


def _tool_message(result: ToolResult) -> JSONObject:
    said = [words(block) for block in result.content if isinstance(block, (Text, Data))]
    if media := len(media_of(result.content)):
        said.append(f"({media} attached below)")
    out: JSONObject = {"role": "tool", "tool_call_id": result.call_id, "content": "\n".join(said)}
    return out | ({"name": tool_name(result.name)} if result.name else {})


def _promoted(result: ToolResult) -> Iterator[JSON]:
    if media := media_of(result.content):
        yield {"text": f"From {result.name or 'the tool'} ({result.call_id}):"}
        yield from map(_part_or_note, media)


def _part_or_note(block: Block) -> JSONObject:
    try:
        return _part(block)
    except UsageError as reason:
        # The person did not choose what a tool returns: the model is told, the run goes on.
        return {"text": f"({reason})"}


def _content(content: Sequence[Block]) -> JSON:
    """A string wherever it suffices, as models that take no media want it; else a list of parts."""
    sent = [block for block in content if not isinstance(block, (Thinking, Opaque, ToolCall, ToolResult))]
    if not media_of(sent):
        return plain(sent)
    return [_part(block) for block in sent]


def _part(block: Block) -> JSONObject:
    match block:
        case Image(data=data, media_type=media_type, url=url):
            return {"image": url or data_url(media_type, data)}
        case Audio(data=data, media_type=media_type, url=url):
            return {"audio": url or data_url(media_type, data)}
        case File(data=data, media_type=media_type, url=url) if media_type.startswith("video/"):
            return {"video": url or data_url(media_type, data)}
        case File(name=name, media_type=media_type):
            raise UsageError(f"{name} ({media_type}) cannot be sent to DashScope. Send its text instead.")
    return {"text": words(block)}
