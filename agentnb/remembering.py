"""What a long session sends: a summary of what was said, the things worth keeping, and its last turns whole.

The rules (what is asked for, which entries are kept, what goes first where room is short) are those of the agent
service whose sessions are imported; where it dropped turns between the summary and the last ones, here none are lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from agentnb import messages
from agentnb.messages import JSON, Message
from agentnb.render.terminal import clip
from agentnb.session import Turn
from agentnb.store.memory import ENTRY_TYPES, MemoryEntry, Summary

#: Turns that are sent as they were said.
RECENT = 10
#: Tokens of the last request and its answer from which a session is summarized.
THRESHOLD = 65_536
#: How sure a model must be of what is worth keeping.
CONFIDENCE = 0.7
#: Characters of one message that a summary is made from; of all of them; of a title.
_MESSAGE, _ALL, _TITLE = 4_000, 120_000, 100
#: No session has so many.
_MOST_TURNS = 1 << 31

#: What small models say again instead of doing it.
_ASKED = (
    "What was asked, found, decided and left open, in at most 400 words. Keep names, numbers, units and file names."
)
_EXAMPLE = "one sentence"
_PROMPT = f"""Condense a conversation so that it can go on without its beginning.

{{before}}Conversation, each line beginning with [turn] and who speaks:
{{said}}

Answer with exactly these two parts and nothing else:
<summary>
{_ASKED}
</summary>
<memory>
[{{{{"entry_type": "fact", "content": "{_EXAMPLE}", "source_turn_index": 0, "confidence": 0.9}}}}]
</memory>
In <memory> put only what will matter later, each with how sure you are (0 to 1); [] if there is nothing. An entry_type
is one of fact, preference, decision, entity."""
_TITLE_PROMPT = """Give this conversation a title of at most 20 characters, in its own language. Answer with it alone.

{said}"""


@dataclass(frozen=True, slots=True)
class Condensed:
    """What a model made of a conversation."""

    summary: str
    entries: tuple[MemoryEntry, ...]


def assemble(
    turns: Sequence[Turn], summary: Summary | None, entries: Sequence[MemoryEntry] = (), *, budget: int | None = None
) -> tuple[Message, ...]:
    """The messages that a prompt builds on: without a summary all of them; else system messages, "## Summary" and one
    "## Memory" for each entry, and the turns since.

    Where that is more than `budget` tokens (a quarter of its characters), the oldest memories are left out, then the
    summary. A turn without an answer is left out: many models refuse two prompts in a row.
    """
    since = turns[summary.upto :] if summary else turns
    said = tuple(message for turn in since if turn.answered for message in turn.messages)
    if summary is None:
        return said
    told = [f"## Summary\n{summary.text}", *(f"## Memory\n{each.type}: {each.content}" for each in entries)]
    if budget is not None:
        spent = sum(len(message.text) for message in said) // 4
        while told and spent + sum(map(len, told)) // 4 > budget:
            del told[1 if len(told) > 1 else 0]
    return (*map(messages.system, told), *said)


def to_condense(turns: Sequence[Turn]) -> int:
    """Up to which turn a session is summarized: all but the last ten; of a short one, all but the last."""
    return max(0, len(turns) - RECENT if len(turns) > RECENT else len(turns) - 1)


def condensing_prompt(turns: Sequence[Turn], summary: Summary | None, upto: int) -> str:
    """What a model is asked, to make one summary of the last one and of the turns since, up to `upto`."""
    begin = summary.upto if summary else 0
    lines = [
        f"[{number}] {message.role}: {clip(' '.join(_words(message).split()), _MESSAGE)}"
        for number, turn in enumerate(turns[begin:upto], begin)
        for message in turn.messages
    ]
    before = f"What was said before, condensed:\n{summary.text}\n\n" if summary else ""
    return _PROMPT.format(before=before, said=clip("\n".join(lines), _ALL))


def title_prompt(turns: Sequence[Turn]) -> str:
    """What a model is asked, to name a session: by the first ten things that were said, 200 characters of each."""
    said = [m for turn in turns for m in turn.messages if m.role in ("user", "assistant") and m.text.strip()][:10]
    return _TITLE_PROMPT.format(said="\n".join(f"{m.role}: {' '.join(m.text.split())[:200]}" for m in said))


def read_title(answer: str) -> str:
    """The title in a model's answer."""
    lines = [line for line in answer.strip().splitlines() if line.strip()]
    return " ".join(lines[0].split()).strip("\"'“”«»#*` ")[:_TITLE] if lines else ""


def read_condensed(answer: str) -> Condensed:
    """What a model answered. Without a summary's marks all of it is the summary; memories that are no JSON are none."""
    memory = re.search(r"<memory>(.*?)(?:</memory>|$)", answer, re.DOTALL)
    marked = re.search(r"<summary>(.*?)(?:</summary>|<memory>|$)", answer, re.DOTALL)
    rest = answer[: memory.start()] + answer[memory.end() :] if memory else answer
    summary = (marked[1] if marked else rest).replace(_ASKED, "").strip()
    return Condensed(summary, _entries(memory[1]) if memory else ())


def _entries(text: str) -> tuple[MemoryEntry, ...]:
    bare = re.sub(r"^```\w*\s*|\s*```$", "", text.strip())
    try:
        found: JSON = json.loads(bare)
    except (ValueError, RecursionError):
        return ()
    entries = map(_entry, found) if isinstance(found, list) else ()
    return tuple(each for each in entries if each is not None and each.confidence >= CONFIDENCE)


def _entry(value: JSON) -> MemoryEntry | None:
    if not isinstance(value, dict):
        return None
    content, kind = value.get("content"), value.get("entry_type")
    confidence, turn = value.get("confidence"), value.get("source_turn_index")
    if not isinstance(content, str) or content.strip() in ("", _EXAMPLE) or not isinstance(confidence, (int, float)):
        return None
    known = next((each for each in ENTRY_TYPES if each == kind), None)
    if known is None:
        return None
    return MemoryEntry(
        known,
        " ".join(content.split()),
        min(1.0, float(confidence)),
        turn if isinstance(turn, int) and 0 <= turn < _MOST_TURNS else 0,
    )


def _words(message: Message) -> str:
    """What a message says, calls and results in a few words each."""
    called = [f"calls {call.name}({call.arguments})" for call in message.calls]
    results = [f"{b.name} gave: {b.text}" for b in message.content if isinstance(b, messages.ToolResult)]
    return "\n".join(filter(None, [message.text, *called, *results]))
