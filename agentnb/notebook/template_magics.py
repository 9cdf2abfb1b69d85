"""`%%template` and `%template`: prompts with placeholders, kept under a name with all their versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from agentnb.errors import PromptError, UsageError, nearest
from agentnb.notebook import show
from agentnb.notebook.forms import Forms
from agentnb.notebook.options import Option, parse
from agentnb.notebook.orders import template_used
from agentnb.notebook.tables import Table
from agentnb.notebook.template_form import example, show_form
from agentnb.prompting.plain import moment
from agentnb.prompting.template import NOTHING_SENT
from agentnb.render.terminal import one_line
from agentnb.templates import Template, Templates, checked_name
from agentnb.templates.changes import change, difference
from agentnb.workspace import Workspace

VERBS = ("list", "show", "history", "restore", "rm", "rename", "form", "use")
VERSION = (Option("version", "the version", value="N"),)
_HELP = """%%template NAME                   keep the lines below as a template, or as its next version
%template [list]                  the templates there are, and their placeholders
%template show NAME [--version N]
%template history NAME            its versions, when they were made, and what changed
%template restore NAME [--version N]
                                  an earlier version again; by default the one before the last change, or what was
                                  there before %template rm
%template rm NAME…                remove it; its versions stay
%template rename NAME NEW
%template form NAME [-o VAR]      a form of its placeholders; Run asks with what was filled in
%template use NAME [k=v…]         ask with it: the same as %agent --template NAME [k=v…]

{{name}} in a template is an argument, else a variable of the notebook; {{expr}} is any expression. {{input}} is what
stands below %%agent --template NAME; {{TOOLS}} is a table of the tools. For literal braces write {{{{ … }}}}."""


@magics_class
class TemplateMagics(Magics):
    """`%template` over one workspace."""

    shell: InteractiveShell

    def __init__(
        self, shell: InteractiveShell, workspace: Workspace, forms: Forms, cell: Callable[[], str | None]
    ) -> None:
        super().__init__(shell)
        self.workspace = workspace
        self._forms = forms
        self._cell = cell

    @property
    def _templates(self) -> Templates:
        return self.workspace.templates

    @no_var_expand
    @line_cell_magic
    @show.documented(_HELP)
    def template(self, line: str, body: str | None = None) -> None:
        """Keep a template, list and show them, go back to earlier versions, ask with one."""
        words = line.split()
        if {"--help", "-h"} & set(words[:2]):
            show.text(_HELP)
        elif body is not None:
            self._say(self._keep(words, body))
        elif words in ([], ["list"]):
            show.table(templates(self._templates), self.workspace.mask)
        elif (asked := template_used(line)) is not None:  # in a cell of its own it is awaited instead (see extension)
            self.shell.run_line_magic("agent", asked)
        elif words[0] not in VERBS:
            known = words[0] in self._templates.names()
            hint = f" To see it: %template show {words[0]}." if known else nearest(words[0], VERBS)
            raise UsageError(f"%template has no verb {words[0]!r}.{hint} See %template --help")
        else:
            self._do(words[0], line.partition(words[0])[2].strip())

    def _keep(self, words: Sequence[str], body: str) -> str:
        if len(words) != 1:
            raise UsageError(f"%%template takes one name, not {' '.join(words)[:60]!r}. Its words stand below.")
        name, content = checked_name(words[0]), body.strip("\n")
        if not content.strip():
            raise UsageError(f"The template {name!r} has no words. Write them below %%template {name}.")
        made = Template(content, name=name)
        try:
            said = _placeholders(made)
        except PromptError as error:
            raise PromptError(f"{str(error).removesuffix(NOTHING_SENT)}Nothing was kept.") from None
        before = next((each for each in self._templates.list_all() if each.name == name), None)
        kept = self._templates.put(name, content)
        what = change(before.content if before else None, kept.content)
        return f"{name}: version {kept.version}, {what}. {said}\nUse it: {example(kept)}"

    def _do(self, verb: str, rest: str) -> None:
        match verb, rest.split():
            case "show" | "restore", [_, *_]:
                name, version = _versioned(verb, rest)
                if verb == "show":
                    self._say(_shown(self._templates, name, version))
                else:
                    self._say(_restored(self._templates, name, version))
            case "history", [name]:
                self._say("\n".join(_history(self._templates, name)))
            case "rm", [_, *_] as names:
                found = [self._templates.get(name).name for name in names]
                for name in dict.fromkeys(found):
                    self._templates.delete(name)
                    self._say(f"{name} is gone. %template restore {name} brings it back.")
            case "rename", [name, new]:
                made = self._templates.rename(name, new)
                self._say(f"{name} is {made.name} now.")
            case "form", [_, *_]:
                show_form(self._forms, self.workspace, rest, self._cell())
            case _:
                what = "a name and a new one" if verb == "rename" else "the name of a template"
                raise UsageError(f"%template {verb} needs {what}, and nothing else. See %template --help")

    def _say(self, words: str) -> None:
        show.foreign(words, self.workspace.mask)


def templates(shelf: Templates) -> Table:
    """The templates that are kept."""
    rows = tuple((each.name, f"{each.version}", _inside(each), one_line(each.content, 60)) for each in shelf.list_all())
    note = "" if rows else "No templates yet. %%template NAME keeps the lines below it as one."
    return Table(("template", "version", "placeholders", "begins with"), rows, note)


def _inside(template: Template) -> str:
    try:
        return ", ".join(template.placeholders) or "–"
    except PromptError:  # one that came from elsewhere
        return "cannot be read"


def _placeholders(template: Template) -> str:
    some = ", ".join(f"{{{{{one_line(each, 60)}}}}}" for each in template.placeholders)
    return f"Placeholders: {some}." if some else "It has no placeholders."


def _versioned(verb: str, rest: str) -> tuple[str, int | None]:
    # The option may stand on either side of the name.
    name, _, behind = rest.partition(" ") if not rest.startswith("-") else ("", "", rest)
    parsed = parse(behind, VERSION, f"%template {verb}")
    name, more = (name, parsed.rest) if name else (parsed.rest, "")
    if not name or more:
        raise UsageError(f"%template {verb} takes the name of a template, and --version N, not {rest[:60]!r}.")
    return name, parsed.whole("version")


def _shown(shelf: Templates, name: str, version: int | None) -> str:
    template = shelf.get(name, version)
    newest = shelf.history(name)[-1].version
    of = "" if template.version == newest else f" of {newest}"
    inside = _inside(template)
    return f"{template.name} · version {template.version}{of}\nplaceholders: {inside}\n\n{template.content}"


def _restored(shelf: Templates, name: str, version: int | None) -> str:
    before = shelf.history(name)[-1]
    made = shelf.restore(name, version)
    what = "back as it was" if before.content is None else change(before.content, made.content)
    return f"{made.name}: version {made.version}, {what}."


def _history(shelf: Templates, name: str) -> Sequence[str]:
    lines: list[str] = []
    before: str | None = None
    for each in shelf.history(name):
        what = "removed" if each.content is None else change(before, each.content)
        lines.append(f"version {each.version} · {moment(each.created)} · {what}")
        if each.content is not None and before is not None:
            lines += [f"  {line}" for line in difference(before, each.content)]
        before = each.content
    return lines
