"""What a cell's model is told unasked: chosen, composed from what is around the cell, and changed by hooks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from agentnb.agent import Agent
from agentnb.bridge import Foreground, going
from agentnb.context import choosing
from agentnb.context.instructions import Context, Surroundings, compose
from agentnb.context.parts import Part
from agentnb.hooks import Hooks
from agentnb.jobs import Job
from agentnb.outfit import divided
from agentnb.tools.base import Tool, traits
from agentnb.workspace import Workspace


def brief(workspace: Workspace, agent: Agent, asked: str | None, extra: Mapping[str, object]) -> Context:
    """Put the context below the agent's system prompt, and return it. `extra` may hold the kernel's `In` and `Err`.

    Raises what a hook refuses it with.
    """
    choice = choosing.chosen(asked, lambda: workspace.settings.context, agent.model)
    if choice.mode == "none":
        return Context(choice)
    card = agent.cards.find(agent.model.name)
    budget = choosing.budget(choice.mode, card.context if card else None)
    workspace.mask.add(*workspace.credentials.secrets())
    context = compose(_around(workspace, agent, extra), choice, budget, workspace.mask)
    parts = _hooked(workspace, agent, context.parts)
    context = replace(context, parts=tuple(replace(part, text=workspace.mask(part.text)) for part in parts))
    agent.system = "\n\n".join(filter(None, [agent.system, context.text])) or None
    return context


def _around(workspace: Workspace, agent: Agent, extra: Mapping[str, object]) -> Surroundings:
    file = _notebook(workspace)
    inputs, errors = extra.get("In"), extra.get("Err")
    tools = _offered(agent)
    return Surroundings(
        workspace.namespace,
        folder=file.parent if file else workspace.builtins.folder.root,
        home=Path(os.path.realpath(os.path.expanduser("~"))),
        notebook=file,
        inputs=[str(cell) for cell in inputs] if isinstance(inputs, Sequence) else (),
        errors=dict(errors) if isinstance(errors, dict) else {},
        hidden=(workspace, workspace.tools),
        tools=[tool.name for tool in tools if traits(tool).source != workspace.skills.name],
        skills=[tool.name for tool in tools if traits(tool).source == workspace.skills.name],
        markdown=agent.output is None,
    )


def _notebook(workspace: Workspace) -> Path | None:
    """The notebook's file, where it is known and there."""
    named = workspace.notebook
    try:
        return Path(named).absolute() if named and Path(named).is_file() else None
    except (OSError, ValueError):  # a folder that may not be looked into, a name with NUL
        return None


def _offered(agent: Agent) -> Sequence[Tool]:
    tools = dict(agent.tools)
    for toolset in agent.toolsets:
        for tool in toolset.known():
            tools.setdefault(tool.name, tool)
    return list(divided(tools, set())[0].values())


def _hooked(workspace: Workspace, agent: Agent, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The parts as the hooks leave them; they run where notebook code runs."""
    foreground = Foreground()
    hooks = Hooks(agent.hooks, foreground)
    if not hooks.watches_context:
        return parts
    job = Job(workspace.background, lambda: hooks.context(parts))
    with going(job, foreground):
        foreground.attend_blocked(job.done, lambda: None)
    return job.done.result()
