"""A prompt's text taken apart: words, and `{{expression}}` placeholders that hold any Python expression.

Single braces are words. A placeholder ends at the first `}}` up to which its text is an expression, so
`{{ {"a": {"b": 1}} }}` and `{{f"{x}}}"}}` need no care. For literal double braces double them, as in an f-string:
`\\frac{{{{a}}{{b}}}}` is sent as `\\frac{{a}}{{b}}`; whatever stands between `{{{{` and `}}}}` is words.
"""

from __future__ import annotations

import re
import types
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from agentnb.errors import PromptError
from agentnb.prompting.budget import one_line

#: An expression is found by trying ends; a text full of `}}` after an error must not take for ever.
_MOST_ENDS = 100
_LONGEST = 10_000

NOTHING_SENT = "Nothing was sent."


@dataclass(frozen=True, slots=True)
class Words:
    """Text that is sent as it is; `start` is its place in the template, None where braces were undoubled."""

    text: str
    start: int | None


@dataclass(frozen=True, slots=True)
class Placeholder:
    """An expression, ready to be evaluated, and its place in the template, braces included."""

    expression: str
    code: types.CodeType
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A file that is named as `<file>path</file>`, and its place in the template, the tags included."""

    path: str
    start: int
    end: int

    @property
    def expression(self) -> str:
        """What stands for it among the expressions: no expression is written like this."""
        return f"<file>{self.path}</file>"


#: What a template is made of.
Piece: TypeAlias = Words | Placeholder | Reference
_REFERENCE = re.compile(r"<file>\s*([^<]+?)\s*</file>")


def parse(template: str, *, references: bool = False) -> tuple[Piece, ...]:
    """The pieces of `template` in order; without `references` a `<file>` is words.

    Raises PromptError for a placeholder that is empty, broken or never ends.
    """
    pieces = _pieces(template)
    if not references:
        return tuple(pieces)
    return tuple(part for piece in pieces for part in (_referring(piece) if isinstance(piece, Words) else (piece,)))


def _referring(words: Words) -> Iterator[Words | Reference]:
    """Words cut at the files that are named in them; in braces that were doubled, `<file>` is words."""
    at, start = 0, words.start
    for found in _REFERENCE.finditer(words.text) if start is not None else ():
        if at < found.start():
            yield Words(words.text[at : found.start()], (start or 0) + at)
        yield Reference(found[1], (start or 0) + found.start(), (start or 0) + found.end())
        at = found.end()
    if at < len(words.text):
        yield Words(words.text[at:], None if start is None else start + at)


def named(expression: str) -> str:
    """How messages call a placeholder: `{{df.head()}}`, shortened."""
    return "{{" + one_line(expression, 80) + "}}"


def _pieces(template: str) -> Iterator[Words | Placeholder]:
    at = 0
    while (start := template.find("{{", at)) >= 0:
        if at < start:
            yield Words(template[at:start], at)
        if template.startswith("{{{{", start):
            end = template.find("}}}}", start)
            if end < 0:
                raise PromptError(f"{_excerpt(template, start)!r} is never closed by '}}}}}}}}'. {NOTHING_SENT}")
            yield Words(template[start + 2 : end + 2], None)
            at = end + 4
        else:
            placeholder = _placeholder(template, start)
            yield placeholder
            at = placeholder.end
    if at < len(template):
        yield Words(template[at:], at)


def _placeholder(template: str, start: int) -> Placeholder:
    end = start + 1
    problem: tuple[str, str] | None = None
    for _ in range(_MOST_ENDS):
        end = template.find("}}", end + 1, start + _LONGEST)
        if end < 0:
            break
        expression = template[start + 2 : end].strip()
        try:
            return Placeholder(expression, _compiled(expression), start, end + 2)
        except (SyntaxError, ValueError) as error:  # ValueError: a null character
            problem = problem or (expression, getattr(error, "msg", None) or str(error))
    if problem is None:
        raise PromptError(f"{_excerpt(template, start)!r} is never closed by '}}}}'. {_LITERAL} {NOTHING_SENT}")
    expression, reason = problem
    what = "there is no expression in it" if not expression else f"not a Python expression ({reason})"
    raise PromptError(f"{named(expression)}: {what}. {literal(expression)} {NOTHING_SENT}")


_LITERAL = "For literal double braces write them twice: {{{{ … }}}}."


def literal(expression: str) -> str:
    """How to write it where no placeholder was meant."""
    if not expression or len(expression) > 20 or "{" in expression or "\n" in expression:
        return _LITERAL
    return "For literal double braces write {{{{" + expression + "}}}}."


def _compiled(expression: str) -> types.CodeType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\d" in a string is the user's business
        if expression and not expression.startswith(")"):
            try:
                return compile(expression, "<prompt>", "eval", dont_inherit=True)
            except SyntaxError as plain:
                try:  # in brackets an expression may go over several lines and end in a comment
                    compile(f"[{expression}\n]", "<prompt>", "eval", dont_inherit=True)  # not `a) + (b`
                    return compile(f"({expression}\n)", "<prompt>", "eval", dont_inherit=True)
                except SyntaxError:
                    raise plain from None
    raise SyntaxError("no expression")


def _excerpt(template: str, start: int) -> str:
    return one_line(template[start : start + 200], 40)
