"""A conversation of another program as a session: its messages in turns, its sub-conversations as runs within them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from agentnb.messages import JSON, JSONObject, Message, ToolCall, ToolResult, Usage
from agentnb.session import RunHead
from agentnb.store.memory import ENTRY_TYPES, EntryType, MemoryEntry, Summary
from agentnb.store.moved import MovedRun, MovedTurn, Said
from agentnb.store.runs import StoredRun
from agentnb.transfer.kept import grouped
from agentnb.transfer.parse_messages import Fill, Read, Reader
from agentnb.transfer.report import Note
from agentnb.transfer.texts import front_matter, parse_json
from agentnb.transfer.times import parse_time, time_of_id

#: Under which option of a run that is kept what our messages have no place for.
BESIDE = "agents_runtime"
#: What answered, where a conversation does not say it.
UNKNOWN = "unknown model"
#: From here on a count is none.
_MOST = 1 << 50
_META = {"session_id", "created_at", "updated_at", "turn_count", "last_total_tokens", "parent_session_id", "title"}


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation.json: its `meta`, and its messages grouped into turns."""

    meta: JSONObject
    created: float
    updated: float
    turns: tuple[tuple[Read, ...], ...] = ()

    @property
    def reads(self) -> list[Read]:
        """All messages, in order."""
        return [read for turn in self.turns for read in turn]


def parse_conversation(value: JSON, where: str, session: str, note: Note, fill: Fill) -> Conversation | None:
    """The conversation of a file; None, which is told, for what is none."""
    meta = value.get("meta") if isinstance(value, dict) else None
    meta = meta if isinstance(meta, dict) else {}
    messages = value.get("messages", []) if isinstance(value, dict) else value
    if not isinstance(messages, list):
        note(f"{where} holds no messages; it was left out.")
        return None
    if unknown := sorted(set(meta) - _META):
        note(f"{where}: its meta has {', '.join(unknown[:8])}, which agentnb does not know; left out.")
    if isinstance(value, dict) and (more := sorted(set(value) - {"meta", "messages"})):
        note(f"{where} has {', '.join(more[:8])} beside its messages, which agentnb does not know; left out.")
    created = parse_time(meta.get("created_at")) or time_of_id(session)
    reads = Reader(where, note, created or 0.0, fill).read(messages)
    first = reads[0].created if reads else 0.0
    last = max((read.created for read in reads), default=0.0)
    begun = first if created is None else created
    return Conversation(meta, begun, parse_time(meta.get("updated_at")) or last or begun, tuple(_turns(reads)))


def _turns(reads: Sequence[Read]) -> Iterator[tuple[Read, ...]]:
    for turn in grouped([(read.message.role, read.begins) for read in reads]):
        yield tuple(reads[at] for at in turn)


def runs_of(conversation: Conversation, session: str) -> tuple[list[MovedTurn], list[MovedRun]]:
    """The turns of a session and their runs."""
    runs = [run_of(turn, session, str(at)) for at, turn in enumerate(conversation.turns)]
    return [MovedTurn(run.run.head.id) for run in runs], runs


def run_of(turn: Sequence[Read], session: str, place: str, whole: Conversation | None = None) -> MovedRun:
    """A run of what was said; its id follows from that, and from its place in the session. `whole` is the conversation
    where it is one of its own, which says when it began and ended."""
    messages = [read.message for read in turn]
    beside: JSONObject = {}
    for number, kept in enumerate(each for read in turn for each in read.beside):
        if kept:
            beside[str(number)] = kept
    known = "\n".join([session, place, *(repr(each) for each in messages), json.dumps(beside, sort_keys=True)])
    usage = Usage()
    for read in turn:
        usage = usage + (read.usage or Usage())
    prompt = next((message.text for message in messages if message.role == "user"), "")
    outcome, error = _ending(messages)
    head = RunHead(
        hashlib.sha256(known.encode("utf-8", "replace")).hexdigest()[:32],
        session,
        model=next((message.model for message in messages if message.model), UNKNOWN),
        prompt=prompt,
        options={BESIDE: {"messages": beside}} if beside else {},
    )
    said = tuple(Said(read.message, read.created) for read in turn)
    run = StoredRun(
        head,
        whole.created if whole else min((each.created for each in said), default=0.0),
        whole.updated if whole else max((each.created for each in said), default=0.0),
        outcome,
        error,
        usage,
        sum(message.role == "assistant" for message in messages),
        _calls(messages),
    )
    return MovedRun(run, said)


def _ending(messages: Sequence[Message]) -> tuple[str, str | None]:
    last = messages[-1] if messages else None
    if last is None or last.role != "assistant" or last.calls:
        return "interrupted", None
    if last.text.startswith("Error: user interrupted"):
        return "interrupted", None
    return ("error", last.text[:500]) if last.text.startswith("Error:") else ("done", None)


def _calls(messages: Sequence[Message]) -> list[Mapping[str, JSON]]:
    results = {each.call_id: each for message in messages for each in message.content if isinstance(each, ToolResult)}
    return [
        {"name": call.name, "arguments": call.arguments, "failed": results[call.id].is_error}
        for message in messages
        for call in message.calls
        if call.id in results
    ]


def nest(sub: MovedRun, name: str, runs: Sequence[MovedRun], taken: set[str], began: float) -> MovedRun:
    """A sub-conversation as a run within the one that started it, by the call that did, as far as that can be told."""
    task = sub.run.head.prompt
    answer = next((said.message.text for said in reversed(sub.said) if said.message.role == "assistant"), None)
    best: tuple[int, float, MovedRun | None, ToolCall | None] = -1, 0.0, None, None
    for run in runs:
        results = {
            each.call_id: each.text for s in run.said for each in s.message.content if isinstance(each, ToolResult)
        }
        inside = run.run.started <= began <= (run.run.ended or began) + 1
        before = run.run.started <= began
        calls = [call for said in run.said for call in said.message.calls if call.id not in taken]
        for call in [*(call for call in calls if call.name in ("delegate", "")), None]:
            asked = call is not None and bool(task) and _task(call) == task
            got = call is not None and answer is not None and results.get(call.id) == answer
            score = 8 * asked + 4 * inside + 2 * got + (call is not None) + before
            if score > best[0] or (score == best[0] and call is None and before):
                best = score, run.run.started, run, call
    _, _, parent, call = best
    if call is not None:
        taken.add(call.id)
    model = _argument(call, "model_id") or sub.run.head.model
    head = replace(
        sub.run.head,
        within=parent.run.head.id if parent else None,
        call=call.id if call else None,
        label=name,
        model=model,
    )
    return replace(sub, run=replace(sub.run, head=head))


def _task(call: ToolCall) -> str:
    return _argument(call, "task")


def _argument(call: ToolCall | None, name: str) -> str:
    try:
        given = parse_json(call.arguments) if call is not None else None
    except ValueError:
        return ""
    value = given.get(name) if isinstance(given, dict) else None
    return value if isinstance(value, str) else ""


def parse_summary(text: str, conversation: Conversation) -> Summary | None:
    """The summary.md of a session; its turns are messages there."""
    head, body = front_matter(text)
    if not body:
        return None
    upto = _turn_at(conversation, _int(head.get("summarized_up_to_turn"), len(conversation.reads)))
    created = parse_time(head.get("updated_at")) or conversation.updated
    return Summary(max(1, _int(head.get("summary_version"), 1)), upto, body, created)


def parse_memories(text: str, where: str, conversation: Conversation, note: Note) -> list[MemoryEntry]:
    """The memory.md of a session."""
    _, body = front_matter(text)
    try:
        entries = parse_json(body) if body else []
    except ValueError as error:
        note(f"{where} holds no JSON array ({error}); it was left out.")
        return []
    out = []
    for number, entry in enumerate(entries if isinstance(entries, list) else [entries]):
        content = entry.get("content") if isinstance(entry, dict) else entry
        if not isinstance(content, str) or not content:
            note(f"{where}: entry {number} has no content; it was left out.")
            continue
        said = entry if isinstance(entry, dict) else {}
        given = said.get("confidence")
        sure = float(given) if isinstance(given, (int, float)) else 1.0
        turn = _turn_of(conversation, _int(said.get("source_turn_index"), 0))
        when = parse_time(said.get("created_at")) or conversation.updated
        out.append(
            MemoryEntry(_type(said.get("entry_type"), where, note), content, min(1.0, max(0.0, sure)), turn, when)
        )
    return out


def _type(value: JSON, where: str, note: Note) -> EntryType:
    found = next((each for each in ENTRY_TYPES if each == value), None)
    if found is None:
        note(f"{where}: {str(value)[:40]!r} is no type of a memory; it stands as a fact.")
    return found or "fact"


def _turn_at(conversation: Conversation, messages: int) -> int:
    """How many turns the first so many messages hold whole."""
    held = turns = 0
    for turn in conversation.turns:
        held += sum(len(read.beside) for read in turn)
        if held > messages:
            break
        turns += 1
    return turns


def _turn_of(conversation: Conversation, message: int) -> int:
    """In which turn a message stands."""
    return min(_turn_at(conversation, max(0, message)), max(0, len(conversation.turns) - 1))


def _int(value: JSON, default: int) -> int:
    try:
        number = int(value) if isinstance(value, (int, str)) else default
    except ValueError:
        return default
    return number if abs(number) < _MOST else default
