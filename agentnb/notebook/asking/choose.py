"""Who is asked, at each question: a person by a widget, a person by `input()`, or nobody.

$AGENTNB_ASK says it where it is set: `widget`, `input` or `nobody`. Else: nobody where the request that runs the cell
forbids input (nbclient, nbconvert, papermill, nbval) and where $AGENTNB_DISPLAY is `static`; the widget where the cell
awaits, in a kernel that takes clicks meanwhile, as soon as a front end has drawn it; `input()` everywhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import sys
import uuid
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias, TypeVar, get_args

from agentnb.errors import UsageError, nearest
from agentnb.masking import Mask
from agentnb.notebook.asking import console
from agentnb.notebook.asking.trace import open_question, trace
from agentnb.notebook.asking.widget import AskWidget
from agentnb.notebook.display import default_mode
from agentnb.notebook.publisher import IPythonPublisher, MaskedPublisher, Publisher, Shell
from agentnb.tools.base import Question, Reply, Runner
from agentnb.workspace import Workspace

T = TypeVar("T")

Way: TypeAlias = Literal["widget", "input", "nobody"]
WAYS: tuple[Way, ...] = get_args(Way)

#: Seconds for what led to a question to be shown above it.
_SETTLE = 0.15
#: Seconds in which a front end draws a widget, if it does; and where $AGENTNB_ASK promises that it does.
_DRAWN, _PROMISED = 3.0, 30.0
#: Seconds without a turn on the kernel's thread after which it was busy.
_BUSY = 0.5
#: Seconds for taking a widget away, where the cell that would do it is gone.
_LEAVE = 2.0


class NotebookAsker:
    """Asks the person in front of the notebook, one question after the other.

    Make it on the main thread, in the cell that will show the questions; `awaits` says that this cell leaves the
    kernel's loop free. `waiting` is called on the run's loop with True before a question and with False once it is
    answered: not where the run was stopped instead. Without `console` nobody is asked by `input()`: where the cell is
    over by then, it would come from nowhere.
    """

    def __init__(
        self,
        runner: Runner,
        publisher: Publisher,
        *,
        way: Way,
        mask: Mask,
        promised: bool = False,
        console: bool = True,
    ) -> None:
        self.awaits = False
        self.waiting: Callable[[bool], object] = lambda asked: None  # noqa: ARG005  # a hook that does nothing
        self._runner = runner
        self._publisher = publisher
        self._way = way
        self._mask = mask
        self._promised = promised
        self._console = console
        self._one = asyncio.Lock()

    async def ask(self, question: Question) -> Reply | None:
        """The person's answer; None where nobody can be asked."""
        async with self._one:
            if self._way == "nobody":
                return None
            self.waiting(True)
            await asyncio.sleep(_SETTLE)
            answer = await self._asked(question)
            self.waiting(False)
            return answer

    async def _asked(self, question: Question) -> Reply | None:
        display_id = f"agentnb-ask-{uuid.uuid4().hex[:12]}"
        if self._way == "widget" and self.awaits:
            drawn = _Drawn(question, self._runner, self._publisher, display_id, self._mask)
            if await drawn.ask(_PROMISED if self._promised else _DRAWN):
                return drawn.answer
            if self._promised:
                return None
            self._way = "input" if self._console else "nobody"  # it will not draw the next one either
        if not self._console:
            return None
        return await self._runner.run_sync(lambda: self._by_input(question))

    def _by_input(self, question: Question) -> Reply | None:
        try:
            return console.ask(question, self._terminal())
        except _NoInput:
            return None

    def _terminal(self) -> console.Terminal:
        # `input` and `getpass` as they are while the cell runs: the kernel puts its own in their places.
        return console.Terminal(self._publisher.write, _entered(input), _entered(getpass.getpass), self._mask)


class _NoInput(Exception):
    """The front end takes no input after all."""


class _Drawn:
    """One question by a widget: shown, answered or not, and taken away again, with a trace in its place."""

    def __init__(
        self, question: Question, runner: Runner, publisher: Publisher, display_id: str, mask: Callable[[str], str]
    ) -> None:
        self.answer: Reply | None = None
        self._question = question
        self._runner = runner
        self._publisher = publisher
        self._id = display_id
        self._mask = mask
        self._widget: AskWidget | None = None

    async def ask(self, patience: float) -> bool:
        """Whether it was drawn within so many seconds, and then answered. However it ends, no widget is left."""
        loop = asyncio.get_running_loop()
        drawn, answered = asyncio.Event(), asyncio.Event()

        def take(reply: Reply) -> None:
            self.answer = reply
            answered.set()
            drawn.set()

        def show() -> None:
            self._widget = AskWidget(
                self._question,
                _handed(loop, take),
                on_present=lambda: _safely(loop, drawn.set),
                mask=self._mask,
            )
            self._show(self._widget.bundle, update=False)

        seen = True
        try:
            await self._runner.run_sync(show)
            if not await self._seen(drawn, patience):
                seen = False
                return False
            await answered.wait()
            return True
        finally:
            await self._leave(seen)

    async def _seen(self, drawn: asyncio.Event, patience: float) -> bool:
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(patience):  # `wait_for` loses an interrupt that comes with the answer
                    await drawn.wait()
            except TimeoutError:
                began = loop.time()
                await self._runner.run_sync(lambda: None)
                if drawn.is_set() or loop.time() - began < _BUSY:
                    return drawn.is_set()
                continue  # under a busy kernel no front end is heard
            return True

    async def _leave(self, seen: bool) -> None:
        def leave() -> None:
            if self._widget is not None:
                # The display first: a front end must not be left with a widget that is gone.
                kept = trace(self._question, self.answer) if seen else open_question(self._question, "↓")
                self._show(kept, update=True)
                self._widget.close()

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE):
                await self._runner.run_sync(leave)

    def _show(self, data: dict[str, object], *, update: bool) -> None:
        self._publisher.show(data, {}, display_id=self._id, update=update)


def notebook_asker(shell: Shell, workspace: Workspace, runner: Runner, *, console: bool = True) -> NotebookAsker:
    """An asker for the cell that runs now. Raises UsageError for an AGENTNB_ASK that is not known."""
    way, promised = _way(shell, workspace.environ)
    publisher = MaskedPublisher(IPythonPublisher(shell), workspace.mask)
    return NotebookAsker(runner, publisher, way=way, mask=workspace.mask, promised=promised, console=console)


def anybody(shell: object, environ: Mapping[str, str]) -> bool:
    """Whether a person seems to be there. Raises UsageError for an AGENTNB_ASK that is not known."""
    return _way(shell, environ)[0] != "nobody"


def _way(shell: object, environ: Mapping[str, str]) -> tuple[Way, bool]:
    """How to ask here, and whether it was promised to work."""
    asked = environ.get("AGENTNB_ASK", "").strip().lower()
    for way in WAYS:
        if asked == way:
            return way, True
    if asked:
        raise UsageError(f"AGENTNB_ASK={asked!r} is not known.{nearest(asked, WAYS)} Use widget, input or nobody.")
    if default_mode(environ, shell) == "static":
        return "nobody", False
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return "input" if _at_a_terminal() else "nobody", False
    if not allows_input(kernel):
        return "nobody", False
    return "widget" if _takes_clicks() else "input", False


def _at_a_terminal() -> bool:
    return bool(sys.stdin and sys.stdin.isatty())


def allows_input(kernel: object) -> bool:
    """Whether the request that runs now lets the kernel ask its front end: not where a program runs the notebook."""
    get_parent = getattr(kernel, "get_parent", None)
    parent: object = get_parent("shell") if get_parent else None
    content = parent.get("content") if isinstance(parent, Mapping) else None
    return isinstance(content, Mapping) and content.get("allow_stdin") is True


def _takes_clicks() -> bool:
    """Whether this kernel handles messages of widgets while a cell awaits: before ipykernel 7 only after it."""
    version = getattr(sys.modules.get("ipykernel"), "version_info", (0,))
    return bool(isinstance(version, tuple) and version[0] >= 7)


def _entered(function: Callable[[str], str]) -> console.Ask:
    def ask(prompt: str, /) -> str:
        try:
            return function(prompt)
        except RuntimeError as refused:  # StdinNotImplementedError
            raise _NoInput from refused

    return ask


def _handed(loop: asyncio.AbstractEventLoop, take: Callable[[T], object]) -> Callable[[T], object]:
    return lambda value: _safely(loop, lambda: take(value))


def _safely(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(function)
