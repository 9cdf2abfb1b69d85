"""What magics print: lists, descriptions, and the exact messages of a dry run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from IPython.display import display

from agentnb import prompting, render
from agentnb.errors import UsageError, nearest
from agentnb.messages import File, Image, Message, Text, Thinking, ToolCall, ToolResult, Usage
from agentnb.models import weights
from agentnb.models.cards import Card, Price
from agentnb.models.providers import Provider
from agentnb.notebook.tables import Table
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


def table(made: Table) -> None:
    """Show a table."""
    display(made)  # type: ignore[no-untyped-call]  # IPython has no types here


def providers(workspace: Workspace) -> None:
    """What can answer: the built-in models, the providers with the variables that hold their keys, and your own."""
    rows = [
        (f"local:{row.id}", "built in", f"{row.size / 1e6:,.0f} MB" if weights.is_here(row) else "fetched when needed")
        for row in weights.KNOWN
    ]
    rows += [(name, f"{what}, made here", "ready") for name, what in workspace.models.names().items()]
    for name, row in workspace.models.providers().items():
        names = ", ".join((row.title or name, *row.aliases))
        rows.append((f"{name}:NAME", names, _key_state(workspace, row)))
    note = "%model list PROVIDER asks a provider for its models; openai:NAME --api-base URL is any compatible server."
    table(Table(("model", "what", "state"), tuple(rows), note))


def _key_state(workspace: Workspace, row: Provider) -> str:
    names = [name for name in (row.key, *row.key_names) if name]
    if any(workspace.environ.get(name, "").strip() for name in names):
        return "key is set"
    if any(entry.provider == row.name and entry.enabled for entry in workspace.credentials.list()):
        return "key is kept"
    return f"set {names[0]}" if names and row.key_required else "no key needed"


def cards(found: Sequence[Card], failure: str = "") -> Table:
    """What a provider has; `failure` says why it was not asked."""
    rows = tuple(
        (
            card.name,
            card.title,
            f"{card.context:,}" if card.context else "",
            ", ".join(sorted(card.inputs)),
            *_prices(card.price),
        )
        for card in found
    )
    dates = {card.read for card in found if card.price and card.read}
    notes = [f"Prices in USD per million tokens, as read on {max(dates)}: a guide, not an offer."] if dates else []
    note = " ".join([*notes, *([f"Known here, not asked for: {failure}"] if failure else [])])
    return Table(("model", "name", "context", "takes", "in", "out"), rows, note)


def _prices(price: Price | None) -> tuple[str, str]:
    return ("", "") if price is None else (f"${price.input:g}", f"${price.output:g}")


def credentials(workspace: Workspace) -> Table:
    """The keys there are, each masked."""
    rows = tuple(
        (entry.name, entry.provider, entry.type, entry.hint, entry.where, "on" if entry.enabled else "off")
        for entry in workspace.credentials.list()
    )
    note = "" if rows else "None yet. Keep one with %credential add NAME, or set the provider's variable."
    return Table(("name", "provider", "type", "key", "kept in", "state"), rows, note)


def spent(workspace: Workspace, by: Literal["cell", "model"]) -> Table:
    """What the runs took, by cell or by model."""
    rows = tuple((row.key, f"{row.runs:,}", *_counts(row.usage)) for row in workspace.ledger.by(by))
    total = workspace.ledger.total()
    budget = workspace.budget
    note = "All runs: " + (", ".join(render.spent(total)) or "nothing yet") + "."
    return Table(
        (by, "runs", "in", "cached", "out", "thinking", "seconds", "first", "USD"),
        rows,
        note + (f" Cap: ${budget.limit:g}." if budget else ""),
    )


def _counts(usage: Usage) -> tuple[str, ...]:
    counts = (usage.input, usage.cached, usage.output, usage.reasoning)
    first = "" if usage.first is None else f"{usage.first:.1f}"
    return (*(f"{count:,}" for count in counts), f"{usage.seconds:.1f}", first, render.money(usage.usd) or "–")


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
