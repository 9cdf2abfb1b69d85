"""`%agent inspect`: what would go to the model now, how much each piece of it is, and why it is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from agentnb.conversation import answered
from agentnb.messages import Message
from agentnb.notebook.cell import CellRun
from agentnb.notebook.orders import read
from agentnb.notebook.told import context_lines, row
from agentnb.prompting.plain import plural
from agentnb.render.terminal import one_line
from agentnb.session import Turn
from agentnb.tokens import count_tokens
from agentnb.workspace import Workspace

_PROMPT = 60


def wanted(line: str, body: str | None) -> bool:
    """Whether a `%agent` line is this."""
    return body is None and line.strip() == "inspect"


def inspected(workspace: Workspace, *, extra: Mapping[str, object] | None = None, cell: str | None = None) -> str:
    """What the next cell without options would send, beside its prompt. Sends nothing.

    `extra` may hold the kernel's `In` and `Err`, `cell` is the id of the cell that asks. Raises UsageError for a model
    that cannot be opened, and what a hook refuses the context with.
    """
    run = CellRun(workspace, read("", "…"), cell=cell, extra=extra)
    return run.mask("\n".join(_lines(run, cell)))


def _lines(run: CellRun, cell: str | None) -> Iterator[str]:
    agent, history = run.agent, answered(run.history)
    asked = (*history, *filter(None, [run.prompt]))
    request = agent.request(asked)
    card = agent.cards.find(agent.model.name)
    context = card.context if card else None
    system = request.messages[:1] if agent.system else ()
    told, tools = count_tokens(system), sum(map(count_tokens, request.tools))
    sent = request.messages[len(system) :]
    said = count_tokens(sent[:-1])
    total = told + tools + said
    of = f" of {context:,} that it reads ({total / context:.1%})" if context else "; how much it reads is not known"
    yield f"What {agent.model.name} would be sent with your next prompt: about {total:,} tokens{of}."
    yield from ("", f"System prompt, {_words(told)}")
    if own := system[0].text.removesuffix(run.context.text).strip() if system else "":
        yield row(count_tokens(own), "your own words", "of the cell or the agent")
    yield from context_lines(run.context)
    yield from ("", f"Conversation {run.session.id if run.session else ''}, {_words(said)}")
    for message in run.history:
        if message.role == "system":
            head, _, text = message.text.partition("\n")
            yield row(count_tokens(message), head.strip("# ") or "Summary", one_line(text, _PROMPT))
    before = session.before(cell) if (session := run.session) else []
    yield from _turns(session.turns if session else (), len(before), run.history, {id(each) for each in sent})
    yield from ("", f"Tools, {_words(tools)}")
    yield from (row(count_tokens(spec), spec.name, _first(spec.description)) for spec in request.tools)


def _words(tokens: int) -> str:
    """Tokens as a heading has them."""
    return f"{plural(tokens, 'token')}:" if tokens else "nothing."


def _turns(turns: Sequence[Turn], before: int, history: Sequence[Message], sent: set[int]) -> Iterator[str]:
    """A line for each turn; only the first so many stand `before` the cell that asks."""
    built_on = {id(message) for message in history}
    for at, turn in enumerate(turns):
        ids = {id(message) for message in turn.messages}
        where = f"cell {turn.key[:8]}" if turn.key else "a cell without id"
        if at >= before:
            where += "; not sent: it does not stand before the cell that asks"
        elif not turn.answered:
            where += "; not sent: it got no answer"
        elif not ids & built_on:
            where += "; not sent: the summary stands for it"
        elif not ids <= sent:
            where += "; dropped: there is no room for it, and it is among the oldest"
        prompt = turn.messages[0].text if turn.messages else ""
        yield row(count_tokens(turn.messages), one_line(prompt, _PROMPT) or "…", where)


def _first(text: str) -> str:
    return text.partition("\n")[0]
