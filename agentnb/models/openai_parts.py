"""Blocks as the parts of a Chat Completions message, and the words that other dialects share with it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence

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
    Opaque,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

_AUDIO = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}


def plain(content: Iterable[Block]) -> str:
    """The words of these blocks, joined."""
    return "".join(map(words, content))


def words(block: Block) -> str:
    """What a block says in words; nothing where it is a medium."""
    match block:
        case Text(text=text):
            return text
        case Data(value=value):
            return json_text(value)
    return ""


def json_text(value: JSON) -> str:
    """The value as JSON text, also where it holds what the fast writer refuses: a long integer, half a character."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return json.dumps(value)


def media_of(content: Iterable[Block]) -> list[Block]:
    """The pictures, sounds and documents."""
    return [block for block in content if isinstance(block, (Image, Audio, File))]


def user_content(content: Sequence[Block]) -> JSON:
    """What a person said: a string wherever it suffices, because many servers know no list of parts."""
    if all(isinstance(block, (Text, Data)) for block in content):
        return plain(content)
    return [part(block) for block in content if not isinstance(block, (Thinking, Opaque, ToolCall, ToolResult))]


def part(block: Block) -> JSONObject:
    """A block as one part. Raises UsageError for a medium that cannot be sent."""
    match block:
        case Image(data=data, media_type=media_type, url=url):
            return {"type": "image_url", "image_url": {"url": url or data_url(media_type, data)}}
        case Audio(url=str()):
            raise UsageError("A sound cannot be sent to this model as a URL. Give its bytes.")
        case Audio(data=data, media_type=media_type):
            if media_type not in _AUDIO:
                raise UsageError(f"Sound of type {media_type} cannot be sent to this model. Convert it to WAV or MP3.")
            sound: JSON = {"data": base64.b64encode(data).decode(), "format": _AUDIO[media_type]}
            return {"type": "input_audio", "input_audio": sound}
        case File(name=name, url=str()):
            raise UsageError(f"The file {name!r} cannot be sent to this model as a URL. Give its bytes.")
        case File(name=name, data=data, media_type=media_type):
            document: JSON = {"filename": name, "file_data": data_url(media_type, data)}
            return {"type": "file", "file": document}
    return {"type": "text", "text": words(block)}


def part_or_note(block: Block) -> JSONObject:
    """A block as one part, or why it is not there."""
    try:
        return part(block)
    except UsageError as reason:
        # The person did not choose what a tool returns: the model is told, the run goes on.
        return {"type": "text", "text": f"({reason})"}


def data_url(media_type: str, data: bytes) -> str:
    """The bytes as a URL."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def valid_arguments(arguments: str) -> str:
    """Servers parse the arguments of the history too, and refuse the conversation for a call that was cut off."""
    try:
        return arguments if isinstance(orjson.loads(arguments), dict) else "{}"
    except orjson.JSONDecodeError:
        return "{}"


def tool_name(name: str) -> str:
    """The name as the dialect allows it: [A-Za-z0-9_-]{1,64}."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "_"


def joined(own: Mapping[str, object], body: Mapping[str, object]) -> dict[str, object]:
    """The fields of both: lists one after the other, objects in one, and of anything else what `body` says."""
    out = dict(own)
    for name, value in body.items():
        match out.get(name), value:
            case list() as first, list() as second:
                out[name] = [*first, *second]
            case dict() as first, dict() as second:
                out[name] = {**first, **second}
            case _:
                out[name] = value
    return out
