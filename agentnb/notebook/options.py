"""The options of our magics: one table per magic, parsed so that a prompt with quotes stays as it is."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from agentnb.errors import UsageError, nearest
from agentnb.notebook.pairs import take_all


@dataclass(frozen=True, slots=True)
class Option:
    """One option: "many" takes values up to the next option (or comma-separated), "flag" takes none.

    "pairs" takes one, and `key=value` behind it as often as one likes (see notebook.pairs). What stands in brackets
    belongs together where the value is `code`.
    """

    name: str
    help: str
    short: str | None = None
    kind: Literal["one", "many", "flag", "pairs"] = "one"
    value: str = "TEXT"
    code: bool = False


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed line: values by option name, the pairs behind them, what follows the options, exactly as written."""

    values: dict[str, list[str]] = field(default_factory=dict)
    rest: str = ""
    pairs: dict[str, list[str]] = field(default_factory=dict)

    def one(self, name: str) -> str | None:
        """The value of an option (the last, where it was given twice)."""
        return self.values[name][-1] if self.values.get(name) else None

    def many(self, name: str) -> list[str] | None:
        """All values of an option; None where it was not given."""
        return self.values.get(name)

    def has(self, name: str) -> bool:
        """Whether the option was given."""
        return name in self.values

    def whole(self, name: str) -> int | None:
        """A whole number >= 0. Raises UsageError for anything else."""
        text = self.one(name)
        if text is not None and not text.isdecimal():
            raise UsageError(f"--{name} takes a whole number, not {text!r}.")
        return None if text is None else int(text)

    def number(self, name: str) -> float | None:
        """A number > 0. Raises UsageError for anything else."""
        text = self.one(name)
        try:
            value = None if text is None else float(text)
        except ValueError:
            value = 0.0
        if value is not None and not 0 < value < 1e9:
            raise UsageError(f"--{name} takes a number greater than 0, not {text!r}.")
        return value


_TOKEN = re.compile(r"""\s*((?:'[^']*'|"[^"]*"|[^\s'"]|['"](?=\S))+)""")
_PIECE = re.compile(r"""'[^']*'|"[^"]*"|.""", re.DOTALL)


def _unquote(token: str) -> str:
    return re.sub(r"'([^']*)'|\"([^\"]*)\"", lambda m: m[1] if m[1] is not None else m[2], token)


def parse(line: str, options: Sequence[Option], magic: str, *, prompt: bool = False) -> Parsed:
    """Read the options at the head of a line. Raises UsageError for an unknown one, naming the nearest.

    Where a `prompt` may follow, an option of many values takes one word (of several, with commas).
    """
    by_flag = {f"--{o.name}": o for o in options} | {f"-{o.short}": o for o in options if o.short}
    values: dict[str, list[str]] = {}
    pairs: dict[str, list[str]] = {}
    at = 0
    while (token := _TOKEN.match(line, at)) and re.match(r"--?[A-Za-z]", token[1]):
        flag, equals, inline = token[1].partition("=")
        option = by_flag.get(flag)
        if option is None:
            raise UsageError(f"{magic} has no option {flag}.{nearest(flag, by_flag)} See {magic} --help")
        at = token.end()
        got = values.setdefault(option.name, [])
        if option.kind == "flag":
            continue
        if equals and not option.code:
            got.append(_unquote(inline))
        else:
            at = token.start(1) + len(flag) + 1 if equals else at
            at = _take(line, at, option, got, prompt or bool(equals))
        if not got:
            raise UsageError(f"{flag} of {magic} needs a value: {flag} {option.value}")
        if option.kind == "pairs":
            pairs[option.name], at = take_all(line, at, f"Write it as {flag} {option.value}.")
    return Parsed(values, line[at:].strip(), pairs)


def _take(line: str, at: int, option: Option, got: list[str], prompt: bool) -> int:
    """Read an option's value or values from `at` on; returns where they end."""
    while token := _TOKEN.match(line, at):
        if option.kind == "many" and re.match(r"--?[A-Za-z]", token[1]):
            break
        if token[1][0] in "'\"" and token[1][0] not in token[1][1:]:
            raise UsageError(f"The quote at {token[1]!r} is never closed. Close it, or leave it out.")
        values, at = _code(line, token.start(1)) if option.code else (_unquote(token[1]).split(","), token.end())
        got.extend(filter(None, values)) if option.kind == "many" else got.append(",".join(values))
        if option.kind != "many" or prompt:
            break
    return at


def _code(line: str, begin: int) -> tuple[list[str], int]:
    """The code at `begin`, apart at commas, and where it ends; brackets keep what is in them, quotes and all."""
    address = re.compile(r"(?:https?|data):\S+").match(line, begin)
    if address:
        return [address[0]], address.end()
    values, depth, at = [""], 0, begin
    while at < len(line):
        piece = _PIECE.match(line, at)[0]  # type: ignore[index]  # there is a character
        if depth == 0 and piece.isspace():
            break
        at += len(piece)
        if depth == 0 and piece == ",":
            values.append("")
            continue
        depth = max(0, depth + (piece in "([{") - (piece in ")]}"))
        values[-1] += piece if depth or len(piece) == 1 else piece[1:-1]
    if depth:
        raise UsageError(f"A bracket in {line[begin:].strip()[:60]!r} is never closed. Close it, or quote it all.")
    return values, at


def shell_words(line: str) -> list[str]:
    """The words of a line, apart as a shell has them. Raises UsageError for a quote that is never closed."""
    try:
        return shlex.split(line, posix=os.name != "nt")
    except ValueError:
        raise UsageError("A quote in this line is never closed. Close it, or leave it out.") from None


def usage(magic: str, synopsis: str, options: Sequence[Option]) -> str:
    """The help text of a magic."""
    rows = []
    for option in options:
        flags = f"-{option.short}, --{option.name}" if option.short else f"    --{option.name}"
        value = "" if option.kind == "flag" else f" {option.value}{'…' * (option.kind == 'many')}"
        rows.append((flags + value, option.help))
    width = max((len(left) for left, _ in rows), default=0)
    return "\n".join([f"{magic} {synopsis}".rstrip(), "", *(f"  {left:<{width}}  {right}" for left, right in rows)])
