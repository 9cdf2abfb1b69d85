"""A code interpreter as tools, for models here and (served over MCP) elsewhere."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Coroutine, MutableMapping, Sequence
from typing import Literal, TypeVar

from agentnb.errors import ToolError, UsageError
from agentnb.messages import Content, JSONObject, Text, ToolSpec
from agentnb.sandbox.base import Sandbox
from agentnb.sandbox.interpreter import HostFolder, Interpreter, run
from agentnb.sandbox.sandboxes import Sandboxes
from agentnb.tools import hints
from agentnb.tools.arguments import Arguments
from agentnb.tools.base import Approval, Tool, ToolContext, ToolReturn, Traits
from agentnb.tools.docstrings import Documentation, parse_docstring

#: The context in which the built-in tool `python` runs, where it runs in the sandbox.
_PYTHON = "python"
_DOWNLOAD = "file_system_download"
#: So many files that a person was asked about are remembered.
_QUESTIONS = 64
T = TypeVar("T")
#: What a verb does: looks, acts within the sandbox, or writes a file outside of it.
_Effect = Literal["looks", "acts", "writes"]
_Verb = Callable[..., Coroutine[object, object, str | ToolReturn]]
_VERBS: dict[str, _Effect] = {
    "health": "looks",
    "run_code": "acts",
    "list_contexts": "looks",
    "create_context": "acts",
    "get_context": "looks",
    "delete_context": "acts",
    "read_file": "looks",
    "write_file": "acts",
    "file_system_list": "looks",
    "file_system_stat": "looks",
    "file_system_mkdir": "acts",
    "file_system_move": "acts",
    "file_system_remove": "acts",
    "file_system_upload": "acts",
    "file_system_download": "writes",
    "process_exec": "acts",
    "process_list": "looks",
    "process_get": "looks",
    "process_kill": "acts",
}


class SandboxTool:
    """One verb as a tool. Where the sandbox is not safe, what acts in it needs a person's word."""

    parallel = False

    def __init__(
        self,
        name: str,
        verb: _Verb,
        effect: _Effect,
        safe: Callable[[], bool],
        sandboxes: Sandboxes | None = None,
    ) -> None:
        self.name = name
        self._sandboxes = sandboxes
        self._verb = verb
        self._effect = effect
        self._safe = safe

    def __repr__(self) -> str:
        return f"<tool {self.name}>"

    @property
    def traits(self) -> Traits:
        """What is known of it now: another sandbox may be in use later."""
        return Traits(f"sandbox-{self._verb.__name__}", "sandbox", self._approval(), self._origin())

    def _origin(self) -> str:
        """Nothing where code is locked up: what is allowed to it there is not allowed where it is not."""
        if self._safe():
            return ""
        return str(self._sandboxes.usual) if self._sandboxes else "unsafe"

    def _approval(self) -> Approval:
        if self._effect == "writes" or (self._effect == "acts" and not self._safe()):
            return "ask"
        return "always"

    def spec(self, namespace: MutableMapping[str, object]) -> ToolSpec:
        """What the model is told."""
        return ToolSpec(self.name, self._documentation.description, self._arguments.schema(namespace))

    def check(self, arguments: JSONObject, context: ToolContext) -> None:
        """Raises ToolError for arguments that do not fit."""
        self._arguments.bind(arguments, context.namespace)

    async def preview(self, arguments: JSONObject, context: ToolContext) -> tuple[Content, ...]:
        """The code or command, as it stands; other arguments in a line each."""
        given = self._arguments.bind(arguments, context.namespace)[1]
        body = str(given.pop("code", given.pop("content", "")))
        lines = [f"{name} = {value}" for name, value in given.items() if value is not None]
        return tuple(Text(text) for text in ("\n".join(lines), body) if text)

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolReturn:
        """Do it. Raises ToolError."""
        given = self._arguments.bind(arguments, context.namespace)[1]
        if self._streams:
            given = {"call": context, **given}
        done = await self._done(functools.partial(self._verb, **given))
        return done if isinstance(done, ToolReturn) else ToolReturn((Text(done),))

    async def _done(self, work: Callable[[], Coroutine[object, object, T]]) -> T:
        try:
            return await (self._sandboxes.do(work) if self._sandboxes else work())
        except UsageError as error:  # there can be no sandbox here
            raise ToolError(str(error)) from error

    @functools.cached_property
    def _streams(self) -> bool:
        return any(each.name == "call" for each in hints.parameters(self._verb, self.name))

    @functools.cached_property
    def _documentation(self) -> Documentation:
        return parse_docstring(self._verb.__doc__)

    @functools.cached_property
    def _arguments(self) -> Arguments:
        found = [each for each in hints.parameters(self._verb, self.name) if each.name != "call"]
        known = [each.replace(annotation=hints.resolve(each, self._verb, {}, tool=self.name)) for each in found]
        return Arguments(self.name, known, self._documentation.parameters)


class DownloadTool(SandboxTool):
    """Copies a file out of the sandbox: a person sees what is in it, and that is what is written."""

    def __init__(
        self, name: str, verbs: Interpreter, safe: Callable[[], bool], sandboxes: Sandboxes | None = None
    ) -> None:
        super().__init__(name, verbs.file_system_download, _VERBS[_DOWNLOAD], safe, sandboxes)
        self._verbs = verbs
        self._seen: dict[str, bytes] = {}

    async def preview(self, arguments: JSONObject, context: ToolContext) -> tuple[Content, ...]:
        """Where to, what, and whether something is replaced."""
        place, data = await self._outgoing(arguments, context)
        self._seen[context.call_id] = hashlib.sha256(data).digest()
        while len(self._seen) > _QUESTIONS:  # those that were refused
            del self._seen[next(iter(self._seen))]
        return self._verbs.described_copy(place, data)

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolReturn:
        """Copy it. Raises ToolError, also for a file that is another than the one that was shown."""
        place, data = await self._outgoing(arguments, context)
        seen = self._seen.pop(context.call_id, None)
        if seen is not None and seen != hashlib.sha256(data).digest():
            raise ToolError(f"the file was changed while the person was asked, so {place!r} was not written. Try again")
        return ToolReturn((Text(self._verbs.copied_out(place, data)),))

    async def _outgoing(self, arguments: JSONObject, context: ToolContext) -> tuple[str, bytes]:
        given = self._arguments.bind(arguments, context.namespace)[1]
        source, target = given["source"], given.get("target")
        return await self._done(lambda: self._verbs.outgoing(str(source), None if target is None else str(target)))


def interpreter_tools(
    source: Callable[[], Sandbox],
    *,
    safe: Callable[[], bool] | None = None,
    folder: HostFolder | None = None,
    prefix: str = "sandbox_",
    sandboxes: Sandboxes | None = None,
) -> list[Tool]:
    """The tools over the sandbox that `source` opens; without a `folder`, nothing is copied in or out.

    Where `sandboxes` are given, whatever loop may call them.
    """
    verbs = Interpreter(source, folder)
    names = [name for name in _VERBS if folder is not None or name.rpartition("_")[2] not in ("upload", "download")]
    judge = safe or (lambda: source().safe)
    return [
        DownloadTool(prefix + name, verbs, judge, sandboxes)
        if name == _DOWNLOAD
        else SandboxTool(prefix + name, getattr(verbs, name), _VERBS[name], judge, sandboxes)
        for name in names
    ]


class SandboxTools:
    """The tools over a workspace's usual sandbox, as a toolset. Nothing is started before a tool is called."""

    name = "sandbox"
    #: A model is offered these where a person has switched them on.
    off_by_default = True

    def __init__(self, sandboxes: Sandboxes, folder: HostFolder | None = None) -> None:
        self._sandboxes = sandboxes
        self._tools = interpreter_tools(
            sandboxes.open, safe=lambda: sandboxes.usual.safe, folder=folder, sandboxes=sandboxes
        )

    def known(self) -> Sequence[Tool]:
        """The tools."""
        return self._tools

    async def ready(self) -> Sequence[Tool]:
        """The same. Raises UsageError where there can be no sandbox."""
        self._sandboxes.open()
        return self._tools

    async def interpret(self, code: str, context: ToolContext) -> ToolReturn:
        """Run Python in a context that stays: what the built-in tool `python` does in the sandbox."""
        return await self._sandboxes.do(lambda: run(self._sandboxes.open(), context, code, name=_PYTHON))
