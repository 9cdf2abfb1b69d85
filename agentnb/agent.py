"""The agent: a model with tools and a system prompt, and the ways to run it."""

from __future__ import annotations

import asyncio
import copy
import sys
import uuid
import weakref
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, MutableMapping, Sequence
from contextlib import aclosing
from typing import TypeGuard

from agentnb import approval, bridge, prompting
from agentnb.approval import Policy
from agentnb.conversation import unanswered
from agentnb.errors import AgentnbError, RunInterrupted, UsageError, nearest
from agentnb.events import Event
from agentnb.hooks import checked
from agentnb.interrupts import ThisTask, interrupts
from agentnb.jobs import LoopThread
from agentnb.loop import Loop, stamped
from agentnb.messages import JSONObject, Message
from agentnb.models.base import Model, Request
from agentnb.models.cards import Cards
from agentnb.models.options import Options
from agentnb.models.resolve import open_model
from agentnb.outfit import Outfit, divided
from agentnb.output import Output
from agentnb.prompting import Filled
from agentnb.requests import Requests, table
from agentnb.result import Result
from agentnb.tools.base import Asker, InlineRunner, Reply, Runner, Tool, Toolset
from agentnb.tools.function import as_tool
from agentnb.transcript import Folder, Transcript

#: How often a run may go back to the model with tool results before it is stopped.
MAX_ROUNDS = 20


class Agent(Outfit):
    """A model with tools and a system prompt; holds no conversation, so one agent serves many runs at once.

    `model` is a Model or a name such as "openai:gpt-5-mini"; `tools` are functions, Tools, or Toolsets such as an MCP
    server; `options` how the model generates; `output` what the answer must be (see `run`). Placeholders `{{expr}}` in
    a prompt are filled from `namespace`, by default the globals of the code that made the agent. `{{TOOLS}}` in
    `system` becomes a table of the tools.

    A call of a tool that wants a person's word (its traits say so, or `policy`) is decided by `asker`; where there is
    none it is refused. `approve` changes that: "auto" runs such calls, "never" refuses them, "pause" ends the run with
    the outcome "paused", to be gone on with by `resume`. `hooks` see and may change what passes (see hooks.Hook).
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
        hooks: Iterable[object] = (),
        policy: Policy | None = None,
        asker: Asker | None = None,
        approve: str = "ask",
        models: Callable[[str], Model] = open_model,
        model_names: Sequence[str] = (),
    ) -> None:
        given = list(tools)
        toolsets = [each for each in given if _is_toolset(each)]
        ours = [as_tool(each) for each in given if not _is_toolset(each)]
        super().__init__(
            model=models(model) if isinstance(model, str) else model,
            tools={tool.name: tool for tool in ours},
            toolsets=toolsets,
            system=system,
            max_rounds=max_rounds,
            options=options if isinstance(options, Options) else Options.read(options or {}),
            output=_output(output),
            cards=cards or Cards.bundled(),
            name=name,
            namespace=sys._getframe(1).f_globals if namespace is None else namespace,
            runner=runner or InlineRunner(),
            hooks=tuple(checked(hook) for hook in hooks),
            policy=policy or Policy(),
            asker=asker,
            approve=_mode(approve),
            models=models,
            model_names=model_names,
            requests=Requests(),
        )
        self._background: LoopThread | None = None

    async def stream(
        self,
        prompt: str | Message | Filled | None,
        *,
        history: Sequence[Message] = (),
        run_id: str | None = None,
        decided: Mapping[str, Reply] | None = None,
    ) -> AsyncGenerator[Event, None]:
        """The run, event by event; consume it in `aclosing`. What fails is raised after a last `RunError` event.

        Without a prompt, a paused run goes on: `history` ends in calls without results, `decided` says of some by
        their ids what the person wants, and the others are asked about. Raises UsageError where nothing is open.
        """
        run_id = run_id or uuid.uuid4().hex
        if prompt is None and not unanswered(history):
            raise UsageError("There is nothing to go on with: the conversation ends in no open call. Give a prompt.")
        loop = Loop(self, run_id, decided)
        asked = None if prompt is None else self._message(prompt)
        async with aclosing(stamped(loop.run(asked, history), run_id)) as stream:
            async for event in stream:
                yield event

    async def call(self, name: str, arguments: JSONObject, *, run_id: str | None = None) -> AsyncGenerator[Event, None]:
        """Call a tool without the model, event by event: the same checks, approval and hooks as a call of its."""
        run_id = run_id or uuid.uuid4().hex
        async with aclosing(stamped(Loop(self, run_id).call(name, arguments), run_id)) as stream:
            async for event in stream:
                yield event

    async def run(
        self, prompt: str | Message | Filled, *, history: Sequence[Message] = (), output: object = None
    ) -> Result:
        """The run's result. An AgentnbError carries what there was so far as `error.transcript`.

        With `output` (a pydantic model, a dataclass, a TypedDict, `list[…]` of one, a JSON Schema) the answer is
        checked, asked for again where it is not that, and is `result.output` as an instance. Raises OutputError.
        """
        return await self._asked_for(output)._run(prompt, history, Folder())

    async def resume(
        self, paused: Result | Sequence[Message], decided: Mapping[str, Reply | str | bool] | None = None
    ) -> Result:
        """Go on with a paused run: its result, or its messages with those before them.

        `decided` says of calls by their ids: True, False, "session", "notebook", or a Reply; others are asked about.
        """
        history = paused.messages if isinstance(paused, Result) else paused
        return await self._run(None, history, Folder(), approval.decisions(decided or {}))

    async def _run(
        self,
        prompt: str | Message | Filled | None,
        history: Sequence[Message],
        folder: Folder,
        decided: Mapping[str, Reply] | None = None,
    ) -> Result:
        here = ThisTask()
        try:
            with interrupts(here.stop, self.runner):
                async with aclosing(self.stream(prompt, history=history, decided=decided)) as stream:
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

    def run_sync(
        self, prompt: str | Message | Filled, *, history: Sequence[Message] = (), output: object = None
    ) -> Result:
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
        """What the model would be asked after `so_far`, with the tools that are known without starting anything."""
        offered, scope = divided(self._known(), set())
        return self.requests.make(self, offered.values(), scope.values(), so_far, question)

    def tools_table(self) -> str:
        """What `{{TOOLS}}` stands for, with the tools that are known without starting anything."""
        return table(divided(self._known(), set())[1].values(), self.namespace)

    def _known(self) -> dict[str, Tool]:
        tools = dict(self.tools)
        for toolset in self.toolsets:
            for tool in toolset.known():
                tools.setdefault(tool.name, tool)
        return tools

    def _message(self, prompt: str | Message | Filled) -> Message:
        if isinstance(prompt, Message):
            return prompt
        filled = prompt if isinstance(prompt, Filled) else prompting.fill(prompt, self.namespace)
        return Message("user", filled.content)


def _output(kind: object) -> Output | None:
    return kind if kind is None or isinstance(kind, Output) else Output(kind)


def _is_toolset(value: object) -> TypeGuard[Toolset]:
    return callable(getattr(value, "ready", None)) and callable(getattr(value, "known", None))


def _mode(word: str) -> approval.Mode:
    for mode in approval.MODES:
        if mode == word:
            return mode
    known = ", ".join(approval.MODES)
    raise UsageError(f"approve={word!r} is not known.{nearest(word, approval.MODES)} It is one of {known}.")
