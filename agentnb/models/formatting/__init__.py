"""Conversations as the lists of messages that providers take, for whoever sends them by other means than ours.

A chat is between one user and one model; of several agents and people, what was said is told as a history.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from agentnb.errors import UsageError, nearest
from agentnb.messages import JSONObject, Message
from agentnb.models.formatting.files import Files, Kind, LocalFiles, with_bytes
from agentnb.models.formatting.forms import FORMS, Form
from agentnb.models.formatting.results import spelled
from agentnb.models.multi_agent import PROMPT, as_history

__all__ = ["ChatFormatter", "Files", "LocalFiles", "MultiAgentFormatter"]


class ChatFormatter:
    """The messages of a chat, as `provider` takes them: openai, deepseek, anthropic, gemini, ollama or dashscope.

    Media that tools gave are named in words; those of the kinds in `promote` ("image", "audio", "video") are shown
    too, as from a user. `files` is where the files are that messages name.
    """

    def __init__(self, provider: str, *, promote: Collection[Kind] = (), files: Files | None = None) -> None:
        self._form = _form(provider, promote)
        self._promote = frozenset(promote)
        self._files = files or LocalFiles()

    def format(self, messages: Iterable[Message]) -> list[JSONObject]:
        """What the provider is sent. Raises UsageError for what it cannot take."""
        form, files = self._form, self._files
        if not form.keeps_media:
            messages = spelled(messages, files, promote=self._promote, noun=form.noun)
        try:
            return [wire for message in messages for wire in form.wires(with_bytes(message, files))]
        except TypeError as reason:
            raise UsageError(f"A message of the conversation cannot be written as JSON: {reason}.") from None


class MultiAgentFormatter:
    """The same for a conversation of several: what was said between calls of tools is one history with names.

    `history_prompt` precedes the first history, `me` is the name of whoever is asked.
    """

    def __init__(
        self,
        provider: str,
        *,
        history_prompt: str = PROMPT,
        me: str | None = None,
        promote: Collection[Kind] = (),
        files: Files | None = None,
    ) -> None:
        self._chat = ChatFormatter(provider, promote=promote, files=files)
        self._form = FORMS[provider]
        self._prompt = history_prompt
        self._me = me

    def format(self, messages: Sequence[Message]) -> list[JSONObject]:
        """What the provider is sent. Raises UsageError for what it cannot take."""
        told = as_history(messages, me=self._me, prompt=self._prompt, layout=self._form.layout)
        if self._form.system is None or not told or told[0].role != "system":
            return self._chat.format(told)
        return [self._form.system(told[0]), *self._chat.format(told[1:])]


def _form(provider: str, promote: Collection[Kind]) -> Form:
    if (form := FORMS.get(provider)) is None:
        raise UsageError(
            f"There is no format for {provider!r}.{nearest(provider, FORMS)} There is: {', '.join(FORMS)}."
        )
    if refused := set(promote) - set(form.promotes):
        shown = ", ".join(form.promotes) or "nothing"
        raise UsageError(f"{provider} cannot be shown {', '.join(sorted(refused))} of a tool's result, only: {shown}.")
    return form
