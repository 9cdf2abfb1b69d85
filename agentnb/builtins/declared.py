"""What the built-in tools share: each is told to a model, and its arguments are checked, by the hints of its `run`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, MutableMapping
from typing import ClassVar

from agentnb.messages import JSONObject, ToolSpec
from agentnb.tools import hints
from agentnb.tools.arguments import Arguments
from agentnb.tools.base import Approval, ToolContext, ToolReturn, Traits
from agentnb.tools.docstrings import Documentation, parse_docstring

#: The source of the built-in tools, in lists and in `-t built-in`.
SOURCE = "built-in"


class BuiltIn:
    """A tool of ours. A subclass has `run(context, …)`: its docstring and hints are what the model is told."""

    name: ClassVar[str]
    approval: ClassVar[Approval] = "ask"
    parallel: bool = False
    run: Callable[..., Coroutine[object, object, ToolReturn]]

    def __repr__(self) -> str:
        return f"<built-in tool {self.name}>"

    @property
    def traits(self) -> Traits:
        """Its id, its source, and whether it asks before it runs."""
        return Traits(f"builtin-{self.name}", SOURCE, self.approval)

    def spec(self, namespace: MutableMapping[str, object]) -> ToolSpec:
        """What the model is told."""
        return ToolSpec(self.name, self._documentation.description, self._arguments.schema(namespace))

    def checked(self, arguments: JSONObject, context: ToolContext) -> dict[str, object]:
        """The arguments, checked and converted. Raises ToolError that names every problem."""
        return self._arguments.bind(arguments, context.namespace)[1]

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolReturn:
        """Check the arguments and run. Raises ToolError."""
        return await self.run(context, **self.checked(arguments, context))

    @functools.cached_property
    def _documentation(self) -> Documentation:
        return parse_docstring(inspect.getdoc(self.run))

    @functools.cached_property
    def _arguments(self) -> Arguments:
        parameters = hints.parameters(self.run, self.name)[1:]
        resolved = [p.replace(annotation=hints.resolve(p, self.run, {}, tool=self.name)) for p in parameters]
        return Arguments(self.name, resolved, self._documentation.parameters)
