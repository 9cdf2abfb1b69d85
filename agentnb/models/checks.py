"""Check what goes to a model and what comes back: change a request, refuse it, or stop an answer."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import TypeAlias, TypeVar

from agentnb.errors import RequestRefused, StreamBroken, UsageError
from agentnb.events import MessageEnd, ModelEvent, TextDelta
from agentnb.masking import masked
from agentnb.messages import Block, Content, Data, Message, Text, ToolCall, ToolResult
from agentnb.models.attempt import Around, shortened
from agentnb.models.base import Model, Request
from agentnb.models.key_shapes import known_keys
from agentnb.transcript import Folder

T = TypeVar("T")
#: None lets the request pass, another Request goes in its place, a text is the reason to refuse it.
CheckRequest: TypeAlias = Callable[[Request], "Awaitable[Request | str | None] | Request | str | None"]
#: The text of the answer so far and its message: None lets it pass, a text is the reason to stop it.
CheckResponse: TypeAlias = Callable[[str, Message], "Awaitable[str | None] | str | None"]

_CODE = "content_filter"


class CheckModel(Around):
    """A model whose requests and answers are checked by functions, plain or async; to refuse they may also raise
    ValueError.

    An answer is checked at its end, and with `every` also each so many characters: then nothing is shown before it was
    checked, and of an answer that is stopped what passed is kept.
    """

    def __init__(
        self,
        model: Model,
        *,
        request: CheckRequest | None = None,
        response: CheckResponse | None = None,
        every: int | None = None,
    ) -> None:
        if every is not None and every < 1:
            raise UsageError(f"An answer is checked each 1 or more characters, not {every}.")
        super().__init__(model)
        self._request = request
        self._response = response
        self._every = every

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The wrapped model's answer. Raises RequestRefused (nothing was sent), or StreamBroken where it is stopped."""
        if self._request is not None:
            request = await self._allowed(self._request, request)
        answer = self.model.stream(request)
        async with aclosing(self._checked(answer, self._response) if self._response else answer) as events:
            async for event in events:
                yield event

    async def _allowed(self, check: CheckRequest, request: Request) -> Request:
        match await _said(lambda: check(request)):
            case None:
                return request
            case str() as reason:
                raise RequestRefused(
                    f"A check refused the request to {self.name}, nothing was sent: {reason}. Change the prompt.",
                    code=_CODE,
                )
            case changed:
                return changed

    async def _checked(
        self, answer: AsyncGenerator[ModelEvent, None], check: CheckResponse
    ) -> AsyncGenerator[ModelEvent, None]:
        folder, held, unchecked = Folder(), list[ModelEvent](), 0
        async with aclosing(answer) as events:
            async for event in events:
                folder.feed(event)
                held.append(event)
                unchecked += len(event.text) if isinstance(event, TextDelta) else 0
                over = isinstance(event, MessageEnd)
                if over or (self._every is not None and unchecked >= self._every):
                    await self._pass(check, folder)
                    unchecked = 0
                elif self._every is not None and unchecked:
                    continue
                for each in held:
                    yield each
                held.clear()

    async def _pass(self, check: CheckResponse, folder: Folder) -> None:
        message = folder.transcript().messages[-1]
        reason = await _said(lambda: check(message.text, message))
        if reason is not None:
            raise StreamBroken(f"A check stopped the answer of {self.name}: {reason}. Change the prompt.", code=_CODE)


async def _said(check: Callable[[], Awaitable[T] | T]) -> T | str:
    """What a check says, its ValueError as a reason."""
    try:
        said = check()
        result = await said if inspect.isawaitable(said) else said
    except ValueError as refusal:
        result = str(refusal) or "no reason given"
    return shortened(result).rstrip(".") if isinstance(result, str) else result


def secrets_check(mask: Callable[[str], str] = known_keys) -> Callable[[Request], Request | None]:
    """A check of requests: whatever looks like a key does not go to the model, "[key]" goes in its place."""

    def check(request: Request) -> Request | None:
        messages = tuple(_masked(message, mask) for message in request.messages)
        same = all(new is old for new, old in zip(messages, request.messages, strict=True))
        return None if same else replace(request, messages=messages)

    return check


def _masked(message: Message, mask: Callable[[str], str]) -> Message:
    content = tuple(_masked_block(block, mask) for block in message.content)
    return message if content == message.content else replace(message, content=content)


def _masked_block(block: Block, mask: Callable[[str], str]) -> Block:
    match block:
        case ToolCall(arguments=arguments):
            return replace(block, arguments=mask(arguments))
        case ToolResult(content=content):
            return replace(block, content=tuple(_masked_content(each, mask) for each in content))
        case Text() | Data():
            return _masked_content(block, mask)
    return block


def _masked_content(content: Content, mask: Callable[[str], str]) -> Content:
    match content:
        case Text(text=text):
            return replace(content, text=mask(text))
        case Data(value=value):
            return replace(content, value=masked(value, mask))
    return content
