"""What magics print: lists, descriptions, and the exact messages of a dry run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentnb import prompting
from agentnb.errors import UsageError, nearest
from agentnb.messages import File, Image, Message, Text, Thinking, ToolCall, ToolResult
from agentnb.models import weights
from agentnb.models.providers import load_providers
from agentnb.transcript import answered
from agentnb.workspace import Workspace

if TYPE_CHECKING:
    from agentnb.notebook.cell import CellRun


def text(words: str) -> None:
    """Print."""
    print(words)  # noqa: T201  # what a magic says belongs in its cell


def text_in_place(words: str) -> None:
    """Print over what the line showed before."""
    print(f"\r\x1b[K{words}", end="", flush=True)  # noqa: T201  # as above


def models(workspace: Workspace) -> None:
    """What can answer: the built-in models, and the providers with the variables that hold their keys."""
    for row in weights.KNOWN:
        state = "here" if weights.is_here(row) else "fetched at its first use"
        text(f"local:{row.id:<20} {row.size / 1e6:>5,.0f} MB, {row.licence}, {state}")
    for name, provider in load_providers().items():
        state = "set" if provider.key and workspace.environ.get(provider.key) else "not set"
        text(f"{name + ':NAME':<26} key from ${provider.key} ({state})")
    text("openai:NAME --api-base URL  any OpenAI-compatible server")


def tools(workspace: Workspace) -> None:
    """The tools, one a line, with what they do."""
    known = workspace.toolbox.all()
    if not known:
        text("No tools yet. Write a function with type hints and a docstring, then: %tool FUNCTION")
        return
    enabled = workspace.toolbox.enabled()
    width = max(map(len, known))
    for name, tool in known.items():
        first = workspace.toolbox.description(tool).partition("\n")[0]
        text(f"{'on ' if name in enabled else 'off'}  {name:<{width}}  {first}")


def tool(workspace: Workspace, name: str) -> None:
    """What the model is told of one tool. Raises UsageError for an unknown one."""
    known = workspace.toolbox.all()
    if name not in known:
        raise UsageError(f"No tool {name!r}.{nearest(name, known)} %tool lists them.")
    spec = known[name].spec(workspace.namespace)
    text(f"{spec.name}: {spec.description}\n{json.dumps(spec.parameters, indent=2, ensure_ascii=False)}")


def dry_run(run: CellRun) -> None:
    """Exactly what would be sent, and about how much it is."""
    request = run.agent.request((*answered(run.history), run.prompt))
    tokens = sum(prompting.estimate_tokens(message.content) for message in request.messages)
    tokens += sum(len(json.dumps(spec.parameters)) // 4 for spec in request.tools)
    text(f"Dry run: nothing was sent. To {run.agent.model.name}, about {tokens:,} tokens.")
    for message in request.messages:
        text(f"\n── {message.role} " + "─" * (60 - len(message.role)))
        text(_blocks(message))
    if request.tools:
        text("\n── tools " + "─" * 55)
        for spec in request.tools:
            text(f"{spec.name}({', '.join(_parameters(spec.parameters))}): {spec.description.partition(chr(10))[0]}")
    if given := request.options.given():
        text(f"\n── options {'─' * 53}\n{json.dumps(given, default=str)}")
    for cut in run.filled.cuts:
        text(f"cut: {cut}")


def _parameters(schema: object) -> Sequence[str]:
    properties = schema.get("properties", {}) if isinstance(schema, dict) else {}
    return list(properties)


def _blocks(message: Message) -> str:
    out = []
    for block in message.content:
        match block:
            case Text(text=words) | Thinking(text=words):
                out.append(words)
            case ToolCall(name=name, arguments=arguments):
                out.append(f"→ {name}({arguments})")
            case ToolResult(name=name):
                out.append(f"← {name}: {block.text}")
            case Image(url=str(url)):
                out.append(f"[image {url}]")
            case Image() | File():
                out.append(f"[{block.type} {block.media_type}, {len(block.data):,} bytes]")
            case _:
                out.append(f"[{block.type}]")
    return "\n".join(out)
