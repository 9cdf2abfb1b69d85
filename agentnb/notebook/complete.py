"""Tab in our magics: verbs, options and their values, models, keys, tools, and variables inside `{{`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from agentnb.errors import AgentnbError
from agentnb.models import weights
from agentnb.notebook import (
    browser_magics,
    complete_template,
    complete_tool,
    credential_magics,
    env_magics,
    files_magics,
    mcp_magics,
    model_magics,
    orders,
    replaying,
    sandbox_magics,
    session_magics,
    skill_magics,
    transferring,
    usage_magics,
    which_session,
)
from agentnb.notebook.options import Option
from agentnb.workspace import Workspace

_MAGIC = re.compile(
    r"\s*(%%?agent|%agentnb|%%?tool|%model|%credential|%usage|%agentenv|%files|%browser|%%?sandbox|%mcp|%skill|%%?template|%session)(?=\s|$)"
)
#: Options that take one of a few words.
_FIXED: dict[str, Sequence[str]] = {
    "-f": orders.FORMATS,
    "--format": orders.FORMATS,
    "--approve": orders.APPROVE,
    "--context": orders.CONTEXTS,
    "--cache": ("memory",),
}
#: Magics that know themselves what may stand in their line.
_SUGGEST: dict[str, Callable[[Workspace, Sequence[str], str], Sequence[str]]] = {
    "agentenv": env_magics.suggest,
    "files": files_magics.suggest,
    "session": session_magics.suggest,
    "template": complete_template.suggest,
    "%template": complete_template.suggest,
}
#: What `--schema` can be of any notebook.
_TYPES = ("str", "int", "float", "bool", "list[", "dict[")


def matcher(
    workspace: Workspace, going: Callable[[], Sequence[str]] = lambda: ()
) -> Callable[[CompletionContext], SimpleMatcherResult]:
    """What IPython asks at every Tab; `going` gives the ids of the runs in the background."""
    completer = Completer(workspace, going)

    @context_matcher()  # type: ignore[untyped-decorator]  # IPython ships no types for it
    def agentnb(context: CompletionContext) -> SimpleMatcherResult:
        lines = context.full_text.split("\n")
        before = lines[context.cursor_line][: context.cursor_position]
        offered = completer.suggest(lines[0], before, context.cursor_line)
        word = _begun(before, offered)
        names = [SimpleCompletion(text=name, type="agentnb") for name in offered if name.startswith(word)]
        return {"completions": names, "matched_fragment": word, "suppress": bool(names)}

    found: Callable[[CompletionContext], SimpleMatcherResult] = agentnb
    return found


def _begun(before: str, offered: Iterable[str]) -> str:
    """What of the names that are offered stands before the cursor: a whole word, or a name within an expression."""
    word = re.split(r"[\s,=]", before)[-1]
    if any(name.startswith(word) for name in offered):
        return word
    return re.split(r"\W", word)[-1] if re.search(r"[(\[{]", word) else word


class Completer:
    """Suggestions for one workspace."""

    def __init__(self, workspace: Workspace, going: Callable[[], Sequence[str]] = lambda: ()) -> None:
        self._workspace = workspace
        self._going = going

    def suggest(self, first: str, before: str, line: int) -> Sequence[str]:
        """What may stand at the cursor, by the cell's first line and the cursor's line up to it."""
        magic = _MAGIC.match(before if line == 0 else first)
        if magic is None:
            return ()
        if "agent" in magic[1] and re.search(r"\{\{[^}]*$", before):
            return [name for name in self._workspace.namespace if not name.startswith("_")]
        if line > 0:
            return ()
        *earlier, word = re.split(r"[\s,=]+", before[magic.end() :].lstrip(), maxsplit=0)
        try:
            return self._words(magic[1].removeprefix("%"), earlier, word)
        except AgentnbError:  # a file of keys or settings that cannot be read: the magic will say so
            return ()

    def _words(self, magic: str, earlier: Sequence[str], word: str) -> Sequence[str]:
        match magic:
            case "agent" | "%agent":
                return self._agent(magic, earlier, word)
            case "tool" | "%tool":
                return complete_tool.suggest(self._workspace, earlier, word, self._functions())
            case "model":
                return self._model(earlier, word)
            case "credential":
                return self._credential(earlier, word)
            case "browser":
                return () if earlier else browser_magics.VERBS
            case "sandbox" | "%sandbox":
                return sandbox_magics.suggest(earlier, word)
            case "mcp":
                return self._mcp(earlier, word)
            case "skill":
                return self._skill(earlier, word)
            case _ if suggest := _SUGGEST.get(magic):
                return suggest(self._workspace, earlier, word)
        words: dict[str, dict[tuple[str, ...], Sequence[str]]] = {
            "agentnb": {(): transferring.VERBS},
            "usage": {(): (*usage_magics.BY, "cap"), ("cap",): ("none",)},
        }
        return words[magic].get(tuple(earlier), ())

    def _agent(self, magic: str, earlier: Sequence[str], word: str) -> Sequence[str]:
        if word.startswith("-"):
            return _flags(replaying.OPTIONS if earlier[:1] == ["replay"] else orders.OPTIONS)
        match earlier:
            case [] if magic == "agent":  # a line: a cell has no verbs
                return orders.VERBS
            case ["use" | "show" | "rm" | "rename" | "export"]:
                return [*self._workspace.agents.names(), *(["--none"] if earlier == ["use"] else [])]
            case [*_, "--as"]:
                return [*self._workspace.agents.names(), "none"]
            case ["stop" | "wait"]:
                return [*self._going(), "all"]
            case ["resume" | "replay"]:
                return ("list",)
        return self._value(earlier, word)

    def _model(self, earlier: Sequence[str], word: str) -> Sequence[str]:
        verb = earlier[0] if earlier else ""
        if word.startswith("-"):
            return _flags(model_magics.ADD_OPTIONS if verb == "add" else model_magics.MODEL_OPTIONS)
        match verb, len(earlier):
            case "", _:
                return [*model_magics.VERBS, *self._models(word)]
            case "list", 1:
                return [*self._workspace.models.providers(), "local"]
            case "rm" | "save", 1:
                return list(self._workspace.models.names())
            case "pull", 1:
                return [row.id for row in weights.KNOWN]
            case ("test", 1) | ("add" | "alias", 2):
                return self._models(word)
        return self._value(earlier, word)

    def _mcp(self, earlier: Sequence[str], word: str) -> Sequence[str]:
        match earlier:
            case []:
                return mcp_magics.VERBS
            case ["add", *_] if word.startswith("-"):
                return _flags(mcp_magics.ADD_OPTIONS)
            case [*_, "--type"]:
                return mcp_magics.TYPES
            case ["show" | "save" | "restart" | "stop" | "rm" | "add"]:
                kept = self._workspace.kept("mcp_server")
                return list(kept if earlier == ["add"] else {**self._workspace.mcp.servers, **kept})
        return ()

    def _credential(self, earlier: Sequence[str], word: str) -> Sequence[str]:
        if word.startswith("-"):
            return _flags(credential_magics.ADD_OPTIONS)
        match earlier:
            case []:
                return credential_magics.VERBS
            case ["add"] | [*_, "--provider"]:
                return list(self._workspace.models.providers())
            case [*_, "--type"]:
                return list(credential_magics.SECRETS)
            case [*_, "--from-env"]:
                return [name for name in self._workspace.environ if name.isupper()]
            case [_]:
                return [entry.name for entry in self._workspace.credentials.list()]
        return ()

    def _skill(self, earlier: Sequence[str], word: str) -> Sequence[str]:
        match earlier:
            case []:
                return skill_magics.VERBS
            case ["show" | "rm", *_]:
                return self._skills()
            case ["load" | "validate", *_]:
                return _folders(word)
        return ()

    def _skills(self) -> Sequence[str]:
        return [skill.name for skill in self._workspace.skills.list()]

    def _value(self, earlier: Sequence[str], word: str) -> Sequence[str]:
        """What the last option before the cursor may be."""
        if (pairs := complete_template.values(self._workspace, earlier)) is not None:
            return pairs
        match next((each for each in reversed(earlier) if each.startswith("-")), ""):
            case "-t" | "--tool":
                return [*self._functions(), *self._workspace.toolbox.toolsets()]
            case "-i" | "--image" | "--audio":
                return self._variables()
            case "--fallback" | "--balance":
                return self._models(word)
            case "--schema" | "--skill" as option:
                return [*self._types(), *_TYPES] if option == "--schema" else [*self._skills(), *_folders(word)]
        match earlier[-1] if earlier else "":
            case "-m" | "--model":
                return self._models(word)
            case "--session":
                return ["new", "none", *which_session.names(self._workspace)]
            case "--api-key-name":
                return [entry.name for entry in self._workspace.credentials.list()]
            case last:
                return _FIXED.get(last, ())

    def _models(self, word: str) -> Sequence[str]:
        """Names of your own, then those built in, then providers; behind a provider's colon, what is known of it."""
        models = self._workspace.models
        if ":" in word:
            given = word.partition(":")[0]
            row = models.providers().get(given)
            known = self._workspace.known_models(given) if row else ()
            return [*(card.name for card in known), *(f"local:{each.id}" for each in weights.KNOWN)]
        providers = (name for row in models.providers().values() for name in (row.name, *row.aliases))
        return [*models.names(), *(f"local:{row.id}" for row in weights.KNOWN), *(f"{name}:" for name in providers)]

    def _functions(self) -> Sequence[str]:
        namespace = self._workspace.namespace
        functions = [name for name in self._variables() if _can_be_a_tool(namespace[name])]
        return list(dict.fromkeys([*self._workspace.toolbox.all(), *functions]))

    def _types(self) -> Sequence[str]:
        """Classes, and what else may say what an answer is: an alias such as `list[City]`, a JSON Schema."""
        named = ((name, self._workspace.namespace[name]) for name in self._variables())
        return [name for name, value in named if isinstance(value, (type, dict)) or hasattr(value, "__origin__")]

    def _variables(self) -> Sequence[str]:
        return [name for name in self._workspace.namespace if not name.startswith("_")]


def _flags(options: Iterable[Option]) -> list[str]:
    return [f"--{option.name}" for option in options]


def _folders(word: str) -> list[str]:
    """The folders that a path may go on with."""
    head, _, _ = word.rpartition("/")
    try:
        below = sorted(each.name for each in Path(head or ".").expanduser().iterdir() if each.is_dir())
    except OSError:
        return []
    return [f"{head}/{name}" if head else name for name in below if not name.startswith(".")]


def _can_be_a_tool(value: object) -> bool:
    """Functions and the like: no classes, nothing of what annotations are written with."""
    return callable(value) and not isinstance(value, type) and getattr(value, "__module__", "") != "typing"
