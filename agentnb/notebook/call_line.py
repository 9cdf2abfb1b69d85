"""The line of `%tool call`: a tool, its arguments as `key=value` or as JSON, and what is to be done with the result."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agentnb import prompting
from agentnb.errors import PromptError, UsageError, nearest
from agentnb.messages import JSON, JSONObject, ToolSpec
from agentnb.notebook.options import Option
from agentnb.notebook.pairs import take
from agentnb.passing import Passing, properties, takes_text

FORMATS = ("json",)
CALL_OPTIONS = (
    Option("format", "json: read the result as JSON, a list or an object", "f", value="json"),
    Option("out", "put the result in this variable", "o", value="VAR"),
)
_SEE = "Write it as %tool call NAME key=value… or %tool call NAME {json}."
_HEAD = re.compile(r"\s*(?:([^\W\d]\w*)\s*=?\s*<<\s*)?(\S+)")
_FLAG = re.compile(r"\s*(--?[A-Za-z]+)(?:=|\s+|$)(\S*)")
_KEY = re.compile(r"\s*([^\s={}\[\]\"']+)\s*=")
_ASSIGNED = re.compile(r"\s*([^\W\d]\w*)\s*=?\s*<<\s*call(?=\s)")


@dataclass(frozen=True, slots=True)
class Call:
    """What the line says, before any of it is evaluated: `values` are the words behind each `key=`."""

    name: str
    values: Mapping[str, str] = field(default_factory=dict)
    json: str | None = None
    format: str | None = None
    variables: tuple[str, ...] = ()


def is_call(line: str) -> str | None:
    """What follows `call` on the line of `%tool`, with a `VAR <<` before it put behind; None for another line."""
    if assigned := _ASSIGNED.match(line):
        return f"{assigned[1]} << {line[assigned.end() :].strip()}"
    verb, _, rest = line.strip().partition(" ")
    return rest.strip() if verb == "call" else None


def read(line: str) -> Call:
    """The call on a line. Raises UsageError for one that is written wrongly."""
    head = _HEAD.match(line)
    if head is None or head[2].startswith("-"):
        raise UsageError(f"%tool call needs the name of a tool. {_SEE}")
    variables = [_variable(head[1])] if head[1] else []
    values: dict[str, str] = {}
    whole: str | None = None
    shown: str | None = None
    at = head.end()
    while line[at:].strip():
        if flag := _FLAG.match(line, at):
            name, value = _option(flag)
            if name == "out":
                variables.append(_variable(value))
            else:
                shown = value
            at = flag.end()
        elif (key := _KEY.match(line, at)) and whole is None:
            values[key[1]], at = take(line, key.end(), _SEE)
        elif not values and whole is None:
            whole, at = take(line, len(line) - len(line[at:].lstrip()), _SEE)
        else:
            raise UsageError(f"%tool call cannot read {line[at:].strip()[:60]!r}. {_SEE}")
    return Call(head[2], values, whole, shown, tuple(variables))


def _option(flag: re.Match[str]) -> tuple[str, str]:
    known = {f"--{o.name}": o for o in CALL_OPTIONS} | {f"-{o.short}": o for o in CALL_OPTIONS}
    option = known.get(flag[1])
    if option is None:
        raise UsageError(f"%tool call has no option {flag[1]}.{nearest(flag[1], known)} It has -f json and -o VAR.")
    if not flag[2]:
        raise UsageError(f"{flag[1]} of %tool call needs a value: {flag[1]} {option.value}")
    if option.name == "format" and flag[2] not in FORMATS:
        raise UsageError(f"--format {flag[2]!r} is not known to %tool call. It is json, or left out for the text.")
    return option.name, flag[2]


def _variable(name: str) -> str:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(f"%tool call puts its result in a variable; {name!r} is no name of one.")
    return name


def arguments(call: Call, spec: ToolSpec, passed: Passing, names: Mapping[str, object]) -> JSONObject:
    """The call's arguments as JSON. Raises UsageError for what is no object, and for a variable that is not there."""
    if call.json is not None:
        return _object(call.json)
    known = properties(spec)
    return {key: _argument(key, words, known.get(key, {}), passed, names) for key, words in call.values.items()}


def _object(text: str) -> JSONObject:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError(f"Arguments {text[:60]!r} are not valid JSON: {error}. {_SEE}") from None
    if not isinstance(found, dict):
        raise UsageError(f"The arguments of a tool must be a JSON object, not {text[:60]!r}. {_SEE}")
    return found


def _argument(key: str, words: str, schema: JSONObject, passed: Passing, names: Mapping[str, object]) -> JSON:
    if words.startswith("@") and words[1:].isidentifier():
        return passed.named(words[1:], schema)
    if words.startswith("{{"):
        inside = words[2:-2].strip()
        if inside in names and inside.isidentifier():
            return passed.named(inside, schema)
        try:
            return passed.argument(key, prompting.evaluate(inside, names), schema)
        except PromptError as error:
            raise UsageError(f"{key}={words}: {error}") from error
    if takes_text(schema) and not words.startswith('"'):
        return words
    try:
        parsed: JSON = json.loads(words)
    except ValueError:
        return words
    return parsed


def example(name: str, spec: ToolSpec, shown: Sequence[str] | None = None) -> str:
    """How the tool is called on a line, with a word for every argument that it needs."""
    required = spec.parameters.get("required")
    must = [str(each) for each in required] if isinstance(required, list) else []
    return " ".join(["%tool call", name, *(f"{each}=…" for each in (must if shown is None else shown))])
