"""Two runs of one prompt beside each other: what each took, and where their answers differ, word by word."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agentnb.messages import Usage
from agentnb.render.cards import escape
from agentnb.render.spent import money, seconds, tokens
from agentnb.render.terminal import clean, clip, one_line

#: Characters of an answer that are compared, and pairs of words up to which frequent ones count as well.
_COMPARED, _PAIRS = 20_000, 250_000
#: Words that are alike on either side of a difference that are shown.
_AROUND = 30
#: Answers with a smaller part in common than this stand one after the other: word by word they would be a jumble.
_ALIKE = 0.3
_CELL = "text-align:left;vertical-align:top;white-space:normal;overflow-wrap:anywhere"
_DIFF = (
    "margin:8px 0;padding:3px 0 3px 12px;border-left:2px solid #88888899;font-size:13px;line-height:1.6;"
    "white-space:pre-wrap;overflow-wrap:break-word;max-height:480px;overflow:auto"
)
_GONE = "background-color:#d9534f33;text-decoration:line-through"
_NEW = "background-color:#2f9e6033;text-decoration:none"
_NOTE = "margin:4px 0;font-size:12px;opacity:0.7"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: how it is called, who answered, how it ended, what it took and called, what it said."""

    title: str
    model: str
    outcome: str
    text: str
    usage: Usage = field(default_factory=Usage)
    calls: Sequence[str] = ()


def comparison(before: Side, after: Side, *, same: bool | None, notes: Sequence[str] = ()) -> dict[str, object]:
    """The two as MIME bundle, HTML and text; `same` is None where it is not known whether the answers are the same."""
    rows = _rows(before, after)
    changes = [] if same else list(_shortened(_changes(clip(before.text, _COMPARED), clip(after.text, _COMPARED))))
    words = "The same answer." if same else ""
    return {"text/html": _html(rows, changes, words, notes), "text/plain": _plain(rows, changes, words, notes)}


def _rows(before: Side, after: Side) -> list[tuple[str, str, str]]:
    named = {
        "": [side.title for side in (before, after)],
        "model": [one_line(side.model, 100) for side in (before, after)],
        "outcome": [one_line(side.outcome, 60) or "unfinished" for side in (before, after)],
        "tokens": [tokens(side.usage) for side in (before, after)],
        "USD": [_price(side.usage) for side in (before, after)],
        "seconds": [seconds(side.usage) for side in (before, after)],
        "tool calls": [_calls(side.calls) for side in (before, after)],
    }
    return [(name, left or "–", right or "–") for name, (left, right) in named.items() if left or right]


def _price(usage: Usage) -> str:
    return "" if usage.usd is None else money(usage.usd) or "$0"


def _calls(names: Sequence[str]) -> str:
    counted = Counter(one_line(name, 60) for name in names)
    return ", ".join(f"{name} × {times}" if times > 1 else name for name, times in counted.items())


def _changes(before: str, after: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Runs of words that are "equal", "delete" (only before) or "insert" (only after), in order."""
    old, new = (re.findall(r"\S+\s*|\s+", clean(text)) for text in (before, after))
    # Whether words are the same does not depend on the blanks after them.
    keys = [word.strip() for word in old], [word.strip() for word in new]
    matcher = difflib.SequenceMatcher(None, *keys, autojunk=len(old) * len(new) > _PAIRS)
    if old and new and matcher.ratio() < _ALIKE:
        yield "delete", [*old, "\n\n"]
        yield "insert", new
        return
    for tag, begin, end, start, stop in matcher.get_opcodes():
        if tag == "equal":
            yield tag, new[start:stop]
            continue
        if begin < end:
            yield "delete", old[begin:end]
        if start < stop:
            yield "insert", new[start:stop]


def _shortened(changes: Iterator[tuple[str, Sequence[str]]]) -> Iterator[tuple[str, str]]:
    for tag, words in changes:
        if tag == "equal" and len(words) > 3 * _AROUND:
            left_out = f" … {len(words) - 2 * _AROUND:,} words alike … "
            yield tag, "".join(words[:_AROUND]).rstrip() + left_out + "".join(words[-_AROUND:])
        else:
            yield tag, "".join(words)


def _html(
    rows: Sequence[tuple[str, str, str]], changes: Sequence[tuple[str, str]], words: str, notes: Sequence[str]
) -> str:
    head, *body = [
        "<tr>" + "".join(f'<{tag} style="{_CELL}">{escape(cell)}</{tag}>' for tag, cell in zip(tags, row, strict=True))
        + "</tr>"
        for row, tags in zip(rows, [("th",) * 3, *[("th", "td", "td")] * (len(rows) - 1)], strict=True)
    ]  # fmt: skip
    table = f"<table><thead>{head}</thead><tbody>{''.join(body)}</tbody></table>"
    marks = {
        "equal": ("", ""),
        "delete": (f'<del style="{_GONE}">', "</del>"),
        "insert": (f'<ins style="{_NEW}">', "</ins>"),
    }
    diff = "".join(_marked(escape(text), *marks[tag]) for tag, text in changes) or escape(words)
    said = "".join(f'<div style="{_NOTE}">{escape(one_line(note, 500))}</div>' for note in notes)
    return f'{table}<div style="{_DIFF}">{diff}</div>{said}'


def _plain(
    rows: Sequence[tuple[str, str, str]], changes: Sequence[tuple[str, str]], words: str, notes: Sequence[str]
) -> str:
    widths = [max(len(row[at]) for row in rows) for at in (0, 1)]
    table = "\n".join(f"{name:<{widths[0]}}  {left:<{widths[1]}}  {right}".rstrip() for name, left, right in rows)
    marks = {"equal": ("", ""), "delete": ("[-", "-]"), "insert": ("{+", "+}")}
    diff = "".join(_marked(text, *marks[tag]) for tag, text in changes) or words
    return "\n".join([table, "", diff, *(one_line(note, 500) for note in notes)])


def _marked(text: str, opening: str, closing: str) -> str:
    """The marks close around the words, not around the blanks after them."""
    inner = text.rstrip() if closing else text
    return f"{opening}{inner}{closing}{text[len(inner) :]}"
