"""A tool of an MCP server, as a tool of ours."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, MutableMapping

from agentnb.errors import ToolError
from agentnb.messages import JSONObject, ToolSpec
from agentnb.tools.base import ToolContext, ToolReturn, Traits

_LONGEST = 64


def model_name(name: str) -> str:
    """A name that a model may call: [A-Za-z0-9_-]{1,64}; one that is too long keeps its beginning."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name) or "tool"
    if len(plain) <= _LONGEST:
        return plain
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{plain[: _LONGEST - 9]}_{digest}"


class McpTool:
    """One tool of a server; `remote` is its own name there. Calls may overlap."""

    parallel = True

    def __init__(
        self,
        name: str,
        remote: str,
        description: str,
        schema: JSONObject,
        traits: Traits,
        call: Callable[[str, JSONObject, ToolContext], Awaitable[ToolReturn]],
    ) -> None:
        self.name = name
        self.remote = remote
        self.description = description
        self.traits = traits
        self._schema = schema
        self._call = call

    def __repr__(self) -> str:
        return f"<MCP tool {self.name} of {self.traits.source}>"

    def spec(self, namespace: MutableMapping[str, object]) -> ToolSpec:
        """What the server says of it; the notebook's variables play no part."""
        del namespace
        return ToolSpec(self.name, self.description, self._schema)

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolReturn:
        """Have the server run it. Raises ToolError that names the server."""
        if not isinstance(arguments, dict):
            raise ToolError(f"the arguments of {self.name!r} are not a JSON object. It was not called.")
        return await self._call(self.remote, arguments, context)
