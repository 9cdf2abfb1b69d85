"""Prove that one holds a secret without sending it: AWS signatures, short-lived tokens; and read a token's end."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

import orjson

_ALGORITHM = "AWS4-HMAC-SHA256"
_PORTS = {"https": ":443", "http": ":80"}
#: From here on a time is in milliseconds: some vendors count so.
_MILLISECONDS = 1e11
_TOKEN_SECONDS = 180


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key and its secret, for a service in a region; `session_token` where they are temporary."""

    id: str
    secret: str = field(repr=False)
    region: str
    service: str
    session_token: str | None = field(default=None, repr=False)


def sign_request(
    key: AccessKey,
    *,
    method: str,
    url: str,
    body: bytes,
    now: datetime,
    headers: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The headers that sign a request in AWS Signature Version 4; `headers` are others to be signed (lower-case)."""
    parts = urlsplit(url)
    time = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    own = {"x-amz-date": time}
    if key.session_token:
        own["x-amz-security-token"] = key.session_token
    host = parts.netloc.rpartition("@")[2].removesuffix(_PORTS.get(parts.scheme, ":443"))
    signed = {name: " ".join(value.split()) for name, value in sorted({"host": host, **(headers or {}), **own}.items())}
    names = ";".join(signed)
    canonical = "\n".join(
        [
            method.upper(),
            # Quoted once more than it is sent, as every service but S3 wants it.
            quote(parts.path or "/", safe="/-_.~"),
            _query(parts.query),
            *(f"{name}:{value}" for name, value in signed.items()),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{time[:8]}/{key.region}/{key.service}/aws4_request"
    to_sign = "\n".join([_ALGORITHM, time, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    derived = f"AWS4{key.secret}".encode()
    for step in scope.split("/"):
        derived = _hmac(derived, step)
    signature = _hmac(derived, to_sign).hex()
    return {
        **own,
        "authorization": f"{_ALGORITHM} Credential={key.id}/{scope}, SignedHeaders={names}, Signature={signature}",
    }


def minted_token(key_id: str, secret: str, *, now: float) -> str:
    """A token of three minutes, signed with HS256: what keys of the form ID.SECRET (Zhipu's) are exchanged for."""
    milliseconds = round(now * 1000)
    payload = {"api_key": key_id, "exp": milliseconds + _TOKEN_SECONDS * 1000, "timestamp": milliseconds}
    head = ".".join(_base64(orjson.dumps(part)) for part in ({"alg": "HS256", "sign_type": "SIGN"}, payload))
    return f"{head}.{_base64(_hmac(secret.encode(), head))}"


def expiry_of(token: str) -> float | None:
    """When a token ends, in seconds since 1970, unverified; None where it does not say."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    end = claims.get("exp") if isinstance(claims, dict) else None
    if isinstance(end, bool) or not isinstance(end, (int, float)) or not math.isfinite(end):
        return None
    return end / 1000 if end > _MILLISECONDS else float(end)


def _query(query: str) -> str:
    pairs = ((_quoted(name), _quoted(value)) for name, value in parse_qsl(query, keep_blank_values=True))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
