"""A tool call in words: how it was called, what it printed, what it gave; shared by cards and plain text."""

from __future__ import annotations

import json
from collections.abc import Iterable

from agentnb.messages import JSON, Audio, Content, Data, File, Image, Text, ToolCall
from agentnb.render.terminal import clean, clip, one_line, visible
from agentnb.transcript import ToolRun

#: Characters kept of arguments, of output and of a result.
LIMIT = 4000
_LINE = 100


def arguments(call: ToolCall) -> JSON:
    """The parsed arguments; the text itself where it is not (yet) JSON."""
    try:
        parsed: JSON = json.loads(call.arguments or "{}")
    except ValueError:
        return call.arguments
    return parsed


def signature(call: ToolCall) -> str:
    """`mean_mass(species='Gentoo')`, on one short line."""
    given = arguments(call)
    if isinstance(given, dict):
        inside = ", ".join(f"{name}={_short(value)}" for name, value in given.items())
    else:
        inside = given if isinstance(given, str) else repr(given)
    return f"{one_line(call.name, 64)}({one_line(inside, _LINE)})"


def _short(value: JSON) -> str:
    """A value on one line; a text is cut before it is quoted, so that no escape is cut in two, and shows its lines."""
    if isinstance(value, str):
        return repr(one_line(visible(value.strip()).replace("\n", " ⏎ "), 58))
    return one_line(repr(value), 60)


def pretty(call: ToolCall) -> str:
    """All arguments, one to a line; empty where there are none."""
    given = arguments(call)
    if isinstance(given, dict):
        lines = (
            f"{name}: {v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)}" for name, v in given.items()
        )
        return clip(visible("\n".join(lines)), LIMIT)
    return clip(visible(given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)), LIMIT)


def words(content: Iterable[Content]) -> str:
    """Content as text, about `LIMIT` characters of it; what is not text is named."""
    out: list[str] = []
    room = 4 * LIMIT
    left = 0
    for block in content:
        text = block.text if isinstance(block, Text) else named(block) + "\n"
        out.append(text[:room])
        left += len(text) - len(out[-1])
        room -= len(out[-1])
    text = clip(clean("".join(out)).strip("\n"), LIMIT)
    return f"{text}\n… {left:,} more characters left out …" if left else text


def result_words(content: Iterable[Content]) -> str:
    """The blocks of a result, each beginning a line."""
    return words(Text(b.text + "\n") if isinstance(b, Text) else b for b in content)


def named(block: Content) -> str:
    """A block as one word or two, or its JSON."""
    match block:
        case Text(text=text):
            return text
        case Data(value=value):
            return json.dumps(value, ensure_ascii=False, indent=2)
        case Image(url=str(url)) | Audio(url=str(url)):
            return f"[{block.type} {url}]"
        case Image(data=data, media_type=kind) | Audio(data=data, media_type=kind):
            return f"[{kind}, {size(len(data))}]"
        case File(name=name, data=data, url=url):
            return f"[file {name}, {url or size(len(data))}]"


def size(count: int) -> str:
    """Bytes, as a person says them."""
    if count < 1000:
        return f"{count} byte{'s' * (count != 1)}"
    return f"{count / 1e3:.0f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"


def outcome(run: ToolRun) -> str:
    """The result in one line; empty while there is none."""
    if run.result is None:
        return ""
    content = run.result.content
    given = next((json.dumps(b.value, ensure_ascii=False) for b in content if isinstance(b, Data)), "")
    text = run.result.text or given or ", ".join(map(named, content))
    return one_line(text, 80) or "(nothing)"
