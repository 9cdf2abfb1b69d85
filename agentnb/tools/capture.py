"""A tool's prints belong to its card, so the standard streams are routed while a tool runs.

The router that stands in for `sys.stdout` and `sys.stderr` meanwhile asks a context variable whose
print it is, so calls in threads, in tasks and on the main thread do not mix, and everything else
passes through to the real stream. What is shown stays a few kB however much is printed, because it
is saved with the notebook.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, TextIO

from agentnb.messages import Content, Text

#: Characters shown from the beginning and from the end of a long output.
HEAD, TAIL = 8_000, 2_000
#: Pieces shown at once; later ones wait until `_PIECE` characters or `_PAUSE` seconds have come together.
_PROMPT_PIECES, _PIECE, _PAUSE = 20, 1_000, 0.1

#: Whose print it is. A context variable follows a call into its task and into `asyncio.to_thread`.
_OUTPUT: ContextVar[Output | None] = ContextVar("agentnb_tool_output", default=None)

_OVERWRITTEN = re.compile(r"[^\n]*\r(?=[^\r\n])")


class Output:
    """What one call shows: prints and yielded values, in few pieces and with a bound."""

    def __init__(self, emit: Callable[[Content], None]) -> None:
        self._emit = emit
        self._lock = threading.RLock()
        self._pending = ""
        self._shown: list[str] = []
        self._room = HEAD
        self._tail = ""
        self._beyond = 0
        self._last = 0.0
        self.finished = False

    def write(self, text: str, *, flush: bool = False) -> None:
        """Take printed text; complete lines are shown soon, the rest with them."""
        with self._lock:
            if self._room:
                taken = text[: self._room]
                self._room -= len(taken)
                self._pending += taken
                text = text[len(taken) :]
                flush = flush or "\n" in taken
            if text:
                self._beyond += len(text)
                self._tail = (self._tail + text[-TAIL:])[-TAIL:]
            if self._pending and self._due(flush):
                self._flush()

    def show(self, block: Content) -> None:
        """Show a yielded block: text as if printed and flushed, anything else as it is."""
        if isinstance(block, Text):
            self.write(block.text, flush=True)
            return
        with self._lock:
            self._flush()
            self._hand_over(block)

    def finish(self) -> None:
        """Show what is left, with a mark for what was left out. Later prints pass to the real stream."""
        with self._lock:
            if not self.finished:
                self.finished = True
                self._pending += self._ending()
                self._flush()

    @property
    def text(self) -> str:
        """All that is shown of the text, as the model may read it."""
        with self._lock:
            pending = "" if self.finished else self._pending + self._ending()
            return "".join([*self._shown, _tidy(pending)])

    def _ending(self) -> str:
        left_out = self._beyond - len(self._tail)
        return f"\n{left_out_mark(left_out)}\n{self._tail}" if left_out else self._tail

    def _due(self, flush: bool) -> bool:
        if len(self._pending) >= _PIECE:
            return True
        return flush and (len(self._shown) < _PROMPT_PIECES or time.monotonic() - self._last >= _PAUSE)

    def _flush(self) -> None:
        piece, self._pending = _tidy(self._pending), ""
        if piece:
            self._last = time.monotonic()
            self._shown.append(piece)
            self._hand_over(Text(piece))

    def _hand_over(self, block: Content) -> None:
        # Whoever shows the block may print, and that is not the tool's output.
        token = _OUTPUT.set(None)
        try:
            self._emit(block)
        finally:
            _OUTPUT.reset(token)


def left_out_mark(characters: int) -> str:
    """The visible mark of a cut, e.g. `… 9.9 MB left out …` (one character counts as one byte)."""
    for size, unit in ((1_000_000, "MB"), (1_000, "kB")):
        if characters >= size:
            return f"… {characters / size:.1f} {unit} left out …"
    return f"… {characters} characters left out …"


def printable(text: str) -> str:
    """`text` without lone surrogates, which no JSON writer takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _tidy(text: str) -> str:
    # A progress bar rewrites its line; only its last state is worth keeping.
    return _OVERWRITTEN.sub("", printable(text)) if "\r" in text else printable(text)


#: Guards the swap of the process-wide streams; the count of users lives on the router itself.
_SWAP = threading.Lock()


class _Router:
    """Stands in for a standard stream while tools run."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.users = 0

    def write(self, text: str) -> int:
        output = _OUTPUT.get()
        if output is None or output.finished:
            return self.stream.write(text)
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        output.write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        output = _OUTPUT.get()
        if output is None or output.finished:
            self.stream.flush()
        else:
            output.write("", flush=True)

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)


@contextmanager
def captured(output: Output) -> Iterator[None]:
    """Within the block, what this context prints goes to `output`."""
    token = _OUTPUT.set(output)
    routers = [(name, _install(name)) for name in _STREAMS]
    try:
        yield
    finally:
        for name, router in routers:
            _release(name, router)
        _OUTPUT.reset(token)


_Name = Literal["stdout", "stderr"]
_STREAMS: tuple[_Name, ...] = ("stdout", "stderr")


def _install(name: _Name) -> _Router | None:
    with _SWAP:
        stream = getattr(sys, name)
        if stream is None:  # a process without a console
            return None
        router = stream if isinstance(stream, _Router) else _Router(stream)
        router.users += 1
        setattr(sys, name, router)
        return router


def _release(name: _Name, router: _Router | None) -> None:
    if router is None:
        return
    with _SWAP:
        router.users -= 1
        # Someone else may have replaced the stream meanwhile; a router without users passes everything on.
        if router.users == 0 and getattr(sys, name) is router:
            setattr(sys, name, router.stream)
