"""Keys that stand in a text by mistake, known by their shape."""

from __future__ import annotations

import re
from collections.abc import Callable

#: A key stands alone, or after a line's end as JSON writes it: in the middle of base64 the same letters mean nothing.
_KEYS = re.compile(
    r"""(?:(?<![\w+/-])|(?<=\\[nrt]))(?:
      sk-[\w-]{16,}                                  # OpenAI, Anthropic, DeepSeek, OpenRouter and more
    | (?:gsk|xai|hf|r8|pplx|nvapi|csk|tgp_v1)[_-][\w-]{16,}
    | AIza[\w-]{30,}                                 # Google
    | AKIA[A-Z0-9]{16} | LTAI[A-Za-z0-9]{12,}        # AWS, Alibaba Cloud
    | gh[pousr]_\w{30,} | github_pat_\w{20,} | glpat-[\w-]{16,} | xox[abprs]-[\w-]{10,}
    | eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}          # a signed token (JWT)
    | (?<=Bearer\ )[\w.~+/=-]{12,} | (?<=bearer\ )[\w.~+/=-]{12,}
    )""",
    re.VERBOSE,
)


def known_keys(text: str) -> str:
    """The text, with "[key]" in place of whatever has the shape of a key or follows "Bearer"."""
    return _KEYS.sub("[key]", text)


def with_known_keys(mask: Callable[[str], str] | None) -> Callable[[str], str]:
    """A mask that also takes out what has the shape of a key."""
    return known_keys if mask is None else lambda text: known_keys(mask(text))
