"""The interface every tool has: what the model is told of it, the call, and what a call may use."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

from agentnb.messages import Content, JSONObject, Message, ToolSpec
from agentnb.transcript import Transcript

T = TypeVar("T")

#: Whether a call needs a person's word: it runs, it is shown to the person first, it does not run.
Approval: TypeAlias = Literal["always", "ask", "never"]


class Runner(Protocol):
    """Where a notebook's functions run."""

    def run_sync(self, function: Callable[[], T]) -> Awaitable[T]:
        """Run a plain function where notebook code runs: on the kernel's main thread."""

    def run_async(self, function: Callable[[], Coroutine[object, object, T]]) -> Awaitable[T]:
        """Run a coroutine function on the kernel's own loop, so that objects bound to that loop work."""

    @property
    def in_function(self) -> bool:
        """Whether a plain function runs now: then only an exception, not a cancelled task, can stop it."""


class InlineRunner:
    """Outside a kernel: both kinds run right here, on the loop that runs the agent."""

    def __init__(self) -> None:
        self.in_function = False

    async def run_sync(self, function: Callable[[], T]) -> T:
        self.in_function = True
        try:
            return function()
        except KeyboardInterrupt:
            # Let through, it would tear down the loop; the run is being cancelled anyway.
            raise asyncio.CancelledError from None
        finally:
            self.in_function = False

    async def run_async(self, function: Callable[[], Coroutine[object, object, T]]) -> T:
        return await function()


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer that a question offers; `reason` lets the person add words, `fields` sends what was filled in."""

    id: str
    label: str
    style: Literal["primary", "plain", "danger"] = "plain"
    reason: bool = False
    fields: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked during a run: a title in one line, what there is to see, a form, and the answers.

    `fields` is the JSON Schema of an object to be filled in (None: no form), `values` what the form begins with.
    A body's Text that is a unified diff (it begins with `--- `) is shown as one.
    """

    title: str
    body: tuple[Content, ...] = ()
    fields: JSONObject | None = None
    values: JSONObject | None = None
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What the person answered: the id of a choice, the form's values, words of their own."""

    choice: str
    values: JSONObject | None = None
    reason: str = ""


class Asker(Protocol):
    """Somebody who can be asked: a person in front of the notebook."""

    async def ask(self, question: Question) -> Reply | None:
        """The person's answer; None where nobody is there to give one. Questions are asked one after the other."""


@dataclass(frozen=True, slots=True)
class Subtask:
    """A run within a run: what to do, with which of the scope's tools, on which model, knowing which variables.

    `model` None is the parent's; `variables` None shows all of the parent's namespace, else only those named.
    """

    task: Message
    tools: tuple[Tool, ...] = ()
    model: str | None = None
    system: str | None = None
    variables: tuple[str, ...] | None = None
    label: str | None = None


class Spawner(Protocol):
    """Starts runs within a run; their events nest in the stream of the run that is going on."""

    @property
    def scope(self) -> Mapping[str, Tool]:
        """The tools that a run within this one may be given."""

    @property
    def depth(self) -> int:
        """How deep this run is nested: 0 for the one a person started."""

    @property
    def models(self) -> Sequence[str]:
        """Names that `Subtask.model` may be, the parent's first, as far as they can be listed."""

    async def run(self, subtask: Subtask) -> Transcript:
        """Run it to its end. Raises AgentnbError where it fails."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a call may use: where to show output meanwhile, the notebook's variables, where code runs.

    `emit` and `progress` may be called from any thread; progress is (done, total or None, a few words).
    `namespace` is the user's own dictionary of variables. `asker` is None where nobody can be asked, `spawner` where
    no run can be started.
    """

    emit: Callable[[Content], None]
    namespace: MutableMapping[str, object]
    runner: Runner
    call_id: str = ""
    progress: Callable[[float, float | None, str], None] = lambda *_: None
    asker: Asker | None = None
    spawner: Spawner | None = None


@dataclass(frozen=True, slots=True)
class ToolReturn:
    """What a call gives: blocks for the model and the card; `handle` names the variable that holds the object.

    `unlocks` are tools that the run has from now on (one of the same name is replaced). `used_up` takes the tool
    itself away, and its round is not counted: so a skill opens itself to the model.
    """

    content: tuple[Content, ...] = ()
    is_error: bool = False
    handle: str | None = None
    unlocks: tuple[Tool, ...] = ()
    used_up: bool = False


@dataclass(frozen=True, slots=True)
class Traits:
    """What is known of a tool beside its spec.

    `id` is unique in a workspace (`function-mean_mass`, `mcp-time-get_current_time`, `skill-pdf`); `source` groups
    tools in lists (an MCP server, an OpenAPI document). `approval` is what holds where the person has said nothing.
    `origin` is what stands behind the source: the command of a server, an address; no rule for one holds for another.
    """

    id: str = ""
    source: str = ""
    approval: Approval = "always"
    origin: str = ""

    @property
    def rule(self) -> str:
        """What a person's rules go by: the id, the source where that has a dash, and a digest of the origin.

        Else a server `time` with a tool `zone-set` would have what was allowed to `set` of the server `time-zone`, and
        another program under the same name what was allowed to the first.
        """
        own = self.id.startswith((f"mcp-{self.source}-", f"openapi-{self.source}-"))
        known = f"({self.source}) {self.id}" if own and "-" in self.source else self.id
        return f"{known} @{hashlib.sha256(self.origin.encode()).hexdigest()[:12]}" if self.origin else known


class Tool(Protocol):
    """Anything a model may call. It may have `traits: Traits` as well, and be a `Previewing`."""

    @property
    def name(self) -> str:
        """The name the model calls it by: [A-Za-z0-9_-]{1,64}."""

    @property
    def parallel(self) -> bool:
        """Whether it may run at the same time as the other calls of its round."""

    def spec(self, namespace: MutableMapping[str, object]) -> ToolSpec:
        """What the model is told; parameters that name notebook variables list those of `namespace` that fit."""

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolReturn:
        """Run it. Raises ToolError (or anything else) on failure: the loop makes that a result the model reads."""


@runtime_checkable
class Previewing(Protocol):
    """A tool that can show what a call would do, before the person allows it."""

    async def preview(self, arguments: JSONObject, context: ToolContext) -> tuple[Content, ...]:
        """A diff, the code, the request. Changes nothing. Raises ToolError for a call that cannot work."""


@runtime_checkable
class Scoping(Protocol):
    """A tool that hands other tools on."""

    def over(self, scope: Mapping[str, Tool]) -> Tool:
        """The same, told of the tools that there are."""


@runtime_checkable
class Reopening(Protocol):
    """A tool whose calls unlock others: they are there again where a run goes on after a pause."""

    async def reopen(self) -> ToolReturn:
        """What a call that was made before the pause unlocks. Raises ToolError where it cannot any more."""


class Toolset(Protocol):
    """Tools that come and go together: those of an MCP server, of an OpenAPI document, skills.

    It may have `off_by_default`, where nothing of it is offered unasked, and `live`, where what it has may change at
    any time and asking costs nothing.
    """

    @property
    def name(self) -> str:
        """What a person calls it by."""

    def known(self) -> Sequence[Tool]:
        """The tools that are known now, without starting anything."""

    async def ready(self) -> Sequence[Tool]:
        """The same after what must be started has been started. Raises AgentnbError."""


def traits(tool: Tool) -> Traits:
    """A tool's traits; those of a plain function where it has none."""
    found = getattr(tool, "traits", None)
    return found if isinstance(found, Traits) and found.id else Traits(f"function-{tool.name}", *_rest(found))


def _rest(found: object) -> tuple[str, Approval] | tuple[()]:
    return (found.source, found.approval) if isinstance(found, Traits) else ()
