"""`key=value` on a magic's line: a word, a quoted text, JSON, `{{expression}}`, or `@variable`."""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Mapping

from agentnb import prompting
from agentnb.errors import PromptError, UsageError, nearest
from agentnb.prompting.template import NOTHING_SENT
from agentnb.render.terminal import one_line

_KEY = re.compile(r"\s*([^\W\d]\w*)=(?!=)")


def take(line: str, at: int, see: str) -> tuple[str, int]:
    """The words of the value that begins at `at`, and where it ends. Raises UsageError, which ends in `see`."""
    rest = line[at:]
    if rest.startswith("{{"):
        end = _expression_end(rest)
        return rest[:end], at + end
    if rest[:1] in ("{", "[", '"'):
        try:
            _, end = json.JSONDecoder().raw_decode(rest)
        except ValueError as error:
            raise UsageError(f"{rest[:60]!r} is not valid JSON: {error}. {see}") from None
        return rest[:end], at + end
    if rest.startswith("'"):
        end = rest.find("'", 1)
        if end < 0:
            raise UsageError(f"The quote at {rest[:60]!r} is never closed. Close it, or leave it out.")
        return json.dumps(rest[1:end]), at + end + 1
    word = re.match(r"\S*", rest)
    return (word[0], at + len(word[0])) if word else ("", at)


def take_all(line: str, at: int, see: str) -> tuple[list[str], int]:
    """All pairs that stand at `at`, each as `key=words`, and where they end. Raises UsageError as `take` does."""
    found = []
    while key := _KEY.match(line, at):
        words, at = take(line, key.end(), see)
        found.append(f"{key[1]}={words}")
    return found, at


def value(pair: str, names: Mapping[str, object]) -> tuple[str, object]:
    """The key and the value of a pair. Raises UsageError where an expression or a variable cannot be read.

    A word that is a number, True, False or None exactly as Python writes it is that: it reads the same in a prompt.
    """
    key, _, words = pair.partition("=")
    if words.startswith("{{"):
        return key, evaluated(words[2:-2].strip(), names, f"{key}={one_line(words, 80)}")
    if words.startswith("@") and words[1:].isidentifier():
        if words[1:] not in names:
            raise UsageError(
                f"{_missing(f'{key}={words}', words[1:], names)} For the words, quote them. {NOTHING_SENT}"
            )
        return key, names[words[1:]]
    if words[:1] in ("{", "[", '"'):
        return key, json.loads(words)
    with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        plain = ast.literal_eval(words)
        if isinstance(plain, int | float | None) and str(plain) == words:
            return key, plain
    return key, words


def evaluated(source: str, names: Mapping[str, object], what: str) -> object:
    """The value of an expression on the magic's line. Raises UsageError, which says `what` it is."""
    try:
        return prompting.evaluate(source, names)
    except PromptError as error:
        cause = error.__cause__
        if cause is None:
            raise UsageError(f"{what} is not a Python expression. {NOTHING_SENT}") from None
        missing = cause.name if isinstance(cause, NameError) else None
        if missing:
            raise UsageError(f"{_missing(what, missing, names)} {NOTHING_SENT}") from None
        reason = one_line(f"{type(cause).__name__}: {cause}", 300).removesuffix(".")
        raise UsageError(f"{what}: {reason}. {NOTHING_SENT}") from cause


def _missing(what: str, name: str, names: Mapping[str, object]) -> str:
    near = nearest(name, [each for each in names if not each.startswith("_")])
    return f"{what}: there is no variable {name!r}.{near}"


def _expression_end(text: str) -> int:
    """Where `{{expr}}` ends: at the first braces that leave a whole expression."""
    for end in re.finditer(r"(?=\}\})", text):
        with contextlib.suppress(SyntaxError, ValueError):
            compile(text[2 : end.start()].strip(), "<line>", "eval")
            return end.start() + 2
    raise UsageError(f"{text[:60]!r} holds no Python expression. Write it as key={{{{expression}}}}.")
