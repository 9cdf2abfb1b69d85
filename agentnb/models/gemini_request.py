"""Our request in the words of Gemini's generateContent."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

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
    ToolSpec,
)
from agentnb.models.base import Request
from agentnb.models.dialect import Quirks
from agentnb.models.gemini_chunks import SIGNS
from agentnb.models.openai_parts import joined, json_text, media_of, valid_arguments, words
from agentnb.models.turns import serialized
from agentnb.models.wire import WireCache

#: The options that the dialect has words for, and the words.
_WORDS = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "seed": "seed",
    "stop": "stopSequences",
}
OPTIONS = frozenset({*_WORDS, "thinking"})
_LEVELS = {"xhigh": "high", "max": "high"}
#: For models that take no level.
_BUDGETS = {"minimal": 512, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}
#: What the vendor wants as the signature of a call that its models never made; the older ones know no such thing.
_NO_SIGNATURE = "skip_thought_signature_validator"
_WANTS_SIGNATURES = re.compile(r"gemini-([3-9]|\d\d)")


def format_request(
    request: Request, *, model: str, quirks: Quirks | None = None, cache: WireCache[bytes] | None = None
) -> bytes:
    """The JSON body of a request; `cache` spares serializing the messages of earlier rounds again."""
    quirks = quirks or Quirks("gemini")
    # Only what begins a conversation can be said as the system; what is said later keeps its place.
    leading = list(itertools.takewhile(lambda message: message.role == "system", request.messages))
    signed = _WANTS_SIGNATURES.search(model) is not None
    try:
        contents = serialized(
            request.messages[len(leading) :],
            cache=WireCache() if cache is None else cache,
            form=f"{quirks.provider} {signed}",
            wire=lambda message: b",".join(map(orjson.dumps, _parts(message, quirks.provider, signed))),
            join=_contents,
        )
        own = {name: value for name, value in request.options.body.items() if name != "contents"}
        head = orjson.dumps(joined(_head(request, leading, quirks), own))[:-1]
    except orjson.JSONEncodeError as reason:
        raise UsageError(f"The request holds what is not JSON: {reason}. Use strings, numbers, lists, dicts.") from None
    return head + (b"," if len(head) > 1 else b"") + b'"contents":[' + contents + b"]}"


def _head(request: Request, leading: Sequence[Message], quirks: Quirks) -> dict[str, JSON]:
    """All but the conversation."""
    head: dict[str, JSON] = {}
    if leading:
        head["systemInstruction"] = {"parts": [part for message in leading for part in _said(message.content)]}
    if request.tools:
        declared: list[JSON] = [_declaration(tool) for tool in request.tools]
        head["tools"] = [{"functionDeclarations": declared}]
        if request.tool_choice != "auto":
            head["toolConfig"] = {"functionCallingConfig": _tool_choice(request.tool_choice)}
    if settings := _settings(request, quirks):
        head["generationConfig"] = settings
    return head


def tool_name(name: str) -> str:
    """The name as the dialect allows it: a letter or _, then [A-Za-z0-9_.:-], at most 64 in all."""
    name = re.sub(r"[^A-Za-z0-9_.:-]", "_", name)
    return (name if re.match(r"[A-Za-z_]", name) else f"_{name}")[:64]


def _declaration(tool: ToolSpec) -> JSONObject:
    return {
        "name": tool_name(tool.name),
        "description": tool.description,
        "parametersJsonSchema": dict(tool.parameters),
    }


def _tool_choice(choice: str) -> JSONObject:
    match choice:
        case "none":
            return {"mode": "NONE"}
        case "required":
            return {"mode": "ANY"}
    return {"mode": "ANY", "allowedFunctionNames": [tool_name(choice)]}


def _settings(request: Request, quirks: Quirks) -> dict[str, JSON]:
    given = request.options.given()
    out: dict[str, JSON] = {word: given[name] for name, word in _WORDS.items() if name in given}  # type: ignore[misc]  # the options are JSON
    if request.options.thinking is not None:
        out["thinkingConfig"] = _thinking(request.options.thinking, levels=quirks.thinking != "budget")
    if request.output is not None:
        out |= {"responseMimeType": "application/json", "responseJsonSchema": dict(request.output.schema)}
    return out


def _thinking(thinking: int | str, *, levels: bool) -> JSONObject:
    match thinking:
        case "off" | 0:
            return {"thinkingBudget": 0}
        case "on":
            return {"includeThoughts": True, "thinkingBudget": -1}
        case int():
            return {"includeThoughts": True, "thinkingBudget": thinking}
    if levels:
        return {"includeThoughts": True, "thinkingLevel": _LEVELS.get(thinking, thinking)}
    return {"includeThoughts": True, "thinkingBudget": _BUDGETS[thinking]}


def _contents(messages: Iterable[tuple[Message, bytes]]) -> bytes:
    """Neighbours of one role are one content."""
    groups = itertools.groupby(messages, lambda pair: b"model" if pair[0].role == "assistant" else b"user")
    return b",".join(
        b'{"role":"%b","parts":[%b]}' % (role, b",".join(parts for _, parts in group)) for role, group in groups
    )


def _parts(message: Message, provider: str, signed: bool) -> Iterable[JSONObject]:
    match message.role:
        case "assistant":
            return _answer(message, provider, signed)
        case "tool":
            return _responses([block for block in message.content if isinstance(block, ToolResult)])
    return _said(message.content)


def _said(content: Sequence[Block]) -> list[JSONObject]:
    spoken = (block for block in content if isinstance(block, (Text, Data, Image, Audio, File)))
    return [_part(block) for block in spoken] or [{"text": ""}]


def _part(block: Text | Data | Image | Audio | File) -> JSONObject:
    match block:
        case Text(text=text):
            return {"text": text}
        case Data(value=value):
            return {"text": json_text(value)}
    if block.url:
        return {"fileData": {"fileUri": block.url, "mimeType": block.media_type}}
    return {"inlineData": {"mimeType": block.media_type, "data": base64.b64encode(block.data).decode()}}


def _answer(message: Message, provider: str, signed: bool) -> list[JSONObject]:
    """What a model said; signatures and what only the provider understands go back to their own provider alone."""
    own = (message.model or "").partition(":")[0] == provider
    parts: list[JSONObject] = []
    for block in message.content:
        match block:
            case Text(text=text, extra=extra) if text or (own and extra):
                parts.append({"text": text, **(extra or {} if own else {})})
            case Thinking(text=text, signature=str() as signature, extra=extra) if own:
                parts.append({"text": text, "thought": True, **(extra or {}), "thoughtSignature": signature})
            case ToolCall():
                unsigned = signed and not any("functionCall" in part for part in parts)
                parts.append(_call(block, own, _NO_SIGNATURE if unsigned else None))
            case Opaque(provider=made_by, payload=payload) if made_by == provider:
                _add_opaque(parts, payload)
            case Image() | Audio() | File() | Data():
                parts.append(_part(block))
    return parts


def _call(call: ToolCall, own: bool, otherwise: str | None) -> JSONObject:
    """`otherwise` is the signature of a call that has none."""
    signature: JSONObject = {"thoughtSignature": otherwise} if otherwise else {}
    said = {"id": call.id, "name": tool_name(call.name), "args": orjson.Fragment(valid_arguments(call.arguments))}
    return {"functionCall": said, **signature, **(call.extra or {} if own else {})}  # type: ignore[dict-item]  # JSON already


def _add_opaque(parts: list[JSONObject], payload: JSONObject) -> None:
    """A part as it came, or the signature of the part before."""
    if SIGNS not in payload:
        parts.append(payload)
        return
    extra = {name: value for name, value in payload.items() if name != SIGNS}
    length, last = payload[SIGNS], parts[-1] if parts else {}
    text = last.get("text")
    if not isinstance(length, int) or not isinstance(text, str) or len(text) <= length:
        # The whole part before; where there is none any more, the signature alone.
        parts[-1:] = [{**last, **extra}] if last else [{"text": "", **extra}]
        return
    cut = len(text) - length
    parts[-1:] = [{**last, "text": text[:cut]}, {**last, "text": text[cut:], **extra}]


def _responses(results: Sequence[ToolResult]) -> Iterator[JSONObject]:
    """All results of a round together, then the media that they hold."""
    for result in results:
        name = "error" if result.is_error else "output"
        said = {"id": result.call_id, "name": tool_name(result.name), "response": {name: _output(result)}}
        yield {"functionResponse": said}  # type: ignore[dict-item]  # JSON already
    for result in results:
        media = [block for block in result.content if isinstance(block, (Image, Audio, File))]
        if media:
            yield {"text": f"From {result.name or 'the tool'} ({result.call_id}):"}
            yield from map(_part, media)


def _output(result: ToolResult) -> str | orjson.Fragment:
    """A JSON value where the tool gave nothing else, otherwise words."""
    match result.content:
        case [Data(value=value)]:
            return orjson.Fragment(json_text(value))
    said = [words(block) for block in result.content if isinstance(block, (Text, Data))]
    if media := len(media_of(result.content)):
        said.append(f"({media} attached below)")
    return "\n".join(said)
