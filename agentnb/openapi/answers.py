"""What a service answered, as a tool's result: data, pictures, sounds, text or a file; what is big is kept whole."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from urllib.parse import unquote

from agentnb.masking import Mask
from agentnb.messages import JSON, Audio, Content, Data, File, Image, Text
from agentnb.models.http import Fetched
from agentnb.openapi.operations import is_json
from agentnb.sniff import media_type
from agentnb.tools.base import ToolReturn
from agentnb.tools.capture import printable
from agentnb.tools.results import LONGEST, to_return

#: The longest body of an error, in characters.
_LONGEST_ERROR = 4_000
#: A file up to so many bytes goes to the model; a bigger one is kept as a variable.
_BIGGEST_FILE = 5_000_000
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_TEXTUAL = re.compile(r"text/|.*[/+](xml|yaml|csv|javascript|x-ndjson|graphql|x-www-form-urlencoded)$|image/svg\+xml")
_CHARSET = re.compile(r'charset\s*=\s*"?([\w.:-]{1,40})', re.IGNORECASE)
_CODED_NAME = re.compile(r"filename\*\s*=\s*utf-8'[\w-]*'([^;\s]+)", re.IGNORECASE)
_NAME = re.compile(r'filename\s*=\s*(?:"([^"]*)"|([^;\s]+))', re.IGNORECASE)
#: What a model may want to know of the answer's head.
_TELLING = ("location", "link", "retry-after", "content-location")


def result(label: str, fetched: Fetched, mask: Mask, keep: Callable[[object], str], hint: str = "") -> ToolReturn:
    """The result of an operation; `label` names it, `hint` ends the words of a refusal for want of a credential."""
    if fetched.status >= 400:
        return _refused(label, fetched, mask, hint)
    head = tuple(Text(mask(f"{name}: {value}")) for name, value in _told(fetched))
    if not fetched.body:
        return ToolReturn((Text(f"{_status(fetched.status)}, with nothing in it."), *head))
    made = _read(label, fetched, mask, keep)
    return ToolReturn((*made.content, *head), made.is_error, made.handle)


def _refused(label: str, fetched: Fetched, mask: Mask, hint: str) -> ToolReturn:
    said = mask(printable(_text(fetched)).strip()) if _is_text(fetched) else f"({len(fetched.body):,} bytes)"
    if len(said) > _LONGEST_ERROR:
        said = f"{said[:_LONGEST_ERROR]} … ({len(said) - _LONGEST_ERROR:,} more characters left out)"
    more = hint if fetched.status in (401, 403) else ""
    lines = [f"Error: {label} answered {_status(fetched.status)}.{more}", said]
    lines += [mask(f"{name}: {value}") for name, value in _told(fetched)]
    return ToolReturn((Text("\n".join(filter(None, lines))),), is_error=True)


def _status(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def _told(fetched: Fetched) -> Iterator[tuple[str, str]]:
    for name in _TELLING:
        if value := fetched.headers.get(name, "").strip():
            yield name, value[:500]


def _kind(fetched: Fetched) -> str:
    return fetched.headers.get("content-type", "").partition(";")[0].strip().lower()


def _read(label: str, fetched: Fetched, mask: Mask, keep: Callable[[object], str]) -> ToolReturn:
    kind, body = _kind(fetched), fetched.body
    if is_json(kind) or not kind:
        try:
            return _data(mask.deep(json.loads(body)), keep)
        except (ValueError, RecursionError):
            pass  # it is called JSON, and is none
    found = media_type(body)
    if found in _PICTURES:
        return ToolReturn((Image(body, found),))
    if found is not None and found.startswith("audio/"):
        return ToolReturn((Audio(body, found),))
    if found in (None, "image/svg+xml") and _is_text(fetched):
        return to_return(mask(printable(_text(fetched))), keep)
    return _file(_filename(label, fetched), found or kind or "application/octet-stream", body, keep)


def _data(value: JSON, keep: Callable[[object], str]) -> ToolReturn:
    text = json.dumps(value, ensure_ascii=False)
    if len(text) > LONGEST or isinstance(value, str):
        return to_return(value, keep)
    return ToolReturn((Data(value),))


def _file(name: str, kind: str, body: bytes, keep: Callable[[object], str]) -> ToolReturn:
    handle = keep(body)
    words = Text(f"{name}: {kind}, {len(body):,} bytes, kept as notebook variable `{handle}`.")
    content: tuple[Content, ...] = (words,)
    if len(body) <= _BIGGEST_FILE:
        content = (words, File(name, body, kind))
    return ToolReturn(content, handle=handle)


def _filename(label: str, fetched: Fetched) -> str:
    said = fetched.headers.get("content-disposition", "")
    coded, written = _CODED_NAME.search(said), _NAME.search(said)
    given = unquote(coded[1]) if coded else (written[1] or written[2]) if written else ""
    name = given.replace("\\", "/").rpartition("/")[2]
    return printable(name)[:100] or re.sub(r"\W+", "_", label.partition(" ")[2]).strip("_")[:100] or "answer"


def _is_text(fetched: Fetched) -> bool:
    kind = _kind(fetched)
    if is_json(kind) or _TEXTUAL.match(kind):
        return True
    if kind not in ("", "application/octet-stream"):
        return False
    try:
        return "\0" not in fetched.body.decode()
    except UnicodeDecodeError:
        return False


def _text(fetched: Fetched) -> str:
    said = _CHARSET.search(fetched.headers.get("content-type", ""))
    try:
        return fetched.body.decode(said[1] if said else "utf-8", "replace")
    except LookupError:
        return fetched.body.decode("utf-8", "replace")
