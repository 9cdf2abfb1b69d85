"""The built-in model: a GGUF file in this process, with no key and no network; tools by constrained decoding."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path

from agentnb import messages
from agentnb.errors import ModelError
from agentnb.events import MessageEnd, ModelEvent, TextDelta, Usage, Waiting
from agentnb.messages import JSON, JSONObject
from agentnb.models import structured, weights
from agentnb.models.base import Request
from agentnb.models.cards import Card
from agentnb.models.constrained import Prompt, answer_prompt, chat_prompt, decide_prompt, next_step, output_prompt
from agentnb.models.decision import DecisionParser
from agentnb.models.engine import Engine, import_xllamacpp

OPTIONS = frozenset(
    {"temperature", "top_p", "top_k", "max_tokens", "frequency_penalty", "presence_penalty", "seed", "stop"}
)
#: Tokens of an answer where nobody says otherwise: the models are small, and ramble.
_MAX_TOKENS = 1024
#: The day on which what the models take was last read.
_READ = "2026-11-21"
#: Big enough for a loop of several tools (measured at 1.5 billion parameters; 0.5 billion manage one).
_LOOPS = ("1.5b",)
#: Milliseconds after which reading the prompt is worth a word.
_SLOW = 1000
#: Seconds between two reports of a download.
_REPORT = 0.5


class LocalModel:
    """A built-in model by its id, or any GGUF file by its path; loaded, and fetched if need be, at the first question.

    `context` is in tokens; `threads` is one less than there are cores, because two busy threads on two busy cores
    are slower than one. One answer at a time.
    """

    def __init__(
        self, model: str, *, threads: int | None = None, context: int = 4096, temperature: float = 0.0
    ) -> None:
        self.name = f"local:{model}"
        self._path = Path(model).expanduser() if model.endswith(".gguf") else None
        self._row = None if self._path else weights.find(model)
        self._one_tool = not any(mark in model for mark in _LOOPS) and self._path is None
        self._threads = threads
        self._context = context
        self._temperature = temperature
        self._card = Card(self.name, inputs=frozenset({"text"}), context=context, read=_READ)
        self._engine: Engine | None = None

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The answer, event by event. Raises MissingExtra, ConnectionFailed (no weights) or ModelError."""
        import_xllamacpp()
        request.options.checked(self.name, OPTIONS)
        self._card.check(request)
        async with aclosing(self._ready()) as waiting:
            async for report in waiting:
                yield report
        engine = self._engine
        assert engine is not None  # `_ready` made it
        if not engine.loaded.is_set():
            yield Waiting(f"loading {self.name}")
        async with aclosing(self._answer(engine, request)) as answer:
            async for event in structured.unwrapped(answer) if request.output else answer:
                yield event

    async def _answer(self, engine: Engine, request: Request) -> AsyncGenerator[ModelEvent, None]:
        prompt = self._prompt(request)
        parser = DecisionParser(f"call_{uuid.uuid4().hex[:12]}") if prompt.decides else None
        finish, usage = "stop", messages.Usage()
        async with aclosing(engine.chat(self._body(request, prompt))) as chunks:
            async for chunk in chunks:
                if slow := _reading(chunk):
                    yield Waiting(f"{self.name} reads the prompt: {slow}")
                text, ended, counted = _read(chunk)
                finish, usage = ended or finish, counted or usage
                for event in parser.feed(text) if parser else ([TextDelta(text)] if text else []):
                    yield event
        yield Usage(usage)
        called = parser is not None and parser.kind == "tool"
        yield MessageEnd("tool_calls" if called and finish != "length" else finish, None, self.name)

    async def _ready(self) -> AsyncGenerator[Waiting, None]:
        """Make the engine; tells how far the download is meanwhile."""
        if self._engine is not None:
            return
        path = self._path
        if self._row is not None:
            state = [""]
            fetching = asyncio.create_task(weights.fetch(self._row, progress=lambda *at: _report(state, *at)))
            try:
                shown = ""
                while not (await asyncio.wait({fetching}, timeout=_REPORT))[0]:
                    if state[0] != shown:
                        shown = state[0]
                        yield Waiting(shown)
                path = fetching.result()
            finally:
                fetching.cancel()
                with contextlib.suppress(asyncio.CancelledError, ModelError):
                    await fetching
        assert path is not None  # one of the two
        if self._engine is None:  # another question may have made it while this one waited
            self._engine = Engine(path, threads=self._threads, context=self._context)

    def _prompt(self, request: Request) -> Prompt:
        step = next_step(request, one_tool=self._one_tool)
        if request.output is not None:
            return output_prompt(request, step, context=self._context, one_tool=self._one_tool)
        match step:
            case "chat":
                return chat_prompt(request, context=self._context)
            case "answer":
                return answer_prompt(request, context=self._context)
            case "decide":
                return decide_prompt(request, context=self._context, one_tool=self._one_tool)

    def _body(self, request: Request, prompt: Prompt) -> JSONObject:
        given = {k: v for k, v in request.options.given().items() if k in OPTIONS}
        body: JSONObject = {"temperature": self._temperature, "max_tokens": _MAX_TOKENS, **given}  # type: ignore[dict-item]  # numbers and texts
        body |= request.options.body
        said: list[JSON] = list(prompt.messages)
        body |= {"messages": said, "stream": True, "stream_options": {"include_usage": True}}
        if prompt.schema is not None:
            body["response_format"] = {"type": "json_schema", "json_schema": {"schema": prompt.schema}}
            body["logit_bias"] = [[word, bias] for word, bias in prompt.bias]
        return body


def _report(state: list[str], text: str, done: int, total: int) -> None:
    state[0] = f"fetching {text}: {100 * done // max(total, 1)} %"


def _reading(chunk: JSONObject) -> str | None:
    """How much of a prompt that takes its time is read."""
    match chunk:
        case {"prompt_progress": {"total": int(total), "processed": int(done), "time_ms": int(spent)}}:
            return f"{100 * done // total} %" if spent >= _SLOW and done < total else None
    return None


def _read(chunk: JSONObject) -> tuple[str, str | None, messages.Usage | None]:
    """Text, finish reason and usage of one chunk in OpenAI's dialect."""
    text, finish, usage = "", None, None
    match chunk:
        case {"choices": [{"delta": {"content": str(content)}}, *_]}:
            text = content
    match chunk:
        case {"choices": [{"finish_reason": str(reason)}, *_]}:
            finish = reason
    match chunk:
        case {"usage": {"prompt_tokens": int(asked), "completion_tokens": int(said), **more}}:
            usage = messages.Usage(asked, said, _cached(more))
    return text, finish, usage


def _cached(usage: Mapping[object, object]) -> int:
    match usage:
        case {"prompt_tokens_details": {"cached_tokens": int(cached)}}:
            return cached
    return 0
