"""The sandboxes of a workspace: one for each way of having one, each started at its first use."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import TimeoutError as Late
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from agentnb.errors import UsageError
from agentnb.jobs import LoopThread
from agentnb.sandbox import bwrap
from agentnb.sandbox.base import Limits, Sandbox
from agentnb.sandbox.bwrap import Bubblewrap
from agentnb.sandbox.launch import Local
from agentnb.sandbox.process import ProcessSandbox
from agentnb.sandbox.remote import Remote

#: Seconds for the sandboxes to end when the workspace does.
_ENOUGH = 10.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which sandbox: `memory` in bytes (None: what is usual), `url` that of a Jupyter server for a remote one.

    `token` names the variable that holds the server's token, never the token itself.
    """

    kind: Literal["bwrap", "local", "remote"] = "bwrap"
    network: bool = False
    memory: int | None = None
    url: str = ""
    token: str = "JUPYTER_TOKEN"

    @property
    def safe(self) -> bool:
        """Whether code in it can reach nothing outside."""
        return self.kind == "bwrap" and not self.network

    def __str__(self) -> str:
        said = {"bwrap": "bubblewrap", "local": "a plain subprocess (unsafe)", "remote": self.url}[self.kind]
        memory = f", {self.memory / 1e9:g} GB" if self.memory else ""
        return said + (", with the network" if self.network else "") + memory


T = TypeVar("T")


class Sandboxes:
    """Opens sandboxes, and ends them all. `token` finds what a variable holds, for Jupyter servers."""

    def __init__(
        self,
        background: LoopThread,
        *,
        limits: Limits | None = None,
        token: Callable[[str], str | None] | None = None,
    ) -> None:
        self._background = background
        self._limits = limits or Limits()
        self._token = token or (lambda _: None)
        self._open: dict[Wanted, Sandbox] = {}
        #: What tools and cells use that say nothing else.
        self.usual = Wanted()

    async def do(self, work: Callable[[], Coroutine[object, object, T]]) -> T:
        """What `work` does with one of them, on the loop that they live on, whatever loop asks."""
        return await self._background.do(work)

    @functools.cached_property
    def unavailable(self) -> str | None:
        """Why code cannot be locked up here; None where it can."""
        return bwrap.unavailable()

    def all(self) -> Mapping[Wanted, Sandbox]:
        """Those that were opened."""
        return dict(self._open)

    def open(self, wanted: Wanted | None = None) -> Sandbox:
        """The sandbox of this kind; nothing is started yet. Raises UsageError where there can be none."""
        wanted = self.usual if wanted is None else wanted
        if wanted not in self._open:
            self._open[wanted] = self._make(wanted)
        return self._open[wanted]

    def _make(self, wanted: Wanted) -> Sandbox:
        limits = self._limits if wanted.memory is None else replace(self._limits, memory=wanted.memory)
        match wanted.kind:
            case "remote":
                return Remote(wanted.url, token=self._token(wanted.token), limits=limits)
            case "local":
                return ProcessSandbox(Local(), limits)
        if self.unavailable:
            raise UsageError(
                f"{self.unavailable.rstrip('.')}. Or run it unprotected, in a plain subprocess: %%sandbox --unsafe."
            )
        return ProcessSandbox(Bubblewrap(network=wanted.network), limits)

    async def drop(self, wanted: Wanted) -> None:
        """End one for good; the next `open` makes a new one, without the files of this one."""
        found = self._open.pop(wanted, None)
        if found is not None:
            await found.close()

    def close(self) -> None:
        """End them all. Not on the workspace's own loop."""
        found, self._open = list(self._open.values()), {}
        if found:
            ending = asyncio.run_coroutine_threadsafe(_close(found), self._background.loop)
            with suppress(Late):
                ending.result(_ENOUGH)


async def _close(sandboxes: list[Sandbox]) -> None:
    await asyncio.gather(*(sandbox.close() for sandbox in sandboxes), return_exceptions=True)
