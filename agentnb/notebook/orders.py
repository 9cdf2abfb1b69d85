"""What a `%%agent` cell asks for, read from its text before anything runs."""

from __future__ import annotations

import json
import keyword
import math
import re
from dataclasses import dataclass

from agentnb import config
from agentnb.agent import MAX_ROUNDS
from agentnb.errors import UsageError, nearest
from agentnb.models.options import Options
from agentnb.notebook.options import Option, Parsed, parse, usage

FORMATS = ("markdown", "text", "code", "json", "html", "math")
APPROVE = ("ask", "auto", "never")
CONTEXTS = config.CONTEXTS

MODEL_OPTIONS = (
    Option("api-base", "another server that speaks so: openai:NAME with any compatible one", value="URL"),
    Option("api-key-name", "the variable, or the credential of yours, that holds the key", value="NAME"),
    Option("params", "generation options as JSON: temperature, thinking, …", "p", value="JSON", code=True),
)
OPTIONS = (
    Option("model", "the model for this cell", "m", value="PROVIDER:NAME"),
    Option("tool", "offer these functions, and no others", "t", "many", "NAME"),
    Option("no-tools", "offer no tools", kind="flag"),
    Option("skill", "offer these skills as well, by name or by folder", kind="many", value="NAME|DIR"),
    Option("system", "the system prompt", "s"),
    Option("template", "the prompt's template; what stands below is its {{input}}", kind="pairs", value="NAME [k=v…]"),
    Option("system-template", "the system prompt's template", kind="pairs", value="NAME [k=v…]"),
    Option("as", "a saved agent's settings, these options over them; none: the notebook's", value="NAME"),
    Option("context", f"what the model is told of the notebook: {', '.join(CONTEXTS)}", value="MODE"),
    Option("session", "'new' begins a conversation, 'none' stands alone, ID goes on with one", value="new|none|ID"),
    Option("out", "also put the result in this variable (with --schema, the instance)", "o", value="VAR"),
    Option("schema", "what the answer must be: City, list[City], a JSON Schema", value="TYPE", code=True),
    Option("image", "show the model these figures, pictures, files", "i", "many", "EXPR|PATH|URL", code=True),
    Option("audio", "let the model hear these sounds", kind="many", value="EXPR|PATH|URL", code=True),
    Option("format", f"how the answer is shown: {', '.join(FORMATS)}", "f", value="FORMAT"),
    Option("max-rounds", f"stop after so many rounds of tool calls (default {MAX_ROUNDS})", value="N"),
    Option("max-cost", "stop before the call that would cost more than so many USD", value="USD"),
    Option("max-tokens", "stop the answer after so many tokens", value="N"),
    Option("approve", "calls that want your word: ask you (default), run anyway, or refuse", value="ask|auto|never"),
    Option("bg", "do not wait: the card goes on below this cell, the variable can be awaited", kind="flag"),
    Option("dry-run", "send nothing; show the exact messages", kind="flag"),
    *MODEL_OPTIONS,
    Option("help", "this text", "h", kind="flag"),
)


@dataclass(frozen=True, slots=True)
class Order:
    """What a cell asks for, before anything runs; `line` is what stood beside `%%agent`."""

    options: Parsed
    prompt: str
    variables: tuple[str, ...] = ()
    line: str = ""


def read(line: str, body: str | None) -> Order:
    """The order in a `%%agent` cell (`body` given) or a `%agent` line. Raises UsageError for a bad one."""
    magic = "%agent" if body is None else "%%agent"
    variables, written = [], line
    if assigned := re.match(r"\s*([^\W\d]\w*)\s*=?\s*<<", line):
        variables.append(_variable(assigned[1], "VAR <<"))
        line = line[assigned.end() :]
    options = parse(line, OPTIONS, magic, prompt=body is None)
    if options.has("help"):
        return Order(options, "")
    if body is not None and options.rest:
        raise UsageError(f"%%agent takes its prompt from the lines below; {options.rest!r} is not an option. {_SEE}")
    prompt = options.rest if body is None else body.strip("\n")
    if not prompt.strip() and not (options.has("template") or options.has("as")):
        raise UsageError(f"{magic} needs a prompt. {_SEE}")
    if out := options.one("out"):
        variables.append(_variable(out, "--out"))
    shown = options.one("format")
    if shown and shown not in FORMATS:
        raise UsageError(
            f"--format {shown!r} is not known.{nearest(shown, FORMATS)} It is one of {', '.join(FORMATS)}."
        )
    approval(options.one("approve"))
    head = written if body is not None else written.removesuffix(prompt)
    return Order(options, prompt, tuple(variables), head.strip())


#: What a `%agent` line may be beside a prompt.
VERBS = (
    *("inspect", "list", "replay", "resume", "stop", "undo", "wait"),
    *("save", "use", "show", "rm", "rename", "export", "import"),
)
_VERBS = """

%agent resume [ID]    go on with the last run of this notebook that was left while it asked you, or with that of an id
%agent resume list    those of all notebooks
%agent replay [CELL]  a run of this notebook's file once more (-m: on another model), and what differs; see --help
%agent undo           take back what the newest call of a built-in tool changed: variables, or a file
%agent inspect        what would go to the model now, and why
%agent list           the saved agents, and the runs in the background with how far they are
%agent wait [ID|all]  until they have ended, with their functions run meanwhile
%agent stop [ID|all]  end one, or all; what there is of the answer is kept

%agent save NAME …    keep model, tools, prompts and options as an agent; what no option says, as the notebook has it
%agent use NAME       let the cells of this notebook go on as that agent; --none ends it
%agent show NAME      all there is of it, and what it lacks here; rm NAME, rename OLD NEW
%agent export NAME    put it into one file, to give away; import FILE.json takes one in"""
_SEE = "See %%agent --help"
_PARAMS = "-p '{\"temperature\": 0}'"


def _variable(name: str, where: str) -> str:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(f"{where} takes the name of a variable, not {name!r}.")
    return name


def approval(word: str | None) -> str | None:
    """What `--approve` says. Raises UsageError for another word."""
    if word is not None and word not in APPROVE:
        raise UsageError(f"--approve {word!r} is not known.{nearest(word, APPROVE)} It is ask, auto or never.")
    return word


def template_used(line: str) -> str | None:
    """The line of `%agent` that `%template use NAME …` stands for; None for another line of `%template`."""
    found = re.fullmatch(r"\s*use(?=\s|$)(.*)", line, re.DOTALL)
    return f"--template {found[1].strip()}" if found and found[1].strip() else None


def help_text() -> str:
    """What `%%agent --help` prints."""
    return (
        usage("%%agent", "[VAR <<] [options]      the lines below are the prompt; {{expr}} is filled in", OPTIONS)
        + _VERBS
    )


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


def amount(text: str, what: str) -> float:
    """USD, as `0.05` or `$0.05`. Raises UsageError, in the name of `what`, for anything else."""
    try:
        usd = float(text.removeprefix("$"))
    except ValueError:
        usd = math.nan
    if not (math.isfinite(usd) and usd >= 0):
        raise UsageError(f"{what} takes an amount in USD, such as 0.05, not {text!r}.")
    return usd
