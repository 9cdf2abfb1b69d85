"""What an MCP tool gives, as blocks: words, media and structured content; of what is too long the whole is kept."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from agentnb.messages import JSON, Audio, Content, Data, File, Image, Text
from agentnb.tools.base import ToolReturn
from agentnb.tools.results import LONGEST, to_return

if TYPE_CHECKING:
    from mcp_types import BlobResourceContents, CallToolResult, ContentBlock, ResourceLink, TextResourceContents

#: Bytes of the largest picture, sound or file that is shown; larger ones are only kept.
LARGEST = 20 * 2**20


def to_tool_return(result: CallToolResult, keep: Callable[[object], str]) -> ToolReturn:
    """The result the model reads. `keep` stores what is too long for it and gives the variable's name."""
    blocks = [block for each in result.content for block in _blocks(each)]
    if result.structured_content is not None:
        blocks = _once(blocks, result.structured_content)
    blocks = blocks or [Text("(no output)")]
    words = [text for block in blocks if (text := _words(block)) is not None]
    joined = "\n".join(words)
    large = [block for block in blocks if _size(block) > LARGEST]
    if len(joined) <= LONGEST and not large:
        return ToolReturn(tuple(blocks), is_error=result.is_error)
    handle = keep(_whole(blocks, joined))
    cut = to_return(joined, lambda _: handle).content if words else ()
    small = [_about(block, handle) if block in large else block for block in blocks if _words(block) is None]
    return ToolReturn((*cut, *small), is_error=result.is_error, handle=handle)


def _whole(blocks: list[Content], joined: str) -> object:
    """What is kept: a text or a value as such where that is all, else the blocks."""
    match blocks:
        case [Data(value=value)]:
            return value
        case _ if all(isinstance(block, Text) for block in blocks):
            return joined
        case [Image(data=data) | Audio(data=data) | File(data=data)]:
            return data
    return tuple(blocks)


def _once(blocks: list[Content], value: JSON) -> list[Content]:
    """Both the words and the value, unless one only repeats the other, as servers do for clients of either kind."""
    texts = [block.text for block in blocks if isinstance(block, Text)]
    if texts and value == {"result": "\n".join(texts)}:
        return blocks
    if len(texts) == 1 and _same(texts[0], value):
        return [Data(value) if isinstance(block, Text) else block for block in blocks]
    return [*blocks, Data(value)]


def _same(text: str, value: JSON) -> bool:
    try:
        said = json.loads(text)
    except ValueError:
        return False
    return bool(said == value or value == {"result": said})


def _words(block: Content) -> str | None:
    match block:
        case Text(text=text):
            return text
        case Data(value=value):
            return json.dumps(value, ensure_ascii=False)
    return None


def _size(block: Content) -> int:
    return len(block.data) if isinstance(block, Image | Audio | File) else 0


def _about(block: Content, handle: str) -> Text:
    kind = block.media_type if isinstance(block, Image | Audio | File) else ""
    return Text(f"({kind}, {_size(block):,} bytes: in notebook variable `{handle}`)")


def _blocks(content: ContentBlock) -> Iterable[Content]:
    match content.type:
        case "text":
            yield Text(content.text)
        case "image":
            yield _media(content.data, content.mime_type or "image/png", "image")
        case "audio":
            yield _media(content.data, content.mime_type or "audio/wav", "audio")
        case "resource":
            yield _resource(content.resource)
        case "resource_link":
            yield Text(_link(content))


def _media(data: str, kind: str, name: str) -> Content:
    """Bytes of some kind; words where they are no bytes."""
    try:
        raw = base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        return Text(f"({name}, {kind}: the server sent no valid base64)")
    match kind.partition("/")[0]:
        case "image" if raw:
            return Image(raw, kind)
        case "audio" if raw:
            return Audio(raw, kind)
    return File(name, raw, kind)


def _resource(resource: TextResourceContents | BlobResourceContents) -> Content:
    text = getattr(resource, "text", None)
    if isinstance(text, str):
        return Text(f"{resource.uri}:\n{text}")
    name = unquote(urlsplit(str(resource.uri)).path.rstrip("/").rpartition("/")[2]) or "resource"
    return _media(getattr(resource, "blob", ""), resource.mime_type or "application/octet-stream", name)


def _link(link: ResourceLink) -> str:
    about = ", ".join(filter(None, (link.mime_type, f"{link.size:,} bytes" if link.size else "")))
    words = f"{link.title or link.name}: {link.uri}{f' ({about})' if about else ''}"
    return f"{words}\n{link.description}" if link.description else words
