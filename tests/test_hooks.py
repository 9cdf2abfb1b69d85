"""Hooks see what passes, and may change or refuse it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentnb import Agent, FakeModel, Hook
from agentnb.errors import AgentnbError, RequestRefused, ToolError, UsageError
from agentnb.events import TextDelta, ThinkingDelta
from agentnb.messages import Message, Text, ToolCall, ToolResult, assistant
from agentnb.models.base import Request
from agentnb.models.fake import call
from agentnb.models.options import Options

pytestmark = pytest.mark.anyio


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def given(messages: tuple[Message, ...]) -> list[str]:
    return [b.text for m in messages for b in m.content if isinstance(b, ToolResult)]


async def test_every_point_is_passed_in_order() -> None:
    seen: list[str] = []

    class All(Hook):
        def before_model(self, request: Request) -> None:
            seen.append(f"ask {len(request.messages)}")

        async def after_model(self, message: Message) -> None:
            seen.append(f"said {message.text or [c.name for c in message.calls]}")

        def before_tool(self, call: ToolCall) -> None:
            seen.append(f"call {call.name}")

        async def after_tool(self, call: ToolCall, result: ToolResult) -> None:
            seen.append(f"{call.name} gave {result.text}")

    await Agent(FakeModel(call("add", a=1, b=2), "3"), tools=[add], hooks=[All()], namespace={}).run("1 + 2?")
    assert seen == ["ask 1", "said ['add']", "call add", "add gave 3", "ask 3", "said 3"]


async def test_a_request_can_be_changed() -> None:
    model = FakeModel("Hi.")
    hook = {"before_model": lambda request: replace(request, options=Options(temperature=0.0))}
    await Agent(model, hooks=[hook], namespace={}).run("Hi")
    assert model.requests[0].options == Options(temperature=0.0)


async def test_what_a_model_said_can_be_changed_and_the_transcript_has_the_change() -> None:
    hook = {"after_model": lambda message: assistant(message.text.upper())}
    result = await Agent(FakeModel("quiet"), hooks=[hook], namespace={}).run("Hi")
    assert result.text == "QUIET"
    assert len(result.messages) == 2


async def test_calls_that_a_hook_takes_out_of_a_message_do_not_run() -> None:
    hook = {"after_model": lambda message: assistant("I may not.") if message.calls else None}
    model = FakeModel(call("add", a=1, b=2), "never asked")
    result = await Agent(model, tools=[add], hooks=[hook], namespace={}).run("1 + 2?")
    assert result.text == "I may not."
    assert len(model.requests) == 1


async def test_a_call_can_be_changed_before_it_runs() -> None:
    hook = {"before_tool": lambda call: replace(call, arguments='{"a": 10, "b": 20}')}
    result = await Agent(FakeModel(call("add", a=1, b=2), "?"), tools=[add], hooks=[hook], namespace={}).run("?")
    assert given(result.messages) == ["30"]


async def test_a_call_can_be_refused_with_a_reason_that_the_model_reads() -> None:
    async def refuse(call: ToolCall) -> None:
        raise ToolError("no sums on Sundays")

    result = await Agent(
        FakeModel(call("add", a=1, b=2), "?"), tools=[add], hooks=[{"before_tool": refuse}], namespace={}
    ).run("?")
    assert given(result.messages) == ["Error: no sums on Sundays"]


async def test_a_result_can_be_changed_and_refused() -> None:
    def hide(call: ToolCall, result: ToolResult) -> ToolResult:
        return replace(result, content=(Text("a number"),))

    def refuse(call: ToolCall, result: ToolResult) -> None:
        assert result.text == "a number"  # each sees what those before it made
        raise ToolError("not for you")

    model = FakeModel(call("add", a=1, b=2), "?")
    hooks = [{"after_tool": hide}, {"after_tool": refuse}]
    result = await Agent(model, tools=[add], hooks=hooks, namespace={}).run("?")
    assert given(result.messages) == ["Error: not for you"]


async def test_each_piece_can_be_changed_by_plain_and_async_hooks() -> None:
    async def louder(chunk: TextDelta | ThinkingDelta) -> TextDelta | ThinkingDelta:
        return replace(chunk, text=chunk.text.upper())

    def softer(chunk: TextDelta | ThinkingDelta) -> TextDelta | ThinkingDelta:
        return replace(chunk, text=chunk.text.replace("L", "l"))

    hooks = [{"on_chunk": louder}, {"on_chunk": softer}]
    result = await Agent(FakeModel("hello, all"), hooks=hooks, namespace={}).run("Hi")
    assert result.text == "HEllO, All"


async def test_an_error_can_be_replaced() -> None:
    hook = {"on_error": lambda error: RequestRefused(f"Ask Ada about this: {error}")}
    model = FakeModel(RequestRefused("429"))
    with pytest.raises(RequestRefused, match="Ask Ada about this: 429"):
        await Agent(model, hooks=[hook], namespace={}).run("Hi")


async def test_an_error_raised_by_a_hook_ends_the_run_with_it() -> None:
    def refuse(request: Request) -> None:
        raise AgentnbError("Not before nine.")

    model = FakeModel("Hi.")
    with pytest.raises(AgentnbError, match="Not before nine"):
        await Agent(model, hooks=[{"before_model": refuse}], namespace={}).run("Hi")
    assert model.requests == []


async def test_a_hook_that_returns_something_else_is_named() -> None:
    def wrong(request: Request) -> object:
        return "no request"

    with pytest.raises(UsageError, match="The hook wrong returned a str for a Request"):
        await Agent(FakeModel("Hi."), hooks=[{"before_model": wrong}], namespace={}).run("Hi")


@pytest.mark.parametrize(
    ("hook", "said"),
    [({"before_tol": print}, "Did you mean 'before_tool'"), (object(), "object has none"), ({}, "dict has none")],
)
def test_what_is_no_hook_is_refused_at_once(hook: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Agent(FakeModel(), hooks=[hook], namespace={})
