"""What a message is in the words of each provider."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

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
from agentnb.models.formatting.files import Kind, Medium, kind_of
from agentnb.models.multi_agent import INLINE, Layout
from agentnb.models.openai_parts import data_url, part, tool_name, valid_arguments, words


def _tool_messages(results: Sequence[ToolResult]) -> Iterator[JSONObject]:
    for result in results:
        text = "".join(map(words, result.content))
        yield {"role": "tool", "tool_call_id": result.call_id, "content": text, "name": result.name}


@dataclass(frozen=True, slots=True)
class Form:
    """How a provider takes messages.

    `said` is what becomes of what somebody said (None: nothing), `results` of what tools gave. Of the kinds in
    `promotes` media can be shown that tools gave; `keeps_media` where results hold them anyway.
    """

    said: Callable[[Message], JSONObject | None]
    results: Callable[[Sequence[ToolResult]], Iterator[JSONObject]] = _tool_messages
    layout: Layout = INLINE
    promotes: tuple[Kind, ...] = ()
    keeps_media: bool = False
    #: The system message before a history, where it is not what it is elsewhere.
    system: Callable[[Message], JSONObject] | None = None

    @property
    def noun(self) -> str:
        """What is shown of a tool's result."""
        return "image" if self.promotes == ("image",) else "media"

    def wires(self, message: Message) -> Iterator[JSONObject]:
        """The provider's objects for one message."""
        for of_tools, run in itertools.groupby(message.content, key=lambda block: isinstance(block, ToolResult)):
            blocks = tuple(run)
            if of_tools:
                yield from self.results([block for block in blocks if isinstance(block, ToolResult)])
            elif said := self.said(replace(message, content=blocks)):
                yield said


def _openai(message: Message) -> JSONObject | None:
    parts: list[JSON] = [part(block) for block in _told(message)]
    name: JSONObject = {"name": tool_name(message.name)} if message.name else {}
    return _turn({"role": _role(message), **name, "content": parts or None}, tool_calls=_calls(message))


def _deepseek(message: Message) -> JSONObject | None:
    text = "\n".join(_text(block, "DeepSeek") for block in _told(message))
    thoughts = "\n".join(block.text for block in message.content if isinstance(block, Thinking))
    turn = _turn({"role": _role(message), "content": text or None}, tool_calls=_calls(message))
    return {**turn, "reasoning_content": thoughts} if turn and thoughts else turn


def _deepseek_system(message: Message) -> JSONObject:
    return {
        "role": "system",
        "content": [{"type": "text", "text": _text(block, "DeepSeek")} for block in _told(message)],
    }


def _ollama(message: Message) -> JSONObject | None:
    told = _told(message)
    images: list[JSON] = [_base64(block, "Ollama") for block in told if isinstance(block, Image)]
    text = "\n".join(_text(block, "Ollama") for block in told if not isinstance(block, Image))
    thoughts = "".join(block.text for block in message.content if isinstance(block, Thinking))
    calls = _calls(message, read=_parsed)
    turn = _turn({"role": _role(message), "content": text or None}, tool_calls=calls, images=images)
    return {**turn, "thinking": thoughts} if turn and thoughts else turn


def _dashscope(message: Message) -> JSONObject | None:
    told = _told(message)
    content: JSON = [_dashscope_part(block) for block in told]
    if told and all(isinstance(block, (Text, Data)) for block in told):
        content = "\n".join(map(words, told))
    return _turn({"role": _role(message), "content": content}, tool_calls=_calls(message))


def _dashscope_part(block: Block) -> JSONObject:
    match block:
        case Image() | Audio() | File() if (kind := kind_of(block)) != "file":
            return {kind: block.url or data_url(block.media_type, block.data)}
    return {"text": _text(block, "DashScope")}


def _anthropic(message: Message) -> JSONObject | None:
    parts = [part for block in message.content if (part := _anthropic_part(block, message))]
    return {"role": _role(message), "content": [*parts]} if parts else None


def _anthropic_part(block: Block, message: Message) -> JSONObject | None:
    match block:
        case Text() | Data():
            # The dialect refuses text without words.
            return {"type": "text", "text": text} if (text := words(block)).strip() else None
        case Image(url=url):
            return {"type": "image", "source": {"type": "url", "url": url} if url else _source(block)}
        case File(media_type="application/pdf", url=url):
            return {"type": "document", "source": {"type": "url", "url": url} if url else _source(block)}
        case ToolCall(id=call_id, name=name, arguments=arguments):
            return {"id": call_id, "type": "tool_use", "name": tool_name(name), "input": _parsed(arguments)}
        case Thinking(text=text, signature=str(signature)) if _own(message, "anthropic"):
            return {"type": "thinking", "thinking": text, "signature": signature}
        case Opaque(provider="anthropic", payload=payload):
            return {**payload}
        case Audio() | File():
            raise _refused(block, "Anthropic")
    return None


def _source(block: Image | File) -> JSONObject:
    return {"type": "base64", "media_type": block.media_type, "data": _base64(block, "Anthropic")}


def _anthropic_results(results: Sequence[ToolResult]) -> Iterator[JSONObject]:
    content: list[JSON] = []
    for result in results:
        parts: list[JSON] = [part for block in result.content if (part := _shown(block))]
        failed: JSONObject = {"is_error": True} if result.is_error else {}
        content.append({"type": "tool_result", "tool_use_id": result.call_id, "content": parts, **failed})
    yield {"role": "user", "content": content}


def _shown(block: Block) -> JSONObject | None:
    """A part of a result; a person did not choose it, so one that cannot be sent is told of."""
    try:
        return _anthropic_part(block, Message("tool", ()))
    except UsageError as reason:
        return {"type": "text", "text": f"({reason})"}


def _gemini(message: Message) -> JSONObject | None:
    parts = [part for block in message.content if (part := _gemini_part(block, message))]
    role = "model" if message.role == "assistant" else "user"
    return {"role": role, "parts": [*parts]} if parts else None


def _gemini_part(block: Block, message: Message) -> JSONObject | None:
    match block:
        case Text() | Data():
            return {"text": text} if (text := words(block)) else None
        case Image(url=str(url)) | Audio(url=str(url)) | File(url=str(url)):
            return {"file_data": {"file_uri": url, "mime_type": block.media_type}}
        case Image(data=data) | Audio(data=data) | File(data=data):
            return {"inline_data": {"data": base64.b64encode(data).decode(), "mime_type": block.media_type}}
        case ToolCall(id=call_id, name=name, arguments=arguments, extra=extra):
            call: JSONObject = {"id": None, "name": tool_name(name), "args": _parsed(arguments)}
            # Gemini gives calls no ids: what stands in for one is the signature, where it is not kept apart.
            signature = (extra or {}).get("thoughtSignature") if _own(message, "gemini") else None
            return {"function_call": call, "thought_signature": signature or call_id}
        case Thinking(text=text, signature=str(signature)) if text and _own(message, "gemini"):
            return {"text": text, "thought": True, "thought_signature": signature}
    return None


def _gemini_results(results: Sequence[ToolResult]) -> Iterator[JSONObject]:
    parts: list[JSON] = []
    for result in results:
        text = "".join(map(words, result.content))
        said: JSONObject = {"error": text} if result.is_error else {"output": text}
        parts.append({"function_response": {"id": result.call_id, "name": result.name, "response": said}})
    yield {"role": "user", "parts": parts}


FORMS = {
    "openai": Form(_openai, layout=Layout(media="after"), promotes=("image",)),
    "deepseek": Form(_deepseek, system=_deepseek_system),
    "anthropic": Form(_anthropic, _anthropic_results, keeps_media=True),
    "gemini": Form(_gemini, _gemini_results, layout=Layout("<history>"), promotes=("image",)),
    "ollama": Form(_ollama, layout=Layout(media="gap"), promotes=("image",)),
    "dashscope": Form(_dashscope, promotes=("image", "audio", "video")),
}


def _told(message: Message) -> list[Block]:
    """What somebody said: neither thought, nor a call, nor another provider's."""
    return [block for block in message.content if isinstance(block, (Text, Data, Image, Audio, File))]


def _role(message: Message) -> str:
    return "user" if message.role == "tool" else message.role


def _own(message: Message, provider: str) -> bool:
    """Whether a message may be the provider's: signatures of others are refused."""
    return message.model is None or message.model.startswith(f"{provider}:")


def _calls(message: Message, *, read: Callable[[str], JSON] = valid_arguments) -> list[JSON]:
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": tool_name(call.name), "arguments": read(call.arguments)},
        }
        for call in message.calls
    ]


def _turn(said: JSONObject, **more: list[JSON]) -> JSONObject | None:
    """A message with whatever there is more; None where there is nothing at all."""
    given: JSONObject = {name: value for name, value in more.items() if value}
    return {**said, **given} if said["content"] or given else None


def _parsed(arguments: str) -> JSON:
    value: JSON = orjson.loads(valid_arguments(arguments))
    return value


def _text(block: Block, provider: str) -> str:
    if isinstance(block, (Image, Audio, File)):
        raise _refused(block, provider)
    return words(block)


def _base64(block: Image | File, provider: str) -> str:
    if block.url is not None:
        raise UsageError(f"{provider} takes no addresses of pictures, like {block.url!r}. Give the bytes.")
    return base64.b64encode(block.data).decode()


def _refused(block: Medium, provider: str) -> UsageError:
    return UsageError(f"{provider} takes no {block.media_type} here. Leave it out, or ask another model.")
