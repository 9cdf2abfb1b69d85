"""The tool that hands a task to another agent: with its own model, some of the tools, and some of the variables."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from agentnb.errors import AgentnbError, PromptError, ToolError, nearest
from agentnb.messages import JSON, Block, JSONObject, Message, Text, ToolSpec
from agentnb.prompting.media import to_media
from agentnb.tools.base import Question, Spawner, Subtask, Tool, ToolContext, ToolReturn, Traits
from agentnb.tools.consent import APPROVE, DENY

NAME = "delegate"
#: How deep runs may be nested: the one a person started is 0.
MAX_DEPTH = 3
_ABOUT = (
    "Hand a task to another agent, which works on its own and gives back its answer. It knows nothing of this "
    "conversation: the task must say all it needs. Calls at once run side by side."
)
#: Where an argument has had several names, all of them are understood.
_SPELLINGS = {"model_id": "model", "tool_names": "tools", "tool_ids": "tools"}
#: How an address on the network begins.
_FAR = ("https://", "http://")
_TRAITS = Traits("builtin-delegate", "built-in")
_ARGUMENTS = ("model", "tools", "task", "context", "images", "variables")


@dataclass(frozen=True, slots=True)
class Delegate:
    """`delegate(task, tools, model, context, images, variables)`; `over` says which tools can be handed on.

    `max_depth` bounds the nesting: whoever runs that deep can delegate no further. `arguments` are those that the model
    is told of: a small model does better with few.
    """

    max_depth: int = MAX_DEPTH
    arguments: tuple[str, ...] = _ARGUMENTS
    scope: Mapping[str, Tool] = field(default_factory=dict)
    name: str = NAME
    parallel: bool = True
    traits: Traits = _TRAITS

    @classmethod
    def within(cls, environ: Mapping[str, str]) -> Delegate:
        """As the environment wants it: with `DISABLE_NESTED_DELEGATE`, who was handed a task hands on none."""
        return cls(1) if environ.get("DISABLE_NESTED_DELEGATE", "").strip() not in ("", "0", "false") else cls()

    def over(self, scope: Mapping[str, Tool]) -> Delegate:
        """The same, told of the tools that it can hand on."""
        return replace(self, scope=scope)

    def spec(self, namespace: MutableMapping[str, object]) -> ToolSpec:
        """What the model is told, with the tools that there are."""
        names: list[JSON] = [*self.scope]
        lines = [f"- {tool.name}: {_first_line(tool, namespace)}" for tool in self.scope.values()]
        about = "\n".join([_ABOUT, "Tools it can be given:", *lines]) if lines else _ABOUT
        item: JSONObject = {"type": "string", "enum": names} if names else {"type": "string"}
        tools = "Names of the tools it may use; none: it only thinks. Left out: all of them."
        properties: JSONObject = {
            "task": {
                "type": "string",
                "description": "What to do, with everything needed to do it.",
                "examples": ["Say how many words this sentence has: Many hands make light work."],
            },
            "tools": {"type": "array", "items": item, "description": tools},
            "model": {"type": "string", "description": "The model that does it; left out: the one that asks."},
            "context": {"type": "string", "description": "A system prompt for it: its role, rules, background."},
            "images": _texts("Pictures for it: names of variables, paths, or addresses."),
            "variables": _texts("Notebook variables it may see; left out: all of them."),
        }
        told: JSONObject = {name: each for name, each in properties.items() if name in self.arguments}
        return ToolSpec(self.name, about, {"type": "object", "properties": told, "required": ["task"]})

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolReturn:
        """The other agent's answer. Raises ToolError where it cannot be started, and where it fails."""
        spawner = context.spawner
        if spawner is None:
            raise ToolError("no other agent can be started from here.")
        if spawner.depth >= self.max_depth:
            raise ToolError(f"agents may be nested {self.max_depth} deep, no deeper. Do it yourself.")
        given = _read(arguments)
        await _allow(_names(given, "images") or (), context)
        subtask = self._subtask(given, spawner, context.namespace)
        try:
            done = await spawner.run(subtask)
        except ToolError:
            raise
        except AgentnbError as error:
            raise ToolError(f"delegate failed: {error}") from error
        said = "".join(message.text for message in done.messages if message.role == "assistant").strip()
        if done.outcome != "done":
            said = f"{said}\n(It was stopped before it was done: {done.outcome}.)".strip()
        return ToolReturn((Text(said or "(it said nothing)"),))

    def _subtask(self, given: JSONObject, spawner: Spawner, namespace: MutableMapping[str, object]) -> Subtask:
        task = given.get("task")
        if not isinstance(task, str) or not task.strip():
            raise ToolError("argument 'task' is missing: say what is to be done.")
        system = given.get("context")
        names = _names(given, "variables")
        content: tuple[Block, ...] = (Text(task), *_images(_names(given, "images") or (), namespace))
        return Subtask(
            Message("user", content),
            self._tools(_names(given, "tools"), spawner),
            _model(given.get("model"), spawner),
            str(system) if system else None,
            None if names is None else tuple(names),
            NAME,
        )

    def _tools(self, names: Sequence[str] | None, spawner: Spawner) -> tuple[Tool, ...]:
        """The tools by name, from those of the run; it may delegate in its turn where it is told so."""
        if names is None:
            return tuple(spawner.scope.values())
        known: dict[str, Tool] = {**spawner.scope}
        if spawner.depth + 1 < self.max_depth:
            known[NAME] = replace(self, scope={})
        unknown = next((name for name in names if name not in known), None)
        if unknown is not None:
            raise ToolError(
                f"there is no tool {unknown!r} to hand on.{nearest(unknown, known)} "
                f"There are: {', '.join(known) or 'none'}."
            )
        return tuple(known[name] for name in dict.fromkeys(names))


def _read(arguments: JSONObject) -> JSONObject:
    out: JSONObject = {}
    for name, value in arguments.items():
        ours = _SPELLINGS.get(name, name)
        if ours not in _ARGUMENTS:
            raise ToolError(f"unknown argument {name!r}.{nearest(name, _ARGUMENTS)} It takes {', '.join(_ARGUMENTS)}.")
        out[ours] = value
    return out


def _names(given: JSONObject, argument: str) -> list[str] | None:
    """A list of names, also where it is one text with commas; None where it was left out."""
    match given.get(argument):
        case None:
            return None
        case str(text):
            return [name.strip() for name in text.split(",") if name.strip()]
        case list(items) if all(isinstance(item, str) for item in items):
            return [str(item) for item in items]
    raise ToolError(f"argument {argument!r} should be a list of names.")


def _model(asked: JSON, spawner: Spawner) -> str | None:
    """The model by name; only those of this notebook, because another may cost what nobody agreed to."""
    if asked in (None, "", "default", *spawner.models[:1]):
        return None
    if asked not in spawner.models:
        raise ToolError(
            f"model {asked!r} is not one of this notebook.{nearest(str(asked), spawner.models)} "
            f"There are: {', '.join(spawner.models) or 'none but the default'}."
        )
    return str(asked)


async def _allow(images: Sequence[str], context: ToolContext) -> None:
    """Ask about pictures that are to be sent for: what a model puts into an address leaves the machine with it.

    Raises ToolError where the person does not allow it, or nobody can be asked.
    """
    meant = [context.namespace.get(each, each) for each in images]
    addresses = [each for each in meant if isinstance(each, str) and each.lower().startswith(_FAR)]
    if not addresses:
        return
    question = Question("Allow delegate to send for pictures?", (Text("\n".join(addresses)),), choices=(APPROVE, DENY))
    reply = await context.asker.ask(question) if context.asker else None
    if reply is None or reply.choice != APPROVE.id:
        said = f" They said: {reply.reason}" if reply and reply.reason else ""
        raise ToolError(f"nobody allowed to send for {', '.join(addresses)[:200]}.{said}")


def _images(sources: Sequence[str], namespace: MutableMapping[str, object]) -> list[Block]:
    out: list[Block] = []
    for source in sources:
        try:
            out += to_media(namespace[source] if source in namespace else _inside(source), "image")
        except PromptError as error:
            raise ToolError(f"the picture {source!r} cannot be handed on: {error}") from error
    return out


def _inside(source: str) -> str | Path:
    """An address, or a file below the notebook's folder. Raises ToolError for one elsewhere."""
    if source.lower().startswith((*_FAR, "data:")):
        return source
    here = Path.cwd().resolve()
    path = (here / source).resolve()
    if not path.is_relative_to(here):
        raise ToolError(f"the picture {source!r} lies outside the notebook's folder.")
    return path


def _first_line(tool: Tool, namespace: MutableMapping[str, object]) -> str:
    return tool.spec(namespace).description.partition("\n")[0]


def _texts(about: str) -> JSONObject:
    return {"type": "array", "items": {"type": "string"}, "description": about}
