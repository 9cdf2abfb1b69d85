"""A conversation as Markdown: for a wiki, an issue, a mail. All of it, nothing cut."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence

from agentnb import render
from agentnb.exporting.conversation import Conversation, Said
from agentnb.exporting.heading import about, title
from agentnb.messages import Audio, Block, Data, File, Image, Text, Thinking, ToolCall, ToolResult
from agentnb.render import calls
from agentnb.render.markdown import fenced, safe
from agentnb.render.terminal import clean, one_line
from agentnb.transcript import ToolRun, Transcript


def markdown(conversation: Conversation) -> str:
    """The conversation as one text; pictures are within it."""
    parts = [f"# {safe(title(conversation))}", safe(about(conversation))]
    for said in conversation.turns:
        parts += [f"## {said.number}", *_turn(said)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _turn(said: Said) -> Iterator[str]:
    yield _quoted(safe(said.prompt))
    if said.sent.strip() != said.prompt.strip():
        yield "**As the model read it**"
        yield fenced(clean(said.sent))
    yield from (_medium(block) for block in said.media)
    yield from _run(said.transcript)


def _run(run: Transcript) -> Iterator[str]:
    for index, message in enumerate(run.messages):
        if message.role == "assistant":
            for block in message.content:
                yield from _block(block, run)
        elif message.role == "user" and index:
            yield from ("**Asked again**", _quoted(safe(message.text)))
    if run.error:
        yield f"**✗ {safe(one_line(run.error, 1000))}**"
    yield f"*{safe(render.footer(run))}*"


def _block(block: Block, run: Transcript) -> Iterator[str]:
    match block:
        case Text(text=text) if text.strip():
            yield safe(text)
        case Thinking(text=text) if text.strip():
            yield from ("**Thought**", _quoted(safe(text)))
        case ToolCall():
            yield from _call(block, run.tools.get(block.id) or ToolRun(block.id))
        case Image() | Audio() | File():
            yield _medium(block)
        case _:
            return


def _call(call: ToolCall, answered: ToolRun) -> Iterator[str]:
    yield f"**→ {_code(one_line(call.name, 100))}**"
    given = calls.arguments(call)
    if isinstance(given, str):
        yield fenced(clean(given))
    elif given:
        yield fenced(clean(json.dumps(given, ensure_ascii=False, indent=2)), "json")
    for within in answered.runs:
        who = f"**{safe(one_line(within.agent or 'agent', 100))}** · {safe(one_line(within.model, 100))}"
        asked = [safe(message.text) for message in within.messages[:1] if message.role == "user"]
        yield _quoted("\n\n".join([who, *map(_quoted, asked), *_run(within)]))
    if answered.result is None:
        yield "**← not answered**"
    else:
        yield from _result(answered.result)


def _result(result: ToolResult) -> Iterator[str]:
    yield f"**{'✗' if result.is_error else '←'}**" + (f" variable {_code(result.handle)}" if result.handle else "")
    for block in result.content:
        match block:
            case Text(text=text):
                yield fenced(clean(text))
            case Data(value=value):
                yield fenced(clean(json.dumps(value, ensure_ascii=False, indent=2)), "json")
            case Image() | Audio() | File():
                yield _medium(block)


def _medium(block: Image | Audio | File) -> str:
    if isinstance(block, Image) and block.data and re.fullmatch(r"image/[\w.+-]+", block.media_type):
        alt = re.sub(r"[\[\]\\<>`!]", " ", one_line(block.alt, 200)) or "image"
        return f"![{alt}](data:{block.media_type};base64,{base64.b64encode(block.data).decode('ascii')})"
    return _code(one_line(calls.named(block), 300))


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.strip("\n").split("\n"))


def _code(text: str) -> str:
    """A code span, whatever backticks are in it."""
    runs: Sequence[str] = re.findall(r"`+", text)
    mark = "`" * (max(map(len, runs), default=0) + 1)
    return f"{mark} {text} {mark}" if runs else f"{mark}{text}{mark}"
