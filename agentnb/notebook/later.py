"""The magics, and Tab in them, that load when they are first used: a first cell waits for none of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from IPython.core.completer import CompletionContext, SimpleMatcherResult, context_matcher
from IPython.core.magic import Magics, no_var_expand

from agentnb.notebook.magics import AgentMagics
from agentnb.notebook.tool_magics import ToolMagics
from agentnb.workspace import Workspace

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

Matcher: TypeAlias = Callable[[CompletionContext], SimpleMatcherResult]
Kind: TypeAlias = Literal["line", "cell"]
#: What a line must have for Tab to be our affair.
_OURS = "%"


@no_var_expand
class _First:
    """A magic before its first use: calling it, or asking what it does, loads it."""

    def __init__(self, load: Callable[[], Callable[..., object]]) -> None:
        self._load = load

    def __call__(self, *arguments: str) -> object:
        return self._load()(*arguments)

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]  # `%name?` reads it
        return self._load().__doc__


class LaterMagics:
    """Magics of one workspace by their names; each loads its module at its first call, and is itself from then on."""

    def __init__(self, shell: InteractiveShell, workspace: Workspace, agent: AgentMagics, tools: ToolMagics) -> None:
        self._shell = shell
        self._workspace = workspace
        self._agent = agent
        self._tools = tools
        self._made: list[Magics] = []
        self._known: Mapping[str, tuple[tuple[Kind, ...], Callable[[], Magics]]] = {
            "agentenv": (("line",), self._agentenv),
            "browser": (("line",), self._browser),
            "credential": (("line",), self._credential),
            "files": (("line",), self._files),
            "mcp": (("line", "cell"), self._mcp),
            "model": (("line",), self._model),
            "sandbox": (("line", "cell"), self._sandbox),
            "session": (("line",), self._session),
            "skill": (("line",), self._skill),
            "template": (("line", "cell"), self._template),
            "usage": (("line",), self._usage),
        }

    def register(self) -> None:
        """Put the names into the shell."""
        for name, (kinds, make) in self._known.items():
            for kind in kinds:
                first = _First(functools.partial(self._loaded, name, kind, make))
                self._shell.register_magic_function(first, kind, name)  # type: ignore[arg-type]  # IPython types it as an unbound method

    def unregister(self) -> None:
        """Take the names, and what they have become, out of the shell."""
        manager = self._shell.magics_manager
        for name, (kinds, _) in self._known.items():
            for kind in kinds:
                manager.magics[kind].pop(name, None)
        for magics in self._made:
            manager.registry.pop(type(magics).__name__, None)
        self._made.clear()

    def _loaded(self, name: str, kind: Kind, make: Callable[[], Magics]) -> Callable[..., object]:
        magics = make()
        self._made.append(magics)
        self._shell.register_magics(magics)
        loaded: Callable[..., object] = self._shell.magics_manager.magics[kind][name]
        return loaded

    def _cell(self) -> str | None:
        return self._agent.cell_id

    def _agentenv(self) -> Magics:
        from agentnb.notebook.env_magics import EnvMagics

        return EnvMagics(self._shell, self._workspace)

    def _browser(self) -> Magics:
        from agentnb.notebook.browser_magics import BrowserMagics

        return BrowserMagics(self._shell, self._workspace)

    def _credential(self) -> Magics:
        from agentnb.notebook.credential_magics import CredentialMagics

        return CredentialMagics(self._shell, self._workspace)

    def _files(self) -> Magics:
        from agentnb.notebook.files_magics import FilesMagics

        return FilesMagics(self._shell, self._workspace, self._cell)

    def _mcp(self) -> Magics:
        from agentnb.notebook.mcp_magics import McpMagics

        return McpMagics(self._shell, self._workspace)

    def _model(self) -> Magics:
        from agentnb.notebook.model_magics import ModelMagics

        return ModelMagics(self._shell, self._workspace)

    def _sandbox(self) -> Magics:
        from agentnb.notebook.sandbox_magics import SandboxMagics

        return SandboxMagics(self._shell, self._workspace)

    def _session(self) -> Magics:
        from agentnb.notebook.session_magics import SessionMagics

        return SessionMagics(self._shell, self._workspace, self._agent.inspected)

    def _skill(self) -> Magics:
        from agentnb.notebook.skill_magics import SkillMagics

        return SkillMagics(self._shell, self._workspace)

    def _template(self) -> Magics:
        from agentnb.notebook.template_magics import TemplateMagics

        return TemplateMagics(self._shell, self._workspace, self._tools.forms, self._cell)

    def _usage(self) -> Magics:
        from agentnb.notebook.usage_magics import UsageMagics

        return UsageMagics(self._shell, self._workspace)


def matcher(workspace: Workspace, going: Callable[[], Sequence[str]]) -> Matcher:
    """What IPython asks at every Tab; a line with none of our magics is answered without loading anything."""
    made: list[Matcher] = []

    @context_matcher()  # type: ignore[untyped-decorator]  # IPython ships no types for it
    def agentnb(context: CompletionContext) -> SimpleMatcherResult:
        if not context.full_text.lstrip().startswith(_OURS) and "\n%" not in context.full_text:
            return {"completions": []}
        if not made:
            from agentnb.notebook import complete

            made.append(complete.matcher(workspace, going))
        return made[0](context)

    found: Matcher = agentnb
    return found
