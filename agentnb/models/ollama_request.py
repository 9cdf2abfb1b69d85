"""Our request in the words of Ollama's /api/chat."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

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
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from agentnb.models import structured
from agentnb.models.base import Request
from agentnb.models.dialect import Quirks
from agentnb.models.openai_parts import plain, valid_arguments, words
from agentnb.models.turns import serialized
from agentnb.models.wire import WireCache

#: The options that the dialect has words for, and the words.
_WORDS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_tokens": "num_predict",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
    "stop": "stop",
}
OPTIONS = frozenset({*_WORDS, "thinking"})
_LEVELS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
#: Tokens: the least context asked for, what an answer may take where nothing bounds it, and what a picture takes.
_LEAST_CONTEXT, _ANSWER, _PICTURE = 8192, 2048, 1024
#: Bytes of JSON to a token, at the least.
_BYTES_PER_TOKEN = 3
_PICTURES = re.compile(rb'"images":\[([^\]]*)\]')


def format_request(
    request: Request, *, model: str, quirks: Quirks | None = None, cache: WireCache[bytes] | None = None
) -> bytes:
    """The JSON body of a request; `cache` spares serializing the messages of earlier rounds again.

    A tool call cannot be demanded: the nearest is to offer that tool alone, or none. The schema of an answer would keep
    a model from calling tools at all, so that beside tools it is asked for in words.
    """
    quirks = quirks or Quirks("ollama")
    provider, tools = quirks.provider, _tools(request)
    begin = b""
    if request.output is not None and tools:
        begin = orjson.dumps({"role": "system", "content": structured.in_words(request.output)})
    try:
        messages = serialized(
            request.messages,
            cache=WireCache() if cache is None else cache,
            form=provider,
            wire=lambda message: b",".join(map(orjson.dumps, _messages(message, provider))),
            join=lambda some: b",".join(body for _, body in some),
        )
        messages = b",".join(filter(None, (begin, messages)))
        head = {"model": model, **_head(request, tools, quirks)}
        settings = {**_settings(request), "num_ctx": _context(request, messages, tools)}
        head |= {"options": settings, **_own_words(request.options.body, settings)}
        return orjson.dumps(head)[:-1] + b',"messages":[' + messages + b"]}"
    except orjson.JSONEncodeError as reason:
        raise UsageError(f"The request holds what is not JSON: {reason}. Use strings, numbers, lists, dicts.") from None


def _head(request: Request, tools: list[JSON], quirks: Quirks) -> dict[str, JSON]:
    """All but the conversation and the options."""
    head: dict[str, JSON] = {"stream": request.options.stream is not False}
    if tools:
        head["tools"] = tools
    elif request.output is not None:
        head["format"] = dict(request.output.schema)
    if request.options.thinking is not None:
        head["think"] = _think(request.options.thinking, levels=quirks.thinking == "effort")
    return head


def _tools(request: Request) -> list[JSON]:
    choice = request.tool_choice
    if choice == "none":
        return []
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)},
        }
        for tool in request.tools
        if choice in ("auto", "required", tool.name)
    ]


def _think(thinking: int | str, *, levels: bool) -> JSON:
    if isinstance(thinking, str) and thinking in _LEVELS:
        return _LEVELS[thinking] if levels else True
    return thinking not in ("off", 0)


def _settings(request: Request) -> dict[str, JSON]:
    given = request.options.given()
    return {word: given[name] for name, word in _WORDS.items() if name in given}  # type: ignore[misc]  # the options are JSON


def _own_words(body: Mapping[str, JSON], settings: Mapping[str, JSON]) -> dict[str, JSON]:
    """What was given in Ollama's own words; its `options` are added to ours."""
    own = {name: value for name, value in body.items() if name != "messages"}
    if isinstance(options := own.get("options"), dict):
        own["options"] = {**settings, **options}
    return own


def _context(request: Request, messages: bytes, tools: Sequence[JSON]) -> int:
    """A context that holds the conversation and the answer: what is set by itself is too small, and cut in silence.

    A power of two, because another size makes the server load the model again.
    """
    pictures: list[bytes] = _PICTURES.findall(messages) if b'"images":[' in messages else []
    text = len(messages) - sum(map(len, pictures)) + len(orjson.dumps(tools))
    counted = sum(listed.count(b",") + 1 for listed in pictures)
    needed = text // _BYTES_PER_TOKEN + counted * _PICTURE + (request.options.max_tokens or _ANSWER)
    return max(_LEAST_CONTEXT, 1 << (needed - 1).bit_length())


def _messages(message: Message, provider: str) -> Iterator[JSONObject]:
    match message.role:
        case "assistant":
            yield from _answer(message, provider)
        case "tool":
            yield from _results([block for block in message.content if isinstance(block, ToolResult)])
        case role:
            pictures, refused = _pictures(message.content)
            if refused:
                raise UsageError(refused[0])
            yield _said(role, plain(message.content), pictures)


def _answer(message: Message, provider: str) -> Iterator[JSONObject]:
    """What a model said; its reasoning goes back to its own provider alone, whose templates leave out what is over."""
    out: JSONObject = {"role": "assistant", "content": plain(message.content)}
    own = (message.model or "").partition(":")[0] == provider
    thoughts = "".join(block.text for block in message.content if isinstance(block, Thinking))
    if own and thoughts:
        out["thinking"] = thoughts
    if message.calls:
        out["tool_calls"] = [_call(call) for call in message.calls]
    # An answer that was stopped before its first word is none.
    if len(out) > 2 or out["content"]:
        yield out


def _call(call: ToolCall) -> JSONObject:
    said = {"name": call.name, "arguments": orjson.Fragment(valid_arguments(call.arguments))}
    # Older servers know neither the type nor the id, and pass over what they do not know.
    return {"id": call.id, "type": "function", "function": said}  # type: ignore[dict-item]  # JSON already


def _results(results: Sequence[ToolResult]) -> Iterator[JSONObject]:
    """The results in the order of their calls, which is all that older servers know; then the pictures they hold."""
    shown: list[JSONObject] = []
    for result in results:
        pictures, refused = _pictures(result.content)
        said = [words(block) for block in result.content if isinstance(block, (Text, Data))]
        # The person did not choose what a tool returns: the model is told what it cannot see, the run goes on.
        said += [f"({reason})" for reason in refused]
        if pictures:
            said.append(f"({len(pictures)} attached below)")
            shown.append(_said("user", f"From {result.name or 'the tool'}:", pictures))
        answer: JSONObject = {"role": "tool", "tool_name": result.name, "tool_call_id": result.call_id}
        yield {**answer, "content": "\n".join(said)}
    yield from shown


def _said(role: str, text: str, pictures: Sequence[str]) -> JSONObject:
    return {"role": role, "content": text, **({"images": list(pictures)} if pictures else {})}


def _pictures(content: Iterable[Block]) -> tuple[list[str], list[str]]:
    """The pictures, and of other media why they cannot be sent."""
    pictures, refused = [], []
    for block in content:
        match block:
            case Image(url=None, data=data):
                pictures.append(base64.b64encode(data).decode())
            case Image(url=str() as url):
                refused.append(f"Ollama takes no address of a picture ({url[:200]}), only the picture itself.")
            case Audio():
                refused.append("Sound cannot be sent to Ollama, only text and pictures.")
            case File(name=name):
                refused.append(f"The file {name!r} cannot be sent to Ollama, only text and pictures.")
    return pictures, refused
