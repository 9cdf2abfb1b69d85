"""What a layout has no words for of a message of ours, written beside it under a key of our own, and read again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agentnb import codec
from agentnb.messages import JSON, JSONObject, Message, ToolResult
from agentnb.transfer.format_messages import ROLES, format_message, format_result

#: The key; other programs do not know it.
KEPT = "agentnb"
_WORDS = ("content", "thinking", "tool_calls", "images", "audio")


def keep_beside(made: JSONObject, message: Message, read: Message | None) -> None:
    """Say in `made` what the message is beyond how it is read again."""
    kept: JSONObject = {}
    if read is None or read.content != message.content:
        kept["content"] = [codec.dump(block) for block in message.content]
    if message.model:
        kept["model"] = message.model
    if read is None or read.finish != message.finish:
        kept["finish"] = message.finish
    if kept:
        made[KEPT] = kept


def as_kept(read: Message, value: JSONObject) -> Message:
    """The message as it was, where a person has not changed its words since."""
    kept = value.get(KEPT)
    if not isinstance(kept, dict):
        return read
    out = replace(read, model=_word(kept.get("model")), finish=_word(kept.get("finish", read.finish)))
    content = kept.get("content")
    if not isinstance(content, list):
        return out
    whole = _loaded({"role": read.role, "content": content})
    if whole is None or not _says(format_message(whole, 0.0), value):
        return out
    return replace(out, content=whole.content)


def begins(value: JSONObject) -> bool | None:
    """Whether a message is said to begin a turn, or to go on with one; None where its role tells."""
    kept = value.get(KEPT)
    said = kept.get("turn") if isinstance(kept, dict) else None
    return said if isinstance(said, bool) else None


def grouped(messages: Sequence[tuple[str, bool | None]]) -> list[list[int]]:
    """Which messages, by role and by what is said of them, make up each turn.

    A user's message begins one, and the system's words before it belong to it.
    """
    turns: list[list[int]] = []
    turn: list[int] = []
    system: list[int] = []
    asked = False
    for at, (role, said) in enumerate(messages):
        if said is None and role == "system":
            system.append(at)
            continue
        if said or (said is None and role == "user" and asked):
            before, system = (system, []) if said else ([], system)
            if turn or before:
                turns.append([*turn, *before])
            turn, asked = [], False
        turn, system = [*turn, *system, at], []
        asked = asked or role != "system"
    return [*turns, [*turn, *system]] if turn or system else turns


def mark_turns(turns: Sequence[Sequence[JSONObject]]) -> None:
    """Say in messages where turns begin, where their roles alone would tell it otherwise."""
    flat = [made for turn in turns for made in turn]
    starts: set[int] = set()
    at = 0
    for turn in turns:
        starts.add(at)
        at += len(turn)
    told = {group[0] for group in grouped([(ROLES.get(str(made["role"]).lower(), "user"), None) for made in flat])}
    if told == starts:
        return
    for number in sorted(told | starts):
        if number < len(flat):
            kept = flat[number].get(KEPT)
            flat[number][KEPT] = {**(kept if isinstance(kept, dict) else {}), "turn": number in starts}


def keep_result(made: JSONObject, result: ToolResult, read: Sequence[object]) -> None:
    """The same of one result of a tool."""
    if list(read) != [result]:
        made[KEPT] = {"content": [codec.dump(result)]}


def result_as_kept(read: ToolResult, value: JSONObject) -> ToolResult:
    """The result as it was, where a person has not changed its words since."""
    kept = value.get(KEPT)
    content = kept.get("content") if isinstance(kept, dict) else None
    whole = _loaded({"role": "tool", "content": content}) if isinstance(content, list) else None
    match whole:
        case Message(content=(ToolResult() as result,)) if _says(format_result(result, 0.0), value):
            return replace(result, call_id=read.call_id)
    return read


def _says(made: JSONObject, value: JSONObject) -> bool:
    return all(made.get(name) == value.get(name) for name in _WORDS)


def _loaded(value: JSON) -> Message | None:
    try:
        message: Message = codec.load(Message, value)
    except (ValueError, RecursionError):
        return None
    return message


def _word(value: JSON) -> str | None:
    return value if isinstance(value, str) else None
