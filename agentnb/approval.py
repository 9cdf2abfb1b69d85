"""Whether a call may run: by the person's rules, by the tool's own, and by asking where neither says."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, get_args, runtime_checkable

from agentnb.errors import ToolError, UsageError, nearest
from agentnb.messages import JSONObject, Text, ToolCall
from agentnb.models.private_files import locked, write_private
from agentnb.tools.base import Approval, Asker, Choice, Question, Reply, Tool, ToolContext, traits
from agentnb.tools.consent import APPROVE, DENY, previewed
from agentnb.tools.naming import kind

#: What a run does with a call that wants asking: ask, run it, refuse it, or stop the run until somebody decides.
Mode: TypeAlias = Literal["ask", "auto", "never", "pause"]
Scope: TypeAlias = Literal["session", "notebook"]

APPROVALS: tuple[Approval, ...] = get_args(Approval)
MODES: tuple[Mode, ...] = get_args(Mode)

_CHOICES = (
    APPROVE,
    Choice("edit", "Edit arguments", fields=True),
    DENY,
    Choice("session", "Always in this session"),
    Choice("notebook", "Always in this notebook"),
)
#: Characters of a preview that every front end shows whole.
_LONG = 8_000
_WHOLE = "A mark says where some are left out: read them under Edit, or deny it."
_NOBODY = "it needs a person's approval, and nobody can be asked here"


class Policy:
    """The person's rules by what they go by (`Traits.rule`): for as long as this kernel lives, or for the notebook.

    What is remembered of `notebook` is kept in the file that `file` finds. It belongs to the person, not to the
    notebook: a notebook from elsewhere brings no permissions along. Without the two it lasts as long as the kernel.
    """

    def __init__(self, file: Callable[[], Path] | None = None, notebook: str | None = None) -> None:
        self._find_file = file
        self._notebook = notebook
        self._session: dict[str, Approval] = {}
        self._kept: dict[str, dict[str, Approval]] | None = None
        self._as_of: tuple[int, int, int] | None = None
        self._lock = threading.Lock()

    def rule(self, tool_id: str) -> Approval | None:
        """What the person said of a tool; None where nothing."""
        return self._session.get(tool_id) or self._of_notebook().get(tool_id)

    def rules(self) -> Mapping[str, Approval]:
        """All that the person said that holds now."""
        return {**self._of_notebook(), **self._session}

    def remember(self, tool_id: str, approval: Approval, *, scope: Scope = "session") -> None:
        """Let this hold from now on. Raises CredentialError where it cannot be kept."""
        if scope == "session" or self._find_file is None or self._notebook is None:
            self._session[tool_id] = approval
            return
        self._session.pop(tool_id, None)
        self._change(tool_id, approval)

    def forget(self, tool_id: str) -> None:
        """Let the tool's own rule hold again."""
        self._session.pop(tool_id, None)
        if tool_id in self._of_notebook():
            self._change(tool_id, None)

    def _of_notebook(self) -> dict[str, Approval]:
        if self._find_file is None or self._notebook is None:
            return {}
        file = self._find_file()
        with self._lock:
            # Looked at each time: what another kernel takes back must not go on here.
            if self._kept is None or self._as_of != _stamp(file):
                self._as_of = _stamp(file)
                self._kept = _read(file)
            return self._kept.get(self._notebook, {})

    def _change(self, tool_id: str, approval: Approval | None) -> None:
        assert self._find_file is not None
        assert self._notebook is not None
        file = self._find_file()
        with self._lock, locked(file.with_name(f".{file.name}.lock")):
            kept = _read(file)  # another kernel may have written meanwhile
            rules = kept.setdefault(self._notebook, {})
            if approval is None:
                rules.pop(tool_id, None)
            else:
                rules[tool_id] = approval
            write_private(file, {notebook: {**rules} for notebook, rules in kept.items()})
            self._kept = None


def _stamp(file: Path) -> tuple[int, int, int] | None:
    """What is another where a file was written anew; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_mode


def _read(file: Path) -> dict[str, dict[str, Approval]]:
    """What is kept; what cannot be read, or others could have written, gives no permission."""
    try:
        shared = sys.platform != "win32" and bool(file.stat().st_mode & 0o022)
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    known: dict[str, Approval] = {str(each): each for each in APPROVALS if not (shared and each == "always")}
    if not isinstance(found, dict):
        return {}
    return {
        str(notebook): {str(tool): known[rule] for tool, rule in rules.items() if rule in known}
        for notebook, rules in found.items()
        if isinstance(rules, dict)
    }


@runtime_checkable
class Checking(Protocol):
    """A tool that can say of arguments whether they fit, without running."""

    def check(self, arguments: JSONObject, context: ToolContext) -> None:
        """Raises ToolError for arguments that do not fit."""


class Paused(Exception):
    """The call waits for a decision that somebody makes later; the run ends here."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A call that may run: with which arguments, and what the model is told of a change."""

    arguments: JSONObject
    note: str = ""


class Gate:
    """Lets calls through or not. `decided` holds answers that were given before the run, by call id."""

    def __init__(
        self,
        policy: Policy | None = None,
        asker: Asker | None = None,
        mode: Mode = "ask",
        decided: Mapping[str, Reply] | None = None,
    ) -> None:
        self.asker = _Consenting(asker) if mode == "auto" else asker
        self._policy = policy or Policy()
        self._mode = mode
        self._decided = dict(decided or {})
        self._one = asyncio.Lock()

    def wants_asking(self, tool: Tool) -> bool:
        """Whether somebody has to decide about a call of this tool. Raises ToolError where it must not run at all."""
        tool_traits = traits(tool)
        rule = self._policy.rule(tool_traits.rule) or tool_traits.approval
        if rule == "never" or (rule == "ask" and self._mode == "never"):
            raise ToolError(f"{tool.name} is not allowed here. It was not run.")
        return rule == "ask" and self._mode != "auto"

    async def decide(self, call: ToolCall, tool: Tool, arguments: JSONObject, context: ToolContext) -> Passed:
        """What the person decides about a call. Raises ToolError where it must not run, Paused where it must wait."""
        if isinstance(tool, Checking):
            tool.check(arguments, context)
        reply = self._decided.pop(call.id, None)
        if reply is None:
            if self._mode == "pause":
                raise Paused
            return await self._asked(tool, arguments, context)
        return self._read(reply, tool, arguments)

    def settle(self) -> None:
        """Forget what was decided before: it was about calls that are answered now, and a model chooses its ids."""
        self._decided.clear()

    async def _asked(self, tool: Tool, arguments: JSONObject, context: ToolContext) -> Passed:
        # One at a time: what was answered about one call ("always") may settle those that wait behind it.
        async with self._one:
            if not self.wants_asking(tool):
                return Passed(arguments)
            reply = await self.asker.ask(await _question(tool, arguments, context)) if self.asker else None
            if reply is None:
                raise ToolError(
                    f"{tool.name} was not run: {_NOBODY}. "
                    f"To allow it beforehand: %tool approve {tool.name} always, or --approve auto."
                )
            return self._read(reply, tool, arguments)

    def _read(self, reply: Reply, tool: Tool, arguments: JSONObject) -> Passed:
        match reply.choice:
            case "approve":
                return Passed(arguments)
            case "session" | "notebook" as scope:
                self._policy.remember(
                    traits(tool).rule, "always", scope="session" if scope == "session" else "notebook"
                )
                return Passed(arguments)
            case "edit" if reply.values is not None:
                if reply.values == arguments:
                    return Passed(arguments)
                changed = json.dumps(reply.values, ensure_ascii=False)
                return Passed(reply.values, f"(The person changed the arguments to {changed} before this ran.)")
        reason = f" They said: {reply.reason.strip()}" if reply.reason.strip() else ""
        raise ToolError(f"the person did not allow this call of {tool.name}.{reason}")


class _Consenting:
    """Somebody, or nobody, who is asked everything but for approval, which was given beforehand."""

    def __init__(self, asker: Asker | None) -> None:
        self._asker = asker

    async def ask(self, question: Question) -> Reply | None:
        """As the person answers, or would."""
        approves = any(choice.id == APPROVE.id for choice in question.choices)
        if approves:
            return Reply(APPROVE.id)
        return await self._asker.ask(question) if self._asker else None


async def _question(tool: Tool, arguments: JSONObject, context: ToolContext) -> Question:
    """What the person is shown: what the call would do, as well as the tool can say it."""
    body = await previewed(tool, arguments, context)
    length = sum(len(block.text) for block in body if isinstance(block, Text))
    if length > _LONG:  # said first: what is hidden in the middle of much is easily missed
        body = (Text(f"This is long: {length:,} characters. {_WHOLE}"), *body)
    schema = dict(tool.spec(context.namespace).parameters)
    # A server may call its tool `python` too: where that is another's, the person must know.
    whose = f" of {traits(tool).source}" if kind(tool) in ("mcp", "openapi") else ""
    return Question(f"Allow {tool.name}{whose}?", body, schema, arguments, _CHOICES)


def decisions(given: Mapping[str, Reply | str | bool]) -> dict[str, Reply]:
    """Decisions by call id as people write them: True or "approve", False or "deny", or a whole Reply.

    Raises UsageError for a word that is none.
    """
    out: dict[str, Reply] = {}
    ids: Sequence[str] = [choice.id for choice in _CHOICES if choice.id != "edit"]
    for call_id, reply in given.items():
        match reply:
            case Reply():
                out[call_id] = reply
            case bool():
                out[call_id] = Reply("approve" if reply else "deny")
            case str() if reply in ids:
                out[call_id] = Reply(reply)
            case _:
                raise UsageError(f"{reply!r} decides nothing.{nearest(reply, ids)} It is one of {', '.join(ids)}.")
    return out
