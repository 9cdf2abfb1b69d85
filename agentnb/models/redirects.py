"""Where a redirect leads and what goes with it: never credentials, nor a body, to another host."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urljoin, urlsplit

from agentnb.errors import ConnectionFailed
from agentnb.models.routes import host_of, leads_inside

#: What another host is told as well; all else may show who we are.
_HARMLESS = ("accept", "accept-language", "user-agent")
#: Seconds for a name to be looked up.
_LOOKUP = 5.0
_ABOUT_BODY = ("content-type", "content-length", "content-encoding", "content-language")


@dataclass(frozen=True, slots=True)
class Sending:
    """A request as it is sent once; `headers` are not shown, for they may hold a key."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""

    def __repr__(self) -> str:
        return f"Sending({self.method} {host_of(self.url)})"


async def followed(sent: Sending, status: int, headers: Mapping[str, str]) -> Sending | None:
    """As `redirected`, and no name of the network that stands for an address inside it is followed either."""
    step = redirected(sent, status, headers)
    if step is None or _origin(step.url) == _origin(sent.url):
        return step
    if await resolves_inside(step.url) and not await resolves_inside(sent.url):
        raise ConnectionFailed(f"{host_of(sent.url)} sends to an address inside this network, which is not followed.")
    return step


async def resolves_inside(url: str) -> bool:
    """Whether a URL's host is inside by its looks, or by what its name stands for here; an unknown name is not."""
    host = urlsplit(url).hostname or ""
    if leads_inside(host):
        return True
    try:
        async with asyncio.timeout(_LOOKUP):
            found = await asyncio.get_running_loop().getaddrinfo(host, None)
    except (OSError, TimeoutError, UnicodeError):
        return False  # a proxy may know it
    return any(leads_inside(str(each[4][0]).partition("%")[0]) for each in found)


def redirected(sent: Sending, status: int, headers: Mapping[str, str]) -> Sending | None:
    """The request that a redirect asks for; None for any other answer.

    Raises ConnectionFailed for one that must not be followed: to no address, from the network to what only this machine
    reaches, or with a body to another host.
    """
    if status not in (301, 302, 303, 307, 308) or not (location := headers.get("location", "").strip()):
        return None
    step = replace(sent, url=_target(sent.url, location))
    if (status == 303 and sent.method not in ("GET", "HEAD")) or (status in (301, 302) and sent.method == "POST"):
        kept = {name: value for name, value in sent.headers.items() if name.lower() not in _ABOUT_BODY}
        step = replace(step, method="GET", headers=kept, body=b"")
    if _origin(step.url) == _origin(sent.url):
        return step
    if step.body:
        raise ConnectionFailed(
            f"{host_of(sent.url)} sends what was meant for it on to {host_of(step.url)}, which is not followed. "
            "Use that address instead, if you trust it."
        )
    return replace(step, headers={name: value for name, value in step.headers.items() if name.lower() in _HARMLESS})


def _target(url: str, location: str) -> str:
    try:
        target = urljoin(url, location)
        inside = leads_inside(urlsplit(target).hostname or "") and not leads_inside(urlsplit(url).hostname or "")
    except ValueError:
        raise ConnectionFailed(
            f"{host_of(url)} sends to something that is not an address. Check the address."
        ) from None
    if inside:
        # A page of the network must not make us read what only this machine can reach.
        raise ConnectionFailed(f"{host_of(url)} sends to an address inside this network, which is not followed.")
    return target


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.rpartition("@")[2].lower()
