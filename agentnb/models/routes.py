"""Which way leads to a host: through which proxy, and on whose word it is believed to be that host."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from agentnb.config import Settings
from agentnb.errors import ConnectionFailed, UsageError

if TYPE_CHECKING:
    import httpx

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_STANDARD = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


def host_of(url: str) -> str:
    """The host and port of a URL, as errors name it; of anything else, what there is."""
    return re.split("[/?#]", url.partition("://")[2])[0].rpartition("@")[2] or url


def proxy_for(scheme: str, netloc: str, hostname: str, settings: Settings) -> str | None:
    """The proxy for a host: that of the settings, else the one the environment names; never one for this machine.

    Raises ConnectionFailed for an address that is none.
    """
    if hostname in LOOPBACK or settings.proxy == "none":
        return None
    # It brings the standard library's own HTTP client and mail parser along.
    import urllib.request

    own = urllib.request.proxy_bypass_environment(netloc, {"no": ",".join(settings.no_proxy)})  # type: ignore[attr-defined]  # typeshed has it for macOS alone
    if own or urllib.request.proxy_bypass(netloc):
        return None
    proxies = urllib.request.getproxies()
    proxy = settings.proxy or proxies.get(scheme) or proxies.get("all")
    return _checked(proxy if "://" in proxy else f"http://{proxy}") if proxy else None


def _checked(proxy: str) -> str:
    """A proxy's address. What is wrong with it is said without it: it may hold a password."""
    try:
        parts = urlsplit(proxy)
        if parts.scheme.startswith("socks"):
            raise ConnectionFailed(
                f"A {parts.scheme} proxy is set, and only http and https ones are spoken to. Set AGENTNB_PROXY to one, "
                "or to none."
            )
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        good = good and ":" not in unquote(parts.username or "")
    except ValueError:
        good = False
    if not good:
        raise ConnectionFailed(
            "The proxy's address is none. Write it as http://HOST:PORT into AGENTNB_PROXY or HTTPS_PROXY, with "
            "USER:PASSWORD@ before the host where it asks for them."
        )
    return proxy


def trusted(settings: Settings) -> ssl.SSLContext:
    """The certificates that are believed: the usual ones, or those of SSL_CERT_FILE and its like; and `ca_bundle`.

    Raises UsageError for a bundle that holds none.
    """
    import httpx

    standard = next(((name, Path(os.environ[name])) for name in _STANDARD if os.environ.get(name)), None)
    if standard is None:
        context = httpx.create_ssl_context(trust_env=False)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _load(context, standard[1], standard[0])
    if settings.ca_bundle is not None:
        _load(context, settings.ca_bundle, "ca_bundle")
    return context


def _load(context: ssl.SSLContext, path: Path, named: str) -> None:
    try:
        if path.is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except OSError as reason:
        said = getattr(reason, "reason", None) or reason.strerror or "it cannot be read"
        raise UsageError(f"{path} ({named}) is no file of certificates: {said}. Name one in PEM form.") from None


def leads_inside(host: str) -> bool:
    """Whether a host name is plainly one of this machine or of a private network."""
    host = host.removesuffix(".")
    if host in LOOPBACK or host.endswith(".localhost"):
        return True
    if re.fullmatch(r"\d+|0x[0-9a-f]*", host.rpartition(".")[2]) and not re.fullmatch(r"[1-9]\d*(\.\d+){3}", host):
        return True  # other ways to write an address, which the C library reads: 127.1, 0x7f.1, 0177.0.0.1
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False


def hostname(base: str) -> str:
    """The host of a base URL. Raises UsageError for what is none."""
    try:
        parts = urlsplit(base)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{base!r} is not a base URL. Write it as http://HOST:PORT/v1.")
    return parts.hostname


def shown_to(proxy: httpx.URL) -> dict[str, str]:
    """The header that shows user and password to a proxy."""
    if not proxy.userinfo:
        return {}
    pair = base64.b64encode(f"{proxy.username}:{proxy.password}".encode())
    return {"proxy-authorization": f"Basic {pair.decode()}"}
