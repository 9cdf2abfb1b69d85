"""What a model is asked: system prompt, conversation, tools, as much of it as the model's context holds."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterable, MutableMapping, Sequence
from typing import Protocol

from agentnb import messages
from agentnb.errors import UsageError
from agentnb.messages import Message, ToolSpec
from agentnb.models.base import Model, Request
from agentnb.models.cards import Cards
from agentnb.models.options import Options
from agentnb.models.truncation import fit
from agentnb.models.wire import WireCache
from agentnb.output import Output
from agentnb.tokens import count_tokens
from agentnb.tools.base import Tool, traits

#: Where the list of tools stands in a system prompt.
TOOLS = "{{TOOLS}}"
#: The same as words: in doubled braces, as in any prompt.
_WORDS = "{{" + TOOLS + "}}"
_EITHER = re.compile(f"{re.escape(_WORDS)}|{re.escape(TOOLS)}")


class Asks(Protocol):
    """What of a run's outfit a request is made of."""

    model: Model
    system: str | None
    options: Options
    output: Output | None
    cards: Cards
    namespace: MutableMapping[str, object]


class Requests:
    """Makes requests of one conversation after the other; what it counted once it does not count again."""

    def __init__(self) -> None:
        self._system: Message | None = None
        self._counts: WireCache[int] = WireCache()

    def make(
        self,
        asks: Asks,
        tools: Iterable[Tool],
        handed_on: Iterable[Tool],
        so_far: Sequence[Message],
        question: Message | None = None,
    ) -> Request:
        """What the model is asked after `so_far`; where that is too long, without its oldest turns.

        What was said since `question` (by default the last of the user's) is never left out: where it alone is too
        long, it is sent, because the provider counts better than we do. `handed_on` are the tools that `{{TOOLS}}` in
        the system prompt lists.
        """
        specs = tuple(tool.spec(asks.namespace) for tool in tools)
        told = list(itertools.takewhile(lambda message: message.role == "system", so_far))
        so_far = so_far[len(told) :]
        head = (self._told(asks, handed_on, told),) if asks.system or told else ()
        card = asks.cards.find(asks.model.name)
        output = asks.output.spec if asks.output else None
        asked = Request((*head, *so_far), specs, options=asks.options, output=output)
        if card is None or card.context is None:
            return asked
        room = asks.options.max_tokens
        with contextlib.suppress(UsageError):
            return fit(asked, card.context, output=room, count=self._count, question=question)
        return asked

    def _told(self, asks: Asks, tools: Iterable[Tool], more: Sequence[Message]) -> Message:
        """One system message, with those that begin the conversation: many models take no second one."""
        system = asks.system or ""
        if TOOLS in system:
            listed = table(tools, asks.namespace)
            system = _EITHER.sub(lambda found: listed if found[0] == TOOLS else TOOLS, system)
        system = "\n\n".join(filter(None, [system, *(message.text for message in more)]))
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


def as_words(text: str) -> str:
    """A text for a system prompt in which `{{TOOLS}}` is words: what values say must put nothing in."""
    return text.replace(TOOLS, _WORDS)


def table(tools: Iterable[Tool], namespace: MutableMapping[str, object]) -> str:
    """Tools as a Markdown table: one row a tool; those of an MCP server share one, which its name describes."""
    rows: dict[str, tuple[list[str], str]] = {}
    for tool in tools:
        known = traits(tool)
        server = known.source if known.id.startswith("mcp-") else ""
        about = server or " ".join(tool.spec(namespace).description.split())
        rows.setdefault(server or f"\0{tool.name}", ([], about))[0].append(tool.name)
    lines = [f"| {', '.join(names)} | {about.replace('|', chr(92) + '|')} |" for names, about in rows.values()]
    return "\n".join(["| Tool(s) | Description |", "|---|---|", *lines])
