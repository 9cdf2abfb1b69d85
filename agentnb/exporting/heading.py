"""What a conversation is called, and the line that says when it was: the same in every form."""

from __future__ import annotations

import re

from agentnb.exporting.conversation import Conversation
from agentnb.prompting.plain import moment, plural
from agentnb.render.terminal import one_line

_NAME_CHARS = 60


def title(conversation: Conversation) -> str:
    """The title on one line; how it begins, where it has none."""
    return one_line(conversation.session.name, 200) or conversation.session.id


def about(conversation: Conversation) -> str:
    """From when to when, how many turns, which session."""
    session = conversation.session
    begun, ended = moment(session.created), moment(session.updated)
    when = begun if begun == ended else f"{begun} to {ended}"
    return f"{when} · {plural(len(conversation.turns), 'turn')} · session {session.id}"


def file_name(conversation: Conversation, suffix: str) -> str:
    """A name for the file, from the title: letters, digits and hyphens; the session's id where there are none."""
    words = re.findall(r"\w+", title(conversation))
    name = "-".join(words)[:_NAME_CHARS].strip("-_")
    # On Windows these are devices, whatever follows the dot.
    reserved = re.fullmatch(r"con|prn|aux|nul|com\d|lpt\d", name, re.IGNORECASE)
    return f"{conversation.session.id if not name or reserved else name}{suffix}"
