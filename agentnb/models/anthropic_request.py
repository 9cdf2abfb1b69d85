"""Our request in the words of Anthropic's Messages."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import orjson

from agentnb.errors import UsageError
from agentnb.messages import (
    Block,
    Data,
    File,
    Image,
    JSONObject,
    Message,
    Opaque,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from agentnb.models.anthropic_options import cache_mark, format_options, with_thinking
from agentnb.models.base import Request
from agentnb.models.dialect import Quirks
from agentnb.models.openai_parts import plain, tool_name, valid_arguments, words
from agentnb.models.turns import UNANSWERED
from agentnb.models.wire import Prefix, WireCache

#: The first message must be the user's.
_BEGIN = b'{"type":"text","text":"(The conversation goes on.)"}'
_UNMARKED = (b'{"type":"thinking"', b'{"type":"redacted_thinking"')


@dataclass(frozen=True, slots=True)
class Wire:
    """What became of one message: its blocks as JSON.

    `ids` are the calls that an assistant message asks answers for; of a tool message, the calls its blocks answer.
    """

    blocks: tuple[bytes, ...] = ()
    ids: tuple[str, ...] = ()


def format_request(
    request: Request, *, model: str, quirks: Quirks | None = None, cache: WireCache[Wire] | None = None
) -> bytes:
    """The JSON body of a request; `cache` spares serializing the messages of earlier rounds again."""
    quirks = quirks or Quirks("anthropic")
    request = replace(request, options=with_thinking(request.options, quirks.thinking))
    name = f"{quirks.provider}:{model}"
    head: dict[str, object] = {"model": model, **format_options(request, name)}
    if system := _system(request):
        head = {"system": system, **head}
    mark = orjson.dumps(cache_mark(request.options))[1:-1]
    try:
        messages = _messages(request.messages, name, WireCache() if cache is None else cache, mark)
        return orjson.dumps(head)[:-1] + b',"messages":[' + messages + b"]}"
    except TypeError as reason:
        raise UsageError(
            f"Something in the request is not JSON: {reason}. Use strings, numbers, lists, dicts."
        ) from None


def _system(request: Request) -> object:
    texts = (plain(m.content) for m in request.messages if m.role == "system")
    text = "\n\n".join(text for text in texts if text.strip())
    if text and (mark := cache_mark(request.options)):
        return [{"type": "text", "text": text, **mark}]
    return text


class _Turns:
    """Turns of alternating roles: neighbours of one role are one, and the answers to calls come first in theirs."""

    def __init__(self, *, first: bool) -> None:
        self.made: list[tuple[Role, list[bytes]]] = []
        self._first = first
        self._asked: tuple[str, ...] = ()
        self._answers: dict[str, bytes] = {}
        self._said: list[bytes] = []

    def add(self, role: Role, wire: Wire) -> None:
        match role:
            case "assistant":
                self.close()
                if self._first and not self.made and wire.blocks:
                    self._join("user", [_BEGIN])
                self._join(role, wire.blocks)
                self._asked = wire.ids
            case "tool":
                self._answers.update(zip(wire.ids, wire.blocks, strict=True))
            case "user":
                self._said += wire.blocks

    def close(self) -> None:
        """End the user's turn."""
        answers = [self._answers.get(call) or _unanswered(call) for call in self._asked]
        self._join("user", [*answers, *self._said])
        self._asked, self._answers, self._said = (), {}, []

    def _join(self, role: Role, blocks: Sequence[bytes]) -> None:
        if not blocks:
            return
        if not self.made or self.made[-1][0] != role:
            self.made.append((role, []))
        self.made[-1][1].extend(blocks)

    def mark(self, field: bytes) -> None:
        """Add a field to the last block of all that may have it."""
        blocks = self.made[-1][1] if self.made else []
        for at in range(len(blocks) - 1, -1, -1):
            if not blocks[at].startswith(_UNMARKED):
                blocks[at] = b"%b,%b}" % (blocks[at][:-1], field)
                return


def _messages(messages: Sequence[Message], name: str, cache: WireCache[Wire], mark: bytes) -> bytes:
    """Bytes of the messages; `mark` is a field that the last block gets.

    Within a loop of tool calls only what came since the last round is looked at.
    """
    known = cache.prefix(messages, name)
    begin = len(known.messages)
    turns = _Turns(first=begin == 0)
    settled = begin, 0
    for i, message in enumerate(messages[begin:], begin):
        wire = _wired(message, name, cache, last=i == len(messages) - 1)
        if message.role == "assistant" and wire.blocks:
            turns.close()
            # A turn that an answer follows does not change any more.
            settled = (i, len(turns.made)) if turns.made and turns.made[-1][0] == "user" else settled
        turns.add(message.role, wire)
    turns.close()
    if mark:
        turns.mark(mark)
    pieces = [known.body] if known.body else []
    pieces += (b'{"role":"%b","content":[%b]}' % (role.encode(), b",".join(blocks)) for role, blocks in turns.made)
    count, made = settled
    if count > begin:
        body = b",".join(pieces[: made + bool(known.body)])
        cache.keep_prefix(Prefix(tuple(messages[:count]), body, form=name), known)
    return b",".join(pieces)


def _wired(message: Message, name: str, cache: WireCache[Wire], *, last: bool) -> Wire:
    if last and message.role == "assistant":
        return _assistant(message, name, last=True)
    wire = cache.get(message, name)
    return cache.keep(message, name, _wire(message, name)) if wire is None else wire


def _wire(message: Message, name: str) -> Wire:
    match message.role:
        case "assistant":
            return _assistant(message, name)
        case "tool":
            results = [block for block in message.content if isinstance(block, ToolResult)]
            return Wire(_dump(map(_tool_result, results)), tuple(_id(r.call_id) for r in results))
        case "user":
            return Wire(_dump(_parts(message.content)))
    return Wire()


def _dump(objects: Iterable[dict[str, object]]) -> tuple[bytes, ...]:
    return tuple(map(orjson.dumps, objects))


def _assistant(message: Message, name: str, *, last: bool = False) -> Wire:
    blocks: list[dict[str, object]] = []
    goes_on = last or message.finish == "tool_calls"
    for block in message.content if goes_on else _without_open(message.content):
        _add(blocks, block, message, name)
    if last and blocks and blocks[-1].get("type") == "text":
        blocks[-1]["text"] = str(blocks[-1]["text"]).rstrip()
    kept = (b for b in blocks if b.get("type") != "text" or str(b["text"]).strip())
    return Wire(_dump(kept), tuple(_id(call.id) for call in message.calls))


def _without_open(content: Sequence[Block]) -> list[Block]:
    """Without calls of the provider's own tools that were cut off: it refuses them without their results."""
    payloads = [block.payload for block in content if isinstance(block, Opaque)]
    answered = [payload.get("tool_use_id") for payload in payloads]
    still = [p for p in payloads if str(p.get("type")).endswith("tool_use") and p.get("id") not in answered]
    return [block for block in content if not (isinstance(block, Opaque) and block.payload in still)]


def _add(blocks: list[dict[str, object]], block: Block, message: Message, name: str) -> None:
    provider = name.partition(":")[0]
    own = (message.model or "").partition(":")[0] == provider
    match block:
        case Text() | Data():
            blocks.append({"type": "text", "text": words(block)})
        case Thinking(text=text, signature=str() as signature) if signature and message.model == name:
            blocks.append({"type": "thinking", "thinking": text, "signature": signature})
        case ToolCall():
            blocks.append(_tool_use(block, own=own))
        case Opaque(provider=maker, payload=payload) if own and maker == provider:
            if payload.get("type") == "text":
                _add_cited(blocks, payload)
            elif payload.get("type") != "redacted_thinking" or message.model == name:
                blocks.append({"type": payload.get("type"), **payload})


def _add_cited(blocks: list[dict[str, object]], cited: JSONObject) -> None:
    """Citations go back with their words, which are the end of the text before them."""
    said = str(cited.get("text") or "")
    before = str(blocks[-1]["text"]) if blocks and blocks[-1].get("type") == "text" else ""
    if said and before.endswith(said):
        blocks[-1]["text"] = before.removesuffix(said)
        blocks.append({"type": "text", **cited})


def _tool_use(call: ToolCall, *, own: bool) -> dict[str, object]:
    extra = call.extra or {} if own else {}
    return {
        **extra,
        "type": "tool_use",
        "id": _id(call.id),
        "name": tool_name(call.name),
        # A call that was cut off has none.
        "input": orjson.Fragment(valid_arguments(call.arguments)),
    }


def _id(call_id: str) -> str:
    """The id as the dialect allows it: other providers put dots and colons into theirs."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", call_id) or "_"


def _unanswered(call_id: str) -> bytes:
    return orjson.dumps(_tool_result(ToolResult(call_id, "", (Text(UNANSWERED),), is_error=True)))


def _tool_result(result: ToolResult) -> dict[str, object]:
    out: dict[str, object] = {"type": "tool_result", "tool_use_id": _id(result.call_id)}
    if content := list(_result_parts(result.content)):
        out["content"] = content
    elif result.is_error:
        out["content"] = "It failed and gave no reason."
    if result.is_error:
        out["is_error"] = True
    return out


def _result_parts(content: Iterable[Block]) -> Iterator[dict[str, object]]:
    for block in content:
        try:
            yield from _parts((block,))
        except UsageError as reason:
            # The person did not choose what a tool returns: the model is told, the run goes on.
            yield {"type": "text", "text": f"({reason})"}


def _parts(content: Iterable[Block]) -> Iterator[dict[str, object]]:
    for block in content:
        match block:
            case Text() | Data():
                # The dialect refuses text without words.
                if (text := words(block)).strip():
                    yield {"type": "text", "text": text}
            case Image(data=data, media_type=media_type, url=url):
                yield {"type": "image", "source": _source(media_type, data, url)}
            case File(name=name, data=data, media_type="application/pdf" as media_type, url=url):
                yield {
                    "type": "document",
                    "source": _source(media_type, data, url),
                    **({"title": name} if name else {}),
                }
            case Thinking() | Opaque() | ToolCall() | ToolResult():
                continue
            case _:
                raise UsageError(f"{block.media_type} cannot be sent to this model. Send a picture, a PDF or text.")


def _source(media_type: str, data: bytes, url: str | None) -> dict[str, object]:
    if url:
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": media_type, "data": base64.b64encode(data).decode()}
