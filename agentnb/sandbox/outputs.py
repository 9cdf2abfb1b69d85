"""Messages of a Jupyter kernel as our outputs. Whoever wrote them is not believed: types checked, sizes bounded."""

from __future__ import annotations

import ast
import base64
import binascii
import json
from collections.abc import Mapping

from agentnb import sniff
from agentnb.messages import JSON, Content, Data, Image, Text
from agentnb.render.terminal import clean
from agentnb.sandbox.base import Failed, Output, Printed, Shown, Valued

#: Pictures that a front end shows without running anything in them; SVG is not one.
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_LONGEST_TRACEBACK = 20_000


def parse_output(kind: str, content: Mapping[str, JSON]) -> Output | None:
    """One message as an output; None for what shows nothing."""
    match kind:
        case "stream":
            text = _text(content.get("text"))
            return Printed(clean(text), "stderr" if content.get("name") == "stderr" else "stdout") if text else None
        case "display_data" | "execute_result":
            data = content.get("data")
            shown = parse_bundle(data) if isinstance(data, dict) else ()
            return Shown(shown, kind == "execute_result") if shown else None
        case "error":
            return _failed(content)
        case "stopped":
            return Failed(_line(content.get("name")), _line(content.get("message")))
        case "died":
            return Failed("KernelDied", _line(content.get("why")))
        case "value":
            return _value(content)
    return None


def parse_bundle(data: Mapping[str, JSON]) -> tuple[Content, ...]:
    """What of a MIME bundle is shown: pictures, JSON, and its plain text. HTML and scripts are left out."""
    found: list[Content] = []
    for kind in PICTURES:
        picture = _picture(kind, data.get(kind))
        if picture is not None:
            found.append(picture)
            break
    plain = clean(_text(data.get("text/plain")))
    value = data.get("application/json")
    if value is not None:
        found.append(Data(value))
    if plain and not (found and isinstance(found[0], Image) and plain.startswith("<Figure")):
        found.append(Text(plain))
    return tuple(found)


def _picture(kind: str, encoded: JSON) -> Image | None:
    if not isinstance(encoded, str):
        return None
    try:
        data = base64.b64decode(encoded)
    except (binascii.Error, ValueError):
        return None
    return Image(data, kind) if sniff.media_type(data) == kind else None


def _failed(content: Mapping[str, JSON]) -> Failed:
    lines = content.get("traceback")
    text = "\n".join(line for line in lines if isinstance(line, str)) if isinstance(lines, list) else ""
    return Failed(_line(content.get("ename")), _line(content.get("evalue")), clean(text)[-_LONGEST_TRACEBACK:])


def _value(content: Mapping[str, JSON]) -> Valued | None:
    """What `json.dumps(_)` gave, as the kernel repeats it: the repr of a text."""
    data = content.get("data")
    plain = _text(data.get("text/plain")) if isinstance(data, dict) else ""
    if content.get("status") != "ok" or not plain:
        return None
    try:
        return Valued(json.loads(ast.literal_eval(plain)))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _text(value: JSON) -> str:
    """Jupyter writes long texts as lists of lines as well."""
    if isinstance(value, list):
        return "".join(each for each in value if isinstance(each, str))
    return value if isinstance(value, str) else ""


def _line(value: JSON) -> str:
    return " ".join(clean(_text(value)[:4000]).split())[:1000]
