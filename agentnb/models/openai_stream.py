"""A stream of Chat Completions chunks as our events, with every oddity that compatible servers were seen to have."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Mapping, Sequence
from typing import Any

from agentnb import events
from agentnb.errors import ModelError, RequestRefused, StreamBroken
from agentnb.events import ModelEvent
from agentnb.messages import JSON, Message, Opaque
from agentnb.models.dialect import Quirks
from agentnb.models.fragments import TEXT, THINKING, Fragments
from agentnb.models.openai_body import not_json, read_body
from agentnb.models.openai_chunks import NotJson, images_of, is_error, json_or_text, loads_all, usage_of
from agentnb.models.openai_reasoning import Details, ThinkTags, parts_of, reasoning_of
from agentnb.models.refusal import Source, refused_in_stream, words_of
from agentnb.models.sse import ServerEvent

_PLAIN = Quirks()
_DONE = b"[DONE]"


def parse_stream(
    blocks: AsyncIterable[bytes],
    *,
    source: Source,
    model: str,
    quirks: Quirks = _PLAIN,
    history: Sequence[Message] = (),
) -> AsyncGenerator[ModelEvent, None]:
    """The events of an answer, from its body as it arrives: server-sent events, or one JSON document.

    `history` is what was asked: an id of a call that occurs there already is replaced by a new one.
    Raises RequestRefused for an error body, StreamBroken for an answer that is cut off or turns into an error.
    """
    return read_body(blocks, _Answer(source, model, quirks.think_tags, history))


class _Answer(Fragments):
    """One answer as it arrives; `over` when nothing that follows counts."""

    def __init__(self, source: Source, model: str, think_tags: bool, history: Sequence[Message]) -> None:
        super().__init__(history)
        self.over = False
        self._source = source
        self._model = model
        self._tags = ThinkTags() if think_tags else None
        self._details = Details()
        self._id: str | None = None
        self._finish = ""
        self._usage: Mapping[str, JSON] | None = None
        self._chosen = False
        self._error: ModelError | None = None

    def feed(self, server_events: Sequence[ServerEvent]) -> list[ModelEvent]:
        """What these events add; an error in them is raised by `close`, after what came before it."""
        for chunk in self._chunks(server_events):
            if not self._take_plain(chunk):
                self._take(chunk)
                if self._error is not None:
                    break
        return self._flush()

    def _chunks(self, server_events: Sequence[ServerEvent]) -> list[Any]:
        data: list[bytes] = []
        for event, payload, _ in server_events:
            if payload.startswith(_DONE):
                self.over = True
                break
            if event == "error":
                return [*loads_all(data), {"error": json_or_text(payload)}]
            if payload:
                data.append(payload)
        return loads_all(data)

    def _take_plain(self, chunk: Any) -> bool:
        """The fast path: a chunk that brings text and nothing else, as nearly all do."""
        try:
            (choice,) = chunk["choices"]
            delta = choice["delta"]
            if (
                len(delta) != 1
                or choice["finish_reason"] is not None
                or choice["index"] != 0
                or self._tags is not None
                or not self._chosen
                or "error" in chunk
                or chunk.get("usage") is not None
            ):
                return False
            piece = delta["content"]
        except (KeyError, TypeError, ValueError):
            return False
        if piece.__class__ is not str:
            return False
        if self._kind is not TEXT:
            self._join()
            self._kind = TEXT
        self._pieces.append(piece)
        return True

    def _take(self, chunk: JSON, *, whole: bool = False) -> None:
        if not isinstance(chunk, dict):
            if isinstance(chunk, NotJson):
                self._error, self.over = not_json(self._source, chunk), True
            elif isinstance(chunk, (str, list)):
                # An error in plain words, or a list that holds one.
                self._fail(chunk)
            return
        self._id = self._id or (str(chunk["id"]) if chunk.get("id") else None)
        self._take_usage(chunk)
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            # Other choices are answers that nobody asked for.
            if isinstance(choice, dict) and not choice.get("index"):
                self._take_choice(choice, whole=whole)
        if is_error(chunk):
            self._fail(chunk)

    def _take_usage(self, chunk: Mapping[str, JSON]) -> None:
        groq = chunk.get("x_groq")
        for usage in (groq.get("usage") if isinstance(groq, dict) else None, chunk.get("usage")):
            if isinstance(usage, dict):
                self._usage = usage

    def _take_choice(self, choice: Mapping[str, JSON], *, whole: bool) -> None:
        self._chosen = True
        delta = choice.get("message" if whole else "delta")
        if isinstance(delta, dict):
            self._add(THINKING, reasoning_of(delta))
            self._details.add(delta.get("reasoning_details"), whole=whole)
            for thinks, text in parts_of(delta.get("content")):
                self._add_content(thinks, text)
            for thinks, text in parts_of(delta.get("refusal")):
                self._add_content(thinks, text)
            for image in images_of(delta):
                self._join()
                self._out.append(events.BlockAdded(image))
            self._take_calls(delta, whole=whole)
        finish = choice.get("finish_reason")
        if isinstance(finish, str) and finish:
            self._finish = finish

    def _take_calls(self, delta: Mapping[str, JSON], *, whole: bool) -> None:
        fragments = delta.get("tool_calls")
        if not fragments and isinstance(delta.get("function_call"), dict):
            fragments = [{"index": 0, "function": delta["function_call"]}]
        for position, fragment in enumerate(fragments if isinstance(fragments, list) else ()):
            if not isinstance(fragment, dict):
                continue
            call, piece = self._calls.take({"index": position, **fragment} if whole else fragment, position)
            if not call.id and call.name:
                self._start(call)
            if piece:
                call.arguments.append(piece)
                if call.id:
                    self._add(call, piece)

    def _add_content(self, thinks: bool, text: str) -> None:
        if thinks or self._tags is None:
            self._add(THINKING if thinks else TEXT, text)
            return
        for inside, piece in self._tags.feed(text):
            self._add(THINKING if inside else TEXT, piece)

    def _fail(self, error: JSON) -> None:
        self._join()
        self._error = refused_in_stream(self._source, error, begun=self._given or bool(self._out))
        self.over = True

    def take_last(self, event: ServerEvent) -> None:
        """The event that no blank line completed: it counts where it is whole."""
        if event.data.startswith(_DONE):
            self.over = True
        elif isinstance(chunk := json_or_text(event.data), dict):
            self._take({"error": chunk} if event.event == "error" else chunk)

    def take_whole(self, body: bytes) -> None:
        """A body that is one document: a whole answer, an error, or a web page."""
        document = json_or_text(body)
        name = f"{self._source.provider} at {self._source.host}"
        if isinstance(document, str):
            said = words_of(self._source, document)
            self._error = RequestRefused(
                f"{name} did not answer as a model does, but with: {said or 'nothing'}. Check the base URL."
            )
            return
        self._take(document, whole=True)
        if not self._chosen and self._error is None:
            self._error = RequestRefused(f"{name} answered without an answer in it. Check the base URL and the model.")
        self.over = True

    def close(self) -> Iterator[ModelEvent]:
        """What ends the answer: the usage, and then its end or its error."""
        if self._tags is not None:
            thinks, held = self._tags.end()
            self._add(THINKING if thinks else TEXT, held)
        error = self._error or self._unfinished()
        if error is None:
            self._close_calls()
        yield from self._flush()
        if self._details.merged and error is None:
            yield events.BlockAdded(Opaque(self._source.provider, {"reasoning_details": self._details.merged}))
        if self._usage is not None:
            yield events.Usage(usage_of(self._usage))
        if error is not None:
            raise error
        yield events.MessageEnd(self._outcome(), self._id, f"{self._source.provider}:{self._model}")

    def _unfinished(self) -> ModelError | None:
        name = f"{self._source.provider} at {self._source.host}"
        if self._finish == "error":
            return StreamBroken(f"{name} gave up in the middle of its answer. Run again.", retryable=True)
        if not self._chosen:
            return StreamBroken(f"{name} sent an empty answer. Run again, or check the base URL.", retryable=True)
        if not self._finish and not self.over:
            return StreamBroken(f"The answer of {name} was cut off half-way. Run again.", retryable=True)
        return None

    def _close_calls(self) -> None:
        for call in self._calls.calls:
            if not call.id:
                self._start(call)
            cut_off = self._finish in ("length", "content_filter") and not call.complete
            if not call.arguments and not cut_off:
                self._add(call, "{}")
            self._join()
            if not cut_off:
                self._out.append(events.ToolCallEnd(call.id))

    def _outcome(self) -> str:
        # Servers say "stop" with calls and "tool_calls" without: the calls themselves decide.
        if self._finish in ("length", "content_filter"):
            return self._finish
        return "tool_calls" if self._calls.calls else "stop"
