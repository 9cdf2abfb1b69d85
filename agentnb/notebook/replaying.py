"""`%agent replay`: a run of the notebook's file once more, on another model, and how the two differ.

The file may come from anywhere. What a record has and its cell does not show, such as an expression that runs code or a
tool that is off, is not used; and a call that wants a person's word always asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from agentnb import config, prompting, render
from agentnb.bridge import Foreground
from agentnb.errors import PromptError, StoreError, UsageError
from agentnb.files.references import referenced
from agentnb.messages import Content, JSONObject, Message
from agentnb.models.base import Model
from agentnb.models.options import PRIVATE, Options
from agentnb.notebook.attended import Asking, Attended
from agentnb.notebook.briefing import brief
from agentnb.notebook.cell import tool_names
from agentnb.notebook.harmless import is_plain, refers_outside
from agentnb.notebook.options import Option, parse, usage
from agentnb.notebook.orders import Order, model_options, read
from agentnb.notebook.replay import Replay
from agentnb.notebook.saved_runs import SavedNotebook, SavedRun, read_notebook
from agentnb.notebook.tables import Table
from agentnb.prompting.template import Placeholder, Words
from agentnb.prompting.template import parse as parse_template
from agentnb.render.recorded import Recorded, read_record
from agentnb.render.terminal import one_line
from agentnb.result import Result
from agentnb.tools.base import Tool
from agentnb.workspace import Workspace

#: What a cell knows beside the notebook's variables.
Names: TypeAlias = Mapping[str, object]
Say: TypeAlias = Callable[[str], object]

OPTIONS = (
    Option("model", "the model that answers now; without it, the notebook's", "m", value="PROVIDER:NAME"),
    Option("file", "another notebook", value="OTHER.ipynb"),
    Option("params", "generation options as JSON, in place of those of the run", "p", value="JSON", code=True),
    Option("help", "this text", "h", kind="flag"),
)
_LINE = re.compile(r"\s*replay(?:\s+(\[\d{1,9}\]|[A-Za-z0-9_][A-Za-z0-9_-]{0,63}))?(\s+-.*|\s*)", re.DOTALL)
_RUN_ID = re.compile(r"[0-9a-f]{6,32}")
_USUAL = "%agent replay [CELL] [-m MODEL] [--file OTHER.ipynb]"
_HELP = "[CELL|RUN|list]      a run of the notebook's file once more; without a word, the last one above"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a line asks for: a cell or a run ("" for the last above), "list", "help"; and how it is to be run."""

    which: str
    model: str | None = None
    file: str | None = None
    options: Options | None = None


def wanted(line: str, body: str | None) -> Wanted | None:
    """What a `%agent` line wants to have replayed; None for any other line. Raises UsageError for a bad option."""
    found = _LINE.fullmatch(line) if body is None else None
    if found is None:
        return None
    options = parse(found[2], OPTIONS, "%agent replay")
    if options.has("help"):
        return Wanted("help")
    which = found[1] or ""
    if options.rest and which:
        raise UsageError(f"%agent replay does not know {one_line(options.rest, 60)!r}. Write {_USUAL}.")
    if options.rest and not re.fullmatch(r"\[?[A-Za-z0-9_-]{1,64}\]?", options.rest):
        raise UsageError(f"{one_line(options.rest, 60)!r} is no cell. Write {_USUAL}.")
    params = model_options(options) if options.has("params") else None
    return Wanted(which or options.rest, options.one("model"), options.one("file"), params)


def told(workspace: Workspace, asked: Wanted) -> Table | str | None:
    """What a line only wants to be told: the runs of the file, or how to write such a line; None for any other."""
    match asked.which:
        case "list":
            return _notebook(workspace, asked.file)[0].table()
        case "help":
            return usage("%agent replay", _HELP, OPTIONS)
    return None


def replayed(
    workspace: Workspace, asked: Wanted, asking: Asking, say: Say, *, label: str, names: Names, cell: str | None
) -> tuple[Order, ReplayedRun]:
    """A run of the file, ready to go once more; `say` is told what it is, and how it differs beforehand.

    Raises UsageError where it cannot be found, read or filled.
    """
    run, own = _found(workspace, asked, cell)
    before = read_record(run.record)
    ready = ReplayedRun(workspace, asked, run, before, own=own, asking=asking, label=label, names=names, cell=cell)
    say(workspace.mask("\n".join([ready.headline, *(f"  {note}" for note in ready.notes)])))
    return read("", "…"), ready


class ReplayedRun(Attended):
    """A recorded run with another model: it stands alone, and no session knows of it."""

    def __init__(
        self,
        workspace: Workspace,
        asked: Wanted,
        run: SavedRun,
        before: Recorded,
        *,
        own: bool,
        asking: Asking,
        label: str,
        names: Names,
        cell: str | None,
    ) -> None:
        self.before = before
        self.notes: list[str] = []
        self._run = run
        self._shown = run.source if own else ""
        foreground = Foreground()
        model = workspace.open_model(asked.model) if asked.model else workspace.model
        self._variables: Mapping[str, str] = before.variables
        self._schema = self._usable_schema()
        prompt = Message("user", self._prompt(workspace, names))
        self.headline = (
            f"Replays {run.title} on {one_line(model.name, 100)}: {one_line(before.prompt or prompt.text, 200)}"
        )
        agent = workspace.agent(
            model=model,
            tools=self._tools(workspace),
            system=before.system,
            options=asked.options if asked.options is not None else self._options(model),
            output=self._schema,
            runner=foreground,
            asker=(asker := asking(foreground)),
        )
        context = before.context if own and before.context in config.CONTEXTS else None
        self.context = brief(workspace, agent, context, names)
        self.notes += self._differences()
        super().__init__(workspace, agent, prompt, cell=cell, label=label, foreground=foreground, asker=asker)

    @property
    def provenance(self) -> render.Provenance:
        """What the notebook file keeps of it: as of any run, and what it repeats."""
        return render.Provenance(
            self.before.head,
            dict(self._variables),
            self.agent.options.kept(),
            system=self.before.system,
            context=self.context.choice.mode,
            tools=tool_names(self.agent),
            schema=self._schema,
            replays=self._run.cell or self._run.title,
        )

    def shown_beside(self, result: Result) -> Replay:
        """The run beside what it repeats."""
        said = self._workspace.mask(result.text).strip()
        same = said == self.before.text.strip() if self.before.whole else None
        return Replay(self.before, result, same, self._run.title, tuple(self.notes))

    def _prompt(self, workspace: Workspace, names: Names) -> tuple[Content, ...]:
        """As the model got it, where the record has it whole; else filled again. Raises UsageError."""
        before = self.before
        if before.sent is not None:
            return before.sent
        if not before.prompt:
            raise UsageError("The record has only a part of this run's prompt. Run its cell again.")
        if before.template:
            template = one_line(before.template, 60)
            raise UsageError(f"The record has only a part of what the template {template!r} made. Run its cell again.")
        self._check(before.prompt)
        files = partial(referenced, workspace.builtins.folder)
        try:
            filled = prompting.fill(before.prompt, {**workspace.namespace, **names}, files=files)
        except PromptError as error:
            raise UsageError(
                f"The record has this prompt only in part, and it cannot be filled again: {error}"
            ) from error
        self._variables = filled.variables
        self.notes.append("The prompt is filled again from the variables as they are now: the record has it in part.")
        for expression, digest in filled.variables.items():
            if (known := before.variables.get(expression)) != digest:
                what = "has changed since" if known else "may have changed: the record does not know it"
                self.notes.append(f"{one_line(expression, 80)} {what}.")
        return filled.content

    def _check(self, prompt: str) -> None:
        """Raises UsageError for what would run code, or read a file, that the cell does not show."""
        for piece in parse_template(prompt, references=True):
            if isinstance(piece, Words) or (isinstance(piece, Placeholder) and is_plain(piece.expression)):
                continue
            if (written := prompt[piece.start : piece.end]) not in self._shown:
                raise UsageError(
                    f"The prompt has to be filled again, and its {one_line(written, 80)} is not in the cell of this "
                    "notebook. Run the cell itself."
                )

    def _usable_schema(self) -> JSONObject | None:
        """What the answer has to be, where that refers to nothing outside."""
        if self.before.schema is None or not refers_outside(self.before.schema):
            return self.before.schema
        self.notes.append("The schema of the answer refers to what the record does not have, and is left out.")
        return None

    def _tools(self, workspace: Workspace) -> list[Tool] | None:
        """Those that the run had and that are here; what is off must be named in the cell."""
        named = self.before.tools
        if named is None:
            self.notes.append("The record does not say which tools there were; offered are the notebook's.")
            return None
        enabled, known = workspace.toolbox.enabled(), workspace.toolbox.all()
        there: list[str] = []
        off: list[str] = []
        gone: list[str] = []
        for name in dict.fromkeys(named):
            is_named = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", self._shown) is not None
            if name in enabled or (is_named and (name in known or callable(workspace.namespace.get(name)))):
                there.append(name)
            else:
                (off if name in known else gone).append(name)
        if off:
            self.notes.append(f"Off, and not offered: {_listed(off)}. %tool on NAME offers one.")
        if gone:
            self.notes.append(f"Not here any more: {_listed(gone)}. The run goes on without.")
        return workspace.toolbox.pick(there)

    def _options(self, model: Model) -> Options:
        """Those of the run; what is in the words of one provider is not for another."""
        params = {name: value for name, value in (self.before.params or {}).items() if name not in PRIVATE}
        if params.get("body") and model.name.partition(":")[0] != self.before.model.partition(":")[0]:
            params.pop("body")
            self.notes.append("What the run sent in its provider's own words is left out.")
        try:
            return Options.read(params)
        except UsageError as error:
            raise UsageError(f"The record's options cannot be used: {error} -p '{{}}' goes without.") from None

    def _differences(self) -> Iterator[str]:
        before = self.before
        if before.system:
            yield f"System prompt: {one_line(before.system, 200)}"
        if before.turns:
            turns = f"{before.turns} turn{'s' * (before.turns != 1)}"
            yield f"The run came after {turns} of its session, which the record does not have: this one stands alone."
        if lost := [name for name in before.cut if name != "prompt"]:
            yield f"Too long for the record, and left out: {_listed(lost)}."
        if before.context not in ("", "none"):
            yield "What the model is told of project and notebook is as they are now."
        if not before.whole and before.text:
            yield "The record has the answer only in part; where it was cut shows as a difference."


def _listed(names: Sequence[str]) -> str:
    """Names from a record: some of them, and harmless."""
    return ", ".join(one_line(name, 60) for name in names[:10]) + (" and others" if len(names) > 10 else "")


def _found(workspace: Workspace, asked: Wanted, cell: str | None) -> tuple[SavedRun, bool]:
    """The run that is meant, and whether it is of the notebook that this kernel serves."""
    stored = _stored(workspace, asked) if _RUN_ID.fullmatch(asked.which) else None
    if stored is not None:
        file, which = stored
        notebook, own = _notebook(workspace, file)
        return notebook.find(which, None), own
    notebook, own = _notebook(workspace, asked.file)
    return notebook.find(asked.which, cell if own else None), own


def _stored(workspace: Workspace, asked: Wanted) -> tuple[str | None, str] | None:
    """The file and the cell of a run by its id, as the store knows them; None for what is no run there."""
    try:
        found = workspace.store.runs.list(
            "WHERE substr(id, 1, ?) = ? AND within IS NULL", (len(asked.which), asked.which)
        )
    except StoreError:
        return None
    heads = [run.head for run in found if run.head.cell]
    return (asked.file or heads[0].notebook, heads[0].cell or "") if len(heads) == 1 else None


def _notebook(workspace: Workspace, file: str | None) -> tuple[SavedNotebook, bool]:
    """The runs of a file, by default of the notebook's own, and whether it is that."""
    own = workspace.notebook
    if file is None and own is None:
        raise UsageError(
            "This front end does not say where the notebook's file is. Name it: %agent replay --file NAME.ipynb"
        )
    path = Path(file or own or "").expanduser()
    return read_notebook(path), own is not None and path.absolute() == Path(own).absolute()
