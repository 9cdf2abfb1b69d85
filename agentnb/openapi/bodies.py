"""What a request's body is in bytes: JSON, a form, a form in parts, or text."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

from agentnb.messages import JSON, JSONObject
from agentnb.openapi.operations import Body, is_json
from agentnb.openapi.shape import Node
from agentnb.openapi.styles import in_query, plain


def encode(body: Body, value: JSON, schema: JSONObject) -> tuple[str, bytes]:
    """The content type, and the bytes; `schema` says which fields of a form are files."""
    kind = body.media.partition(";")[0].strip().lower()
    match value:
        case dict() if kind == "application/x-www-form-urlencoded":
            pairs = [pair for name, each in value.items() for pair in _field(name, each, body.encoding.get(name))]
            return kind, "&".join(pairs).encode()
        case dict() if kind == "multipart/form-data":
            boundary = f"agentnb-{uuid.uuid4().hex}"
            parts = b"".join(_parts(value, body.encoding, schema, boundary))
            return f"{kind}; boundary={boundary}", parts + f"--{boundary}--\r\n".encode()
    if is_json(kind):
        return "application/json" if "*" in kind else kind, _json(value)
    return body.media if "*" not in kind else "text/plain; charset=utf-8", plain(value).encode("utf-8", "replace")


def _json(value: JSON) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def _field(name: str, value: JSON, encoding: Node) -> list[str]:
    style = encoding.text("style")
    if isinstance(value, dict) and not style:
        return in_query(name, plain(value))
    explode = encoding.flag("explode", default=style in ("", "form", "deepObject"))
    return in_query(name, value, style=style or "form", explode=explode, reserved=encoding.flag("allowReserved"))


def _parts(value: JSONObject, encoding: Node, schema: JSONObject, boundary: str) -> Iterator[bytes]:
    described = schema.get("properties")
    fields = described if isinstance(described, dict) else {}
    for name, each in value.items():
        # A list is sent as a part for each of its elements.
        for one in each if isinstance(each, list) else [each]:
            media = encoding.get(name).text("contentType").partition(",")[0].strip()
            label = f'form-data; name="{_quoted(name)}"'
            if _is_file(fields.get(name)):
                label += f'; filename="{_quoted(name)}"'
                media = media or "application/octet-stream"
            elif isinstance(one, dict | list):
                media = media or "application/json"
            head = [f"--{boundary}", f"Content-Disposition: {label}"]
            if media and media.isprintable():
                head.append(f"Content-Type: {media}")
            yield "\r\n".join([*head, "", ""]).encode("utf-8", "replace")
            yield plain(one).encode("utf-8", "replace") + b"\r\n"


def _quoted(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _is_file(schema: JSON) -> bool:
    match schema:
        case {"items": items}:
            return _is_file(items)
        case {"format": "binary"} | {"contentMediaType": str()}:
            return True
    return False
