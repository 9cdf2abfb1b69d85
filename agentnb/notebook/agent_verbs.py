"""`%agent save|use|show|rm|rename`: agents that are kept under names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime

from agentnb.agents import SavedAgent, checked_name, problems
from agentnb.context.choosing import mode_named
from agentnb.errors import UsageError
from agentnb.messages import JSON
from agentnb.models.options import PRIVATE
from agentnb.notebook import agent_files, casting, orders
from agentnb.notebook.options import Option, Parsed, parse, usage
from agentnb.notebook.tables import Table
from agentnb.prompting.plain import moment
from agentnb.render.terminal import clean, one_line
from agentnb.workspace import Workspace

#: Options of a cell that an agent keeps.
_KEPT = (
    *("model", "tool", "no-tools", "skill", "system", "template", "system-template", "context", "approve"),
    *("max-rounds", "max-cost", "max-tokens", "api-base", "api-key-name", "params"),
)
OPTIONS = (
    *(each for each in orders.OPTIONS if each.name in _KEPT),
    Option("description", "what it is for"),
    Option("help", "this text", "h", kind="flag"),
)
_NAME = r"(\w[\w.-]*)"
_FILE = r"('[^']+\.json'|\"[^\"]+\.json\"|\S+\.json)"
#: A line is a verb where all of it has one of these forms, and a prompt else: of `%agent save the results`, what
#: stands behind a name is no option; of `%agent import pandas`, the word is no JSON file. What has the form of a verb
#: and names nothing fails, and is not sent: a slip in a name should cost nothing.
_FORMS = {
    "save": r"([^\s-]\S*)((?:\s+-.*)?)|(-h|--help)()",
    "use": rf"({_NAME[1:-1]}|--none)",
    "show": _NAME,
    "rm": _NAME,
    "rename": rf"{_NAME}\s+{_NAME}",
    "export": rf"{_NAME}(?:\s+{_FILE})?",
    "import": rf"{_FILE}((?:\s+--(?:replace|yes))*)",
}
_PATTERNS = {verb: re.compile(rf"\s*{verb}\s+(?:{form})\s*", re.DOTALL) for verb, form in _FORMS.items()}
_NEEDED = {
    "save": "NAME [options]",
    "use": "NAME, or --none",
    "show": "NAME",
    "rm": "NAME",
    "rename": "OLD NEW",
    "export": "NAME [FILE.json]",
    "import": "FILE.json [--replace]",
}


def wanted(line: str, body: str | None) -> tuple[str, tuple[str, ...]] | None:
    """The verb of a `%agent` line about saved agents, and its words; None for any other line, which is a prompt.

    Raises UsageError for a verb that stands alone.
    """
    if body is not None:
        return None
    for verb, pattern in _PATTERNS.items():
        if found := pattern.fullmatch(line):
            return verb, tuple(each or "" for each in found.groups() if each is not None)
    if (verb := line.strip()) in _FORMS:
        return verb, ()
    return None


def perform(workspace: Workspace, verb: str, words: tuple[str, ...], say: Callable[[str], object]) -> str:
    """Do what the line says; gives what came of it, without secrets. `say` is told what must be read before that.

    Raises UsageError.
    """
    if not words and verb != "use":
        raise UsageError(f"%agent {verb} needs {_NEEDED[verb]}. A prompt goes into a %%agent cell.")
    match verb:
        case "save" if words[0] in ("-h", "--help"):
            said = usage("%agent save", "NAME [options]", OPTIONS)
        case "save":
            said = save(workspace, words[0], words[1])
        case "use":
            said = use(workspace, words[0] if words else None)
        case "show":
            said = "\n".join(_about(workspace, _get(workspace, words[0])))
        case "rm":
            said = remove(workspace, words[0])
        case "rename":
            said = rename(workspace, *words)
        case "export":
            said = agent_files.export(workspace, _get(workspace, words[0]), "".join(words[1:]).strip("'\""))
        case _:
            said = agent_files.import_(workspace, words[0].strip("'\""), words[1].split(), say)
    return workspace.mask(said)


def table(workspace: Workspace) -> Table:
    """The saved agents, the newest first."""
    found = workspace.agents.list()
    rows = tuple(
        (
            f"{each.name} (in use)" if each.name == workspace.agent_in_use else each.name,
            each.model or "",
            "the notebook's" if each.tools is None else ", ".join((*each.tools, *each.skills)) or "none",
            each.description or one_line(each.system or "", 60) or each.system_template or "",
            _moment(each),
        )
        for each in found
    )
    note = "" if rows else "No agent is saved. %agent save NAME keeps this notebook's model and tools under a name."
    return Table(("agent", "model", "tools", "what", "changed (UTC)"), rows, note)


def save(workspace: Workspace, name: str, line: str) -> str:
    """Keep an agent: what the options say, and what they do not say as it is in the notebook now."""
    checked_name(name)
    options = parse(line, OPTIONS, "%agent save")
    if options.has("help"):
        return usage("%agent save", "NAME [options]", OPTIONS)
    if options.rest:
        raise UsageError(f"%agent save takes a name and options; {options.rest[:60]!r} is none. See %agent save --help")
    before = workspace.agents.find(name)
    kept = workspace.agents.save(made(workspace, name, options))
    lines = [f"{name} is {'saved anew' if before else 'saved'}: {_summary(kept)}. Use it: %%agent --as {name}"]
    if set(PRIVATE) & {*workspace.options.given(), *orders.model_options(options).given()}:
        lines.append("Headers and query are not kept: they may hold keys.")
    return "\n".join([*lines, *problems(kept, workspace.around())])


def made(workspace: Workspace, name: str, options: Parsed) -> SavedAgent:
    """The agent that a line of options makes in this notebook. Raises UsageError."""
    own_model = options.one("model")
    if own_model is None and (options.has("api-base") or options.has("api-key-name")):
        raise UsageError("--api-base and --api-key-name go with --model PROVIDER:NAME.")
    chosen = workspace.chosen if own_model is None else None
    generation = orders.model_options(options)
    if own_model is None:
        generation = generation.over(workspace.options)
    if options.has("system") and options.has("system-template"):
        raise UsageError("--system and --system-template contradict each other. Leave one out.")
    rounds, cost, context = options.whole("max-rounds"), options.one("max-cost"), options.one("context")
    return SavedAgent(
        name,
        own_model or (chosen.name if chosen else workspace.model_name),
        api_base=chosen.api_base if chosen else options.one("api-base"),
        api_key_name=chosen.api_key_name if chosen else options.one("api-key-name"),
        tools=_tools(workspace, options),
        skills=tuple(options.many("skill") or ()) if options.has("skill") else _skills(workspace, options),
        system=options.one("system"),
        template=options.one("template"),
        arguments=dict(map(_argument, options.pairs.get("template", ()))),
        system_template=options.one("system-template"),
        system_arguments=dict(map(_argument, options.pairs.get("system-template", ()))),
        options=generation.kept(),
        approve=orders.approval(options.one("approve")),
        max_rounds=rounds,
        max_cost=None if cost is None else orders.amount(cost, "--max-cost"),
        context=None if context is None else mode_named(context),
        description=options.one("description"),
    )


def _tools(workspace: Workspace, options: Parsed) -> tuple[str, ...]:
    """The tools named, or those that are on; a server whose tools are all on is named as a whole."""
    if options.has("no-tools"):
        if options.has("tool"):
            raise UsageError("--tool and --no-tools contradict each other. Leave one out.")
        return ()
    if (named := options.many("tool")) is not None:
        return tuple(dict.fromkeys(named))
    listed, servers = workspace.toolbox.listed(), workspace.mcp.servers
    whole = {name for name in servers if all(each.enabled for each in listed if each.toolset == name)}
    own = [each for each in listed if each.enabled and each.toolset not in (*whole, workspace.skills.name)]
    return (*(each.name for each in own), *whole)


def _skills(workspace: Workspace, options: Parsed) -> tuple[str, ...]:
    if options.has("no-tools") or options.has("tool"):
        return ()
    listed = workspace.toolbox.listed()
    return tuple(each.name for each in listed if each.enabled and each.toolset == workspace.skills.name)


def _argument(pair: str) -> tuple[str, JSON]:
    """A `key=value` of a template; an expression and a variable are evaluated where the agent is used."""
    key, _, words = pair.partition("=")
    if words.startswith("@") and words[1:].isidentifier():
        return key, f"{{{{{words[1:]}}}}}"
    return key, words if words.startswith("{{") else casting.read_words(pair)


def use(workspace: Workspace, name: str | None) -> str:
    """Let the cells of this notebook go on as an agent; `--none`: as themselves; None: say which one it is."""
    if name is None:
        return f"{workspace.agent_in_use or 'No saved agent'} is in use."
    if name == "--none" or name == casting.NOBODY:
        workspace.agent_in_use = None
        return "No saved agent is in use from now on."
    saved = _get(workspace, name)
    workspace.agent_in_use = name
    lines = [f"{name} answers in this notebook from now on: {_summary(saved)}. %agent use --none ends it."]
    return "\n".join([*lines, *problems(saved, workspace.around())])


def remove(workspace: Workspace, name: str) -> str:
    """Remove a saved agent."""
    _get(workspace, name)
    workspace.agents.remove(name)
    if workspace.agent_in_use == name:
        workspace.agent_in_use = None
    return f"{name} is removed. workspace.agents.restore({name!r}) of %agentnb brings it back."


def rename(workspace: Workspace, old: str, new: str) -> str:
    """Give a saved agent another name."""
    _get(workspace, old)
    workspace.agents.rename(old, new)
    if workspace.agent_in_use == old:
        workspace.agent_in_use = new
    return f"{old} is {new} now."


def _get(workspace: Workspace, name: str) -> SavedAgent:
    try:
        return workspace.agents.get(name)
    except UsageError as error:
        raise UsageError(f"{error} Nothing was sent; a prompt like this goes into a %%agent cell.") from None


def _moment(saved: SavedAgent) -> str:
    """When it was changed, as people write it."""
    try:
        return moment(datetime.fromisoformat(saved.last_modified or "").timestamp())
    except (ValueError, OverflowError):  # of an agent that came from elsewhere
        return ""


def _summary(saved: SavedAgent) -> str:
    tools = "the notebook's tools" if saved.tools is None else ", ".join((*saved.tools, *saved.skills)) or "no tools"
    return one_line(f"{saved.model or 'the model of the notebook'}, with {tools}", 300)


def _about(workspace: Workspace, saved: SavedAgent) -> Iterator[str]:
    """All there is of a saved agent, and what it lacks here."""
    for name, value in saved.body().items():
        shown = ", ".join(map(str, value)) or "none" if isinstance(value, list) else clean(str(value))
        shown = _moment(saved) if name == "last_modified" else shown
        yield f"{name.replace('_', ' ')}: " + shown.replace("\n", "\n    ")
    if missing := problems(saved, workspace.around()):
        yield "Here it lacks something:"
        yield from (f"  {each}" for each in missing)
