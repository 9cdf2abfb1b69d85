"""The widget without a front end: what is displayed, which messages count, when it may be answered again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentnb.messages import JSONObject
from agentnb.notebook.asking.widget import WIDGET_MIME, AskWidget, ask_widget
from agentnb.tools.base import Choice, Question, Reply

SCHEMA: JSONObject = {"properties": {"n": {"type": "integer"}}}
ASKED = Question("Sum?", (), SCHEMA, {"n": 1}, (Choice("go", "Go", "primary", fields=True), Choice("no", "No")))


class Front:
    """Somebody who clicks."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.present = 0
        self.widget = AskWidget(ASKED, self.replies.append, on_present=self._seen)

    def _seen(self) -> None:
        self.present += 1

    def send(self, **message: object) -> None:
        self.widget._receive(None, message, [])


@pytest.fixture
def front() -> Iterator[Front]:
    made = Front()
    yield made
    made.widget.close()


def test_it_is_displayed_as_a_widget_with_its_title_for_who_has_none(front: Front) -> None:
    assert set(front.widget.bundle) == {WIDGET_MIME, "text/plain"}
    assert front.widget.bundle["text/plain"] == "Sum?"


def test_a_front_end_that_draws_it_says_so(front: Front) -> None:
    front.send(type="loaded")
    front.send(type="ready")
    assert (front.present, front.replies) == (2, [])


def test_a_second_click_is_not_a_second_answer(front: Front) -> None:
    front.send(type="reply", choice="go", changed={"n": 2})
    front.send(type="reply", choice="no")
    assert front.replies == [Reply("go", {"n": 2})]


def test_it_takes_the_next_answer_once_it_is_ready(front: Front) -> None:
    front.send(type="reply", choice="go")
    front.widget.ready("The sum is 1.")
    front.send(type="reply", choice="no")
    assert front.replies == [Reply("go", {"n": 1}), Reply("no")]


def test_what_nobody_can_have_sent_is_no_answer(front: Front) -> None:
    for message in ({"choice": "go"}, {"type": "reply", "choice": "other"}, {"type": "reply", "choice": ["go"]}):
        front.send(**message)
    assert front.replies == []


def test_a_closed_one_takes_no_answer(front: Front) -> None:
    front.widget.close()
    front.send(type="reply", choice="go")
    assert front.replies == []


def test_a_form_for_many_answers_is_displayed_by_itself() -> None:
    form = ask_widget(ASKED, lambda reply: reply)
    assert WIDGET_MIME in form._repr_mimebundle_()
    form.close()
    form.close()
