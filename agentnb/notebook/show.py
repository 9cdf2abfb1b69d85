"""What magics print: words, tools, and the exact messages of a dry run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from IPython.display import display

from agentnb import render
from agentnb.conversation import answered
from agentnb.messages import (
    Audio,
    Data,
    File,
    Image,
    Message,
    Opaque,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
)
from agentnb.models.estimate import estimate
from agentnb.notebook.tables import Table
from agentnb.notebook.told import context_lines
from agentnb.render import calls
from agentnb.render.terminal import clean, visible

if TYPE_CHECKING:
    from agentnb.notebook.cell import CellRun

_Magic = TypeVar("_Magic", bound=Callable[..., object])


def documented(words: str) -> Callable[[_Magic], _Magic]:
    """Decorate a magic so that `%name?` shows what `%name --help` says."""

    def add(magic: _Magic) -> _Magic:
        magic.__doc__ = f"{magic.__doc__}\n\n{words}"
        return magic

    return add


def text(words: str) -> None:
    """Print."""
    print(words)  # noqa: T201  # what a magic says belongs in its cell


def foreign(words: str, mask: Callable[[str], str]) -> None:
    """Print what has words of somebody else in it: without secrets, and without what would drive a terminal."""
    text(mask(clean(words)))


def text_in_place(words: str) -> None:
    """Print over what the line showed before."""
    print(f"\r\x1b[K{words}", end="", flush=True)  # noqa: T201  # as above


def table(made: Table, mask: Callable[[str], str]) -> None:
    """Show a table, without secrets."""
    display(made.masked(mask))  # type: ignore[no-untyped-call]  # IPython has no types here


def dry_run(run: CellRun) -> None:
    """Exactly what would be sent, and about how much it is and costs."""
    request = run.agent.request((*answered(run.history), *filter(None, [run.prompt])))
    parts = [_head(run, estimate(request)), *map(_message, request.messages)]
    if run.context.parts or run.context.choice.shown:
        parts.insert(1, "\n".join(["Put below the system prompt:", *context_lines(run.context)]))
    if request.tools:
        parts.append(_part("tools", "\n".join(map(_tool_line, request.tools))))
    if request.output:
        schema = json.dumps(request.output.schema, indent=2, ensure_ascii=False)
        parts.append(_part(f"answer as {request.output.name}", schema))
    if given := request.options.given():
        parts.append(_part("options", json.dumps(given, default=str, ensure_ascii=False)))
    # What a variable holds may drive a terminal, and may hide words.
    text(visible(run.mask("\n\n".join([*parts, *(f"cut: {cut}" for cut in run.filled.cuts)]))))


def _head(run: CellRun, tokens: int) -> str:
    card = run.agent.cards.find(run.agent.model.name)
    price = card.cost(Usage(tokens)) if card else None
    least = f", at least {render.money(price)}" if price else ""
    plural = "" if tokens == 1 else "s"
    return f"Dry run: nothing was sent. To {run.agent.model.name}, about {tokens:,} token{plural}{least}."


def _part(name: str, words: str) -> str:
    return f"── {name} {'─' * (60 - len(name))}\n{words}"


def _message(message: Message) -> str:
    return _part(message.role, _blocks(message))


def _tool_line(spec: ToolSpec) -> str:
    return f"{spec.name}({', '.join(_parameters(spec.parameters))}): {spec.description.partition(chr(10))[0]}"


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
                out.append(f"← {name}: " + "\n".join(map(calls.named, block.content)))
            case Image() | Audio() | File() | Data():
                out.append(calls.named(block))
            case Opaque(provider=provider):
                out.append(f"[what only {provider} reads]")
    return "\n".join(out)
