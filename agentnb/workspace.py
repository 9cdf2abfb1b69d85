"""Everything a user's kernel holds: models, tools, session, runs, and the loop they go on.

There is no other state: two workspaces side by side simply work.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from pathlib import Path

from agentnb import config, events
from agentnb.agent import MAX_ROUNDS, Agent
from agentnb.approval import Policy
from agentnb.bridge import Foreground
from agentnb.builtins.delegate import Delegate
from agentnb.builtins.toolset import Builtins
from agentnb.direct import DirectTools, perform
from agentnb.jobs import LoopThread, Run
from agentnb.ledger import Entry
from agentnb.lineup import DEFAULT_MODEL, UsualModel
from agentnb.mcp.hub import McpHub
from agentnb.messages import JSONObject, Message, user
from agentnb.models.attempt import shortened
from agentnb.models.base import Model
from agentnb.models.meter import Budget
from agentnb.models.options import Options
from agentnb.panel import last_line, panel_run
from agentnb.prompting.plain import plural
from agentnb.protocol import PanelState, PanelTool
from agentnb.sandbox.browser import Browser
from agentnb.sandbox.browser_tools import BrowserTools
from agentnb.sandbox.sandboxes import Sandboxes
from agentnb.sandbox.tools import SandboxTools
from agentnb.session import RunHead
from agentnb.shelves import Shelves
from agentnb.skills.shelf import SkillShelf
from agentnb.skills.tool import built_ins
from agentnb.toolbox import Toolbox
from agentnb.tools.base import Asker, Reply, Tool, Toolset
from agentnb.transcript import Transcript

__all__ = ["DEFAULT_MODEL", "Workspace"]

#: Seconds between two states sent to a panel.
_PUSH_EVERY = 0.1
#: A run that is part of nothing.
_UNNAMED = RunHead("")


class Workspace(Shelves):
    """The agent runtime of one kernel. `namespace` holds the user's variables; $AGENTNB_MODEL may name the model."""

    def __init__(
        self,
        namespace: MutableMapping[str, object] | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
        base_dir: Path | None = None,
    ) -> None:
        names: MutableMapping[str, object] = {} if namespace is None else namespace
        super().__init__(names, environ=environ, base_dir=base_dir, changed=self.changed)
        self.toolbox = Toolbox(self.namespace, self.changed)
        self.policy = Policy(lambda: config.home(environ) / "approvals.json", config.notebook(environ, self.namespace))
        #: Hooks of every run here (see hooks.Hook); append to it.
        self.hooks: list[object] = []
        self.background = LoopThread()
        self.builtins = Builtins(
            base_dir or Path.cwd(),
            lambda: self.models.http,
            environ=environ,
            hidden=self.key_variables,
            more=(Delegate.within(environ),),
        )
        self.mcp = McpHub(
            self.background,
            added=self.toolbox.add_toolset,
            removed=self.toolbox.remove_toolset,
            secrets=self.mask.add,
            changed=self.changed,
            environ=environ,
        )
        self.browser = Browser(self.background, environ=environ, folder=base_dir)
        self.sandboxes = Sandboxes(self.background, token=environ.get)
        self.options = Options()
        self.runs: dict[str, Run] = {}
        self._listeners: list[Callable[[PanelState], object]] = []
        self._push_due = False
        self._last: Transcript | None = None
        self.skills = SkillShelf(
            built_ins(lambda: self.models.http, environ=environ, hidden=self.key_variables),
            tools=self.toolbox.all,
            infer=self._answer,
            rule=self.policy.rule,
            changed=self.changed,
        )
        self.tools = DirectTools(self.toolbox, self.namespace, lambda *a: perform(self.call, *a), mask=self.mask)
        self.sandbox_tools = SandboxTools(self.sandboxes, self.builtins.folder)
        for toolset in list[Toolset]([self.builtins, self.skills, BrowserTools(self.browser), self.sandbox_tools]):
            self.toolbox.add_toolset(toolset)

    def __repr__(self) -> str:
        tools = ", ".join(self.toolbox.enabled()) or "none"
        turns = f"{self.session.id} ({plural(len(self.session.turns), 'turn')})"
        return f"agentnb workspace\n  model    {self.model_name}\n  tools    {tools}\n  session  {turns}"

    # Runs

    def agent(
        self,
        *,
        model: Model | None = None,
        tools: Sequence[Tool] | None = None,
        system: str | None = None,
        max_rounds: int = MAX_ROUNDS,
        options: Options | None = None,
        output: object = None,
        max_cost: float | None = None,
        runner: Foreground | None = None,
        asker: Asker | None = None,
        approve: str = "ask",
    ) -> Agent:
        """An agent with what this workspace has, where nothing else is said.

        `max_cost` is in USD, for each run with the runs within it; `approve` and `asker` say who decides about calls
        that want a person's word (see Agent).
        """
        own = None if max_cost is None else Budget(max_cost)
        return Agent(
            self.capped(model or self.model, own),
            tools=[_Offered(self.toolbox)] if tools is None else tools,
            system=system,
            max_rounds=max_rounds,
            options=(options or Options()).over(self.options),
            output=output,
            cards=self.cards,
            namespace=self.namespace,
            runner=runner,
            hooks=self.hooks,
            policy=self.policy,
            asker=asker,
            approve=approve,
            models=lambda name: self.capped(self.open_model(name), own),
            model_names=(self.model_name, *self.models.names()),
        )

    def run(
        self,
        agent: Agent,
        prompt: Message | None,
        history: Sequence[Message] = (),
        *,
        head: RunHead = _UNNAMED,
        decided: Mapping[str, Reply] | None = None,
    ) -> Run:
        """A run on the workspace's own loop; `start` it. `head` says where it comes from, and what it is part of.

        Without a prompt, `history` is a paused run, which goes on; `decided` are answers about its calls, by their ids.
        """
        return self._started(
            shortened(_asked(prompt, history), 60),
            agent.model.name,
            lambda run_id: agent.stream(prompt, history=history, run_id=run_id, decided=decided),
            head if head.prompt else replace(head, prompt=_asked(prompt, history)),
        )

    def call(
        self,
        name: str,
        arguments: JSONObject,
        *,
        runner: Foreground | None = None,
        asker: Asker | None = None,
        approve: str = "ask",
        head: RunHead = _UNNAMED,
    ) -> Run:
        """A run that is one call of a tool, by its name or id, without a model: checked, approved and shown like one.

        Raises UsageError for a tool that there is not.
        """
        tools = self.toolbox.pick([name])
        usual = UsualModel(lambda: self.model, self.model_name)
        agent = self.agent(model=usual, tools=tools, runner=runner, asker=asker, approve=approve)
        called = tools[0].name
        return self._started(called, "", lambda run_id: agent.call(called, arguments, run_id=run_id), head)

    def _started(
        self, title: str, model: str, stream: Callable[[str], AsyncGenerator[events.Event, None]], head: RunHead
    ) -> Run:
        # A tool may print what no model was ever sent.
        self.mask.add(*self.credentials.secrets())
        run_id = uuid.uuid4().hex
        keeper = self.recorder(head, run_id, model)
        run = Run(run_id, title, model, self.background, lambda: stream(run_id), self._changed_here, keeper)
        self.runs[run_id] = run
        run.done.add_done_callback(lambda _: self._ended(run, head.label))
        return run

    async def _answer(self, prompt: str, model: str | None) -> str:
        """What a model says to a question that belongs to no run."""
        agent = self.agent(model=self.open_model(model) if model else None, tools=())
        run = self.run(agent, user(prompt))
        run.start()
        try:
            await asyncio.shield(asyncio.wrap_future(run.done))
        finally:
            run.stop()
        return run.transcript().text

    def undo(self) -> str:
        """Take back what the newest call of a built-in tool changed, variables or a file, and say what came of it."""
        return self.builtins.undo.undo()

    def stop(self, run_id: str | None = None) -> None:
        """Stop a run, or all of them. Safe from any thread."""
        for run in list(self.runs.values()):
            if run_id in (None, run.id):
                run.stop()
        self.changed()

    def close(self) -> None:
        """Stop everything and let go of the loop."""
        self.stop()
        self._listeners.clear()
        self.builtins.undo.clear()
        self.browser.shut()
        self.sandboxes.close()
        self.mcp.close()
        self.background.close()
        self.store.close()

    def _ended(self, run: Run, cell: str) -> None:
        self.runs.pop(run.id, None)
        self._last = run.transcript()
        answered = next((m.model for m in reversed(self._last.messages) if m.model), None)
        if run.model or self._last.usage.total:  # a call without a model takes nothing
            self.ledger.add(Entry(cell, answered or run.model, self._last.usage, time.time()))
        self.changed()

    # Panels

    def listen(self, listener: Callable[[PanelState], object]) -> None:
        """Call this with every new state, on the workspace's thread, until the workspace is closed."""
        self._listeners.append(listener)
        self.changed()

    def changed(self) -> None:
        """Something a panel shows has changed. Safe from any thread."""
        if self._listeners:
            self.background.loop.call_soon_threadsafe(self._changed_here)

    def _changed_here(self) -> None:
        if self._listeners and not self._push_due:
            self._push_due = True
            asyncio.get_running_loop().call_later(_PUSH_EVERY, self._push)

    def _push(self) -> None:
        self._push_due = False
        state = self.state()
        for listener in list(self._listeners):
            listener(state)

    def state(self) -> PanelState:
        """What a panel shows now."""
        tools = tuple(
            PanelTool(each.name, self.toolbox.description(each.tool), each.enabled) for each in self.toolbox.shown()
        )
        runs = tuple(panel_run(run) for run in list(self.runs.values()))
        last, error = (last_line(self._last), self._last.error) if self._last else (None, None)
        return PanelState(self.model_name, tools, runs, last, error, self.talks_in)


def _asked(prompt: Message | None, history: Sequence[Message]) -> str:
    """What a run was asked; of one that goes on, at its beginning."""
    return prompt.text if prompt else next((m.text for m in reversed(history) if m.role == "user"), "")


class _Offered:
    """What the toolbox offers as one toolset: what is switched on meanwhile is there at the next round."""

    name = "the notebook's tools"

    def __init__(self, toolbox: Toolbox) -> None:
        self._toolbox = toolbox

    def known(self) -> Sequence[Tool]:
        """The tools that are on."""
        return list(self._toolbox.enabled().values())

    async def ready(self) -> Sequence[Tool]:
        """The same, after toolsets that must be started have been."""
        await self._toolbox.ready()
        return self.known()
