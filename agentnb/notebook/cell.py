"""One `%%agent` cell from its text to its result: parse, fill, run, show, keep."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentnb import prompting, render
from agentnb.agent import MAX_ROUNDS, Agent
from agentnb.bridge import Foreground, going
from agentnb.errors import AgentnbError, UsageError, nearest
from agentnb.jobs import Run
from agentnb.messages import JSON, Content, Message
from agentnb.models.options import Options
from agentnb.notebook.display import Display
from agentnb.notebook.options import Option, Parsed, parse, usage
from agentnb.result import Result
from agentnb.session import Session
from agentnb.workspace import Workspace

FORMATS = ("markdown", "text", "code", "json", "html", "math")

MODEL_OPTIONS = (
    Option("api-base", "base URL of any OpenAI-compatible server, with or without /v1", value="URL"),
    Option("api-key-name", "environment variable that holds the key", value="ENV"),
    Option("params", "generation options as JSON: temperature, thinking, …", "p", value="JSON"),
)
OPTIONS = (
    Option("model", "the model for this cell", "m", value="PROVIDER:NAME"),
    Option("tool", "offer these functions, and no others", "t", "many", "NAME"),
    Option("no-tools", "offer no tools", kind="flag"),
    Option("system", "the system prompt", "s"),
    Option("session", "'new' begins a conversation, 'none' stands alone", value="new|none"),
    Option("out", "also put the result in this variable", "o", value="VAR"),
    Option("image", "show the model these figures or image files", "i", "many", "EXPR|PATH"),
    Option("format", f"how the answer is shown: {', '.join(FORMATS)}", "f", value="FORMAT"),
    Option("max-rounds", f"stop after so many rounds of tool calls (default {MAX_ROUNDS})", value="N"),
    Option("max-tokens", "stop the answer after so many tokens", value="N"),
    Option("dry-run", "send nothing; show the exact messages", kind="flag"),
    *MODEL_OPTIONS,
    Option("help", "this text", "h", kind="flag"),
)


@dataclass(frozen=True, slots=True)
class Order:
    """What a cell asks for, before anything runs."""

    options: Parsed
    prompt: str
    variables: tuple[str, ...] = ()


def read(line: str, body: str | None) -> Order:
    """The order in a `%%agent` cell (`body` given) or a `%agent` line. Raises UsageError for a bad one."""
    magic = "%agent" if body is None else "%%agent"
    variables = []
    if assigned := re.match(r"\s*([^\W\d]\w*)\s*=?\s*<<", line):
        variables.append(_variable(assigned[1], "VAR <<"))
        line = line[assigned.end() :]
    options = parse(line, OPTIONS, magic, prompt=body is None)
    if options.has("help"):
        return Order(options, "")
    if body is not None and options.rest:
        raise UsageError(f"%%agent takes its prompt from the lines below; {options.rest!r} is not an option. {_SEE}")
    prompt = options.rest if body is None else body.strip("\n")
    if not prompt.strip():
        raise UsageError(f"{magic} needs a prompt. {_SEE}")
    if out := options.one("out"):
        variables.append(_variable(out, "--out"))
    shown = options.one("format")
    if shown and shown not in FORMATS:
        raise UsageError(
            f"--format {shown!r} is not known.{nearest(shown, FORMATS)} It is one of {', '.join(FORMATS)}."
        )
    return Order(options, prompt, tuple(variables))


_SEE = "See %%agent --help"
_PARAMS = "-p '{\"temperature\": 0}'"
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".bmp", ".tif", ".tiff")


def _variable(name: str, where: str) -> str:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(f"{where} takes the name of a variable, not {name!r}.")
    return name


def help_text() -> str:
    """What `%%agent --help` prints."""
    return usage("%%agent", "[VAR <<] [options]      the lines below are the prompt; {{expr}} is filled in", OPTIONS)


def model_options(options: Parsed) -> Options:
    """The generation options of a line. Raises UsageError for bad JSON, and for an option that does not exist."""
    text = options.one("params")
    try:
        params = json.loads(text) if text else {}
    except ValueError as error:
        raise UsageError(f"--params is not valid JSON: {error}. Write it as {_PARAMS}.") from None
    if not isinstance(params, dict):
        raise UsageError(f"--params takes a JSON object, such as {_PARAMS}.")
    limit = options.whole("max-tokens")
    return Options.read(params if limit is None else {**params, "max_tokens": limit})


class CellRun:
    """One cell's run: everything is made ready, and may fail, before anything is sent."""

    def __init__(
        self, workspace: Workspace, order: Order, *, cell: str | None, extra: Mapping[str, object] | None = None
    ) -> None:
        options = order.options
        self._workspace = workspace
        self._order = order
        self._cell = cell
        self.options = model_options(options)
        self.foreground = Foreground()
        names = {**workspace.namespace, **(extra or {})}
        self.filled = prompting.fill(order.prompt, names)
        images = [block for source in options.many("image") or () for block in _image(source, names)]
        self.prompt = Message("user", (*self.filled.content, *images))
        self.agent = self._agent(options)
        self.session = self._session(options.one("session"))
        self.history = self.session.history(cell) if self.session else ()

    def _agent(self, options: Parsed) -> Agent:
        workspace, name = self._workspace, options.one("model")
        base, key = options.one("api-base"), options.one("api-key-name")
        if name is None and (base or key):
            raise UsageError("--api-base and --api-key-name go with --model PROVIDER:NAME.")
        tools = None
        if options.has("no-tools"):
            if options.has("tool"):
                raise UsageError("--tool and --no-tools contradict each other. Leave one out.")
            tools = []
        elif (picked := options.many("tool")) is not None:
            tools = workspace.toolbox.pick(picked)
        rounds = options.whole("max-rounds")
        return workspace.agent(
            model=workspace.open_model(name, api_base=base, api_key_name=key) if name else None,
            tools=tools,
            system=options.one("system"),
            max_rounds=MAX_ROUNDS if rounds is None else rounds,
            options=self.options,
            runner=self.foreground,
        )

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

    async def attend(self, display: Display) -> Result:
        """Run, leaving the kernel's loop free. Raises what failed after everything there was is shown and kept."""
        run = self._begin()
        with going(run, self.foreground):
            await self.foreground.attend(run.done, lambda: _show(run, display))
        return self._finish(run, display)

    def attend_blocked(self, display: Display) -> Result:
        """The same where the caller cannot await."""
        run = self._begin()
        with going(run, self.foreground):
            self.foreground.attend_blocked(run.done, lambda: _show(run, display))
        return self._finish(run, display)

    def _begin(self) -> Run:
        if self.session is not None:  # a new one is the notebook's from now on: not where a mistake came before
            self._workspace.session = self.session
        return self._workspace.run(self.agent, self.prompt, self.history)

    def _finish(self, run: Run, display: Display) -> Result:
        display.feed(run.take())
        transcript = display.close()
        if self.session is not None and transcript.messages:
            self.session.record(self._cell, transcript.messages)
        failed = run.done.exception()
        if isinstance(failed, AgentnbError):
            failed.transcript = transcript
        if failed is not None:
            raise failed
        return Result(transcript)


def _plain(options: Options) -> dict[str, JSON]:
    """What the notebook file keeps; headers and query may hold what it must not."""
    kept = {name: value for name, value in options.given().items() if name not in ("headers", "query")}
    return json.loads(json.dumps(kept, default=str))  # type: ignore[no-any-return]  # it is what it was


def _show(run: Run, display: Display) -> None:
    display.feed(run.take())
    display.tick()


def _image(source: str, names: Mapping[str, object]) -> Sequence[Content]:
    path = Path(source).expanduser()
    if path.suffix and path.exists():
        return prompting.to_blocks(path)
    if path.suffix.lower() in _PICTURES and not source.isidentifier():
        raise UsageError(f"--image: there is no file {source!r}. Check the path, from {str(Path.cwd())!r}.")
    return prompting.fill("{{" + source + "}}", names).content
