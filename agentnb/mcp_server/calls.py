"""One call that came over the protocol: where its code runs, how it tells of its progress, how it asks a question."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
import traceback
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import TYPE_CHECKING, TypeVar

from agentnb.errors import ToolError
from agentnb.mcp_server.content import failure, to_result
from agentnb.mcp_server.questions import to_form, to_reply
from agentnb.messages import JSONObject
from agentnb.tools.base import Question, Reply, Tool, ToolContext, ToolReturn

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from mcp_types import CallToolRequestParams, CallToolResult, ElicitResult, InputRequiredResult

    Context = ServerRequestContext[dict[str, object]]

T = TypeVar("T")
#: Seconds that a question stays open after it was sent.
_OPEN = 600.0
_KEY = "question"


class ThreadRunner:
    """Plain functions run one after the other in a thread, so that a long one lets the protocol be spoken."""

    def __init__(self) -> None:
        self.in_function = False
        #: Held by a tool that must not run beside others.
        self.alone = asyncio.Lock()
        self._one = asyncio.Lock()

    async def run_sync(self, function: Callable[[], T]) -> T:
        async with self._one:
            return await asyncio.to_thread(function)

    async def run_async(self, function: Callable[[], Coroutine[object, object, T]]) -> T:
        return await function()


class Progress:
    """Tells the caller how far a call is: the latest state only, so that no tool can flood it. Safe from any thread."""

    def __init__(self) -> None:
        self.context: Context | None = None
        self._loop = asyncio.get_running_loop()
        self._latest: tuple[float, float | None, str] | None = None
        self._sending: asyncio.Task[None] | None = None

    def __call__(self, done: float, total: float | None, words: str) -> None:
        self._loop.call_soon_threadsafe(self._tell, (done, total, words))

    def _tell(self, state: tuple[float, float | None, str]) -> None:
        self._latest = state
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        import anyio

        # Whoever called may be gone.
        with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            while self._latest is not None and self.context is not None:
                (done, total, words), self._latest = self._latest, None
                await self.context.session.report_progress(done, total, words or None)

    async def finish(self) -> None:
        """Send what is left."""
        await asyncio.sleep(0)  # what another thread has just handed over
        if self._sending is not None:
            await asyncio.wait([self._sending])


class Call:
    """A call that is under way, perhaps over several requests: newer clients answer a question by asking again."""

    def __init__(self, tool: Tool, arguments: JSONObject, namespace: MutableMapping[str, object], runner: ThreadRunner):
        self.id = secrets.token_urlsafe(24)
        self.name = tool.name
        self.returned: ToolReturn | None = None
        self._progress = Progress()
        self._question: tuple[Question, asyncio.Future[ElicitResult | None]] | None = None
        self._asked = asyncio.Event()
        self._one = asyncio.Lock()
        context = ToolContext(lambda _: None, namespace, runner, self.id, self._progress, asker=self)
        self._task = asyncio.create_task(self._run(tool, arguments, context, runner))

    async def ask(self, question: Question) -> Reply | None:
        """Put a question to whoever called; None where they cannot be asked. One at a time."""
        async with self._one:
            if (context := self._progress.context) is None or not _can_ask(context):
                return None
            if not _asks_again(context):
                return to_reply(question, await _elicited(context, question))
            answer: asyncio.Future[ElicitResult | None] = asyncio.get_running_loop().create_future()
            self._question = question, answer
            self._asked.set()
            try:
                async with asyncio.timeout(_OPEN):
                    return to_reply(question, await answer)
            except TimeoutError:
                return None
            finally:
                self._question = None

    async def go_on(self, context: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
        """The result, or the question that stands in its way. Cancelled with the request."""
        from mcp_types import ElicitRequest, ElicitResult, InputRequiredResult

        self._progress.context = context
        if self._question is not None and not self._question[1].done():
            answer = (params.input_responses or {}).get(_KEY)
            self._question[1].set_result(answer if isinstance(answer, ElicitResult) else None)
        self._asked.clear()
        asked = asyncio.create_task(self._asked.wait())
        try:
            await asyncio.wait([self._task, asked], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self.stop()
            raise
        finally:
            asked.cancel()
        if self._task.done() or self._question is None:
            result = await self._task
            await self._progress.finish()
            return result
        return InputRequiredResult(
            input_requests={_KEY: ElicitRequest(params=to_form(self._question[0]))}, request_state=self.id
        )

    async def stop(self) -> None:
        """Give the call up."""
        self._task.cancel()
        await asyncio.wait([self._task])

    def when_done(self, then: Callable[[], object]) -> None:
        """Call this at its end."""
        self._task.add_done_callback(lambda _: then())

    async def _run(
        self, tool: Tool, arguments: JSONObject, context: ToolContext, runner: ThreadRunner
    ) -> CallToolResult:
        try:
            async with contextlib.nullcontext() if tool.parallel else runner.alone:
                self.returned = await tool.call(arguments, context)
            return to_result(self.returned)
        except ToolError as error:
            return failure(str(error))
        except SystemExit:
            return failure("the tool called sys.exit()")
        except Exception as error:  # a tool's failure is a result that the caller's model reads
            sys.stderr.write("".join(traceback.format_exception(error, limit=-8)))
            return failure(f"{type(error).__name__}: {error}")


def _can_ask(context: Context) -> bool:
    """Whether the caller shows forms; one that says nothing of the kind shows them too."""
    capabilities = context.session.client_capabilities
    offered = capabilities.elicitation if capabilities else None
    return offered is not None and (offered.form is not None or offered.url is None)


def _asks_again(context: Context) -> bool:
    """Whether a question is answered by the caller's asking again, as the protocol has it since 2026."""
    from mcp_types.version import MODERN_PROTOCOL_VERSIONS

    return context.protocol_version in MODERN_PROTOCOL_VERSIONS or not context.session.can_send_request


async def _elicited(context: Context, question: Question) -> ElicitResult | None:
    from mcp.shared.exceptions import MCPError

    form = to_form(question)
    sent: Awaitable[ElicitResult] = context.session.elicit_form(
        form.message, form.requested_schema, related_request_id=context.request_id
    )
    try:
        return await sent
    except MCPError:  # the caller cannot ask after all
        return None
