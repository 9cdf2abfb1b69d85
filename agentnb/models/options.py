"""Generation options: one typed object, in our words; each dialect maps it to its own.

What a model cannot do is refused by name (`checked`), never dropped in silence. What we have no word for goes through
`body`, `headers` and `query`, as it is.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from agentnb.errors import UsageError, nearest
from agentnb.messages import JSON

EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")
#: What may hold a key: no store and no file keeps it.
PRIVATE = ("headers", "query")
#: "off", "on" (as much as the model likes), an effort, or a budget in tokens.
Thinking: TypeAlias = int | Literal["off", "on", "minimal", "low", "medium", "high", "xhigh", "max"]


@dataclass(frozen=True, slots=True)
class Options:
    """How a model generates; None leaves it to the model.

    `max_tokens` bounds the answer, `stop` are texts that end it. `penalties` are between -2 and 2. `cache` asks for
    prompt caching where it must be asked for: how long the provider keeps the prompt, "5m" or "1h". `stream=False`
    asks for the answer in one piece (the events are the same). `body`, `headers` and `query` are added to the request
    in the provider's own words.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] | None = None
    thinking: Thinking | None = None
    parallel_tool_calls: bool | None = None
    cache: Literal["5m", "1h"] | None = None
    stream: bool | None = None
    body: Mapping[str, JSON] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, values: Mapping[str, object]) -> Options:
        """Options from names and values, as `-p JSON` gives them. Raises UsageError for a bad name or value."""
        known = {each.name for each in dataclasses.fields(cls)}
        read: dict[str, object] = {}
        for given, value in values.items():
            name = _OTHER_NAMES.get(given, given)
            if name not in known:
                close = nearest(given, [*known, *_OTHER_NAMES])
                as_it_is = json.dumps({"body": {given: "…"}}, ensure_ascii=False)
                raise UsageError(f"There is no option {given!r}.{close} To send it as it is: {as_it_is}.")
            if value is not None:
                read[name] = _valid(given, name, value)
        return cls(**read)  # type: ignore[arg-type]  # each was checked

    def given(self) -> dict[str, object]:
        """The options that were given, by name."""
        out = {}
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if value is not None and value != {}:
                out[each.name] = value
        return out

    def kept(self) -> dict[str, JSON]:
        """What of them may be kept, as JSON: not `PRIVATE`; what is no JSON is its words."""
        kept = {name: value for name, value in self.given().items() if name not in PRIVATE}
        return json.loads(json.dumps(kept, default=str))  # type: ignore[no-any-return]  # it is what it was

    def over(self, other: Options) -> Options:
        """These options, and the other's where these say nothing; `body`, `headers` and `query` are joined."""
        joined = {name: {**getattr(other, name), **getattr(self, name)} for name in _JOINED}
        return dataclasses.replace(other, **{**self.given(), **joined})  # type: ignore[arg-type]  # fields of Options

    def checked(self, model: str, supported: Set[str]) -> None:
        """Raises UsageError for an option that `model` does not have."""
        for name in self.given():
            if name not in supported and name not in _PASSED:
                known = ", ".join(sorted(supported))
                raise UsageError(
                    f"{model} has no option {name!r}.{nearest(name, supported)} It has: {known}. Leave it out, or send "
                    "it in the provider's own words under 'body'."
                )


_JOINED = ("body", "headers", "query")
#: What others call them.
_OTHER_NAMES = {
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "reasoning_effort": "thinking",
    "effort": "thinking",
    "thinking_budget": "thinking",
    "stop_sequences": "stop",
    "cache_control": "cache",
    "extra_body": "body",
    "extra_headers": "headers",
    "extra_query": "query",
}
#: The least and the most; and the least of what is counted.
_NUMBERS = {
    "temperature": (0.0, 2.0),
    "top_p": (0.0, 1.0),
    "frequency_penalty": (-2.0, 2.0),
    "presence_penalty": (-2.0, 2.0),
}
_WHOLE = {"top_k": 0, "max_tokens": 1, "seed": None}
_NEEDED = {
    "parallel_tool_calls": "true or false",
    "stream": "true or false",
    "cache": "'5m' or '1h'",
    "body": "an object",
    **dict.fromkeys(("headers", "query"), "an object of texts"),
}


def _valid(given: str, name: str, value: object) -> object:
    """The value as the field holds it. Raises UsageError, in the name that was given."""
    match name:
        case "stop":
            return _stop(given, value)
        case "thinking":
            return _thinking(given, value)
        case _ if name in _NUMBERS or name in _WHOLE:
            return _number(given, name, value)
        case "cache" if value in ("5m", "1h"):
            return value
        case "parallel_tool_calls" | "stream" if isinstance(value, bool):
            return value
        case "body" if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return dict(value)
        case "headers" | "query" if isinstance(value, Mapping) and all(
            isinstance(text, str) for pair in value.items() for text in pair
        ):
            return dict(value)
    raise _wrong(given, value, _NEEDED[name])


def _number(given: str, name: str, value: object) -> float:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if name in _NUMBERS:
        low, high = _NUMBERS[name]
        if (whole or isinstance(value, float)) and low <= value <= high:  # type: ignore[operator]  # a number
            return value  # type: ignore[return-value]  # as above
        raise _wrong(given, value, f"a number from {low:g} to {high:g}")
    least = _WHOLE[name]
    if whole and (least is None or value >= least):  # type: ignore[operator]  # as above
        return value  # type: ignore[return-value]  # as above
    raise _wrong(given, value, "a whole number" + ("" if least is None else f" from {least} up"))


def _stop(given: str, value: object) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, (list, tuple)) and texts and all(isinstance(text, str) and text for text in texts):
        return tuple(texts)
    raise _wrong(given, value, "a text, or a list of texts")


def _thinking(given: str, value: object) -> Thinking:
    if isinstance(value, bool):
        return "on" if value else "off"
    if value in ("none", 0):
        return "off"
    if value in ("off", "on", *EFFORTS) or (isinstance(value, int) and value > 0):
        return value  # type: ignore[return-value]  # one of them
    raise _wrong(given, value, f"'off', 'on', a number of tokens, or one of {', '.join(EFFORTS)}")


def _wrong(given: str, value: object, needed: str) -> UsageError:
    return UsageError(f"The option {given!r} takes {needed}, not {str(value)[:60]!r}.")


#: Not the dialect's affair: they are added to every request.
_PASSED = frozenset({"body", "headers", "query", "stream"})
