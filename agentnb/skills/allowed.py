"""`allowed-tools` of a SKILL.md: which of the tools that a skill unlocks it may have, and for which commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, MutableMapping, Sequence

from agentnb.errors import ToolError
from agentnb.messages import Content, JSONObject, Text, ToolSpec
from agentnb.tools.base import Previewing, Tool, ToolContext, ToolReturn, Traits, traits

#: What others call the tools that we have, in lower case.
_ALIASES = {"shell": "bash", "webfetch": "fetch", "web_fetch": "fetch", "curl": "fetch"}
_ENTRY = re.compile(r"([^\s(]+)(?:\((.*)\))?", re.DOTALL)
#: What begins a command of its own within one; what runs or writes where no pattern can follow is refused.
_BETWEEN = frozenset({"|", "||", "&&", ";", "&", "|&"})
_PUNCTUATION = "|&;()"
_UNSEEN = re.compile(r"[`\n]|\$\(|<\(|>\(|[<>]")


def narrowed(tools: Iterable[Tool], allowed: Sequence[str] | None) -> list[Tool]:
    """The tools that `allowed` names, a shell bound to its patterns (`Bash(git:*)`); all where it is None."""
    if allowed is None:
        return list(tools)
    patterns: dict[str, list[str]] = {}
    for entry in allowed:
        if (found := _ENTRY.fullmatch(entry)) is not None:
            word = found[1].lower()
            patterns.setdefault(_ALIASES.get(word, word), []).append((found[2] or "*").strip())
    kept = (tool for tool in tools if tool.name.lower() in patterns)
    return [_bound(tool, patterns[tool.name.lower()]) for tool in kept]


def _bound(tool: Tool, patterns: Sequence[str]) -> Tool:
    if tool.name.lower() != "bash" or any(pattern in ("", "*", ":*") for pattern in patterns):
        return tool
    return OnlyCommands(tool, patterns)


class OnlyCommands:
    """A shell for the commands that a skill names: `git:*` and `git *` are git with anything behind it.

    It keeps a skill to what it said it needs; it is no sandbox, since most programs can start others.
    """

    def __init__(self, tool: Tool, patterns: Sequence[str]) -> None:
        self._tool = tool
        self._patterns = [(_words(pattern), pattern.endswith("*")) for pattern in patterns]
        self._shown = ", ".join(patterns)

    @property
    def name(self) -> str:
        """The shell's own."""
        return self._tool.name

    @property
    def parallel(self) -> bool:
        """As the shell says."""
        return self._tool.parallel

    @property
    def traits(self) -> Traits:
        """Those of the shell: what needs a person's word there needs it here."""
        return traits(self._tool)

    def spec(self, namespace: MutableMapping[str, object]) -> ToolSpec:
        """The shell's, with the commands that there are."""
        told = self._tool.spec(namespace)
        return ToolSpec(told.name, f"{told.description} Only these commands: {self._shown}.", told.parameters)

    def check(self, arguments: JSONObject, context: ToolContext) -> None:
        """Raises ToolError for a command that the skill did not name, and for what the shell does not take."""
        self._check(arguments)
        inner = getattr(self._tool, "check", None)
        if callable(inner):
            inner(arguments, context)

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolReturn:
        """Run a command that the skill named. Raises ToolError for any other."""
        self._check(arguments)
        return await self._tool.call(arguments, context)

    async def preview(self, arguments: JSONObject, context: ToolContext) -> tuple[Content, ...]:
        """What the shell shows of it. Raises ToolError for a command that the skill did not name."""
        self._check(arguments)
        if isinstance(self._tool, Previewing):
            return await self._tool.preview(arguments, context)
        return (Text(str(arguments.get("command", ""))),)

    def _check(self, arguments: JSONObject) -> None:
        command = arguments.get("command")
        if not isinstance(command, str):
            return  # the shell says what is wrong with it
        for words in _commands(command.strip()):
            if not any(self._fits(words, *pattern) for pattern in self._patterns):
                raise ToolError(
                    f"the skill may not run {' '.join(words)[:80]!r}. Its allowed-tools are: {self._shown}; "
                    "one command, or several with | && ; between them, without redirection and substitution."
                )

    @staticmethod
    def _fits(words: Sequence[str], pattern: Sequence[str], more: bool) -> bool:
        return list(words[: len(pattern)]) == list(pattern) and (more or len(words) == len(pattern))


def _words(pattern: str) -> list[str]:
    return pattern.removesuffix("*").removesuffix(":").split()


def _commands(command: str) -> list[list[str]]:
    """The words of each command in a line; a line that hides one is a single word that fits no pattern."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=_PUNCTUATION)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:
        return [[command]]
    # What stands in single quotes is text, where nothing else could end or begin them.
    bare = command if re.search(r'["\\]', command) else re.sub(r"'[^']*'", "''", command)
    if _UNSEEN.search(bare):
        return [[command]]
    commands: list[list[str]] = [[]]
    for word in words:
        if word in _BETWEEN:
            commands.append([])
        elif word and not word.strip(_PUNCTUATION):
            return [[command]]
        else:
            commands[-1].append(word)
    return [each for each in commands if each] or [[command]]
