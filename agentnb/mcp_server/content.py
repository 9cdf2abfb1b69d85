"""What a tool gave, in the protocol's words: text, media, files, and a value as structured content."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from agentnb.messages import Audio, Content, Data, File, Image, JSONObject, Text
from agentnb.tools.base import ToolReturn
from agentnb.tools.capture import printable

if TYPE_CHECKING:
    from mcp_types import CallToolResult, ContentBlock


def to_result(made: ToolReturn) -> CallToolResult:
    """A call's result."""
    from mcp_types import CallToolResult

    content = [block for each in made.content for block in _blocks(each)]
    return CallToolResult(content=content, structured_content=_structured(made.content), is_error=made.is_error)


def failure(reason: str) -> CallToolResult:
    """The result of a call that failed, which the caller's model reads."""
    return to_result(ToolReturn((Text(f"Error: {reason}"),), is_error=True))


def _structured(content: Sequence[Content]) -> JSONObject | None:
    """The value, where there is just one and it is an object: older versions know no other."""
    values = [each.value for each in content if isinstance(each, Data)]
    match values:
        case [dict() as value]:
            return value
    return None


def _blocks(content: Content) -> Iterator[ContentBlock]:
    from mcp_types import AudioContent, BlobResourceContents, EmbeddedResource, ImageContent, ResourceLink, TextContent

    match content:
        case Text(text=text):
            yield TextContent(text=printable(text))
        case Data(value=value):
            # As text too, for clients that read nothing else.
            yield TextContent(text=printable(json.dumps(value, ensure_ascii=False)))
        case Image(data=data, media_type=kind) if data:
            yield ImageContent(data=_base64(data), mime_type=kind)
        case Audio(data=data, media_type=kind) if data:
            yield AudioContent(data=_base64(data), mime_type=kind)
        case File(name=name, url=None, data=data, media_type=kind):
            resource = BlobResourceContents(uri=f"file:///{quote(name)}", blob=_base64(data), mime_type=kind)
            yield EmbeddedResource(resource=resource)
        case Image(url=str(url)) | Audio(url=str(url)) | File(url=str(url)):
            yield ResourceLink(uri=url, name=getattr(content, "name", "") or content.type)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
