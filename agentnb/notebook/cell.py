"""One `%%agent` cell from its order to its result: fill, run, show, keep."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from agentnb import prompting, render
from agentnb.agent import MAX_ROUNDS, Agent
from agentnb.bridge import Foreground
from agentnb.errors import PromptError, UsageError, nearest
from agentnb.files.references import referenced
from agentnb.messages import JSON, Content, Message
from agentnb.models.options import Options
from agentnb.notebook.attended import Asking, Attended
from agentnb.notebook.briefing import brief
from agentnb.notebook.options import Parsed
from agentnb.notebook.orders import Order, amount, model_options
from agentnb.render.terminal import one_line
from agentnb.session import Session
from agentnb.tools.base import Asker, Tool, traits
from agentnb.workspace import Workspace

_NOTHING_SENT = "Nothing was sent."
_KINDS: tuple[Literal["image", "audio"], ...] = ("image", "audio")
_FILES = (
    *(".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".bmp", ".tif", ".tiff"),
    *(".wav", ".mp3", ".ogg", ".flac", ".m4a", ".aac", ".webm"),
)


class CellRun(Attended):
    """One cell's run: everything is made ready, and may fail, before anything is sent."""

    def __init__(
        self,
        workspace: Workspace,
        order: Order,
        *,
        cell: str | None,
        label: str = "",
        extra: Mapping[str, object] | None = None,
        asking: Asking | None = None,
    ) -> None:
        options = order.options
        self._workspace = workspace
        self._order = order
        self.options = model_options(options)
        foreground = Foreground()
        asker = asking(foreground) if asking else None
        names = {**workspace.namespace, **(extra or {})}
        self.filled = prompting.fill(order.prompt, names, files=partial(referenced, workspace.builtins.folder))
        schema = options.one("schema")
        agent = self._agent(options, schema_of(schema, names) if schema else None, foreground, asker)
        self.context = brief(workspace, agent, options.one("context"), extra or {})
        session = self._session(options.one("session"))
        super().__init__(
            workspace,
            agent,
            Message("user", (*self.filled.content, *_media(options, names))),
            history=session.history(cell) if session else (),
            session=session,
            cell=cell,
            label=label,
            foreground=foreground,
            asker=asker,
            line=order.line,
        )

    def _agent(self, options: Parsed, output: object, foreground: Foreground, asker: Asker | None) -> Agent:
        workspace, name = self._workspace, options.one("model")
        base, key = options.one("api-base"), options.one("api-key-name")
        if name is None and (base or key):
            raise UsageError("--api-base and --api-key-name go with --model PROVIDER:NAME.")
        rounds = options.whole("max-rounds")
        return workspace.agent(
            model=workspace.open_model(name, api_base=base, api_key_name=key) if name else None,
            tools=self._tools(options),
            system=options.one("system"),
            max_rounds=MAX_ROUNDS if rounds is None else rounds,
            options=self.options,
            output=output,
            max_cost=amount(cost, "--max-cost") if (cost := options.one("max-cost")) else None,
            runner=foreground,
            asker=asker,
            approve=options.one("approve") or "ask",
        )

    def _tools(self, options: Parsed) -> list[Tool] | None:
        """The tools that the cell names; None where it takes what the notebook offers."""
        toolbox, tools = self._workspace.toolbox, None
        if options.has("no-tools"):
            if options.has("tool"):
                raise UsageError("--tool and --no-tools contradict each other. Leave one out.")
            tools = []
        elif (picked := options.many("tool")) is not None:
            tools = toolbox.pick(picked)
        asked = [traits(tool).id for tool in self._workspace.skills.pick(options.many("skill") or ())]
        if tools is None and all(toolbox.get(each).enabled for each in asked):
            return None
        offered = toolbox.enabled().values() if tools is None else tools
        return [*(tool for tool in offered if traits(tool).id not in asked), *toolbox.pick(asked)]

    def _session(self, asked: str | None) -> Session | None:
        match asked:
            case None:
                return self._workspace.session
            case "none":
                return None
            case "new":
                return Session()
            case other:
                raise UsageError(f"--session {other!r} is not known. It is 'new' or 'none'.")

    @property
    def provenance(self) -> render.Provenance:
        """What the notebook file keeps of how the answer came about."""
        return render.Provenance(self._order.prompt, self.filled.variables, _plain(self.agent.options))

    def mask(self, words: str) -> str:
        """The words without the secrets that are known here."""
        self._workspace.mask.add(*self._workspace.credentials.secrets())
        return self._workspace.mask(words)


def _plain(options: Options) -> dict[str, JSON]:
    """What the notebook file keeps; headers and query may hold what it must not."""
    kept = {name: value for name, value in options.given().items() if name not in ("headers", "query")}
    return json.loads(json.dumps(kept, default=str))  # type: ignore[no-any-return]  # it is what it was


def _media(options: Parsed, names: Mapping[str, object]) -> Iterator[Content]:
    for kind in _KINDS:
        for source in options.many(kind) or ():
            what = f"--{kind} {one_line(source, 60)}"
            try:
                yield from prompting.to_media(_named(source, names, what), kind)
            except PromptError as error:
                raise UsageError(f"{what}: {error} {_NOTHING_SENT}") from error


def _named(source: str, names: Mapping[str, object], what: str) -> object:
    """What `--image` or `--audio` names: an address, a file, or the value of an expression."""
    if re.match(r"(https?|data):", source):
        return source
    path = Path(source).expanduser()
    if path.suffix and path.exists():
        return path
    if path.suffix.lower() in _FILES and not source.isidentifier():
        raise UsageError(f"{what}: there is no such file. Check the path, from {str(Path.cwd())!r}. {_NOTHING_SENT}")
    return _value(source, names, what)


def schema_of(source: str, names: Mapping[str, object]) -> object:
    """What `--schema` names: a type, or a JSON Schema, as JSON or as Python writes it."""
    with contextlib.suppress(ValueError):
        written = json.loads(source)
        if isinstance(written, dict):
            return written
    return _value(source, names, f"--schema {one_line(source, 60)}")


def _value(source: str, names: Mapping[str, object], what: str) -> object:
    """The value of an expression on the magic's line. Raises UsageError, which says `what` it is."""
    try:
        return prompting.evaluate(source, names)
    except PromptError as error:
        cause = error.__cause__
        if cause is None:
            raise UsageError(f"{what} is not a Python expression. {_NOTHING_SENT}") from None
        missing = cause.name if isinstance(cause, NameError) else None
        if missing:
            near = nearest(missing, [name for name in names if not name.startswith("_")])
            raise UsageError(f"{what}: there is no variable {missing!r}.{near} {_NOTHING_SENT}") from None
        reason = one_line(f"{type(cause).__name__}: {cause}", 300).removesuffix(".")
        raise UsageError(f"{what}: {reason}. {_NOTHING_SENT}") from cause
