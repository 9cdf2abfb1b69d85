"""A question as a form with buttons in the browser, live only: it is gone from the notebook once it is answered.

What is drawn is `ask.js`, a plain ES module that anywidget loads; what a model or a tool said reaches it as data.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.notebook.asking.view import reply, view
from agentnb.render.terminal import one_line
from agentnb.tools.base import Question, Reply

if TYPE_CHECKING:
    import anywidget

WIDGET_MIME = "application/vnd.jupyter.widget-view+json"
_HERE = Path(__file__).parent


@functools.cache
def _drawing() -> type[anywidget.AnyWidget]:
    # A class, and loaded once: a front end compiles its module once as well.
    import anywidget
    import traitlets

    class Ask(anywidget.AnyWidget):
        _esm = (_HERE / "ask.js").read_text("utf-8")
        _css = (_HERE / "ask.css").read_text("utf-8")
        question = traitlets.Dict().tag(sync=True)
        state = traitlets.Dict().tag(sync=True)

    return Ask


class AskWidget:
    """One question in the browser. Make, show and close it on the kernel's main thread.

    `on_reply` is called at every answer and `on_present` when a front end shows that it draws widgets, both on
    whichever thread the message arrives: they only hand over. Once answered it is busy, until `ready` or `close`.
    """

    def __init__(
        self,
        question: Question,
        on_reply: Callable[[Reply], object],
        *,
        on_present: Callable[[], object] = lambda: None,
        mask: Callable[[str], str] = str,
    ) -> None:
        self._question = question
        self._on_reply = on_reply
        self._on_present = on_present
        self._mask = mask
        self._open = True
        self._turn = 0
        self._widget = _drawing()(question=view(question, mask), state=self._state("", wrong=False))
        self._widget.on_msg(self._receive)

    @property
    def bundle(self) -> dict[str, object]:
        """What to display; never leave it in a notebook that is kept."""
        kept = one_line(self._mask(self._question.title), 200)
        model = {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}
        return {WIDGET_MIME: model, "text/plain": kept}

    def ready(self, note: str = "", *, wrong: bool = False) -> None:
        """Let it be answered again, with a line that says what became of the last answer."""
        self._open = True
        self._turn += 1
        self._widget.state = self._state(note, wrong=wrong)

    def close(self) -> None:
        """Take it out of the front end; more than once does nothing."""
        self._open = False
        self._widget.close()

    def _state(self, note: str, *, wrong: bool) -> dict[str, object]:
        # The turn makes each state another one: an equal one would not be sent.
        return {"turn": self._turn, "note": one_line(self._mask(note), 500), "wrong": wrong}

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        return self.bundle

    def _receive(self, _widget: object, message: object, _buffers: object) -> None:
        if isinstance(message, Mapping) and message.get("type") in ("loaded", "ready"):
            self._on_present()
            return
        answer = reply(self._question, message) if self._open else None
        if answer is not None:
            self._open = False  # a second click on the way here is not a second answer
            self._on_reply(answer)


def ask_widget(
    question: Question, on_reply: Callable[[Reply], object], *, mask: Callable[[str], str] = str
) -> AskWidget:
    """A form for as many answers as it is given: display what this returns, and `close` it when it has served.

    `on_reply` hands an answer on, from whichever thread; `ready`, when that is done, lets the next one be given and
    says what became of this one.
    """
    return AskWidget(question, on_reply, mask=mask)
