"""Where the servers of OpenAI's dialects may be, for a base URL as people write it."""

from __future__ import annotations

import re


def versioned_bases(base_url: str, path: str) -> tuple[str, ...]:
    """Where to try, in order: a base URL may be given with its `/v1` or without it, or with the `path` behind it."""
    base = base_url.strip().rstrip("/").removesuffix(path)
    if re.search(r"/v\d+$", base):
        return (base,)
    versioned = f"{base}/v1"
    return (base, versioned) if "/" in base.partition("://")[2] else (versioned, base)


def azure_base(base_url: str) -> tuple[str, ...]:
    """An Azure resource's endpoint, which may be given with a path of its API behind it."""
    return (re.sub(r"/openai(/.*)?$", "", base_url.strip().rstrip("/")),)
