"""JSON of a schema from models that cannot be held to one natively: by a tool they must call, or by asking in words."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from agentnb import events
from agentnb.events import ModelEvent
from agentnb.messages import Message, Text, ToolSpec, system
from agentnb.models.base import OutputSpec, Request, Structured

#: The tool that stands for the answer.
ANSWER = "final_answer"


def prepared(request: Request, how: Structured, *, forced: bool = True) -> Request:
    """The request as it is sent: unchanged where `how` is "native", or where no schema is asked for."""
    if request.output is None or how == "native":
        return request
    if how == "text" or any(tool.name == ANSWER for tool in request.tools):
        return replace(request, output=None, messages=_told(request.messages, in_words(request.output)))
    tool = ToolSpec(ANSWER, _purpose(request.output), dict(request.output.schema))
    # With other tools beside it the model chooses among all of them, but must choose one.
    choice = "auto" if not forced else "required" if request.tools else ANSWER
    return replace(request, output=None, tools=(*request.tools, tool), tool_choice=choice)


async def unwrapped(stream: AsyncGenerator[ModelEvent, None]) -> AsyncGenerator[ModelEvent, None]:
    """The same answer, with the arguments of the tool that stands for it as its text."""
    ids: set[str] = set()
    others = False
    async with aclosing(stream) as arriving:
        async for event in arriving:
            match event:
                case events.ToolCallStart(call_id=call_id, name=name) if name == ANSWER:
                    if not ids:
                        ids.add(call_id)
                        continue
                    ids.add(f"again {call_id}")
                case events.ToolCallArgs(call_id=call_id, delta=delta):
                    if call_id in ids:
                        yield events.TextDelta(delta)
                    elif f"again {call_id}" not in ids:
                        yield event
                case events.ToolCallEnd(call_id=call_id) if call_id in ids or f"again {call_id}" in ids:
                    continue
                case events.MessageEnd(finish="tool_calls") if ids and not others:
                    yield replace(event, finish="stop")
                case _:
                    others = others or isinstance(event, events.ToolCallStart)
                    yield event


def in_words(output: OutputSpec) -> str:
    """What is asked of a model that only listens."""
    return (
        f"{_purpose(output)} Answer with JSON that matches this JSON Schema, and with nothing else: no words around "
        f"it, no code fence.\n{json.dumps(output.schema, ensure_ascii=False)}"
    )


def _purpose(output: OutputSpec) -> str:
    what = f" {output.description.strip()}" if output.description.strip() else ""
    return f"Give the final answer, {output.name}, in structured form.{what}"


def _told(messages: tuple[Message, ...], words: str) -> tuple[Message, ...]:
    if messages and messages[0].role == "system":
        first = messages[0]
        return (replace(first, content=(*first.content, Text(f"\n\n{words}"))), *messages[1:])
    return (system(words), *messages)
