"""Answer the tool calls of one message: check them, run them, and make a result of whatever comes."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path

from agentnb import events, messages
from agentnb.errors import ToolError, nearest
from agentnb.events import Event
from agentnb.messages import JSON, Content, Message, Text, ToolCall
from agentnb.tools.base import Tool, ToolContext, ToolReturn
from agentnb.tools.capture import printable

_OWN = str(Path(__file__).parent)


async def refuse(reply: Message, limit: int) -> AsyncGenerator[Event, None]:
    """Answer every call with an error: there were `limit` rounds of calls already."""
    reason = f"maximum tool-call rounds ({limit}) reached. Tool {{!r}} was not executed."
    for call in reply.calls:
        yield events.ToolResult(_result(call, _failure(reason.format(call.name))))


class Calling:
    """Runs the calls of a message; `context` makes what a tool is given beside its arguments from an emitter."""

    def __init__(self, tools: Mapping[str, Tool], context: Callable[[Callable[[Content], None]], ToolContext]) -> None:
        self._tools = tools
        self._context = context

    async def answer(self, reply: Message) -> AsyncGenerator[Event, None]:
        """Run the calls: those that may, at once; the others one after the other, in order."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        # One door for results and for output that tools emit from any thread, so that order is kept.
        loop = asyncio.get_running_loop()

        def put(event: Event) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, event)

        # A call that the length limit cut off must not run, even where its arguments happen to parse.
        cut = reply.calls[-1].id if reply.finish == "length" else None
        alone: list[ToolCall] = []
        together: list[ToolCall] = []
        for call in reply.calls:
            tool = self._tools.get(call.name)
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

    async def _lane(self, calls: Sequence[ToolCall], cut: str | None, put: Callable[[Event], None]) -> None:
        for call in calls:
            out = await self._call(call, call.id == cut, put)
            put(events.ToolResult(_result(call, out)))

    async def _call(self, call: ToolCall, cut: bool, put: Callable[[Event], None]) -> ToolReturn:
        try:
            tool, arguments = self._accept(call, cut)
            put(events.ToolStarted(call.id))

            def emit(content: Content) -> None:
                put(events.ToolOutput(call.id, content))

            return await tool.call(arguments, self._context(emit))
        except ToolError as error:
            return _failure(str(error))
        except SystemExit:  # let through, it would end the loop, and the kernel with it
            return _failure("the tool called sys.exit()")
        except Exception as error:  # a tool's failure is a result that the model reads
            put(events.ToolOutput(call.id, Text(printable(_traceback(error)))))
            return _failure(f"{type(error).__name__}: {error}")

    def _accept(self, call: ToolCall, cut: bool) -> tuple[Tool, dict[str, JSON]]:
        tool = self._tools.get(call.name)
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
