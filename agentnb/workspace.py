"""Everything a user's kernel holds: model, tools, session, runs, and the loop they go on.

There is no other state: two workspaces side by side simply work.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from pathlib import Path

from agentnb.agent import MAX_ROUNDS, Agent
from agentnb.bridge import Foreground
from agentnb.errors import UsageError, nearest
from agentnb.jobs import LoopThread, Run
from agentnb.messages import Message
from agentnb.models.base import Model
from agentnb.models.http import Http
from agentnb.models.options import Options
from agentnb.models.resolve import open_model
from agentnb.protocol import PanelRun, PanelState, PanelTool
from agentnb.session import Session
from agentnb.tools.base import Tool
from agentnb.tools.function import FunctionTool, as_tool
from agentnb.transcript import Transcript

#: What answers where nobody chose: it needs no key, and nothing leaves the machine.
DEFAULT_MODEL = "local:qwen2.5-coder-0.5b"
#: Seconds between two states sent to a panel.
_PUSH_EVERY = 0.1


class Workspace:
    """The agent runtime of one kernel. `namespace` holds the user's variables; $AGENTNB_MODEL may name the model."""

    def __init__(
        self,
        namespace: MutableMapping[str, object] | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
        base_dir: Path | None = None,
    ) -> None:
        self.namespace: MutableMapping[str, object] = {} if namespace is None else namespace
        self.session = Session()
        self.background = LoopThread()
        self.options = Options()
        self.runs: dict[str, Run] = {}
        self.environ = environ
        self._base_dir = base_dir
        self._http = Http()
        self._model: Model | None = None
        self._registered: dict[str, Tool] = {}
        self._disabled: set[str] = set()
        self._listeners: list[Callable[[PanelState], object]] = []
        self._push_due = False
        self._last: Transcript | None = None

    def __repr__(self) -> str:
        tools = ", ".join(self.tools()) or "none"
        count = len(self.session.turns)
        turns = f"{self.session.id} ({count} turn{'s' * (count != 1)})"
        return f"agentnb workspace\n  model    {self.model_name}\n  tools    {tools}\n  session  {turns}"

    # Models

    @property
    def model(self) -> Model:
        """The model that answers where a cell names none."""
        if self._model is None:
            self._model = self.open_model(self.model_name)
        return self._model

    @property
    def model_name(self) -> str:
        """Its name, without making it ready."""
        return self._model.name if self._model else self.environ.get("AGENTNB_MODEL", "").strip() or DEFAULT_MODEL

    def open_model(self, name: str, *, api_base: str | None = None, api_key_name: str | None = None) -> Model:
        """A model by name. Raises UsageError for a provider that is not known."""
        return open_model(
            name,
            http=self._http,
            api_base=api_base,
            api_key_name=api_key_name,
            environ=self.environ,
            base_dir=self._base_dir,
        )

    def use_model(self, model: Model | str, *, api_base: str | None = None, api_key_name: str | None = None) -> Model:
        """Let this model answer from now on."""
        if isinstance(model, str):
            model = self.open_model(model, api_base=api_base, api_key_name=api_key_name)
        self._model = model
        self.changed()
        return model

    # Tools

    def tools(self) -> dict[str, Tool]:
        """Every tool by name: those registered, and every `@tool` function among the user's variables.

        A registered function is looked up by its name each time, so that running its cell again replaces it.
        """
        tools: dict[str, Tool] = {}
        for name, known in list(self._registered.items()):  # a panel asks on another thread
            current = self.namespace.get(name)
            if callable(current) and id(current) not in (id(known), id(_function(known))):
                with contextlib.suppress(UsageError):  # a class, say: no tool, and no reason to lose the one that is
                    self._registered[name] = known = as_tool(current)
            tools[known.name] = known
        for value in list(self.namespace.values()):
            if isinstance(value, FunctionTool):
                tools.setdefault(value.name, value)
        return tools

    def enabled_tools(self) -> dict[str, Tool]:
        """The tools that a model is offered."""
        return {name: tool for name, tool in self.tools().items() if name not in self._disabled}

    def pick_tools(self, names: Sequence[str]) -> list[Tool]:
        """Tools by name; a plain function among the user's variables will do. Raises UsageError for an unknown one."""
        known, picked = self.tools(), []
        for name in names:
            value = known.get(name, self.namespace.get(name))
            if value is None:
                callables = [n for n, v in self.namespace.items() if callable(v) and not n.startswith("_")]
                raise UsageError(f"No function {name!r} in this notebook.{nearest(name, [*known, *callables])}")
            picked.append(as_tool(value))
        return picked

    def add_tools(self, names: Sequence[str]) -> list[Tool]:
        """Register functions of the notebook by name."""
        picked = self.pick_tools(names)
        for tool in picked:
            tool.spec(self.namespace)  # a function that cannot be told to a model is refused now, by its name
        for name, tool in zip(names, picked, strict=True):
            self._registered[name] = tool
            self._disabled.discard(tool.name)
        self.changed()
        return picked

    def remove_tool(self, name: str) -> None:
        """Take a tool away (a `@tool` function: switch it off). Raises UsageError for an unknown one."""
        tools = self.tools()
        if name not in tools:
            raise UsageError(f"No tool {name!r}.{nearest(name, tools)} %tool lists them.")
        self._registered = {k: v for k, v in self._registered.items() if v.name != name}
        if name in self.tools():
            self._disabled.add(name)
        self.changed()

    def enable_tool(self, name: str, enabled: bool) -> None:
        """Offer a tool to the model, or not. Raises UsageError for an unknown one."""
        tools = self.tools()
        if name not in tools:
            raise UsageError(f"No tool {name!r}.{nearest(name, tools)} %tool lists them.")
        (self._disabled.discard if enabled else self._disabled.add)(name)
        self.changed()

    # Runs

    def agent(
        self,
        *,
        model: Model | None = None,
        tools: Sequence[Tool] | None = None,
        system: str | None = None,
        max_rounds: int = MAX_ROUNDS,
        options: Options | None = None,
        runner: Foreground | None = None,
    ) -> Agent:
        """An agent with what this workspace has, where nothing else is said."""
        return Agent(
            model or self.model,
            tools=self.enabled_tools().values() if tools is None else tools,
            system=system,
            max_rounds=max_rounds,
            options=(options or Options()).over(self.options),
            namespace=self.namespace,
            runner=runner,
        )

    def run(self, agent: Agent, prompt: Message, history: Sequence[Message] = ()) -> Run:
        """A run on the workspace's own loop; `start` it."""
        run_id = uuid.uuid4().hex
        run = Run(
            run_id,
            _title(prompt),
            agent.model.name,
            self.background,
            lambda: agent.stream(prompt, history=history, run_id=run_id),
            self._changed_here,
        )
        self.runs[run_id] = run
        run.done.add_done_callback(lambda _: self._ended(run))
        return run

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
        self.background.close()

    def _ended(self, run: Run) -> None:
        self.runs.pop(run.id, None)
        self._last = run.transcript()
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

    def description(self, tool: Tool) -> str:
        """What a tool does; or what is wrong with it, which its run will say too."""
        try:
            return tool.spec(self.namespace).description
        except UsageError as error:
            return str(error)

    def state(self) -> PanelState:
        """What a panel shows now."""
        tools = tuple(
            PanelTool(name, self.description(tool), name not in self._disabled) for name, tool in self.tools().items()
        )
        runs = tuple(_panel_run(run) for run in list(self.runs.values()))
        if self._last is None:
            return PanelState(self.model_name, tools, runs)
        return PanelState(self.model_name, tools, runs, _last_line(self._last), self._last.error)


def _function(tool: Tool) -> object:
    return tool.function if isinstance(tool, FunctionTool) else tool


def _title(prompt: Message) -> str:
    words = " ".join(prompt.text.split())
    return words if len(words) <= 60 else words[:59] + "…"


def _panel_run(run: Run) -> PanelRun:
    so_far = run.transcript()
    return PanelRun(run.id, run.title, run.model, _step(so_far), max(1, so_far.rounds), run.stopping)


def _step(run: Transcript) -> str:
    """What a run is doing, in two words."""
    if run.waiting:
        return run.waiting
    running = [call.name for m in run.messages for call in m.calls if run.tools[call.id].status == "running"]
    if running:
        return f"runs {', '.join(running)}"
    last = run.messages[-1] if run.messages else None
    if last is None or last.role != "assistant" or last.finish is not None or not last.content:
        return "asks the model"
    match last.content[-1].type:
        case "thinking":
            return "thinks"
        case "tool_call":
            return f"calls {last.calls[-1].name}"
        case _:
            return "answers"


def _last_line(run: Transcript) -> str:
    rounds = f"{run.rounds} round{'s' if run.rounds != 1 else ''}"
    return f"{run.outcome or 'stopped'} · {rounds} · {run.usage.total:,} tokens"
