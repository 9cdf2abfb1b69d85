"""Answer the same request from memory or from disk: at once, and for nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Protocol, TypeAlias

from agentnb import codec, messages
from agentnb.errors import UsageError
from agentnb.events import MessageEnd, ModelEvent, Usage
from agentnb.messages import JSON, Opaque, ToolCall, ToolResult
from agentnb.models.attempt import Around
from agentnb.models.base import Model, Request
from agentnb.models.canonical import canonical, fingerprint
from agentnb.models.kept import joined, write_whole

_SIZE = 1000
#: Ends that the same request would come to again.
_LASTING = ("stop", "length")
_Here: TypeAlias = tuple[asyncio.AbstractEventLoop, str]


class Store(Protocol):
    """Where answers are kept: a dict, or whatever else is asked and told in the same way. KeyError: not there."""

    def __getitem__(self, key: str, /) -> bytes: ...

    def __setitem__(self, key: str, value: bytes, /) -> None: ...


class CacheModel(Around):
    """A model that asks `model` once for what it was asked before, and while it is being asked.

    `store` is a folder, or a dict; without one the latest thousand answers stay in memory.
    Requests with tools, or with what tools gave, always go through: an answer with effects is not repeated. An answer
    from the cache costs no tokens. Only complete answers are kept; at any temperature, because who puts a cache in
    front of a model wants the same answer.
    """

    def __init__(self, model: Model, store: Store | Path | str | None = None) -> None:
        super().__init__(model)
        self._store: Store
        if store is None:
            self._store = _Latest()
        else:
            self._store = _Folder(Path(store)) if isinstance(store, (str, Path)) else store
        #: Requests on their way, of each event loop.
        self._asking: dict[_Here, _Asked] = {}

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The kept answer in a few large pieces, or the wrapped model's."""
        if _acts(request):
            async with aclosing(self.model.stream(request)) as events:
                async for event in events:
                    yield event
            return
        key = _key(request, self.name)
        here = asyncio.get_running_loop(), key
        while (kept := self._kept(key)) is None:
            other = self._asking.get(here)
            # Who reads two streams in turn would wait for itself.
            if other is None or other.by is asyncio.current_task():
                break
            await other.over.wait()
        if kept is not None:
            for event in kept:
                yield event
            return
        async with aclosing(self._ask(request, key, here)) as events:
            async for event in events:
                yield event

    async def _ask(self, request: Request, key: str, here: _Here) -> AsyncGenerator[ModelEvent, None]:
        mine = _Asked()
        self._asking.setdefault(here, mine)
        said: list[ModelEvent] = []
        try:
            async with aclosing(self.model.stream(request)) as events:
                async for event in events:
                    said.append(event)
                    if isinstance(event, MessageEnd) and event.finish in _LASTING:
                        self._store[key] = codec.dump_json(joined(said), list[ModelEvent])
                    yield event
        finally:
            if self._asking.get(here) is mine:
                del self._asking[here]
            mine.over.set()

    def _kept(self, key: str) -> Sequence[ModelEvent] | None:
        try:
            events: list[ModelEvent] = codec.load_json(list[ModelEvent], self._store[key])
        except (KeyError, ValueError):
            return None  # not there; or torn, or of another version: it is asked again, and written anew
        if not events or not isinstance(events[-1], MessageEnd):
            return None
        said = [event for event in events[:-1] if not isinstance(event, Usage)]
        return [*said, Usage(messages.Usage(usd=0.0)), events[-1]]


class _Asked:
    """A request on its way: who asked, and whether it is over."""

    def __init__(self) -> None:
        self.by = asyncio.current_task()
        self.over = asyncio.Event()


def _acts(request: Request) -> bool:
    """Whether tools are, or were, part of it; what only a provider can read may be one."""
    made = (ToolCall, ToolResult, Opaque)
    return bool(request.tools) or any(isinstance(block, made) for m in request.messages for block in m.content)


def _key(request: Request, name: str) -> str:
    # Headers may choose what answers; a digest does not show them.
    sent: JSON = [dict(request.options.headers), dict(request.options.query)]
    return fingerprint([canonical(request, name=name), sent])


class _Latest(dict[str, bytes]):
    """The latest answers; one that is read counts as new."""

    def __getitem__(self, key: str) -> bytes:
        value = self.pop(key)
        super().__setitem__(key, value)
        return value

    def __setitem__(self, key: str, value: bytes) -> None:
        self.pop(key, None)
        super().__setitem__(key, value)
        while len(self) > _SIZE:
            self.pop(next(iter(self)), None)


class _Folder:
    """A folder with one file for each key."""

    def __init__(self, path: Path) -> None:
        self._path = Path(os.path.expanduser(path))
        try:
            self._path.mkdir(parents=True, exist_ok=True)
        except OSError as reason:
            raise UsageError(
                f"The cache {str(path)!r} cannot be a folder: {reason.strerror}. Choose another."
            ) from None

    def __getitem__(self, key: str) -> bytes:
        try:
            return self._file(key).read_bytes()
        except OSError:
            raise KeyError(key) from None

    def __setitem__(self, key: str, value: bytes) -> None:
        # A full disk is no reason to lose an answer that is there.
        with contextlib.suppress(OSError):
            write_whole(self._file(key), value)

    def _file(self, key: str) -> Path:
        return self._path / f"{key}.json"
