"""Gemini's answers as our events: server-sent events, a list, or one document; whole and streamed alike."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Mapping, Sequence
from typing import Any

from agentnb import events
from agentnb.errors import ModelError, RequestRefused, StreamBroken
from agentnb.events import ModelEvent
from agentnb.messages import JSON, JSONObject, Message, Opaque
from agentnb.models.arriving import Arriving, cut_off, empty, not_an_answer
from agentnb.models.dialect import Quirks
from agentnb.models.gemini_chunks import SIGNS, Body, medium_of, usage_of
from agentnb.models.refusal import Source, refused_in_stream, words_of

_PLAIN = Quirks("gemini")
_FILTERED = {
    "BLOCKLIST",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "IMAGE_SAFETY",
    "LANGUAGE",
    "MODEL_ARMOR",
    "PROHIBITED_CONTENT",
    "RECITATION",
    "SAFETY",
    "SPII",
}
#: The model made something that its provider could not read: another try may do better.
_FAILED = {
    "IMAGE_OTHER",
    "MALFORMED_FUNCTION_CALL",
    "MALFORMED_RESPONSE",
    "MISSING_THOUGHT_SIGNATURE",
    "NO_IMAGE",
    "OTHER",
    "TOO_MANY_TOOL_CALLS",
    "UNEXPECTED_TOOL_CALL",
}


async def parse_stream(
    blocks: AsyncIterable[bytes],
    *,
    source: Source,
    model: str,
    quirks: Quirks = _PLAIN,
    history: Sequence[Message] = (),
) -> AsyncGenerator[ModelEvent, None]:
    """The events of an answer, from its body as it arrives.

    `history` is what was asked: an id of a call that occurs there already is replaced by a new one.
    Raises RequestRefused for an error or a blocked prompt, StreamBroken for an answer that is cut off or fails midway.
    """
    body, answer = Body(), _Answer(source, model, quirks.provider, history)
    async for block in blocks:
        for event in answer.feed(body.feed(block)):
            yield event
        if answer.failed:
            break
    else:
        for event in answer.feed(body.flush()):
            yield event
    for event in answer.close(body.rest):
        yield event


class _Answer:
    """One answer as it arrives."""

    def __init__(self, source: Source, model: str, provider: str, history: Sequence[Message]) -> None:
        self._source = source
        self._model = model
        self._provider = provider
        self._arriving = Arriving(history)
        self._id: str | None = None
        self._finish = ""
        self._said = ""
        self._usage: Mapping[str, JSON] = {}
        self._chosen = False
        self._error: ModelError | None = None

    @property
    def failed(self) -> bool:
        """Whether nothing that follows counts."""
        return self._error is not None

    def feed(self, chunks: Sequence[Any]) -> list[ModelEvent]:
        """What these chunks add; an error in them is raised by `close`, after what came before it."""
        for chunk in chunks:
            if not self._take_plain(chunk):
                self._take(chunk)
                if self._error is not None:
                    break
        return self._arriving.flush()

    def _take_plain(self, chunk: Any) -> bool:
        """The fast path: a chunk that brings text and nothing else, as nearly all do."""
        try:
            (candidate,) = chunk["candidates"]
            (part,) = candidate["content"]["parts"]
            piece = part["text"]
            usage = chunk["usageMetadata"]
            if len(part) != 1 or "finishReason" in candidate or candidate.get("index") or "error" in chunk:
                return False
        except (AttributeError, KeyError, TypeError, ValueError):
            return False
        if not self._chosen or piece.__class__ is not str or usage.__class__ is not dict:
            return False
        self._usage = usage
        self._arriving.text(piece)
        return True

    def _take(self, chunk: JSON) -> None:
        if not isinstance(chunk, dict):
            # What is not an object is an error in plain words, or a list that holds one.
            if isinstance(chunk, (str, list)):
                self._fail(chunk)
            return
        self._id = self._id or (str(chunk["responseId"]) if chunk.get("responseId") else None)
        if isinstance(usage := chunk.get("usageMetadata"), dict):
            self._usage = usage
        candidates = chunk.get("candidates")
        for candidate in candidates if isinstance(candidates, list) else ():
            # Other candidates are answers that nobody asked for.
            if isinstance(candidate, dict) and not candidate.get("index"):
                self._take_candidate(candidate)
        if chunk.get("error"):
            self._fail(chunk)
        elif not candidates:
            self._take_feedback(chunk.get("promptFeedback"))

    def _take_candidate(self, candidate: Mapping[str, JSON]) -> None:
        self._chosen = True
        match candidate.get("content"):
            case {"parts": list() as parts}:
                for part in parts:
                    if isinstance(part, dict) and part:
                        self._take_part(part)
        self._finish = str(candidate.get("finishReason") or self._finish)
        self._said = str(candidate.get("finishMessage") or self._said)

    def _take_part(self, part: JSONObject) -> None:
        match part:
            case {"thought": True, "text": str() as text, **more}:
                signature = more.pop("thoughtSignature", None)
                self._arriving.think(text)
                if signature or more:
                    self._arriving.add(events.ThinkingDelta("", _text(signature), more or None))
            case {"text": str() as text, **more} if text and not more.get("thought"):
                self._arriving.text(text)
                self._sign(len(text), more)
            case {"functionCall": dict() as call, **more} if name := _text(call.get("name")):
                self._arriving.call(name, call.get("args"), server_id=_text(call.get("id")) or "", extra=more)
            case {"inlineData": {"mimeType": str() as kind, "data": str() as data}, **more} if not more.get("thought"):
                self._take_medium(kind, data, more)
            case {"text": ""} if len(part) == 1:
                pass
            case _:
                self._arriving.add(events.BlockAdded(Opaque(self._provider, part)))

    def _take_medium(self, kind: str, data: str, more: JSONObject) -> None:
        try:
            content = base64.b64decode(data)
        except ValueError:
            self._fail(f"a medium of type {kind} that cannot be decoded")
            return
        self._arriving.add(events.BlockAdded(medium_of(kind, content)))
        self._sign(0, more)

    def _sign(self, length: int, extra: JSONObject) -> None:
        """Keep what goes back with the part before (its last `length` characters, where it is text)."""
        if extra:
            self._arriving.add(events.BlockAdded(Opaque(self._provider, {SIGNS: length, **extra})))

    def _take_feedback(self, feedback: JSON) -> None:
        if self._chosen or not isinstance(feedback, dict) or not feedback.get("blockReason"):
            return
        reason = str(feedback["blockReason"])
        said = words_of(self._source, str(feedback.get("blockReasonMessage") or "")).rstrip(".")
        self._error = RequestRefused(
            f"{self._source.provider} blocked the prompt ({reason}){': ' if said else ''}{said}. Change the prompt, or "
            "choose another model.",
            code=reason,
        )

    def _fail(self, error: JSON) -> None:
        self._error = refused_in_stream(self._source, error, begun=self._arriving.begun)

    def close(self, rest: str) -> Iterator[ModelEvent]:
        """What ends the answer: the usage, and then its end or its error; `rest` is what could not be read."""
        error = self._error or self._unfinished(rest)
        if self._usage:
            yield events.Usage(usage_of(self._usage))
        if error is not None:
            raise error
        yield events.MessageEnd(self._outcome(), self._id, f"{self._source.provider}:{self._model}")

    def _unfinished(self, rest: str) -> ModelError | None:
        if self._finish in _FAILED:
            return self._gave_up()
        if self._finish:
            return None
        if self._chosen or rest.startswith("{"):
            return cut_off(self._source)
        return not_an_answer(self._source, rest) if rest else empty(self._source)

    def _gave_up(self) -> ModelError:
        said = words_of(self._source, self._said).rstrip(".")
        text = f"{self._source.provider} gave up its answer ({self._finish}){': ' if said else ''}{said}. Run again."
        kind = StreamBroken if self._arriving.begun else RequestRefused
        return kind(text, code=self._finish, retryable=True)

    def _outcome(self) -> str:
        if self._finish == "MAX_TOKENS":
            return "length"
        if self._finish in _FILTERED:
            return "content_filter"
        # It says "STOP" with calls and without: the calls themselves decide.
        return "tool_calls" if self._arriving.called else "stop"


def _text(value: JSON) -> str | None:
    return value if isinstance(value, str) and value else None
