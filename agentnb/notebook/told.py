"""Lines that tell a person what a model is told unasked: how much of it, and why."""

from __future__ import annotations

from collections.abc import Iterator

from agentnb.context.instructions import Context
from agentnb.render.terminal import one_line


def row(tokens: int, name: str, why: str) -> str:
    """One line of the list."""
    return f"  {tokens:>7,}  {one_line(name, 40)}  ({one_line(why, 200)})" if why else f"  {tokens:>7,}  {name}"


def context_lines(context: Context) -> Iterator[str]:
    """The parts of a context with their tokens, why each is there, and what was cut or left out."""
    yield f"  context {context.choice.mode}: {context.choice.why}" + _room(context)
    for part in context.parts:
        yield row(part.tokens, part.title, "; ".join(filter(None, [part.why, part.cut and f"cut: {part.cut}"])))
    yield from (f"        –  left out: {one_line(what, 200)}" for what in context.left_out)


def _room(context: Context) -> str:
    return f"; {context.tokens:,} of at most {context.budget:,} tokens" if context.parts else ""
