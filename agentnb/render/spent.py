"""What a run took, in words: tokens, seconds, money."""

from __future__ import annotations

from agentnb.messages import Usage


def spent(usage: Usage) -> list[str]:
    """`1,290 tokens: 1,234 in (1,000 cached), 56 out (40 thinking)`, `2.3 s, first after 0.4 s`, `$0.0012`."""
    return [words for words in (tokens(usage), seconds(usage), money(usage.usd)) if words]


def tokens(usage: Usage) -> str:
    """How many, and what they were."""
    if not usage.total:
        return ""
    total = f"{usage.total:,} token{'s' * (usage.total != 1)}"
    read = f"{usage.input:,} in{_of(usage.cached, 'cached')}"
    return f"{total}: {read}, {usage.output:,} out{_of(usage.reasoning, 'thinking')}"


def seconds(usage: Usage) -> str:
    """How long it took, and how long until the answer began; nothing where neither can be felt."""
    if usage.seconds < 0.05:
        return ""
    first = f", first after {usage.first:.1f} s" if usage.first is not None and usage.first >= 0.05 else ""
    return f"{usage.seconds:.1f} s{first}"


def money(usd: float | None) -> str:
    """USD with as many digits as say something; nothing where it cost nothing, or nobody knows."""
    if not usd:
        return ""
    if usd < 0.0001:
        return "< $0.0001"
    return f"${usd:.4f}" if usd < 0.1 else f"${usd:,.2f}"


def usd(amount: float) -> str:
    """An amount that somebody set, as it was set: `$1.50`, `$0`, `$0.0000001`."""
    digits = f"{amount:,.10f}".rstrip("0")
    whole, _, cents = digits.partition(".")
    return f"${whole}.{cents:0<2}" if cents else f"${whole}"


def _of(count: int, what: str) -> str:
    return f" ({count:,} {what})" if count else ""
