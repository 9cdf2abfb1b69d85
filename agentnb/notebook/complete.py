"""Tab in our magics: options, models, tools, and variables inside `{{`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from agentnb.models import weights
from agentnb.models.providers import load_providers
from agentnb.notebook import orders
from agentnb.notebook.options import Option
from agentnb.workspace import Workspace

_TOOL_VERBS = ("list", "show", "on", "off", "rm")


def matcher(workspace: Workspace) -> Callable[[CompletionContext], SimpleMatcherResult]:
    """What IPython asks at every Tab."""
    completer = Completer(workspace)

    @context_matcher()  # type: ignore[untyped-decorator]  # IPython ships no types for it
    def agentnb(context: CompletionContext) -> SimpleMatcherResult:
        lines = context.full_text.split("\n")
        before = lines[context.cursor_line][: context.cursor_position]
        token = context.token
        found = [n for n in completer.suggest(lines[0], before, context.cursor_line) if n.startswith(token)]
        return {"completions": [SimpleCompletion(text=name, type="agentnb") for name in found], "suppress": bool(found)}

    found: Callable[[CompletionContext], SimpleMatcherResult] = agentnb
    return found


class Completer:
    """Suggestions for one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def suggest(self, first: str, before: str, line: int) -> Sequence[str]:
        """What may stand at the cursor, by the cell's first line and the cursor's line up to it."""
        magic = re.match(r"\s*(%%?(?:agent|model|tool))(?=\s|$)", before if line == 0 else first)
        if magic is None:
            return ()
        if re.search(r"\{\{[^}]*$", before):
            return [name for name in self._workspace.namespace if not name.startswith("_")]
        if line > 0:
            return ()
        *earlier, word = re.split(r"[\s,]+", before[magic.end() :].lstrip(), maxsplit=0)
        return self._words(magic[1], earlier, word)

    def _words(self, magic: str, earlier: Sequence[str], word: str) -> Sequence[str]:
        last = earlier[-1] if earlier else ""
        if magic == "%tool":
            return [*(() if earlier else _TOOL_VERBS), *self._functions()]
        if word.startswith("-"):
            return _flags(orders.OPTIONS if "agent" in magic else orders.MODEL_OPTIONS)
        if last in ("-m", "--model") or (magic == "%model" and not earlier):
            return [*_models(), *(["list", "pull"] if magic == "%model" else [])]
        match last:
            case "-t" | "--tool":
                return self._functions()
            case "-f" | "--format":
                return orders.FORMATS
            case "--session":
                return ("new", "none")
        return ()

    def _functions(self) -> Sequence[str]:
        functions = (name for name, value in self._workspace.namespace.items() if callable(value))
        return list(dict.fromkeys([*self._workspace.toolbox.all(), *(n for n in functions if not n.startswith("_"))]))


def _flags(options: Iterable[Option]) -> list[str]:
    return [f"--{option.name}" for option in options]


def _models() -> list[str]:
    return [*(f"local:{row.id}" for row in weights.KNOWN), *(f"{provider}:" for provider in load_providers())]
