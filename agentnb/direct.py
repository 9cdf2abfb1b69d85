"""Tools called without a model: `tools.name(a=1)` from Python, and what comes of a call as a value."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from inspect import Parameter, Signature
from typing import Protocol, TypeAlias

from agentnb.bridge import Foreground, going
from agentnb.errors import ToolError, UsageError, nearest
from agentnb.jobs import Run
from agentnb.messages import JSON, Data, JSONObject, Text, ToolResult, ToolSpec
from agentnb.passing import arguments, passing, properties, takes_variable
from agentnb.render.terminal import one_line
from agentnb.toolbox import Listed, Toolbox
from agentnb.tools.naming import kind
from agentnb.transcript import Transcript

#: Makes a call and waits for its result: by the id of a tool, checked and approved.
Perform: TypeAlias = Callable[[str, JSONObject], ToolResult]

_TYPES: dict[object, type] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list,
    "object": dict,
}
_FENCE = re.compile(r"```json\s*\n(.*?)```", re.DOTALL | re.IGNORECASE)


class Starts(Protocol):
    """Makes the run of one call, as `Workspace.call` does."""

    def __call__(self, name: str, arguments: JSONObject, /, *, runner: Foreground) -> Run:
        """The run; whoever asked starts it."""


def perform(start: Starts, name: str, given: JSONObject) -> ToolResult:
    """Make a call and wait for it, showing nothing: in a script. The tool runs on this thread."""
    foreground = Foreground()
    run = start(name, given, runner=foreground)
    with going(run, foreground):
        foreground.attend_blocked(run.done, lambda: None)
    run.done.result()
    return result_of(run.transcript(), name)


def result_of(transcript: Transcript, name: str) -> ToolResult:
    """What the one call of a run gave. Raises ToolError where it never ran."""
    result = next((run.result for run in transcript.tools.values() if run.result), None)
    if result is None:
        raise ToolError(f"{name} gave no result: it was not run.")
    return result


def _cause(text: str) -> str:
    """What an error says; of a traceback, which the card shows, its last line."""
    return text.rsplit("\n", 1)[-1] if text.startswith("Traceback (most recent call last)") else text


def as_value(result: ToolResult, namespace: Mapping[str, object], mask: Callable[[str], str] = str) -> object:
    """What a call gave: the object that its variable holds, a JSON value, else the text; blocks where it is neither.

    Raises ToolError for a result that is an error, with its words on one line and without secrets.
    """
    text = result.text
    if result.is_error or text.startswith("Error:"):
        said = one_line(mask(_cause(text.removeprefix("Error:").strip())), 500)
        raise ToolError(said or f"{result.name} failed, and said nothing.")
    if result.handle is not None and result.handle in namespace:
        return namespace[result.handle]
    others = [block for block in result.content if not isinstance(block, Text)]
    match others:
        case []:
            return text
        case [Data(value=value)]:  # texts beside it say the same in words
            return value
        case [other] if not text:
            return other
    return result.content


def read_json(value: object) -> list[JSON] | dict[str, JSON]:
    """A result as the JSON it holds: all of its text, else its first block fenced as ```json.

    Raises UsageError for a text that holds neither a list nor an object.
    """
    if isinstance(value, list | dict):
        return value
    text = value if isinstance(value, str) else str(value)
    fenced = _FENCE.search(text)
    for candidate in (text, fenced[1] if fenced else ""):
        try:
            found = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(found, list | dict):
            return found
    shown = " ".join(text.split())
    raise UsageError(
        f"Result is not valid JSON: it has no object and no list, but {shown[:80]!r}{'…' * (len(shown) > 80)}. "
        "Leave the format out to get the text."
    )


def checked(found: Listed) -> Listed:
    """A tool that a person may call. Raises UsageError for a skill, which is none."""
    if kind(found.tool) == "skill":
        raise UsageError(f"{found.name} is a skill, which a model reads. Ask one: %agent -t {found.name} …")
    return found


class DirectTool:
    """One tool as a function: its arguments by name, or in the order of its schema."""

    def __init__(
        self, listed: Listed, namespace: MutableMapping[str, object], perform: Perform, mask: Callable[[str], str]
    ) -> None:
        self._listed = listed
        self._mask = mask
        self._namespace = namespace
        self._perform = perform
        spec = listed.tool.spec(namespace)
        self._spec = spec
        self.__name__ = self.__qualname__ = listed.name
        self.__doc__ = spec.description
        self.__signature__ = signature(spec)

    def __repr__(self) -> str:
        return f"<tool {self._listed.name}{self.__signature__}>"

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Call it. Raises ToolError with what the tool says, and UsageError for arguments it does not take."""
        try:
            bound = self.__signature__.bind_partial(*args, **kwargs)
        except TypeError as error:
            near = nearest(next((name for name in kwargs if f"'{name}'" in str(error)), ""), properties(self._spec))
            raise UsageError(f"{self._listed.name}: {error}.{near} It is {self!r}.") from None
        values = {name: value for name, value in bound.arguments.items() if name != "kwargs"}
        values |= bound.arguments.get("kwargs", {})
        with passing(self._namespace) as passed:
            result = self._perform(self._listed.id, arguments(passed, values, self._spec))
            return as_value(result, self._namespace, self._mask)

    def json(self, *args: object, **kwargs: object) -> list[JSON] | dict[str, JSON]:
        """Call it, and read the result as JSON (see `read_json`)."""
        return read_json(self(*args, **kwargs))


class DirectTools:
    """The tools as attributes and as items: `tools.add(a=1, b=2)`, `tools["mcp-time-now"]()`.

    A call is checked, approved and shown as a model's is, by `perform`; `find` finds a tool by name or id; `mask`
    takes secrets out of errors.
    """

    def __init__(
        self,
        toolbox: Toolbox,
        namespace: MutableMapping[str, object],
        perform: Perform,
        find: Callable[[str], Listed] | None = None,
        *,
        mask: Callable[[str], str] = str,
    ) -> None:
        self._mask = mask
        self._toolbox = toolbox
        self._namespace = namespace
        self._perform = perform
        self._find = find or toolbox.get

    def __getattr__(self, name: str) -> DirectTool:
        if name.startswith("_"):
            raise AttributeError(name)
        known = self._attributes()
        try:
            return self[known.get(name, name)]
        except UsageError as error:
            raise AttributeError(str(error)) from None

    def __getitem__(self, name: str) -> DirectTool:
        """A tool by name or id. Raises UsageError, which names the nearest."""
        return DirectTool(checked(self._find(name)), self._namespace, self._perform, self._mask)

    def __iter__(self) -> Iterator[str]:
        return iter(self._toolbox.all())

    def __len__(self) -> int:
        return len(self._toolbox.all())

    def __contains__(self, name: object) -> bool:
        return any(name in (each.name, each.id) for each in self._toolbox.listed())

    def __dir__(self) -> list[str]:
        return sorted(self._attributes())

    def __repr__(self) -> str:
        listed = self._toolbox.listed()
        on = ", ".join(each.name for each in listed if each.enabled) or "none yet; %tool FUNCTION registers one"
        off = sum(not each.enabled for each in listed)
        return f"<tools: {on}{f'; and {off} that no model is offered' if off else ''}>"

    def _ipython_key_completions_(self) -> list[str]:
        return [name for each in self._toolbox.listed() for name in dict.fromkeys((each.name, each.id))]

    def _attributes(self) -> dict[str, str]:
        """Names as Python can write them: `read-file` is `read_file` too."""
        found: dict[str, str] = {}
        for name in self._toolbox.all():
            found.setdefault(re.sub(r"\W", "_", name), name)
        return {name: tool for name, tool in found.items() if name.isidentifier()}


def signature(spec: ToolSpec) -> Signature:
    """A tool's arguments as Python shows them; what has a name that Python cannot write goes by `**kwargs`."""
    required = spec.parameters.get("required")
    must = set(map(str, required)) if isinstance(required, list) else set()
    known = properties(spec)
    parameters = [
        Parameter(
            name,
            Parameter.POSITIONAL_OR_KEYWORD,
            default=Parameter.empty if name in must else schema.get("default"),
            annotation=_annotation(schema),
        )
        for name, schema in sorted(known.items(), key=lambda each: each[0] not in must)
        if _writable(name)
    ]
    if spec.parameters.get("additionalProperties") not in (None, False) or not all(map(_writable, known)):
        parameters.append(Parameter("kwargs", Parameter.VAR_KEYWORD))
    return Signature(parameters)


def _writable(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name) and name != "kwargs"


def _annotation(schema: JSONObject) -> object:
    if takes_variable(schema):
        return object
    kind_of = schema.get("type")
    return _TYPES.get(kind_of, Parameter.empty) if isinstance(kind_of, str) else Parameter.empty
