"""A kit for those who write a model of their own: `await check_model(model)` tries what every model must keep to."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from html import escape
from typing import Literal, TypeAlias, get_args

from agentnb import events, messages
from agentnb.errors import AgentnbError, ModelError
from agentnb.events import ModelEvent
from agentnb.messages import Message, Text, ToolResult, ToolSpec
from agentnb.models.base import Model, OutputSpec, Request
from agentnb.models.options import Options
from agentnb.transcript import Transcript, fold

Verdict: TypeAlias = Literal["ok", "failed", "skipped"]

FINISHES = ("stop", "length", "tool_calls", "content_filter")
_SIGNS: dict[Verdict, str] = {"ok": "✓", "failed": "✗", "skipped": "–"}
_ADD = ToolSpec(
    "add",
    "Add two whole numbers.",
    {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
)
_CITY = OutputSpec(
    "City",
    {
        "type": "object",
        "properties": {"name": {"type": "string"}, "people": {"type": "integer"}},
        "required": ["name", "people"],
        "additionalProperties": False,
    },
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried: what a model must do, whether this one does, and what was seen instead."""

    rule: str
    verdict: Verdict
    seen: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of all checks; shown in a notebook, it is a table."""

    model: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return all(check.verdict != "failed" for check in self.checks)

    def assert_ok(self) -> None:
        """For a test: raises AssertionError with what failed."""
        failed = "\n".join(f"{c.rule}: {c.seen}" for c in self.checks if c.verdict == "failed")
        if failed:
            raise AssertionError(f"{self.model} fails:\n{failed}")

    def __str__(self) -> str:
        lines = [f"{_SIGNS[c.verdict]} {c.rule}{f': {c.seen}' if c.seen else ''}" for c in self.checks]
        return "\n".join([f"{self.model}: {'keeps to' if self.ok else 'breaks'} the contract of a model", *lines])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{_SIGNS[c.verdict]}</td><td style='text-align:left'>{escape(c.rule)}</td>"
            f"<td style='text-align:left'>{escape(c.seen)}</td></tr>"
            for c in self.checks
        )
        return f"<b>{escape(str(self).partition(chr(10))[0])}</b><table>{rows}</table>"


async def check_model(
    model: Model,
    *,
    prompt: str = "Say hello in one short sentence.",
    tools: bool = True,
    output: bool = True,
    seconds: float = 60,
) -> Report:
    """Try a model with a dozen small questions: real ones, so they cost what they cost.

    `tools` and `output` say whether it can call tools and give JSON of a schema; `seconds` bounds each check. What
    fails is in the report; nothing is raised.
    """
    trial = _Trial(model, Request((messages.user(prompt),)))
    rules: list[tuple[str, Callable[[], Awaitable[str]], bool]] = [
        ("its name is provider:model", trial.name, True),
        ("a stream yields only events of a model", trial.kinds, True),
        ("it ends with exactly one MessageEnd, that says why and who", trial.end, True),
        ("its events fold into a text", trial.text, True),
        ("it counts tokens", trial.usage, True),
        ("asked for the answer in one piece, it gives the same kind of events", trial.whole, True),
        ("runs at the same time do not mix", trial.at_once, True),
        ("a stream that is closed early lets go at once", trial.close, True),
        ("a run that is cancelled ends at once", trial.cancel, True),
        ("a long conversation with roles in turn is understood", trial.conversation, True),
        ("a tool call has an id, a name and whole JSON arguments", trial.call, tools),
        ("a tool's result is taken in", trial.result, tools),
        ("JSON of a schema is given where it is asked for", trial.output, output),
    ]
    checks = [await _check(rule, check, asked, seconds) for rule, check, asked in rules]
    return Report(model.name, tuple(checks))


async def _check(rule: str, check: Callable[[], Awaitable[str]], asked: bool, seconds: float) -> Check:
    if not asked:
        return Check(rule, "skipped")
    try:
        async with asyncio.timeout(seconds):
            return Check(rule, "ok", await check())
    except _Broken as broken:
        return Check(rule, "failed", str(broken))
    except TimeoutError:
        return Check(rule, "failed", f"not done after {seconds:g} s")
    except AgentnbError as error:
        return Check(rule, "failed", f"{type(error).__name__}: {error}")
    except Exception as error:  # the model under test: what is not one of ours is a fault in itself
        return Check(rule, "failed", f"raised {type(error).__name__} ({error}), which is not a ModelError")


class _Broken(Exception):
    """A rule that is not kept; the message says what was seen."""


def _need(kept: bool, seen: str) -> None:
    if not kept:
        raise _Broken(seen)


class _Trial:
    """The checks, each a method that returns what is worth knowing."""

    def __init__(self, model: Model, plain: Request) -> None:
        self._model = model
        self._plain = plain
        self._first: list[ModelEvent] | None = None

    async def _ask(self, request: Request) -> list[ModelEvent]:
        async with aclosing(self._model.stream(request)) as stream:
            return [event async for event in stream]

    async def _answer(self) -> list[ModelEvent]:
        if self._first is None:
            self._first = await self._ask(self._plain)
        return self._first

    async def name(self) -> str:
        provider, colon, rest = self._model.name.partition(":")
        _need(bool(provider and colon and rest), f"it is {self._model.name!r}")
        return self._model.name

    async def kinds(self) -> str:
        got = await self._answer()
        wrong = [type(e).__name__ for e in got if not isinstance(e, get_args(ModelEvent))]
        _need(not wrong, f"{', '.join(wrong[:3])} among them")
        empty = sum(isinstance(e, events.TextDelta) and not e.text for e in got)
        _need(not empty, f"{empty} empty TextDelta")
        return f"{len(got)} events"

    async def end(self) -> str:
        got = await self._answer()
        ends = [event for event in got if isinstance(event, events.MessageEnd)]
        _need(len(ends) == 1 and got[-1] is ends[0], f"{len(ends)} ends, the last event is {type(got[-1]).__name__}")
        _need(ends[0].finish in FINISHES, f"finish is {ends[0].finish!r}, not one of {', '.join(FINISHES)}")
        _need(ends[0].model == self._model.name, f"model is {ends[0].model!r}, not {self._model.name!r}")
        return ends[0].finish

    async def text(self) -> str:
        text = fold(await self._answer()).text.strip()
        _need(bool(text), "it is empty")
        return text[:60]

    async def usage(self) -> str:
        counts = [event.usage for event in await self._answer() if isinstance(event, events.Usage)]
        _need(bool(counts), "no Usage event")
        grows = all(a.output <= b.output for a, b in itertools.pairwise(counts))
        _need(grows, "they shrink: a Usage event holds the totals so far")
        _need(counts[-1].output > 0, "no tokens in the answer")
        return f"{counts[-1].input} in, {counts[-1].output} out"

    async def whole(self) -> str:
        got = await self._ask(replace(self._plain, options=Options(stream=False)))
        _need(isinstance(got[-1], events.MessageEnd) and bool(fold(got).text.strip()), "no whole answer")
        return f"{len(got)} events"

    async def at_once(self) -> str:
        runs = await asyncio.gather(*(self._ask(self._plain) for _ in range(3)))
        for run in runs:
            _need(sum(isinstance(event, events.MessageEnd) for event in run) == 1, "an end is missing or doubled")
            _need(bool(fold(run).text.strip()), "an answer is empty")
        return ""

    async def close(self) -> str:
        async with aclosing(self._model.stream(self._plain)) as stream:
            async for event in stream:
                if not isinstance(event, events.Waiting):
                    break
        return ""

    async def cancel(self) -> str:
        task = asyncio.create_task(self._ask(self._plain))
        await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=5)
        _need(bool(done), "it still runs 5 s later")
        if not task.cancelled() and task.exception() is not None:
            _need(isinstance(task.exception(), ModelError), f"it raised {task.exception()!r}")
        return ""

    async def conversation(self) -> str:
        said = (messages.system("Be brief."), *self._plain.messages, messages.assistant("Hello."))
        _need(bool(fold(await self._ask(Request((*said, *self._plain.messages)))).text), "no answer")
        return ""

    async def _called(self) -> Transcript:
        asked = messages.user("What is 2 + 3? Use the tool.")
        return fold(await self._ask(Request((asked,), (_ADD,), tool_choice="add")))

    async def call(self) -> str:
        message = (await self._called()).messages[-1]
        _need(bool(message.calls), f"no call, but {message.text[:60]!r}")
        _need(message.finish == "tool_calls", f"finish is {message.finish!r}")
        ids = [call.id for call in message.calls]
        _need(all(ids) and len(set(ids)) == len(ids), f"ids are {ids}")
        _need(all(call.name == "add" for call in message.calls), f"it called {message.calls[0].name!r}")
        _need(_is_object(message.calls[0].arguments), f"arguments are {message.calls[0].arguments!r}")
        return f"{message.calls[0].name}({message.calls[0].arguments})"

    async def result(self) -> str:
        message = (await self._called()).messages[-1]
        results = tuple(ToolResult(call.id, call.name, (Text("5"),)) for call in message.calls)
        said: Sequence[Message] = (messages.user("What is 2 + 3? Use the tool."), message, Message("tool", results))
        got = fold(await self._ask(Request(tuple(said), (_ADD,))))
        _need(bool(got.messages[-1].content), "no answer to it")
        return got.text[:60]

    async def output(self) -> str:
        asked = messages.user("Bern has 134000 people.")
        text = fold(await self._ask(Request((asked,), output=_CITY))).text
        _need(_is_object(text), f"it is {text[:60]!r}")
        return text[:60]


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
