"""The loop of a run: ask the model, answer its calls, ask again, until it answers, a limit, or a pause."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing

from agentnb import events, messages
from agentnb.approval import Gate
from agentnb.calling import Calling, refuse
from agentnb.conversation import answered, unanswered
from agentnb.errors import AgentnbError, OutputError, StreamBroken, ToolError
from agentnb.events import Event
from agentnb.hooks import Hooks
from agentnb.messages import Content, JSONObject, Message, ToolCall
from agentnb.models.meter import metered
from agentnb.outfit import Outfit, divided, everything, narrowed
from agentnb.output import Mismatch
from agentnb.requests import Requests
from agentnb.tools.base import Reopening, Reply, Subtask, Tool, ToolContext
from agentnb.transcript import Folder, Transcript

#: How often an answer that is not what `output` asks for is asked for again.
MAX_REPAIRS = 2


class Loop:
    """One run. `decided` are answers about calls that the run begins with, by call id."""

    def __init__(self, outfit: Outfit, run_id: str, decided: Mapping[str, Reply] | None = None) -> None:
        self._outfit = outfit
        self._run_id = run_id
        self._gate = Gate(outfit.policy, outfit.asker, outfit.approve, decided)
        self._hooks = Hooks(outfit.hooks, outfit.runner)
        self._unlocked: dict[str, Tool] = {}
        self._used_up: set[str] = set()
        self._rounds = 0
        self._repairs = 0
        self._usage = messages.Usage()

    async def run(self, prompt: Message | None, history: Sequence[Message]) -> AsyncGenerator[Event, None]:
        """The events of the run. Without a prompt, it goes on where `history` waits for decisions.

        Raises AgentnbError, as the hooks leave it.
        """
        try:
            async with aclosing(self._run(prompt, history)) as stream:
                async for event in stream:
                    yield event
        except AgentnbError as error:
            seen = await self._hooks.on_error(error)
            if seen is error:
                raise
            raise seen from error

    async def _run(self, prompt: Message | None, history: Sequence[Message]) -> AsyncGenerator[Event, None]:
        yield events.RunStarted(self._outfit.model.name, self._outfit.name, depth=self._outfit.depth)
        if prompt is None:
            at = max((n for n, message in enumerate(history) if message.role == "user"), default=0)
            so_far, prompt = tuple(history), history[at]
            for event in _again(history[at:]):
                yield event
            await self._reopen(history[at:])
        else:
            so_far = (*answered(history), prompt)
            yield events.MessageAdded(prompt)
        while True:
            turn, pending = Folder(), unanswered(so_far)
            stream = self._answer(pending, so_far) if pending else self._turn(so_far, prompt)
            if pending:  # its calls say in which order results stand
                turn.feed(events.MessageAdded(_last_said(so_far)))
            async with aclosing(stream) as arriving:
                async for event in arriving:
                    if not event.run_id:  # of this run, not of one within it
                        turn.feed(event)
                    yield event
                    if isinstance(event, events.RunFinished) and not event.run_id:
                        return
            so_far = _joined(so_far, turn.transcript().messages[bool(pending) :])

    async def _reopen(self, turn: Sequence[Message]) -> None:
        """Unlock again what calls before the pause unlocked: a skill that was opened stays open."""
        offered, _ = await self._offered()
        blocks = (block for message in turn for block in message.content)
        for result in blocks:
            if isinstance(result, messages.ToolResult) and not result.is_error:
                tool = offered.get(result.name)
                if isinstance(tool, Reopening):
                    with contextlib.suppress(ToolError):  # it is gone: a call of what it unlocked says so
                        out = await tool.reopen()
                        self._unlocked.update((each.name, each) for each in out.unlocks)
                        self._used_up |= {tool.name} if out.used_up else set()

    async def call(self, name: str, arguments: JSONObject) -> AsyncGenerator[Event, None]:
        """A call that a person makes: the events of a model's, with its checks, approval and hooks."""
        offered, scope = await self._offered()
        given = json.dumps(arguments, ensure_ascii=False)
        call = ToolCall(f"call_{self._run_id[:12]}", name, given)
        yield events.RunStarted("")
        yield events.MessageAdded(messages.user(f"Call the tool {name} with {given}."))
        yield events.ToolCallStart(call.id, name)
        yield events.ToolCallArgs(call.id, given)
        yield events.ToolCallEnd(call.id)
        yield events.MessageEnd("tool_calls")
        calling = self._calling({**scope, **offered}, scope)
        async with aclosing(calling.answer([call])) as results:
            async for event in results:
                yield event
        yield events.RunFinished("paused" if calling.paused else "done", messages.Usage())

    async def _turn(self, so_far: Sequence[Message], prompt: Message) -> AsyncGenerator[Event, None]:
        """One answer of the model, with what follows where it calls nothing; ends with RunFinished if that is all."""
        turn = Folder()
        async with aclosing(self._ask(so_far, prompt)) as stream:
            async for event in stream:
                turn.feed(event)
                yield event
        asked = turn.transcript()
        reply, self._usage = asked.messages[-1], self._usage + asked.usage
        if reply.calls:
            return
        again = self._repair(reply)
        if again is not None:
            yield events.MessageAdded(again)
            return
        yield events.RunFinished("length" if reply.finish == "length" else "done", self._usage)

    async def _answer(self, pending: Sequence[ToolCall], so_far: Sequence[Message]) -> AsyncGenerator[Event, None]:
        """Results for calls; ends with RunFinished at the limit of rounds, and where a decision is waited for."""
        if self._rounds >= self._outfit.max_rounds:
            async for event in refuse(pending, self._outfit.max_rounds):
                yield event
            self._check_finished(_last_said(so_far))
            yield events.RunFinished("max_rounds", self._usage)
            return
        offered, scope = await self._offered()
        cut = pending[-1].id if so_far[-1].finish == "length" else None
        calling = self._calling(offered, scope)
        async with aclosing(calling.answer(pending, cut=cut)) as results:
            async for event in results:
                yield event
        self._unlocked.update(calling.unlocked)
        self._used_up |= calling.used_up
        self._rounds += not calling.used_up  # what opens itself to the model has not been used yet
        if calling.paused:
            yield events.RunFinished("paused", self._usage)

    def _calling(self, tools: Mapping[str, Tool], scope: Mapping[str, Tool]) -> Calling:
        return Calling(tools, self._gate, self._hooks, lambda call, put: self._context(call, put, scope))

    async def _offered(self) -> tuple[dict[str, Tool], dict[str, Tool]]:
        """The tools of this round by name, and those that runs within this one may be given."""
        return divided({**await everything(self._outfit), **self._unlocked}, self._used_up)

    def _context(self, call: ToolCall, put: Callable[[Event], None], scope: Mapping[str, Tool]) -> ToolContext:
        def emit(content: Content) -> None:
            put(events.ToolOutput(call.id, content))

        def progress(done: float, total: float | None = None, words: str = "") -> None:
            put(events.ToolProgress(call.id, done, total, words))

        outfit = self._outfit
        spawner = _Within(outfit, scope, self._run_id, call.id, put)
        return ToolContext(emit, outfit.namespace, outfit.runner, call.id, progress, self._gate.asker, spawner)

    async def _ask(self, so_far: Sequence[Message], question: Message) -> AsyncGenerator[Event, None]:
        outfit, hooks, ended = self._outfit, self._hooks, False
        offered, scope = await self._offered()
        request = outfit.requests.make(outfit, offered.values(), scope.values(), so_far, question)
        request = await hooks.before_model(request)
        said = Folder()
        stream = metered(outfit.model.stream(request), cards=outfit.cards, name=outfit.model.name)
        async with aclosing(stream) as arriving:
            async for event in arriving:
                if hooks.watches_chunks and isinstance(event, events.TextDelta | events.ThinkingDelta):
                    event = await hooks.on_chunk(event)
                ended = ended or isinstance(event, events.MessageEnd)
                if hooks.watches_messages:
                    said.feed(event)
                yield event
        if not ended:
            raise StreamBroken(f"{outfit.model.name} stopped in the middle of its answer. Run the cell again.")
        if hooks.watches_messages:
            message = said.transcript().messages[-1]
            changed = await hooks.after_model(message)
            if changed is not message:
                yield events.MessageChanged(changed)

    def _repair(self, reply: Message) -> Message | None:
        """What to tell a model whose answer is not what was asked for; None where it is. Raises OutputError."""
        output = self._outfit.output
        if output is None:
            return None
        try:
            output.parse(reply.text)
        except Mismatch as mistake:
            if reply.finish == "length":
                raise self._not_it("it was cut off; allow it more with max_tokens", reply) from None
            if self._repairs == MAX_REPAIRS:
                raise self._not_it(f"{mistake}", reply) from None
            self._repairs += 1
            return messages.user(output.again(mistake))
        return None

    def _check_finished(self, reply: Message) -> None:
        if self._outfit.output is not None:
            raise self._not_it(f"there was none after {self._outfit.max_rounds} rounds of tool calls", reply)

    def _not_it(self, why: str, reply: Message) -> OutputError:
        assert self._outfit.output is not None  # only then it can be wrong
        last = " ".join(reply.text.split())
        shown = f" The last answer: {last[:300]}{'…' if len(last) > 300 else ''}" if last else ""
        name = self._outfit.model.name
        return OutputError(f"{name} gave no valid {self._outfit.output.name}: {why}.{shown}", reply.text)


class _Within:
    """Starts runs within one, for a call of it: their events join its stream, and a stop of it stops them."""

    def __init__(
        self, outfit: Outfit, scope: Mapping[str, Tool], run_id: str, call_id: str, put: Callable[[Event], None]
    ) -> None:
        self.scope = scope
        self.depth = outfit.depth
        self.models = outfit.model_names
        self._outfit = outfit
        self._run_id = run_id
        self._call_id = call_id
        self._put = put

    async def run(self, subtask: Subtask) -> Transcript:
        """Run it to its end; what a narrower namespace gains is given to the wider one."""
        outfit = copy.copy(self._outfit)
        outfit.model = outfit.models(subtask.model) if subtask.model else outfit.model
        outfit.tools, outfit.toolsets = {tool.name: tool for tool in subtask.tools}, ()
        outfit.system, outfit.name, outfit.output = subtask.system, subtask.label, None
        outfit.depth += 1
        outfit.namespace = narrowed(self._outfit.namespace, subtask.variables)
        outfit.requests = Requests()
        folder = Folder()
        run_id = uuid.uuid4().hex
        stream = stamped(Loop(outfit, run_id).run(subtask.task, ()), run_id, self._run_id, self._call_id)
        try:
            async with aclosing(stream) as arriving:
                async for event in arriving:
                    folder.feed(event)
                    self._put(event)
        finally:
            if outfit.namespace is not self._outfit.namespace:
                for name, value in outfit.namespace.items():
                    self._outfit.namespace.setdefault(name, value)
        return folder.transcript()


async def stamped(
    stream: AsyncGenerator[Event, None], run_id: str, parent_id: str | None = None, call_id: str | None = None
) -> AsyncGenerator[Event, None]:
    """The events of a run, each marked as its own; what fails is raised after a last `RunError`."""
    try:
        async with aclosing(stream) as arriving:
            async for event in arriving:
                if isinstance(event, events.RunStarted) and call_id and not event.run_id:
                    event = events.RunStarted(event.model, event.agent, call_id, event.depth)
                yield events.stamp(event, run_id, parent_id)
    except asyncio.CancelledError:
        stopped = events.RunError("Interrupted.", "RunInterrupted", "interrupted")
        yield events.stamp(stopped, run_id, parent_id)
        raise
    except AgentnbError as error:
        yield events.stamp(events.RunError(str(error), type(error).__name__), run_id, parent_id)
        raise


def _again(turn: Sequence[Message]) -> list[Event]:
    """A turn that was begun before, as events."""
    out: list[Event] = []
    for message in turn:
        if message.role == "tool":
            out += [events.ToolResult(block) for block in message.content if isinstance(block, messages.ToolResult)]
        else:
            out.append(events.MessageAdded(message))
    return out


def _last_said(conversation: Sequence[Message]) -> Message:
    """The message that made the calls at the end of a conversation."""
    return next(message for message in reversed(conversation) if message.role == "assistant")


def _joined(so_far: Sequence[Message], new: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation with what a round added; results of one message stand in one message."""
    if so_far and new and so_far[-1].role == new[0].role == "tool":
        both = Message("tool", (*so_far[-1].content, *new[0].content))
        return (*so_far[:-1], both, *new[1:])
    return (*so_far, *new)
