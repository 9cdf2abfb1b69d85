"""Answer the tool calls of one message: check them, run them, and make a result of whatever comes."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from agentnb import events, messages
from agentnb.approval import Gate, Passed, Paused
from agentnb.errors import ToolError, nearest
from agentnb.events import Event
from agentnb.hooks import Hooks
from agentnb.messages import JSON, Text, ToolCall
from agentnb.tools.base import Tool, ToolContext, ToolReturn
from agentnb.tools.capture import printable
from agentnb.tools.naming import look_up

_OWN = str(Path(__file__).parent)


async def refuse(calls: Sequence[ToolCall], limit: int) -> AsyncGenerator[Event, None]:
    """Answer every call with an error: there were `limit` rounds of calls already."""
    reason = f"maximum tool-call rounds ({limit}) reached. Tool {{!r}} was not executed."
    for call in calls:
        yield events.ToolResult(_result(call, _failure(reason.format(call.name))))


class Calling:
    """Runs the calls of a message, each through the hooks and the gate.

    `context` makes what a tool is given beside its arguments, from the call and a door for events. After `answer`,
    `unlocked` are tools that the run has from now on, `used_up` the names of those that it no longer has, `paused` the
    calls that wait for a decision.
    """

    def __init__(
        self,
        tools: Mapping[str, Tool],
        gate: Gate,
        hooks: Hooks,
        context: Callable[[ToolCall, Callable[[Event], None]], ToolContext],
    ) -> None:
        self.unlocked: dict[str, Tool] = {}
        self.used_up: set[str] = set()
        self.paused: list[ToolCall] = []
        self._tools = tools
        self._gate = gate
        self._hooks = hooks
        self._context = context

    async def answer(self, calls: Sequence[ToolCall], *, cut: str | None = None) -> AsyncGenerator[Event, None]:
        """Run the calls: those that may, at once; the others one after the other, in order.

        `cut` is the id of a call that the length limit cut off: it must not run, even where its arguments parse.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        # One door for results and for output that tools emit from any thread, so that order is kept.
        loop = asyncio.get_running_loop()

        def put(event: Event) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, event)

        alone: list[ToolCall] = []
        together: list[ToolCall] = []
        for call in calls:
            tool = look_up(self._tools, call.name)
            (together if tool is not None and tool.parallel else alone).append(call)
        lanes = [[call] for call in together] + ([alone] if alone else [])
        tasks = [asyncio.create_task(self._lane(lane, cut, put)) for lane in lanes]
        running = asyncio.gather(*tasks)
        running.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (event := await queue.get()) is not None:
                yield event
            await running
        finally:
            for task in tasks:  # not `running`: where one lane has failed, it is done, and the others go on
                task.cancel()
            await asyncio.gather(running, *tasks, return_exceptions=True)
            self._gate.settle()

    async def _lane(self, calls: Sequence[ToolCall], cut: str | None, put: Callable[[Event], None]) -> None:
        for call in calls:
            try:
                result = _result(call, await self._call(call, call.id == cut, put))
                put(events.ToolResult(await self._after(call, result)))
            except Paused:
                self.paused.append(call)

    async def _call(self, call: ToolCall, cut: bool, put: Callable[[Event], None]) -> ToolReturn:
        try:
            call = await self._hooks.before_tool(call)
            tool, arguments = self._accept(call, cut)
            context = self._context(call, put)
            passed = Passed(arguments)
            if self._gate.wants_asking(tool):
                put(events.ApprovalRequested((call.id,)))
                passed = await self._gate.decide(call, tool, arguments, context)
            put(events.ToolStarted(call.id))
            out = await tool.call(passed.arguments, context)
            self._note(tool, out)
            return replace(out, content=(Text(passed.note), *out.content)) if passed.note else out
        except ToolError as error:
            return _failure(str(error))
        except SystemExit:  # let through, it would end the loop, and the kernel with it
            return _failure("the tool called sys.exit()")
        except Paused:
            raise
        except Exception as error:  # a tool's failure is a result that the model reads
            put(events.ToolOutput(call.id, Text(printable(_traceback(error)))))
            return _failure(f"{type(error).__name__}: {error}")

    async def _after(self, call: ToolCall, result: messages.ToolResult) -> messages.ToolResult:
        try:
            return await self._hooks.after_tool(call, result)
        except ToolError as error:
            return _result(call, _failure(str(error)))

    def _note(self, tool: Tool, out: ToolReturn) -> None:
        self.unlocked.update((each.name, each) for each in out.unlocks)
        if out.used_up:
            self.used_up.add(tool.name)

    def _accept(self, call: ToolCall, cut: bool) -> tuple[Tool, dict[str, JSON]]:
        tool = look_up(self._tools, call.name)
        if tool is None:
            raise ToolError(f"tool {call.name!r} not found.{nearest(call.name, self._tools)}")
        if cut:
            raise ToolError(f"the call was cut off by the length limit. Tool {call.name!r} was not executed.")
        try:
            arguments = json.loads(call.arguments or "{}")
        except ValueError as error:
            raise ToolError(
                f"the arguments are not valid JSON ({error}). Tool {call.name!r} was not executed."
            ) from None
        if not isinstance(arguments, dict):
            raise ToolError(f"the arguments are not a JSON object. Tool {call.name!r} was not executed.")
        return tool, arguments


def _failure(reason: str) -> ToolReturn:
    return ToolReturn((Text(f"Error: {reason}"),), is_error=True)


def _result(call: ToolCall, out: ToolReturn) -> messages.ToolResult:
    # What no JSON can hold would end this run, and every one that continues it.
    content = (Text(printable(block.text), block.extra) if isinstance(block, Text) else block for block in out.content)
    return messages.ToolResult(call.id, call.name, tuple(content), out.is_error, out.handle)


def _traceback(error: BaseException) -> str:
    """The traceback from the tool's own frames on: ours would only be in the way."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_OWN):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames, limit=-8))
