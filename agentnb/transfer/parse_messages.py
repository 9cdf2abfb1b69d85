"""Messages of other programs' conversations: read leniently, so that what was written wrongly is there as well."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from agentnb import sniff
from agentnb.messages import (
    JSON,
    Audio,
    Block,
    Content,
    Data,
    File,
    Image,
    JSONObject,
    Message,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
)
from agentnb.transfer.format_messages import ROLES
from agentnb.transfer.kept import KEPT, as_kept, begins, result_as_kept
from agentnb.transfer.report import Note
from agentnb.transfer.texts import parse_json
from agentnb.transfer.times import parse_time

#: Fills in a template by its name and arguments; None where there is none.
Fill: TypeAlias = Callable[[str, Mapping[str, JSON]], str | None]
#: What a message is made of in our words; anything else is kept beside it.
_OURS = {"role", "content", "timestamp", "thinking", "tool_calls", "images", "audio", "name", "id", "is_error", KEPT}
_IDS = ("tool_call_id", "tool_use_id")
_KNOWN = _OURS | {*_IDS, "stat", "prompt_template", "arguments", "agent_id", "type"}
#: From here on a count is none.
_MOST = 1e15
_DATA_URI = re.compile(r"data:([\w.+/-]*)[^,]*,", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Read:
    """A message as it was read: when it was said, what it took, and by its number in the file (with those that are one
    message with it) what our messages have no place for. `begins` is what is said of its turn (see kept.begins)."""

    message: Message
    created: float
    beside: tuple[JSONObject, ...] = ({},)
    usage: Usage | None = None
    begins: bool | None = None


@dataclass(slots=True)
class Reader:
    """Reads the messages of one conversation. `where` names it in notes, `began` is its time where none is said."""

    where: str
    note: Note
    began: float
    fill: Fill
    _out: list[Read] = field(default_factory=list)
    #: The calls that have no result yet: by id, in order.
    _open: dict[str, str] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)

    def read(self, values: Sequence[JSON]) -> list[Read]:
        """All of them, in order."""
        time = self.began
        for number, value in enumerate(values):
            if not isinstance(value, dict):
                self.note(f"{self.where}: message {number} is no object; it was left out.")
                continue
            said = parse_time(value.get("timestamp"))
            if said is None and value.get("timestamp") is not None:
                self.note(f"{self.where}: message {number} has a timestamp that is none.")
            time = said if said is not None else time
            self._one(value, number, time)
        return self._out

    def _one(self, value: JSONObject, number: int, time: float) -> None:
        said = str(value.get("role") or "")
        if said == "usage":
            self._usage(value)
            return
        role = ROLES.get(said.lower())
        beside = self._beside(value)
        if role is None or (role != said and said != "function"):
            beside["role"] = said
        if role is None:
            self.note(f"{self.where}: message {number} has the role {said!r}; it stands as the user's.")
        if role == "tool":
            self._result(value, number, time, beside)
            return
        content = (*self._thinking(value), *self._content(value, number), *self._media(value, number))
        calls = tuple(self._calls(value, number)) if role == "assistant" else ()
        finish = ("tool_calls" if calls else "stop") if role == "assistant" else None
        made = Message(
            role or "user", (*content, *calls), _text(value.get("id")), finish=finish, name=_text(value.get("name"))
        )
        self._out.append(Read(as_kept(made, value), time, (beside,), parse_stat(value.get("stat")), begins(value)))

    def _beside(self, value: JSONObject) -> JSONObject:
        if unknown := sorted(set(value) - _KNOWN):
            self.note(f"{self.where}: messages have {', '.join(unknown[:8])}, which agentnb does not use; it is kept.")
        return {name: each for name, each in value.items() if name not in _OURS and name not in _IDS}

    def _usage(self, value: JSONObject) -> None:
        """What a round took, said as a message of its own."""
        content = value.get("content")
        try:
            stat = parse_json(content) if isinstance(content, str) else content
        except ValueError:
            stat = None
        if self._out and isinstance(stat, dict):
            last = self._out[-1]
            first: JSONObject = {**last.beside[0], "stat": stat}
            beside = (first, *last.beside[1:])
            self._out[-1] = replace(last, usage=parse_stat(stat), beside=beside)

    def _thinking(self, value: JSONObject) -> Iterator[Block]:
        thinking = value.get("thinking")
        if thinking:
            yield Thinking(thinking if isinstance(thinking, str) else json.dumps(thinking, ensure_ascii=False))

    def _content(self, value: JSONObject, number: int) -> Iterator[Content]:
        """Its words, or those of the template that it refers to."""
        content = list(parts(value.get("content")))
        template = value.get("prompt_template")
        if content or not isinstance(template, str) or not template:
            yield from content
            return
        given = value.get("arguments")
        arguments = given if isinstance(given, dict) else {}
        filled = self.fill(template, arguments)
        if filled is None:
            self.note(f"{self.where}: message {number} uses the template {template!r}, which is not there.")
            filled = f"[template {template}" + "".join(f" {name}={each}" for name, each in arguments.items()) + "]"
        yield Text(filled)

    def _media(self, value: JSONObject, number: int) -> Iterator[Content]:
        for key, kind in (("images", "image"), ("audio", "audio")):
            given = value.get(key)
            for each in given if isinstance(given, list) else [given] if given else []:
                block = medium(each, kind)
                if isinstance(block, Text):
                    self.note(f"{self.where}: message {number} names a file in {key!r}; only its path is kept.")
                yield block

    def _calls(self, value: JSONObject, number: int) -> Iterator[ToolCall]:
        given = value.get("tool_calls")
        for at, each in enumerate(given if isinstance(given, list) else []):
            call: JSONObject = each if isinstance(each, dict) else {"arguments": each}
            inner = call.get("function")
            said: JSONObject = inner if isinstance(inner, dict) else call
            arguments = said.get("arguments", "{}" if "name" in said else "")
            made = _text(call.get("id")) or f"call_{number}_{at}"
            while made in self._ids:  # two calls of one id cannot be told apart
                made = f"{made}_"
            self._ids.add(made)
            name = _text(said.get("name")) or ""
            self._open[made] = name
            text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
            yield ToolCall(made, name, text)

    def _result(self, value: JSONObject, number: int, time: float, beside: JSONObject) -> None:
        name = _text(value.get("name")) or ""
        call = self._answered(next((text for key in _IDS if (text := _text(value.get(key)))), None), name, number)
        name = name or self._open.pop(call, "")
        self._open.pop(call, None)
        self._name_call(call, name)
        content = (*parts(value.get("content")), *self._media(value, number))
        failed = bool(value.get("is_error")) or Message("tool", content).text.startswith("Error:")
        result = result_as_kept(ToolResult(call, name, content, failed), value)
        last = self._out[-1] if self._out else None
        if last is not None and last.message.role == "tool" and not begins(value):
            message = replace(last.message, content=(*last.message.content, result))
            if time != last.created and "timestamp" in value:
                beside["timestamp"] = value["timestamp"]
            self._out[-1] = replace(last, message=message, beside=(*last.beside, beside))
        else:
            self._out.append(
                Read(Message("tool", (result,), id=_text(value.get("id"))), time, (beside,), begins=begins(value))
            )

    def _answered(self, said: str | None, name: str, number: int) -> str:
        """The call that a result answers: of its id, of its name, or the next one; else one that was not written."""
        if said is not None and said in self._open:
            return said
        by_name = (call for call, called in self._open.items() if called == name)
        unnamed = (call for call, called in self._open.items() if not called or not name)
        found = next(by_name, None) or next(unnamed, None) if said is None else None
        if found is not None:
            return found
        call = said if said is not None and said not in self._ids else f"call_{number}"
        self._ids.add(call)
        at = next((at for at in range(len(self._out) - 1, -1, -1) if self._out[at].message.role != "tool"), None)
        if at is not None and self._out[at].message.role == "assistant":
            self.note(f"{self.where}: message {number} answers a call that was not written; it was added.")
            asked = self._out[at]
            added = replace(asked.message, content=(*asked.message.content, ToolCall(call, name)), finish="tool_calls")
            self._out[at] = replace(asked, message=added)
        return call

    def _name_call(self, call: str, name: str) -> None:
        """Say of a call without a name which tool it was."""
        for at in range(len(self._out) - 1, -1, -1):
            message = self._out[at].message
            if any(each.id == call and not each.name for each in message.calls):
                content = tuple(
                    replace(block, name=name) if isinstance(block, ToolCall) and block.id == call else block
                    for block in message.content
                )
                self._out[at] = replace(self._out[at], message=replace(message, content=content))
                return


def parts(content: JSON) -> Iterator[Content]:
    """The content of a message: a text, or a list of parts."""
    match content:
        case None | "":
            return
        case str(text):
            yield Text(text)
        case list():
            for each in content:
                yield from _part(each)
        case _:
            yield Data(content)


def _part(part: JSON) -> Iterator[Content]:
    match part:
        case str(text) | {"type": "text", "text": str(text)}:
            yield Text(text)
        case {"type": "image_url", "image_url": str(url) | {"url": str(url)}}:
            yield medium(url, "image")
        case {"type": "input_audio", "input_audio": {"data": str(data)}}:
            yield medium(data, "audio")
        case _:
            yield Data(part)


def medium(value: JSON, kind: str) -> Content:
    """A picture or a sound: an address, a data URI or base64. A path is kept as text: nothing is read by it."""
    make: type[Image] | type[Audio] = Image if kind == "image" else Audio
    if isinstance(value, dict):
        value = next((each for key in ("url", "data", "base64", "content", "path") if (each := value.get(key))), "")
    text = str(value).strip()
    if text.startswith(("http://", "https://")):
        return make(url=text)
    uri = _DATA_URI.match(text)
    try:
        data = base64.b64decode(re.sub(r"\s", "", text[uri.end() :] if uri else text), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    known = sniff.media_type(data) if data else None
    if not data or not (known or uri):
        return Text(f"[{kind}: {text[:500]}]")
    said = known or (uri[1] if uri else "") or ("image/png" if kind == "image" else "audio/wav")
    if said.split("/")[0] != kind:
        return File(kind, data, said)
    return make(data, said)


def parse_stat(stat: JSON) -> Usage | None:
    """What a call took, in our words."""
    if not isinstance(stat, dict):
        return None

    def number(*names: str) -> float:
        found = (stat[name] for name in names if name in stat)
        return next((each for each in found if isinstance(each, (int, float)) and 0 < each < _MOST), 0.0)

    return Usage(
        int(number("prompt_tokens")),
        int(number("completion_tokens")),
        int(number("cached_tokens")),
        int(number("reasoning_tokens")),
        int(number("written_tokens")),
        number("total_ms", "net_ms") / 1000,
        number("ttft_ms") / 1000 or None,
        number("usd") or None,
    )


def _text(value: JSON) -> str | None:
    return (value if isinstance(value, str) else str(value)) if value not in (None, "") else None
