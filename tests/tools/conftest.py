"""A call of a tool outside an agent, with what it showed meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from agentnb.messages import Content, Text
from agentnb.tools.base import InlineRunner, Runner, Tool, ToolContext, ToolReturn


class Called:
    """What a call gave and what it showed."""

    def __init__(self, result: ToolReturn, shown: list[Content], namespace: dict[str, object]) -> None:
        self.result = result
        self.shown = shown
        self.namespace = namespace

    @property
    def text(self) -> str:
        """What the model reads."""
        return "\n".join(b.text for b in self.result.content if isinstance(b, Text))

    @property
    def card(self) -> str:
        """The text shown in the card."""
        return "".join(b.text for b in self.shown if isinstance(b, Text))


Call = Callable[..., Awaitable[Called]]


@pytest.fixture
def call() -> Call:
    async def run(
        tool: Tool, namespace: dict[str, object] | None = None, /, *, runner: Runner | None = None, **arguments: object
    ) -> Called:
        shown: list[Content] = []
        variables = {} if namespace is None else namespace
        context = ToolContext(shown.append, variables, runner or InlineRunner())
        with anyio.fail_after(10):
            return Called(await tool.call(arguments, context), shown, variables)  # type: ignore[arg-type]

    return run
