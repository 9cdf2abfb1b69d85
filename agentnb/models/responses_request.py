"""Our request in the words of OpenAI's Responses: a list of items, of which each message makes some."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

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
    ToolCall,
    ToolResult,
)
from agentnb.models.base import Request
from agentnb.models.dialect import Quirks
from agentnb.models.openai_options import chosen, effort_of, schema_fields, tool_fields
from agentnb.models.openai_parts import data_url, joined, media_of, plain, tool_name, valid_arguments, words
from agentnb.models.turns import serialized
from agentnb.models.wire import WireCache

#: The options that the dialect has words for.
OPTIONS = frozenset({"temperature", "top_p", "max_tokens", "thinking", "parallel_tool_calls"})
_IMAGE_CALL = "image_generation_call"


def format_request(
    request: Request, *, model: str, quirks: Quirks | None = None, cache: WireCache[bytes] | None = None
) -> bytes:
    """The JSON body of a request; `cache` spares serializing the messages of earlier rounds again."""
    quirks = quirks or Quirks()
    head: dict[str, object] = {"model": model, "stream": request.options.stream is not False, "store": False}
    head |= _options(request, quirks)
    try:
        fields = orjson.dumps(head)
    except TypeError as reason:
        raise UsageError(
            f"An option of the request is not JSON: {reason}. Use strings, numbers, lists, dicts."
        ) from None
    try:
        items = serialized(
            request.messages,
            cache=WireCache() if cache is None else cache,
            form=f"{quirks.provider} {quirks.system_role} {quirks.thinking}",
            wire=lambda message: _dump(_items(message, quirks)),
            join=lambda made: b",".join(body for _, body in made),
        )
    except TypeError as reason:
        raise UsageError(f"A message of the conversation cannot be sent as JSON: {reason}.") from None
    return fields[:-1] + b',"input":[' + items + b"]}"


def _options(request: Request, quirks: Quirks) -> dict[str, object]:
    options = request.options
    numbers = {"temperature": options.temperature, "top_p": options.top_p, "max_output_tokens": options.max_tokens}
    out: dict[str, object] = {name: value for name, value in numbers.items() if value is not None}
    if quirks.thinking != "unseen":
        out["include"] = ["reasoning.encrypted_content"]
    if reasoning := _reasoning(request, quirks):
        out["reasoning"] = reasoning
    if request.output is not None:
        out["text"] = {"format": {"type": "json_schema", **schema_fields(request)}}
    choice = chosen(request, quirks)
    if request.tools:
        # Left to itself, the server would demand every argument of a function.
        out["tools"] = [{"type": "function", **each, "strict": False} for each in tool_fields(request)]
        if choice in ("none", "required"):
            out["tool_choice"] = choice
        elif choice != "auto":
            out["tool_choice"] = {"type": "function", "name": tool_name(choice)}
        if options.parallel_tool_calls is not None:
            out["parallel_tool_calls"] = options.parallel_tool_calls
    return joined(out, {key: value for key, value in options.body.items() if key != "input"})


def _reasoning(request: Request, quirks: Quirks) -> JSONObject:
    thinking = request.options.thinking
    out: JSONObject = {} if thinking is None else {"effort": effort_of(thinking)}
    if quirks.thinking == "effort" and out.get("effort") != "none":
        out["summary"] = "auto"
    return out


def _dump(items: Iterable[JSONObject]) -> bytes:
    return b",".join(map(orjson.dumps, items))


def _items(message: Message, quirks: Quirks) -> list[JSONObject]:
    match message.role:
        case "assistant":
            return _assistant(message, quirks)
        case "tool":
            return [_output(block) for block in message.content if isinstance(block, ToolResult)]
        case "system":
            return [{"role": quirks.system_role, "content": plain(message.content)}]
        case "user":
            return [{"role": "user", "content": _user_content(message.content)}]


def _assistant(message: Message, quirks: Quirks) -> list[JSONObject]:
    """What the model said, item by item, in its order; what only its provider understands goes back to it as it is."""
    items: list[JSONObject] = []
    media: list[Block] = []
    for block in message.content:
        match block:
            case Text() | Data():
                _say(items, words(block))
            case ToolCall(id=call_id, name=name, arguments=arguments):
                call: JSONObject = {
                    "call_id": call_id,
                    "name": tool_name(name),
                    "arguments": valid_arguments(arguments),
                }
                items.append({"type": "function_call", **call})
            case Opaque(provider=quirks.provider, payload={"type": "image_generation_call"} as item):
                picture = media.pop() if media else None
                result = base64.b64encode(picture.data).decode() if isinstance(picture, Image) else None
                known: JSONObject = {key: item.get(key) for key in ("type", "id", "status")}
                items.append({**known, "result": result})
            case Opaque(provider=quirks.provider, payload={"type": str()} as item):
                if quirks.thinking != "unseen" or item.get("type") != "reasoning" or item.get("content"):
                    items.append(item)
            case Image() | Audio() | File():
                media.append(block)
    while items and items[-1].get("type") == "reasoning":
        # What was thought must be followed by what came of it; of an answer that was stopped, nothing did.
        items.pop()
    if media:
        items.append({"role": "user", "content": [_text("From you:"), *map(_part_or_note, media)]})
    return items


def _say(items: list[JSONObject], text: str) -> None:
    """Add to the message that is being said, or begin one."""
    match items[-1:]:
        case [{"role": "assistant", "content": str() as said}]:
            items[-1]["content"] = said + text
        case _ if text:
            items.append({"role": "assistant", "content": text})


def _output(result: ToolResult) -> JSONObject:
    output: JSON = "\n".join(words(block) for block in result.content if isinstance(block, (Text, Data)))
    if media := media_of(result.content):
        output = [*([_text(output)] if isinstance(output, str) and output else []), *map(_part_or_note, media)]
    return {"type": "function_call_output", "call_id": result.call_id, "output": output}


def _user_content(content: Sequence[Block]) -> JSON:
    if all(isinstance(block, (Text, Data)) for block in content):
        return plain(content)
    return [_part(block) for block in content if isinstance(block, (Text, Data, Image, Audio, File))]


def _text(text: str) -> JSONObject:
    return {"type": "input_text", "text": text}


def _part(block: Block) -> JSONObject:
    match block:
        case Image(data=data, media_type=media_type, url=url):
            return {"type": "input_image", "image_url": url or data_url(media_type, data), "detail": "auto"}
        case File(url=str() as url):
            return {"type": "input_file", "file_url": url}
        case File(name=name, data=data, media_type=media_type):
            return {"type": "input_file", "filename": name, "file_data": data_url(media_type, data)}
        case Audio():
            raise UsageError("This model takes no sound through Responses. Ask it through Chat Completions: openai:…")
    return _text(words(block))


def _part_or_note(block: Block) -> JSONObject:
    try:
        return _part(block)
    except UsageError as reason:
        # The person did not choose what a tool returns: the model is told, the run goes on.
        return _text(f"({reason})")
