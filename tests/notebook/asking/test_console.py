"""A question by input(): letters, fields, and what counts as a no."""

from __future__ import annotations

import pytest

from agentnb.masking import Mask
from agentnb.messages import JSONObject, Text
from agentnb.notebook.asking.console import Terminal, ask, letters
from agentnb.tools.base import Choice, Question, Reply

SCHEMA: JSONObject = {
    "properties": {
        "path": {"type": "string", "description": "Where to."},
        "n": {"type": "integer", "minimum": 1, "default": 2},
        "token": {"type": "string", "format": "password"},
    },
    "required": ["path"],
}
CHOICES = (
    Choice("approve", "Approve", "primary"),
    Choice("edit", "Edit arguments", fields=True),
    Choice("deny", "Deny", "danger", reason=True),
    Choice("session", "Always in this session"),
    Choice("notebook", "Always in this notebook"),
)
ASKED = Question("Allow save?", (Text("path = a\x1b[2J"),), SCHEMA, {"path": "a", "token": "t0ken"}, CHOICES)


class Person:
    """Enters these lines, one at each prompt; then the input ends."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.prompts: list[str] = []
        self.secret_prompts: list[str] = []
        self.written = ""

    def terminal(self, mask: Mask | None = None) -> Terminal:
        return Terminal(self._write, self._enter, self._enter_secretly, mask or Mask())

    def _write(self, text: str) -> None:
        self.written += text

    def _enter(self, prompt: str, /) -> str:
        self.prompts.append(prompt)
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)

    def _enter_secretly(self, prompt: str, /) -> str:
        self.secret_prompts.append(prompt)
        return self.lines.pop(0)


@pytest.mark.parametrize(
    ("line", "choice"),
    [
        ("a", "approve"),
        ("A ", "approve"),
        ("s", "session"),
        ("o", "notebook"),
        ("approve", "approve"),
        ("y", "approve"),
        ("Yes", "approve"),
    ],
)
def test_a_letter_or_a_word_answers(line: str, choice: str) -> None:
    person = Person(line)
    assert ask(ASKED, person.terminal()) == Reply(choice)
    assert person.written == "? Allow save?\n  path = a␛[2J\n"
    assert person.prompts == [
        "[a]pprove, [e]dit arguments, [d]eny, always in this [s]ession, always in this n[o]tebook? "
    ]


@pytest.mark.parametrize("line", ["n", "No", "d", "deny"])
def test_no_is_a_no_and_never_one_of_the_others(line: str) -> None:
    assert ask(ASKED, Person(line, "").terminal()) == Reply("deny")


def test_nothing_and_the_end_of_the_input_are_a_no() -> None:
    assert ask(ASKED, Person("", "").terminal()) == Reply("deny")
    assert ask(ASKED, Person().terminal()) == Reply("deny")
    assert ask(Question("Which?", choices=CHOICES[:1]), Person().terminal()) is None


def test_who_never_answers_with_a_letter_has_said_no() -> None:
    person = Person("x", "ja", "?", "1", "approved", "too late")
    assert ask(ASKED, person.terminal()) == Reply("deny", None, "too late")
    assert "Enter one of a, e, d, s, o" in person.written


def test_a_denial_asks_for_a_reason() -> None:
    person = Person("d", " not now ")
    assert ask(ASKED, person.terminal()) == Reply("deny", None, "not now")


def test_fields_are_filled_one_by_one_and_secrets_never_shown() -> None:
    person = Person("e", "b", "zero", "0", "7", "new token")
    assert ask(ASKED, person.terminal()) == Reply("edit", {"path": "b", "n": 7, "token": "new token"})
    assert person.prompts[1] == "\n  Where to.\n  path (text, needed) [a]: "
    assert "n is a whole number, not 'zero'." in person.written
    assert "n is at least 1." in person.written
    assert person.secret_prompts == ["  token (not shown) [•••]: "]
    assert "t0ken" not in person.written + "".join(person.prompts)


def test_enter_keeps_a_value_and_a_dash_leaves_it_out() -> None:
    assert ask(ASKED, Person("e", "", "", "-").terminal()) == Reply("edit", {"path": "a", "n": 2})


def test_what_is_needed_is_asked_for_until_the_input_ends() -> None:
    asked = Question("Where?", (), SCHEMA, None, (Choice("ok", "Send", "primary", fields=True), CHOICES[2]))
    person = Person("s", "", "")
    assert ask(asked, person.terminal()) == Reply("deny")
    assert "This is needed." in person.written


def test_known_secrets_are_masked_in_what_is_shown() -> None:
    asked = Question("Allow it?", (Text("key = sk-secret-123"),), SCHEMA, {"path": "sk-secret-123"}, CHOICES)
    person = Person("e", "", "", "")
    reply = ask(asked, person.terminal(Mask("sk-secret-123")))
    assert "sk-secret" not in person.written + "".join(person.prompts)
    assert reply is not None
    assert reply.values == {"path": "sk-secret-123", "n": 2}


def test_an_interrupt_goes_through() -> None:
    def interrupted(prompt: str, /) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(ASKED, Terminal(str, interrupted, interrupted))


def test_every_choice_gets_a_letter_of_its_own() -> None:
    same = tuple(Choice(str(n), "Yes") for n in range(4))
    assert list(letters(same)) == ["e", "s", "0", "1"]
