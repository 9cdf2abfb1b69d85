"""What code displays, and the figures that it leaves open, belong to its card, not below the cell.

As for prints, a router stands in for the shell's publisher while code runs, and asks a context variable whose display
it is; everything else passes through.
"""

from __future__ import annotations

import base64
import binascii
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeAlias

from agentnb.messages import Content, Image, Text
from agentnb.prompting.blocks import to_blocks
from agentnb.prompting.plain import is_from

Show: TypeAlias = Callable[[Content], None]

_SHOW: ContextVar[Show | None] = ContextVar("agentnb_displayed", default=None)
_SWAP = threading.Lock()
_PICTURES = ("image/png", "image/jpeg")


class _Publisher(Protocol):
    """What is used of IPython's DisplayPublisher."""

    publish: Callable[..., None]


class _Router:
    """Stands in for a publisher's `publish` while code runs."""

    def __init__(self, publish: Callable[..., None]) -> None:
        self.publish = publish
        self.users = 0

    def __call__(self, data: Mapping[str, object], metadata: object = None, **rest: object) -> None:
        show = _SHOW.get()
        if show is None:
            self.publish(data=data, metadata=metadata, **rest)
        elif not rest.get("update"):  # a bar that moves on is no new display
            show(as_content(data))


@contextmanager
def displays(show: Show) -> Iterator[None]:
    """Within the block, what this context displays goes to `show`; outside IPython nothing is displayed anyway."""
    publisher = _publisher()
    if publisher is None:
        yield
        return
    with _SWAP:
        router = publisher.publish if isinstance(publisher.publish, _Router) else _Router(publisher.publish)
        router.users += 1
        publisher.publish = router
    token = _SHOW.set(show)
    try:
        yield
    finally:
        _SHOW.reset(token)
        with _SWAP:
            router.users -= 1
            if router.users == 0 and publisher.publish is router:
                publisher.publish = router.publish


def _publisher() -> _Publisher | None:
    loaded = sys.modules.get("IPython")
    shell = loaded.get_ipython() if loaded else None
    publisher: _Publisher | None = getattr(shell, "display_pub", None)
    return publisher


def as_content(data: Mapping[str, object]) -> Content:
    """A MIME bundle as a block: its picture, else its text."""
    for kind in _PICTURES:
        value = data.get(kind)
        if isinstance(value, str):
            try:
                value = base64.b64decode(value, validate=False)
            except (binascii.Error, ValueError):
                continue
        if isinstance(value, bytes) and value:
            return Image(value, kind, alt="displayed")
    text = data.get("text/plain") or data.get("text/markdown") or f"({', '.join(data)})"
    return Text(f"{text}\n")


def open_figures() -> dict[int, object]:
    """The figures of pyplot by their numbers; pyplot is not loaded for it, and its current figure stays."""
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    return {each.num: each.canvas.figure for each in helpers.Gcf.get_all_fig_managers()} if helpers else {}


def pictures(before: Mapping[int, object], value: object) -> list[Content]:
    """The figures that were opened since, but for the one that `value` shows; all of them are closed.

    Left open, the inline backend would show them once more below the cell.
    """
    new = [figure for number, figure in open_figures().items() if before.get(number) is not figure]
    shown: list[Content] = []
    for figure in new:
        if figure is not value and figure is not _figure_of(value):
            shown += to_blocks(figure, 2000)
        sys.modules["matplotlib.pyplot"].close(figure)
    return shown


def _figure_of(value: object) -> object:
    """The figure that an axes or a line is drawn in."""
    return getattr(value, "figure", None) if is_from(value, "matplotlib", "Artist") else None
