"""What tools gave, for providers whose results hold words only: media are named, and shown as from a user."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from agentnb.messages import Audio, Block, File, Image, Message, Text, ToolResult
from agentnb.models.formatting.files import Files, Kind, Medium, kind_of, shown
from agentnb.models.openai_parts import words


def spelled(
    messages: Iterable[Message], files: Files, *, promote: Collection[Kind] = (), noun: str = "media"
) -> Iterator[Message]:
    """The messages with a single text in each tool's result.

    Media of the kinds in `promote` follow as a user's message, `noun` says what they are: behind the last result of
    a round, because nothing may stand between results.
    """
    waiting: list[Message] = []
    for message in messages:
        if not any(isinstance(block, ToolResult) for block in message.content):
            yield from waiting
            waiting = []
        content: list[Block] = []
        for block in message.content:
            if isinstance(block, ToolResult):
                block, media = _spelled(block, files, promote)
                if media:
                    waiting.append(_promoted(block.name, media, files, noun))
            content.append(block)
        yield replace(message, content=tuple(content))
    yield from waiting


def _spelled(
    result: ToolResult, files: Files, promote: Collection[Kind]
) -> tuple[ToolResult, list[tuple[str, Medium]]]:
    """The result in words, and the media to be shown with their addresses."""
    lines: list[str] = []
    promoted: list[tuple[str, Medium]] = []
    for block in result.content:
        if not isinstance(block, (Image, Audio, File)):
            lines.append(words(block))
            continue
        kind, address = kind_of(block), block.url or files.save(block.data, block.media_type)
        lines.append(f"The returned {kind} can be found at: {address}")
        if kind in promote:
            promoted.append((address, replace(block, data=b"", url=address)))
    text = lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines)
    return replace(result, content=(Text(text),)), promoted


def _promoted(tool: str, media: Iterable[tuple[str, Medium]], files: Files, noun: str) -> Message:
    content: list[Block] = [
        Text(f"<system-info>The following are the {noun} contents from the tool result of '{tool}':")
    ]
    for address, medium in media:
        content += [Text(f"\n- The {kind_of(medium)} from '{address}': "), shown(medium, files)]
    return Message("user", (*content, Text("</system-info>")), name="user")
