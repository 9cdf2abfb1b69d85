"""What a `%session` line asks for, read before anything is done."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agentnb.errors import UsageError, nearest
from agentnb.render.terminal import one_line

VERBS = (
    *("new", "list", "use", "title", "fork", "revoke", "unrevoke", "rm", "restore", "export", "search"),
    *("summary", "memory", "artifacts", "read", "inspect"),
)
HELP = """%session                      which conversation this is
%session new [TITLE]          begin another; this one stays
%session list [WORDS]         those there are; --here: this notebook's, --removed, --all: more than the last 50
%session use ID|TITLE         go on with one; the beginning of its id is enough, or words of its title
%session title [TEXT]         give this one a title; without a text, the model makes one
%session fork [N]             another one that begins with the first N turns of this one (all)
%session revoke [N]           take back the last N turns (1)
%session unrevoke             bring them again
%session rm ID…               put away
%session restore ID…          bring back what was put away, for 30 days
%session export [ID] [FILE]   to FILE.md, .html, .json or .ipynb (or the ending alone); --replace what is there
%session search WORDS         in all that was said; --here: in this one; "two words" together, word* begins so
%session summary              what a long conversation is remembered by; --now makes one, edit TEXT changes it
%session memory               single things that are remembered: add TYPE TEXT, edit N TEXT, rm N
%session artifacts            its files
%session read [ID…]           mark as read; --all of them
%session inspect              what would go to the model now, and why

%%agent --session ID talks in another one from that cell on, --session new in a new one, --session none in none."""
#: Flags of each verb that has some.
FLAGS: dict[str, tuple[str, ...]] = {
    "list": ("--all", "--here", "--removed"),
    "export": ("--replace",),
    "search": ("--here",),
    "summary": ("--now",),
    "read": ("--all",),
}

_FLAG = re.compile(r"(?<!\S)--[a-z]+(?!\S)")
_WORD = re.compile(r"""(?<!\S)"([^"]+)"(?!\S)|(?<!\S)'([^']+)'(?!\S)|(\S+)""")


@dataclass(frozen=True, slots=True)
class SessionOrder:
    """A line: `rest` is what follows the verb as it was written, without its `flags`; `words` the same, apart."""

    verb: str
    rest: str
    flags: frozenset[str]

    @property
    def words(self) -> list[str]:
        """Its words; quotes keep several together."""
        return [a or b or c for a, b, c in _WORD.findall(self.rest)]

    @property
    def misread(self) -> UsageError:
        """What to say of a line that the verb makes no sense of."""
        written = next(row for row in HELP.split("\n") if row.startswith(f"%session {self.verb}".rstrip()))
        return UsageError(f"It is written so: {written.partition('  ')[0].strip()}. See %session --help")


def read(line: str) -> SessionOrder:
    """The order in a line. Raises UsageError for a verb, or a flag of it, that there is not."""
    verb, _, rest = line.strip().partition(" ")
    rest = rest.strip()
    if verb in ("--help", "-h") or rest in ("--help", "-h"):
        return SessionOrder("--help", "", frozenset())
    if verb and verb not in VERBS:
        raise UsageError(f"%session has no verb {one_line(verb, 40)!r}.{nearest(verb, VERBS)} See %session --help")
    return SessionOrder(verb, *_flags(verb, rest))


def number(text: str, verb: str, most: int) -> int:
    """A number of turns. Raises UsageError for one that is none, or more than there are."""
    if not text.isdecimal() or len(text) > 9 or not 0 < int(text) <= most:
        raise UsageError(f"%session {verb} takes a number of turns, 1 to {most:,}, not {one_line(text, 20)!r}.")
    return int(text)


def _flags(verb: str, rest: str) -> tuple[str, frozenset[str]]:
    """What is left of a line, and its flags."""
    if verb not in FLAGS:
        return rest, frozenset()
    given = frozenset(_FLAG.findall(rest))
    if unknown := sorted(given - set(FLAGS[verb])):
        raise UsageError(f"%session {verb} has no {unknown[0]}.{nearest(unknown[0], FLAGS[verb])} See %session --help")
    return _FLAG.sub("", rest).strip(), given
