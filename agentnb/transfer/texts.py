"""Text of files that somebody else wrote: decoded, parsed, and free of what no store can hold."""

from __future__ import annotations

import codecs
import json
import re

from agentnb.messages import JSON

_SURROGATE = re.compile("[\ud800-\udfff]")
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
#: Tried in turn where a file is not UTF-8: what a Chinese Windows writes, and what reads anything.
_OTHERS = ("gb18030", "latin-1")
_FRONT = re.compile(r"\s*---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


def decode(data: bytes) -> tuple[str, str]:
    """The text of a file, and its encoding."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace"), encoding
    try:
        return data.decode(), "utf-8"
    except UnicodeDecodeError:
        pass
    encodings = ("utf-16-le", *_OTHERS) if data[1:2] == b"\0" else _OTHERS
    for encoding in encodings:
        try:
            return data.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    return data.decode("utf-8", "replace"), "utf-8"


def clean(text: str) -> str:
    """The text with halves of characters joined, or replaced where the other half is missing."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def parse_json(text: str) -> JSON:
    """The value of a JSON text. Raises ValueError that says where it ends to be one."""
    try:
        value: JSON = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return _cleaned(value)


def _cleaned(value: JSON) -> JSON:
    match value:
        case str():
            return clean(value)
        case list():
            return [_cleaned(each) for each in value]
        case dict():
            return {clean(name): _cleaned(each) for name, each in value.items()}
        case float() if value != value or value in (float("inf"), float("-inf")):
            return None  # no JSON of ours has these
        case int() if not isinstance(value, bool) and abs(value) >= 1 << 63:
            return float(value) if abs(value) < 1 << 1000 else str(value)[:400]
    return value


def front_matter(text: str) -> tuple[dict[str, str], str]:
    """The `name: value` lines at the head of a Markdown file, and the text below; none where there is no head."""
    found = _FRONT.match(text)
    if not found:
        return {}, text.strip()
    pairs = (line.partition(":") for line in found[1].splitlines() if ":" in line)
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}, text[found.end() :].strip()


def with_front_matter(head: dict[str, str | int], text: str) -> str:
    """A Markdown file of them."""
    return "---\n" + "".join(f"{name}: {value}\n" for name, value in head.items()) + f"---\n\n{text}\n"


def format_json(value: JSON) -> str:
    """JSON that a person can read and edit."""
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
