"""The agent: ask the model, run the tools it calls, ask again, until it answers."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import sys
import uuid
import weakref
from collections.abc import AsyncGenerator, Iterable, Mapping, MutableMapping, Sequence
from contextlib import aclosing
from pathlib import Path

from agentnb import bridge, events, messages, prompting
from agentnb.calling import Calling, refuse
from agentnb.errors import AgentnbError, OutputError, RunInterrupted, StreamBroken, UsageError
from agentnb.events import Event
from agentnb.interrupts import ThisTask, interrupts
from agentnb.jobs import LoopThread
from agentnb.messages import Message, ToolSpec
from agentnb.models.base import Model, Request
from agentnb.models.cards import Cards
from agentnb.models.meter import metered
from agentnb.models.options import Options
from agentnb.models.resolve import open_model
from agentnb.models.truncation import fit
from agentnb.models.wire import WireCache
from agentnb.output import Mismatch, Output
from agentnb.result import Result
from agentnb.tokens import count_tokens
from agentnb.tools.base import InlineRunner, Runner, Tool, ToolContext
from agentnb.tools.function import as_tool
from agentnb.transcript import Folder, Transcript, answered

#: How often a run may go back to the model with tool results before it is stopped.
MAX_ROUNDS = 20
#: How often an answer that is not what `output` asks for is asked for again.
MAX_REPAIRS = 2
_OWN = str(Path(__file__).parent)


class Agent:
    """A model with tools and a system prompt; holds no conversation, so one agent serves many runs at once.

    `model` is a Model or a name such as "openai:gpt-5-mini"; `tools` are functions or Tools; `options` how the model
    generates; `output` what the answer must be (see `run`). Placeholders `{{expr}}` in a prompt are filled from
    `namespace`, by default the globals of the code that made the agent.
    """

    def __init__(
        self,
        model: Model | str,
        *,
        tools: Iterable[object] = (),
        system: str | None = None,
        max_rounds: int = MAX_ROUNDS,
        options: Options | Mapping[str, object] | None = None,
        output: object = None,
        cards: Cards | None = None,
        name: str | None = None,
        namespace: MutableMapping[str, object] | None = None,
        runner: Runner | None = None,
    ) -> None:
        self.model = open_model(model) if isinstance(model, str) else model
        self.tools: dict[str, Tool] = {tool.name: tool for tool in map(as_tool, tools)}
        self.system = system
        self._system: Message | None = None
        self.max_rounds = max_rounds
        self.options = options if isinstance(options, Options) else Options.read(options or {})
        self.output = _output(output)
        self.cards = cards or Cards.bundled()
        self._counts: WireCache[int] = WireCache()
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

    async def run(self, prompt: str | Message, *, history: Sequence[Message] = (), output: object = None) -> Result:
        """The run's result. An AgentnbError carries what there was so far as `error.transcript`.

        With `output` (a pydantic model, a dataclass, a TypedDict, `list[…]` of one, a JSON Schema) the answer is
        checked, asked for again where it is not that, and is `result.output` as an instance. Raises OutputError.
        """
        return await self._asked_for(output)._run(prompt, history, Folder())

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
        return self.result(folder.transcript())

    def result(self, transcript: Transcript) -> Result:
        """What a finished run gives."""
        return Result(transcript, self.output and self.output.parse(transcript.text))

    def run_sync(self, prompt: str | Message, *, history: Sequence[Message] = (), output: object = None) -> Result:
        """The same for code that cannot await: in a script, or in a cell that blocks until the answer is there."""
        if self._background is None:
            self._background = LoopThread()
            weakref.finalize(self, self._background.close)
        message, folder = self._message(prompt), Folder()
        try:
            agent = self._asked_for(output)
            return bridge.run_blocking(
                self._background, lambda runner: agent._with(runner)._run(message, history, folder)
            )
        except RunInterrupted as error:
            error.transcript = folder.transcript()
            raise

    def _asked_for(self, output: object) -> Agent:
        if output is None:
            return self
        other = copy.copy(self)
        other.output = _output(output)
        return other

    def _with(self, runner: Runner) -> Agent:
        other = copy.copy(self)
        other.runner = runner
        return other

    def request(self, so_far: Sequence[Message], question: Message | None = None) -> Request:
        """What the model is asked after `so_far`; where that is too long, without its oldest turns.

        What was said since `question` (by default the last of the user's) is never left out: where it alone is too
        long, it is sent, because the provider counts better than we do.
        """
        specs = tuple(tool.spec(self.namespace) for tool in self.tools.values())
        head = (self._told(self.system),) if self.system else ()
        card = self.cards.find(self.model.name)
        output = self.output.spec if self.output else None
        asked = Request((*head, *so_far), specs, options=self.options, output=output)
        if card is None or card.context is None:
            return asked
        room = self.options.max_tokens
        with contextlib.suppress(UsageError):
            return fit(asked, card.context, output=room, count=self._count, question=question)
        return asked

    def _told(self, system: str) -> Message:
        # The same message at every round: what was made of one is kept for as long as it lives.
        if self._system is None or self._system.text != system:
            self._system = messages.system(system)
        return self._system

    def _count(self, what: Message | ToolSpec) -> int:
        # A message is counted once: a long conversation is asked again and again.
        if not isinstance(what, Message):
            return count_tokens(what)
        known = self._counts.get(what, "")
        return self._counts.keep(what, "", count_tokens(what)) if known is None else known

    def _message(self, prompt: str | Message) -> Message:
        if isinstance(prompt, Message):
            return prompt
        return Message("user", prompting.fill(prompt, self.namespace).content)

    async def _rounds(self, prompt: Message, history: Sequence[Message]) -> AsyncGenerator[Event, None]:
        yield events.RunStarted(self.model.name, self.name)
        yield events.MessageAdded(prompt)
        so_far = (*answered(history), prompt)
        usage = messages.Usage()
        repairs = rounds = 0
        while True:
            turn = Folder()
            async with aclosing(self._ask(so_far, prompt)) as stream:
                async for event in stream:
                    turn.feed(event)
                    yield event
            asked = turn.transcript()
            reply, usage = asked.messages[-1], usage + asked.usage
            if not reply.calls:
                again = self._again(reply, repairs)
                if again is None:
                    break
                repairs += 1
                yield events.MessageAdded(again)
                so_far = (*so_far, reply, again)
                continue
            async with aclosing(self._results(reply, rounds)) as results:
                async for event in results:
                    turn.feed(event)
                    yield event
            if rounds >= self.max_rounds:
                self._check_finished(reply)
                yield events.RunFinished("max_rounds", usage)
                return
            rounds += 1
            so_far = (*so_far, *turn.transcript().messages)
        yield events.RunFinished("length" if reply.finish == "length" else "done", usage)

    def _metered(self, so_far: Sequence[Message], question: Message) -> AsyncGenerator[Event, None]:
        return metered(self.model.stream(self.request(so_far, question)), cards=self.cards, name=self.model.name)

    def _results(self, reply: Message, rounds: int) -> AsyncGenerator[Event, None]:
        if rounds >= self.max_rounds:
            return refuse(reply, self.max_rounds)
        calling = Calling(self.tools, lambda emit: ToolContext(emit, self.namespace, self.runner))
        return calling.answer(reply)

    def _again(self, reply: Message, repairs: int) -> Message | None:
        """What to tell a model whose answer is not what was asked for; None where it is. Raises OutputError."""
        if self.output is None:
            return None
        try:
            self.output.parse(reply.text)
        except Mismatch as mistake:
            if reply.finish == "length":
                raise self._not_it("it was cut off; allow it more with max_tokens", reply) from None
            if repairs == MAX_REPAIRS:
                raise self._not_it(f"{mistake}", reply) from None
            return messages.user(self.output.again(mistake))
        return None

    def _check_finished(self, reply: Message) -> None:
        if self.output is not None:
            raise self._not_it(f"there was none after {self.max_rounds} rounds of tool calls", reply)

    def _not_it(self, why: str, reply: Message) -> OutputError:
        assert self.output is not None  # only then it can be wrong
        last = " ".join(reply.text.split())
        shown = f" The last answer: {last[:300]}{'…' if len(last) > 300 else ''}" if last else ""
        return OutputError(f"{self.model.name} gave no valid {self.output.name}: {why}.{shown}", reply.text)

    async def _ask(self, so_far: Sequence[Message], question: Message) -> AsyncGenerator[Event, None]:
        ended = False
        async with aclosing(self._metered(so_far, question)) as stream:
            async for event in stream:
                ended = ended or isinstance(event, events.MessageEnd)
                yield event
        if not ended:
            raise StreamBroken(f"{self.model.name} stopped in the middle of its answer. Run the cell again.")


def _output(kind: object) -> Output | None:
    return kind if kind is None or isinstance(kind, Output) else Output(kind)
