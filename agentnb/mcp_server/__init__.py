"""Any list of our tools as an MCP server: over the standard streams for a client that starts us, or in memory."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, MutableMapping, Sequence
from typing import TYPE_CHECKING

from agentnb.errors import MissingExtra, UsageError, nearest
from agentnb.mcp_server.calls import Call, ThreadRunner
from agentnb.tools.base import Tool, traits

if TYPE_CHECKING:
    import mcp_types
    from mcp.server import Server
    from mcp.server.context import ServerRequestContext

    Context = ServerRequestContext[dict[str, object]]

__all__ = ["McpServer", "serve"]


class McpServer:
    """Offers tools to whoever connects; the caller is its own authority, so nobody else is asked for approval.

    Tools whose approval is "never" are not offered. `namespace` holds what tools keep.
    """

    def __init__(
        self,
        name: str,
        tools: Sequence[Tool],
        *,
        namespace: MutableMapping[str, object] | None = None,
        instructions: str | None = None,
    ) -> None:
        self.name = name
        self._tools = {tool.name: tool for tool in tools if traits(tool).approval != "never"}
        self._namespace: MutableMapping[str, object] = {} if namespace is None else namespace
        self._instructions = instructions
        self._calls: dict[str, Call] = {}
        self._runner: ThreadRunner | None = None

    def server(self) -> Server[dict[str, object]]:
        """The server as the official SDK has it. Raises MissingExtra."""
        try:
            from mcp.server import Server
        except ImportError:
            raise MissingExtra("Serving tools over MCP", "mcp") from None
        return Server(
            self.name,
            instructions=self._instructions,
            lifespan=self._life,
            on_list_tools=self._list,
            on_call_tool=self._call,
        )

    @contextlib.asynccontextmanager
    async def _life(self, _: object) -> AsyncIterator[dict[str, object]]:
        try:
            yield {}
        finally:
            for call in list(self._calls.values()):
                await call.stop()

    async def _list(
        self, context: Context, params: mcp_types.PaginatedRequestParams | None
    ) -> mcp_types.ListToolsResult:
        del context, params
        from mcp_types import ListToolsResult, Tool

        listed = []
        for tool in self._tools.values():
            try:
                spec = tool.spec(self._namespace)
            except UsageError as error:
                sys.stderr.write(f"agentnb: {tool.name} is not offered: {error}\n")
                continue
            schema = {"type": "object", **spec.parameters}
            listed.append(Tool(name=spec.name, description=spec.description, input_schema=schema))
        return ListToolsResult(tools=listed)

    async def _call(
        self, context: Context, params: mcp_types.CallToolRequestParams
    ) -> mcp_types.CallToolResult | mcp_types.InputRequiredResult:
        call = self._known(params) if params.request_state is not None else self._started(params)
        result = await call.go_on(context, params)
        if (made := call.returned) is not None and (made.unlocks or made.used_up):
            if made.used_up:
                self._tools.pop(call.name, None)
            self._tools.update({tool.name: tool for tool in made.unlocks})
            call.returned = None
            await context.session.send_tool_list_changed()
        return result

    def _known(self, params: mcp_types.CallToolRequestParams) -> Call:
        from mcp.shared.exceptions import MCPError
        from mcp_types import INVALID_PARAMS

        call = self._calls.get(params.request_state or "")
        if call is None or call.name != params.name:
            raise MCPError(INVALID_PARAMS, "This call waits for no answer any more. Call the tool anew.")
        return call

    def _started(self, params: mcp_types.CallToolRequestParams) -> Call:
        from mcp.shared.exceptions import MCPError
        from mcp_types import INVALID_PARAMS

        tool = self._tools.get(params.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, f"There is no tool {params.name[:80]!r}.{nearest(params.name, self._tools)}")
        self._runner = self._runner or ThreadRunner()
        call = Call(tool, params.arguments or {}, self._namespace, self._runner)
        self._calls[call.id] = call
        call.when_done(lambda: self._calls.pop(call.id, None))
        return call


async def serve(server: McpServer) -> None:
    """Serve over the standard streams until the client goes. What tools print goes to the standard error.

    Raises MissingExtra.
    """
    made = server.server()
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (incoming, outgoing):
        try:
            with contextlib.redirect_stdout(sys.stderr):
                await made.run(incoming, outgoing, made.create_initialization_options())
        finally:
            # While the stream is led aside, or what Python held back would come out where the protocol was spoken.
            if sys.__stdout__ is not None:
                sys.__stdout__.flush()
