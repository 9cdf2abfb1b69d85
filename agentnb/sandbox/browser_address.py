"""Which addresses a browser may be sent to: the schemes it speaks, and what is private."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from agentnb.errors import ToolError

#: Pages without a host: they reach nothing by themselves.
_LOCAL = ("about:blank", "data:")
_PORTS = {"http": 80, "https": 443}
_BARE = re.compile(r"[\w.-]+(:\d+)?([/?#].*)?")
_NAT64 = IPv6Network("64:ff9b::/96")
#: Private as well, though no list of Python 3.11 says so: IPv4 in other clothes, local translation, what was site-local
#: once, and the protocol assignments, where some clouds keep what their machines may know.
_MORE: tuple[IPv4Network | IPv6Network, ...] = (
    *map(IPv6Network, ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "fec0::/10")),
    IPv4Network("192.0.0.0/24"),
)
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Address:
    """A URL that may be opened, and where it goes; no host for about:blank and data: URLs."""

    url: str
    host: str = ""
    port: int = 0

    @property
    def place(self) -> tuple[str, int]:
        """What a permission is given for."""
        return (self.host, self.port)


def parse_address(url: str) -> Address:
    """A URL as it is opened; a bare `example.org` is https. Raises ToolError for other schemes and for nonsense."""
    url = url.strip()
    if url.lower().startswith(_LOCAL):
        return Address(url)
    if _BARE.fullmatch(url):
        private = is_private_name(url.partition("/")[0].partition(":")[0])
        url = f"{'http' if private else 'https'}://{url}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ToolError(f"{shown(url)} is not a URL ({error}).") from None
    if parts.scheme not in _PORTS:
        raise ToolError(f"the browser does not open {shown(url)}: only http, https, about:blank and data: URLs.")
    if not host:
        raise ToolError(f"{shown(url)} names no host.")
    return Address(url, host.rstrip(".").lower(), port or _PORTS[parts.scheme])


def is_private(address: str) -> bool:
    """Whether an IP address is this machine, its network, or anything else that is not the public internet."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return True
    inner = _inner(found) if isinstance(found, IPv6Address) else found
    return not inner.is_global or inner.is_multicast or any(inner in each for each in _MORE)


def is_private_name(host: str) -> bool:
    """Whether a host is private by its looks: `localhost`, or a private IP address."""
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return is_private(host)


def _inner(address: IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address carries: the packets end up there."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def shown(url: str) -> str:
    """A URL in a message: one line, cut where it is long."""
    line = " ".join(url.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
