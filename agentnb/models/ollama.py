"""Ollama's own dialect, /api/chat: with its thinking, its options and its structured answers."""

from __future__ import annotations

import re
from dataclasses import replace

from agentnb.models.base import Request
from agentnb.models.dialect import Dialect, Limits, Quirks
from agentnb.models.ollama_request import OPTIONS, format_request
from agentnb.models.ollama_stream import parse_stream

__all__ = ["DIALECT", "format_request", "ollama_base", "parse_stream"]

_HOST, _PORT = "127.0.0.1", "11434"
_PORTS = {"http": "80", "https": "443"}


def ollama_base(value: str) -> str:
    """The server's address from any form of OLLAMA_HOST, or from the base URL of one of its APIs (…/api, …/v1)."""
    scheme, separator, rest = value.strip().strip("\"'").rpartition("://")
    port = _PORTS.get(scheme, _PORT) if separator else _PORT
    authority, _, path = rest.partition("/")
    path = re.sub(r"(^|/)(api|v1)(/chat)?$", "", path.rstrip("/"))
    user, at, host = authority.rpartition("@")
    name, colon, given = host.rpartition(":")
    if re.fullmatch(r"[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*", host):
        host = f"[{host}]"
    elif colon and not given.endswith("]"):
        # What is no port is passed over, as Ollama does.
        host, port = name, given if re.fullmatch(r"[0-9]{1,5}", given) and int(given) < 65536 else port
    elif not host:
        host = _HOST
    base = f"{scheme or 'http'}://{user}{at}{host}:{port}"
    return f"{base}/{path}" if path else base


def _bases(base_url: str) -> tuple[str, ...]:
    # A server that listens everywhere, or on no named address, is asked on this machine.
    return (re.sub(r"://(0\.0\.0\.0|\[::\])?(?=:\d)", f"://{_HOST}", ollama_base(base_url)),)


def _path(_request: Request, _model: str, _quirks: Quirks) -> str:
    return "/api/chat"


def _adapt(quirks: Quirks, status: int, said: bytes) -> Quirks | None:
    """Most models only think or do not: they refuse to be told how much."""
    if status == 400 and quirks.thinking == "effort" and b"think value" in said:
        return replace(quirks, thinking="switch")
    return None


DIALECT = Dialect(
    "ollama",
    path=_path,
    format_request=format_request,
    parse_stream=parse_stream,
    options=OPTIONS,
    limits=Limits(image_bytes=20_000_000, image_types=("image/png", "image/jpeg", "image/webp"), image_urls=False),
    bases=_bases,
    adapt=_adapt,
)
