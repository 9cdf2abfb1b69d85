"""Where compatible servers put a model's reasoning: fields, lists of parts, details to send back, tags in the text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agentnb.messages import JSON, JSONObject

_OPEN, _CLOSE = "<think>", "</think>"


def parts_of(content: JSON) -> Iterator[tuple[bool, str]]:
    """(is reasoning, text) of a delta's content: a string, or Mistral's list of parts."""
    match content:
        case str():
            yield False, content
        case list():
            for part in content:
                match part:
                    case str():
                        yield False, part
                    case {"type": "thinking", "thinking": thinking}:
                        yield True, "".join(text for _, text in parts_of(thinking))
                    case {"text": str() as text}:
                        yield False, text


def reasoning_of(delta: Mapping[str, JSON]) -> str:
    """The reasoning in a delta, once: servers repeat it under several names."""
    for name in ("reasoning_content", "reasoning"):
        if (text := delta.get(name)) and isinstance(text, str):
            return text
    details = delta.get("reasoning_details")
    if not isinstance(details, list):
        return ""
    texts = (d.get("text") or d.get("summary") for d in details if isinstance(d, dict))
    return "".join(text for text in texts if isinstance(text, str))


class Details:
    """OpenRouter's `reasoning_details`: fragments put together again, to be sent back as they are."""

    def __init__(self) -> None:
        self.merged: list[JSON] = []

    def add(self, details: JSON, *, whole: bool) -> None:
        """Take in a delta's fragments, or the details of a whole message."""
        for detail in details if isinstance(details, list) else ():
            if whole or not isinstance(detail, dict):
                self.merged.append(detail)
            else:
                self._add(detail)

    def _add(self, detail: JSONObject) -> None:
        last = self.merged[-1] if self.merged else None
        text = {"reasoning.text": "text", "reasoning.summary": "summary"}.get(str(detail.get("type")))
        if text is None or not isinstance(last, dict) or any(last.get(k) != detail.get(k) for k in ("type", "index")):
            self.merged.append(dict(detail))
            return
        # A signature ends its block.
        if last.get("signature") and detail.get(text):
            self.merged.append(dict(detail))
            return
        joined = str(last.get(text) or "") + str(detail.get(text) or "")
        last.update({k: v for k, v in detail.items() if v is not None} | {text: joined})


class ThinkTags:
    """Reasoning written into the answer, between tags at its very beginning; tags may be split anywhere."""

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"

    def feed(self, text: str) -> Iterator[tuple[bool, str]]:
        """(is reasoning, text) of what is certain by now."""
        if self._state == "start":
            self._held += text
            begin = self._held.lstrip()
            if not begin.startswith(_OPEN) and _OPEN.startswith(begin):
                return
            thinks = begin.startswith(_OPEN)
            self._state, text = ("thinking", begin[len(_OPEN) :]) if thinks else ("text", self._held)
            self._held = ""
        if self._state == "thinking":
            thought, text = self._until_close(self._held + text)
            yield True, thought
        if self._state == "between" and (text := text.lstrip()):
            self._state = "text"
        if self._state == "text":
            yield False, text

    def _until_close(self, text: str) -> tuple[str, str]:
        thought, tag, rest = text.partition(_CLOSE)
        if tag:
            # The blank lines between reasoning and answer belong to neither.
            self._state, self._held = "between", ""
            return thought, rest
        split = next((n for n in range(len(_CLOSE) - 1, 0, -1) if text.endswith(_CLOSE[:n])), 0)
        cut = len(text) - split
        self._held = text[cut:]
        return text[:cut], ""

    def end(self) -> tuple[bool, str]:
        """What was held back when the answer ended."""
        held, self._held = self._held, ""
        return self._state == "thinking", held
