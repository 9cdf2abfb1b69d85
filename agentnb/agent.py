"""The agent: ask the model, run the tools it calls, ask again, until it answers."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import sys
import traceback
import uuid
import weakref
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, MutableMapping, Sequence
from contextlib import aclosing
from pathlib import Path

from agentnb import bridge, events, messages, prompting
from agentnb.errors import AgentnbError, RunInterrupted, StreamBroken, ToolError, nearest
from agentnb.events import Event
from agentnb.interrupts import ThisTask, interrupts
from agentnb.jobs import LoopThread
from agentnb.messages import JSON, Content, Message, Text, ToolCall
from agentnb.models.base import Model, Request
from agentnb.models.http import Http
from agentnb.models.resolve import open_model
from agentnb.result import Result
from agentnb.tools.base import InlineRunner, Runner, Tool, ToolContext, ToolReturn
from agentnb.tools.function import as_tool
from agentnb.transcript import Folder, answered

#: How often a run may go back to the model with tool results before it is stopped.
MAX_ROUNDS = 20
_OWN = str(Path(__file__).parent)


class Agent:
    """A model with tools and a system prompt; holds no conversation, so one agent serves many runs at once.

    `model` is a Model or a name such as "openai:gpt-5-mini"; `tools` are functions or Tools. Placeholders
    `{{expr}}` in a prompt are filled from `namespace`, by default the globals of the code that made the agent.
    """

    def __init__(
        self,
        model: Model | str,
        *,
        tools: Iterable[object] = (),
        system: str | None = None,
        max_rounds: int = MAX_ROUNDS,
        params: Mapping[str, JSON] | None = None,
        name: str | None = None,
        namespace: MutableMapping[str, object] | None = None,
        runner: Runner | None = None,
    ) -> None:
        self.model = open_model(model, http=Http()) if isinstance(model, str) else model
        self.tools: dict[str, Tool] = {tool.name: tool for tool in map(as_tool, tools)}
        self.system = system
        self.max_rounds = max_rounds
        self.params = dict(params or {})
        self.name = name
        self.namespace = sys._getframe(1).f_globals if namespace is None else namespace
        self.runner: Runner = runner or InlineRunner()
        self._background: LoopThread | None = None

    async def stream(
        self, prompt: str | Message, *, history: Sequence[Message] = (), run_id: str | None = None
    ) -> AsyncGenerator[Event, None]:
        """The run, event by event; consume it in `aclosing`. What fails is raised after a last `RunError` event."""
        run_id = run_id or uuid.uuid4().hex
        try:
            async with aclosing(self._rounds(self._message(prompt), history)) as stream:
                async for event in stream:
                    yield events.stamp(event, run_id)
        except asyncio.CancelledError:
            yield events.RunError("Interrupted.", "RunInterrupted", "interrupted", run_id=run_id)
            raise
        except AgentnbError as error:
            yield events.RunError(str(error), type(error).__name__, run_id=run_id)
            raise

    async def run(self, prompt: str | Message, *, history: Sequence[Message] = ()) -> Result:
        """The run's result. An AgentnbError carries what there was so far as `error.transcript`."""
        return await self._run(prompt, history, Folder())

    async def _run(self, prompt: str | Message, history: Sequence[Message], folder: Folder) -> Result:
        here = ThisTask()
        try:
            with interrupts(here.stop, self.runner):
                async with aclosing(self.stream(prompt, history=history)) as stream:
                    async for event in stream:
                        folder.feed(event)
        except AgentnbError as error:
            error.transcript = folder.transcript()
            raise
        except asyncio.CancelledError:
            if not here.stopping:
                raise
            here.revive()
            interrupted = RunInterrupted("Interrupted. What there was is in `error.transcript`.")
            interrupted.transcript = folder.transcript()
            raise interrupted from None
        return Result(folder.transcript())

    def run_sync(self, prompt: str | Message, *, history: Sequence[Message] = ()) -> Result:
        """The same for code that cannot await: in a script, or in a cell that blocks until the answer is there."""
        if self._background is None:
            self._background = LoopThread()
            weakref.finalize(self, self._background.close)
        message, folder = self._message(prompt), Folder()
        try:
            return bridge.run_blocking(
                self._background, lambda runner: self._with(runner)._run(message, history, folder)
            )
        except RunInterrupted as error:
            error.transcript = folder.transcript()
            raise

    def _with(self, runner: Runner) -> Agent:
        other = copy.copy(self)
        other.runner = runner
        return other

    def request(self, so_far: Sequence[Message]) -> Request:
        """What the model is asked after `so_far`."""
        specs = tuple(tool.spec(self.namespace) for tool in self.tools.values())
        head = (messages.system(self.system),) if self.system else ()
        return Request((*head, *so_far), specs, params=self.params)

    def _message(self, prompt: str | Message) -> Message:
        if isinstance(prompt, Message):
            return prompt
        return Message("user", prompting.fill(prompt, self.namespace).content)

    async def _rounds(self, prompt: Message, history: Sequence[Message]) -> AsyncGenerator[Event, None]:
        yield events.RunStarted(self.model.name, self.name)
        yield events.MessageAdded(prompt)
        so_far = (*answered(history), prompt)
        usage = messages.Usage()
        for round_ in itertools.count():
            turn = Folder()
            async with aclosing(self._ask(so_far)) as stream:
                async for event in stream:
                    turn.feed(event)
                    yield event
            asked = turn.transcript()
            reply, usage = asked.messages[-1], usage + asked.usage
            if not reply.calls:
                break
            async with aclosing(self._refuse(reply) if round_ >= self.max_rounds else self._answer(reply)) as results:
                async for event in results:
                    turn.feed(event)
                    yield event
            if round_ >= self.max_rounds:
                yield events.RunFinished("max_rounds", usage)
                return
            so_far = (*so_far, *turn.transcript().messages)
        yield events.RunFinished("length" if reply.finish == "length" else "done", usage)

    async def _ask(self, so_far: Sequence[Message]) -> AsyncGenerator[Event, None]:
        ended = False
        async with aclosing(self.model.stream(self.request(so_far))) as stream:
            async for event in stream:
                ended = ended or isinstance(event, events.MessageEnd)
                yield event
        if not ended:
            raise StreamBroken(f"{self.model.name} stopped in the middle of its answer. Run the cell again.")

    async def _refuse(self, reply: Message) -> AsyncGenerator[Event, None]:
        reason = f"maximum tool-call rounds ({self.max_rounds}) reached. Tool {{!r}} was not executed."
        for call in reply.calls:
            out = _failure(reason.format(call.name))
            yield events.ToolResult(_result(call, out))

    async def _answer(self, reply: Message) -> AsyncGenerator[Event, None]:
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
            tool = self.tools.get(call.name)
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

            return await tool.call(arguments, ToolContext(emit, self.namespace, self.runner))
        except ToolError as error:
            return _failure(str(error))
        except SystemExit:  # let through, it would end the loop, and the kernel with it
            return _failure("the tool called sys.exit()")
        except Exception as error:  # a tool's failure is a result that the model reads
            put(events.ToolOutput(call.id, Text(_traceback(error))))
            return _failure(f"{type(error).__name__}: {error}")

    def _accept(self, call: ToolCall, cut: bool) -> tuple[Tool, dict[str, JSON]]:
        tool = self.tools.get(call.name)
        if tool is None:
            raise ToolError(f"tool {call.name!r} not found.{nearest(call.name, self.tools)}")
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
    return messages.ToolResult(call.id, call.name, out.content, out.is_error, out.handle)


def _traceback(error: BaseException) -> str:
    """The traceback from the tool's own frames on: ours would only be in the way."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_OWN):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames, limit=-8))
