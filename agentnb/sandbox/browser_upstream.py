"""The proxy of the person's own network, where the environment names one: the gate goes on through it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from agentnb.sandbox.browser_address import Address


@dataclass(frozen=True, slots=True)
class Upstream:
    """A proxy: where it is, whether it is spoken to by TLS, and the line that says who asks."""

    host: str
    port: int
    tls: bool = False
    authorization: bytes = b""


def upstream(address: Address, *, secure: bool) -> Upstream | None:
    """The proxy for an address by $HTTPS_PROXY, $HTTP_PROXY, $NO_PROXY and the system's settings; None for none."""
    import urllib.request  # it brings http.client and email along: a tenth of what `%load_ext` takes

    url = urllib.request.getproxies().get("https" if secure else "http")
    if not url or urllib.request.proxy_bypass(address.host):
        return None
    return parse_upstream(url)


def parse_upstream(url: str) -> Upstream | None:
    """A proxy's URL, or `host:port`; None for one of a kind that is not spoken here (SOCKS)."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    tls = parts.scheme == "https"
    return Upstream(
        parts.hostname, parts.port or (443 if tls else 80), tls, _authorization(parts.username, parts.password)
    )


def _authorization(user: str | None, password: str | None) -> bytes:
    if user is None:
        return b""
    pair = base64.b64encode(f"{unquote(user)}:{unquote(password or '')}".encode())
    return b"Proxy-Authorization: Basic " + pair + b"\r\n"
