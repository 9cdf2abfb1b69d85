"""A question by `input()`: in a terminal, in a cell that blocks its kernel, in a front end without widgets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from agentnb.messages import JSON
from agentnb.notebook.asking.fields import Field, read_fields
from agentnb.notebook.asking.view import as_text, merged, offered, without_fences
from agentnb.render import calls
from agentnb.render.terminal import clean, clip, visible
from agentnb.tools.base import Choice, Question, Reply

#: Characters of a body, and of a value that stands in a prompt.
_SHOWN, _VALUE = 8000, 60
#: How often a person may answer what is no answer before it counts as none.
_PATIENCE = 5


class Ask(Protocol):
    """`input`: a line that the person enters. Raises EOFError where there is none."""

    def __call__(self, prompt: str, /) -> str: ...


@dataclass(frozen=True, slots=True)
class Terminal:
    """The ways to a person: what is written, what is asked, and what is asked without showing it."""

    write: Callable[[str], object]
    ask: Ask
    ask_secretly: Ask
    mask: Callable[[str], str] = str


def ask(question: Question, terminal: Terminal) -> Reply | None:
    """The person's answer. Nothing entered, or the end of the input, is a refusal; ^C is raised, and ends the run."""
    terminal.write(terminal.mask(_shown(question)))
    refusal = next((each for each in question.choices if each.style == "danger"), None)
    try:
        choice = _choose(offered(question), terminal) or refusal
        return None if choice is None else _reply(question, choice, terminal)
    except EOFError:
        return None if refusal is None else Reply(refusal.id)


def letters(choices: Sequence[Choice]) -> dict[str, Choice]:
    """A letter for each choice: of its first word, else of its last ones, else of any.

    None is y or n: whoever types these means yes or no.
    """
    found: dict[str, Choice] = {}
    for choice in choices:
        first, *rest = choice.label.lower().split() or [""]
        initials = (word[:1] for word in reversed(rest))
        wanted = [first[:1], *"".join(rest[-1:]), *initials, *choice.label.lower(), *"0123456789"]
        free = (letter for letter in wanted if letter.isalnum() and letter not in found and letter not in "yn")
        found[next(free)] = choice
    return found


def _plainly(given: str, choices: Sequence[Choice]) -> Choice | None:
    """What yes and no mean."""
    style = {"y": "primary", "yes": "primary", "n": "danger", "no": "danger"}.get(given)
    return next((choice for choice in choices if choice.style == style), None)


def _shown(question: Question) -> str:
    body = "\n".join(without_fences(visible(calls.named(block))).rstrip("\n") for block in question.body)
    inner = "".join(f"  {line}\n" for line in clip(body, _SHOWN).splitlines())
    return f"? {clean(question.title)}\n{inner}"


def _choose(choices: Sequence[Choice], terminal: Terminal) -> Choice | None:
    by_letter = letters(choices)
    prompt = ", ".join(_marked(choice, letter) for letter, choice in by_letter.items()) + "? "
    for _ in range(_PATIENCE):
        given = terminal.ask(prompt).strip().lower()
        if not given:
            return None
        named = next((choice for choice in choices if given in (choice.id, choice.label.lower())), None)
        if choice := by_letter.get(given) or named or _plainly(given, choices):
            return choice
        terminal.write(f"  Enter one of {', '.join(by_letter)}; nothing is a no.\n")
    return None


def _marked(choice: Choice, letter: str) -> str:
    """`[d]eny`, `always in this [s]ession`."""
    label = clean(choice.label).lower()
    at = next((at for at in range(len(label)) if label[at] == letter and label[at - 1 : at] in ("", " ")), None)
    at = label.find(letter) if at is None else at
    return f"[{letter}] {label}" if at < 0 else f"{label[:at]}[{letter}]{label[at + 1 :]}"


def _reply(question: Question, choice: Choice, terminal: Terminal) -> Reply:
    values = None
    if choice.fields:
        changed: dict[str, JSON] = {}
        cleared: list[str] = []
        fields = read_fields(question.fields, question.values)
        if fields:
            terminal.write("  Enter keeps what stands in brackets; - leaves a field out.\n")
        for field in fields:
            _fill(field, question, changed, cleared, terminal)
        values = merged(question, changed, cleared)
    reason = terminal.ask("  Why? The model reads it (Enter: no reason): ") if choice.reason else ""
    return Reply(choice.id, values, clean(reason).strip())


def _fill(field: Field, question: Question, changed: dict[str, JSON], cleared: list[str], terminal: Terminal) -> None:
    given = field.name in (question.values or {})
    prompt = terminal.mask(_prompt(field, question))
    for _ in range(_PATIENCE):
        text = (terminal.ask_secretly if field.kind == "secret" else terminal.ask)(prompt)
        if text.strip() == "-" and not field.required:
            cleared.append(field.name)
            return
        if text.strip():
            try:
                changed[field.name] = field.read(text)
            except ValueError as error:
                terminal.write(f"  {terminal.mask(str(error))}\n")
                continue
            return
        if field.has_default and not given:
            changed[field.name] = field.default
        if given or field.has_default or not field.required:
            return
        terminal.write("  This is needed.\n")
    raise EOFError(f"{field.name} was not filled in")


def _prompt(field: Field, question: Question) -> str:
    about = f"\n  {clean(field.description)}\n" if field.description else ""
    needed = ", needed" if field.required else ""
    values = question.values or {}
    now = ""
    if field.kind == "secret":
        now = " [•••]" if field.name in values else ""
    elif field.name in values or field.has_default:
        value = as_text(values.get(field.name, field.default))
        now = f" [{value if len(value) <= _VALUE else value[:_VALUE] + '…'}]".replace("\n", "⏎")
    return f"{about}  {clean(field.label)} ({field.hint}{needed}){clean(now)}: "
