"""Events to messages: the only interpreter of the stream, pure and shared by every view of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from agentnb import events, messages
from agentnb.messages import Block, Content, JSONObject, Message, Text, Thinking, ToolCall, Usage

ToolStatus: TypeAlias = Literal["arriving", "pending", "asked", "running", "done", "error"]


@dataclass(frozen=True, slots=True)
class ToolRun:
    """How far a call is: its arguments arrive, it waits for its turn, a person is asked about it, it runs, it is
    answered. `progress` is (done, total or None, a few words); `runs` are the runs that it started.
    """

    call_id: str
    status: ToolStatus = "arriving"
    output: tuple[Content, ...] = ()
    result: messages.ToolResult | None = None
    progress: tuple[float, float | None, str] | None = None
    runs: tuple[Transcript, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcript:
    """A run so far. The last message may be unfinished (`finish` is None); `outcome` is None while the run goes on.

    `usage` counts the runs within it as well; `depth` is how deep it is nested itself.
    """

    run_id: str = ""
    parent_id: str | None = None
    model: str = ""
    agent: str | None = None
    messages: tuple[Message, ...] = ()
    tools: dict[str, ToolRun] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    outcome: events.Outcome | None = None
    error: str | None = None
    waiting: str | None = None
    depth: int = 0

    @property
    def text(self) -> str:
        """The text of the last assistant message: the answer."""
        return next((m.text for m in reversed(self.messages) if m.role == "assistant"), "")

    @property
    def within(self) -> tuple[Transcript, ...]:
        """The runs that its calls started, in their order."""
        return tuple(run for called in self.tools.values() for run in called.runs)

    @property
    def rounds(self) -> int:
        """How many times the model was asked."""
        return sum(m.role == "assistant" for m in self.messages)


class _Pieces:
    """A text or thinking block that grows; its pieces are joined only when somebody looks."""

    __slots__ = ("extra", "pieces", "signature", "thinking")

    def __init__(self, piece: str, *, thinking: bool) -> None:
        self.pieces = [piece]
        self.thinking = thinking
        self.signature: str | None = None
        self.extra: JSONObject | None = None

    def block(self) -> Block:
        text = "".join(self.pieces)
        return Thinking(text, self.signature, self.extra) if self.thinking else Text(text)


class _Open:
    """The assistant message that is arriving."""

    __slots__ = ("args", "blocks")

    def __init__(self) -> None:
        self.blocks: list[Block | _Pieces] = []
        self.args: dict[str, list[str]] = {}

    def grow(self, piece: str, *, thinking: bool) -> _Pieces:
        last = self.blocks[-1] if self.blocks else None
        # A signature ends its block: what follows is another thought.
        if isinstance(last, _Pieces) and last.thinking == thinking and last.signature is None:
            last.pieces.append(piece)
            return last
        self.blocks.append(new := _Pieces(piece, thinking=thinking))
        return new

    def think(self, event: events.ThinkingDelta) -> None:
        block = self.grow(event.text, thinking=True)
        block.signature = event.signature or block.signature
        block.extra = event.extra or block.extra

    def call(self, event: events.ToolCallStart) -> None:
        self.args[event.call_id] = []
        self.blocks.append(ToolCall(event.call_id, event.name, "", event.extra))

    def _block(self, block: Block | _Pieces) -> Block:
        match block:
            case _Pieces():
                return block.block()
            case ToolCall(id=call_id) if call_id in self.args:
                return replace(block, arguments="".join(self.args[call_id]))
            case _:
                return block

    def message(self, end: events.MessageEnd | None = None, finish: str | None = None) -> Message:
        content = tuple(map(self._block, self.blocks))
        if end is None:
            return Message("assistant", content, finish=finish)
        return Message("assistant", content, end.message_id, end.model, end.finish)


class Folder:
    """An incremental fold: feed it events, ask for the transcript at any time."""

    def __init__(self) -> None:
        self._head = Transcript()
        #: The messages that will not grow any more; a hook may still replace the last one (MessageChanged).
        self.settled: list[Message] = []
        self._open: _Open | None = None
        self._results: list[messages.ToolResult] = []
        self._tools: dict[str, ToolRun] = {}
        self._outputs: dict[str, list[Content]] = {}
        self._usage = Usage()
        self._turn_usage = Usage()
        #: The runs within this one: the call that each answers, and who folds which run's events.
        self.within: list[tuple[str | None, Folder]] = []
        self._folds: dict[str, Folder] = {}

    def feed(self, event: events.Event) -> None:
        """Take one event in."""
        if event.run_id != self._head.run_id and self._feed_within(event):
            return
        match event:
            case events.TextDelta(text=text):
                self._opened().grow(text, thinking=False)
            case events.ThinkingDelta():
                self._opened().think(event)
            case events.ToolCallStart():
                self._opened().call(event)
                self._tools[event.call_id] = ToolRun(event.call_id)
            case events.ToolCallArgs():
                self._opened().args[event.call_id].append(event.delta)
            case events.BlockAdded(block=block):
                self._opened().blocks.append(block)
            case events.Usage(usage=usage):
                self._turn_usage = usage
            case _:
                self._feed_boundary(event)

    def _feed_within(self, event: events.Event) -> bool:
        """Hand an event of a run within this one to whoever folds that. False for one of this run's own."""
        fold = self._folds.get(event.run_id)
        if fold is None and isinstance(event, events.RunStarted) and event.parent_id:
            fold = self._folds.get(event.parent_id)
            if fold is None and event.parent_id == self._head.run_id:
                fold = Folder()
                self.within.append((event.call_id, fold))
            if fold is not None:
                self._folds[event.run_id] = fold
        if fold is not None:
            fold.feed(event)
        return fold is not None

    def _feed_boundary(self, event: events.Event) -> None:
        match event:
            case events.MessageEnd():
                self.settled.append(self._opened().message(event))
                self._close_turn()
            case events.MessageAdded(message=message):
                self._add(message)
            case events.MessageChanged(message=message):
                self.settled[-1:] = [message]
            case events.RunStarted():
                self._begin(event)
            case events.RunFinished(outcome=outcome):
                self._finish(outcome, None)
            case events.RunError(outcome=outcome, message=message):
                self._finish(outcome, message)
            case events.Waiting(reason=reason):
                self._head = replace(self._head, waiting=reason)
            case _:
                self._feed_tool(event)

    def _begin(self, event: events.RunStarted) -> None:
        self._head = replace(
            self._head,
            run_id=event.run_id,
            parent_id=event.parent_id,
            model=event.model,
            agent=event.agent,
            depth=event.depth,
        )

    def _add(self, message: Message) -> None:
        self._flush_results()
        self.settled.append(message)
        for call in message.calls:  # of a run that goes on where it was left
            self._update(call.id, status="pending")

    def _feed_tool(self, event: events.Event) -> None:
        match event:
            case events.ToolCallEnd(call_id=call_id):
                self._update(call_id, status="pending")
            case events.ApprovalRequested(call_ids=call_ids):
                for call_id in call_ids:
                    self._update(call_id, status="asked")
            case events.ToolProgress():
                self._update(event.call_id, progress=(event.done, event.total, event.words))
            case events.ToolStarted(call_id=call_id):
                self._update(call_id, status="running")
            case events.ToolOutput(call_id=call_id, content=content):
                self._outputs.setdefault(call_id, []).append(content)
            case events.ToolResult(result=result):
                self._results.append(result)
                self._update(result.call_id, status="error" if result.is_error else "done", result=result)

    def _update(self, call_id: str, **changes: object) -> None:
        self._tools[call_id] = replace(self._tools.get(call_id, ToolRun(call_id)), **changes)  # type: ignore[arg-type]  # the fields of ToolRun, above

    def _opened(self) -> _Open:
        if self._open is None:
            self._flush_results()
            self._open = _Open()
            if self._head.waiting:
                self._head = replace(self._head, waiting=None)
        return self._open

    def _close_turn(self) -> None:
        self._open = None
        self._usage, self._turn_usage = self._usage + self._turn_usage, Usage()

    def _flush_results(self) -> None:
        if self._results:
            self.settled.append(self._answers())
            self._results = []

    def _answers(self) -> Message:
        # Calls that run at once end in any order; the transcript keeps the order in which they were asked.
        asked = [call.id for call in self.settled[-1].calls] if self.settled else []
        order = {call_id: at for at, call_id in enumerate(asked)}
        ranked = sorted(self._results, key=lambda result: order.get(result.call_id, len(order)))
        return Message("tool", tuple[Block, ...](ranked))

    def _finish(self, outcome: events.Outcome, error: str | None) -> None:
        if self._open is not None:
            self.settled.append(self._open.message(finish=outcome))
            self._close_turn()
        self._flush_results()
        self._head = replace(self._head, outcome=outcome, error=error, waiting=None)

    @property
    def head(self) -> Transcript:
        """The run without what was said in it."""
        return self._head

    @property
    def growing(self) -> Message | None:
        """The message that is still growing: an answer that arrives, or results of which some are not there yet."""
        if self._open is not None:
            return self._open.message()
        return self._answers() if self._results else None

    def transcript(self) -> Transcript:
        """The run so far; what it shares with the next call is never changed in place."""
        so_far = list(self.settled)
        if self._results:
            so_far.append(self._answers())
        if self._open is not None:
            so_far.append(self._open.message())
        tools = dict(self._tools)
        for call_id, output in self._outputs.items():
            tools[call_id] = replace(tools.get(call_id, ToolRun(call_id)), output=tuple(output))
        usage = self._usage + self._turn_usage
        for started_by, fold in self.within:
            within, call_id = fold.transcript(), started_by or ""
            known = tools.get(call_id, ToolRun(call_id))
            tools[call_id] = replace(known, runs=(*known.runs, within))
            usage += within.usage
        return replace(self._head, messages=tuple(so_far), tools=tools, usage=usage)


def fold(stream: Iterable[events.Event]) -> Transcript:
    """The transcript of a whole stream."""
    folder = Folder()
    for event in stream:
        folder.feed(event)
    return folder.transcript()
