"""The one stream of events: everything that happens in a run, in order, in AG-UI's words.

Cell output, sidebar, served streams and the stored transcript are all derived from it. A model yields
only `ModelEvent`s; the agent adds the rest and stamps each with the run it belongs to.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

from agentnb import messages
from agentnb.messages import Block, Content, JSONObject, Message

Outcome: TypeAlias = Literal["done", "max_rounds", "length", "paused", "interrupted", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _InRun:
    """The run an event belongs to and that run's parent (a subagent's events nest); empty until stamped."""

    run_id: str = ""
    parent_id: str | None = None


@dataclass(frozen=True, slots=True)
class RunStarted(_InRun):
    """A run begins: the model's name, the name of the agent, if it has one; `call_id` is the call that a run within
    another answers, `depth` how deep it is nested."""

    model: str
    agent: str | None = None
    call_id: str | None = None
    depth: int = 0
    type: Literal["run_started"] = "run_started"


@dataclass(frozen=True, slots=True)
class TextDelta(_InRun):
    """More of the answer."""

    text: str
    type: Literal["text_delta"] = "text_delta"


@dataclass(frozen=True, slots=True)
class ThinkingDelta(_InRun):
    """More of the reasoning; a signature or extra replaces what the block had."""

    text: str
    signature: str | None = None
    extra: JSONObject | None = None
    type: Literal["thinking_delta"] = "thinking_delta"


@dataclass(frozen=True, slots=True)
class ToolCallStart(_InRun):
    """A tool call begins to arrive."""

    call_id: str
    name: str
    extra: JSONObject | None = None
    type: Literal["tool_call_start"] = "tool_call_start"


@dataclass(frozen=True, slots=True)
class ToolCallArgs(_InRun):
    """More of a call's arguments (a fragment of JSON text)."""

    call_id: str
    delta: str
    type: Literal["tool_call_args"] = "tool_call_args"


@dataclass(frozen=True, slots=True)
class ToolCallEnd(_InRun):
    """A call's arguments are complete."""

    call_id: str
    type: Literal["tool_call_end"] = "tool_call_end"


@dataclass(frozen=True, slots=True)
class BlockAdded(_InRun):
    """A whole block of the answer that does not stream: an image, or something opaque."""

    block: Block
    type: Literal["block_added"] = "block_added"


@dataclass(frozen=True, slots=True)
class Usage(_InRun):
    """Tokens of the model call in progress: totals so far, never increments (the last one counts)."""

    usage: messages.Usage
    type: Literal["usage"] = "usage"


@dataclass(frozen=True, slots=True)
class MessageEnd(_InRun):
    """The model's message is complete. A stream without it was cut off."""

    finish: str
    message_id: str | None = None
    model: str | None = None
    type: Literal["message_end"] = "message_end"


@dataclass(frozen=True, slots=True)
class Waiting(_InRun):
    """Nothing is wrong yet: why the run waits, and for how many seconds (a retry, a model that loads)."""

    reason: str
    seconds: float = 0.0
    type: Literal["waiting"] = "waiting"


@dataclass(frozen=True, slots=True)
class MessageAdded(_InRun):
    """A message that did not come from the model's stream entered the transcript: system, prompt."""

    message: Message
    type: Literal["message_added"] = "message_added"


@dataclass(frozen=True, slots=True)
class MessageChanged(_InRun):
    """The last message of the model is this one instead: a hook has changed it."""

    message: Message
    type: Literal["message_changed"] = "message_changed"


@dataclass(frozen=True, slots=True)
class ToolStarted(_InRun):
    """A call's arguments were accepted and the tool now runs."""

    call_id: str
    type: Literal["tool_started"] = "tool_started"


@dataclass(frozen=True, slots=True)
class ToolOutput(_InRun):
    """Something a running tool shows meanwhile: what it printed, what its generator yielded."""

    call_id: str
    content: Content
    type: Literal["tool_output"] = "tool_output"


@dataclass(frozen=True, slots=True)
class ToolProgress(_InRun):
    """How far a running tool is: of `total`, where that is known, in a few words."""

    call_id: str
    done: float
    total: float | None = None
    words: str = ""
    type: Literal["tool_progress"] = "tool_progress"


@dataclass(frozen=True, slots=True)
class ToolResult(_InRun):
    """A call is answered."""

    result: messages.ToolResult
    type: Literal["tool_result"] = "tool_result"


@dataclass(frozen=True, slots=True)
class ApprovalRequested(_InRun):
    """The run pauses until somebody decides about these calls."""

    call_ids: tuple[str, ...]
    type: Literal["approval_requested"] = "approval_requested"


@dataclass(frozen=True, slots=True)
class RunFinished(_InRun):
    """A run ends as it should: an answer, or a limit that was set."""

    outcome: Outcome
    usage: messages.Usage
    type: Literal["run_finished"] = "run_finished"


@dataclass(frozen=True, slots=True)
class RunError(_InRun):
    """A run fails or is interrupted; everything before it is kept."""

    message: str
    kind: str
    outcome: Outcome = "error"
    type: Literal["run_error"] = "run_error"


ModelEvent: TypeAlias = (
    TextDelta | ThinkingDelta | ToolCallStart | ToolCallArgs | ToolCallEnd | BlockAdded | Usage | MessageEnd | Waiting
)
Event: TypeAlias = (
    ModelEvent
    | RunStarted
    | MessageAdded
    | MessageChanged
    | ToolStarted
    | ToolOutput
    | ToolProgress
    | ToolResult
    | ApprovalRequested
    | RunFinished
    | RunError
)
_E = TypeVar("_E", bound=_InRun)


def stamp(event: _E, run_id: str, parent_id: str | None = None) -> _E:
    """The event, marked as belonging to a run (events of a subagent's run keep their own mark)."""
    return event if event.run_id else dataclasses.replace(event, run_id=run_id, parent_id=parent_id)
