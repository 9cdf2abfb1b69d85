"""Writes the tables of docs/MODELS.md and docs/TOOLS.md from the code, so that the two cannot drift apart.

Run it after changing a provider, an option, a magic or a message: `python -m docs.tables`. With `--check` it only says
whether the pages are up to date. A table stands between `<!-- NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from agentnb import messages
from agentnb.errors import ModelError, StreamBroken, UsageError
from agentnb.models import local
from agentnb.models.base import Request
from agentnb.models.dialect import Dialect
from agentnb.models.dialects import DIALECTS
from agentnb.models.options import Options, Thinking
from agentnb.models.providers import Provider, load_providers
from agentnb.models.wire import WireCache
from agentnb.notebook import openapi_verb, orders, sandbox_magics, tool_magics
from agentnb.notebook.browser_magics import BrowserMagics
from agentnb.notebook.credential_magics import CredentialMagics
from agentnb.notebook.mcp_magics import McpMagics
from agentnb.notebook.model_magics import ModelMagics
from agentnb.notebook.options import usage
from agentnb.notebook.sandbox_magics import SandboxMagics
from agentnb.notebook.skill_magics import SkillMagics
from agentnb.notebook.usage_magics import UsageMagics
from agentnb.tools.base import traits
from agentnb.workspace import Workspace
from docs import mistakes

TARGETS = tuple(Path(__file__).with_name(name) for name in ("MODELS.md", "TOOLS.md"))
#: A table with its name, and where it ends.
_MARKED = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_CALLED = {
    "openai_chat": "Chat Completions",
    "responses": "Responses",
    "anthropic": "Anthropic",
    "gemini": "Gemini",
    "ollama": "Ollama",
    "dashscope": "DashScope",
}
#: What each option means; that none is missing is seen when the table is made.
_MEANINGS = {
    "temperature": "0 to 2: how freely the next word is chosen",
    "top_p": "0 to 1: choose among the likeliest words of so much probability",
    "top_k": "choose among so many of the likeliest words",
    "max_tokens": "the longest answer, in tokens",
    "frequency_penalty": "-2 to 2: against words the more often they came",
    "presence_penalty": "-2 to 2: against words that came at all",
    "seed": "the same choices each time, as far as the provider can",
    "stop": "a text, or several, that end the answer",
    "thinking": "how much to think, see below",
    "parallel_tool_calls": "whether one answer may call several tools",
    "cache": '"5m" or "1h": how long the provider keeps the prompt, where that must be asked for',
}
#: How a model is brought to JSON of a schema, by the row's words for it.
_WAYS = {
    ("native", True): "by its own means",
    ("native", False): "by its own means; else by a tool it may call",
    ("tool", True): "by a tool it must call",
    ("tool", False): "by a tool it may call",
}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def providers() -> str:
    """Who can be asked, with the variables that hold keys and addresses."""
    rows = []
    for name, row in load_providers().items():
        names = ", ".join(f"`{each}`" for each in (name, *row.aliases))
        keys = " or ".join(f"`{each}`" for each in (row.key, *row.key_names) if each)
        dialect = _CALLED.get(str(row.dialect), str(row.dialect).capitalize())
        key = keys if row.key_required else f"{keys} (need not be set)"
        rows.append((names, row.title, dialect, key, f"`{row.base_url_name}`", row.base_url or "your resource's own"))
    return table(("name", "who", "dialect", "key", "another address", "address"), rows)


def options() -> str:
    """What can be said of how a model generates, and which dialects have a word for it."""
    spoken = {called: DIALECTS[name].options for name, called in _CALLED.items()} | {"built in": local.OPTIONS}
    rows = []
    for each in dataclasses.fields(Options):
        if _everywhere(each.name):
            continue
        marks = ["✓" if each.name in words else "" for words in spoken.values()]
        lacking = [name for name, row in load_providers().items() if _lacks(row, each.name)]
        rows.append((f"`{each.name}`", _MEANINGS[each.name], *marks, ", ".join(lacking)))
    return table(("option", "what it means", *spoken, "but not"), rows)


def _everywhere(option: str) -> bool:
    """Whether an option is nobody's own."""
    try:
        Options(**{option: {"a": "b"}}).checked("any", frozenset())  # type: ignore[arg-type]  # only the name counts
    except UsageError:
        return False
    return True


def _lacks(row: Provider, option: str) -> bool:
    return option in row.quirks.without and option in _dialect(row).options


def _dialect(row: Provider) -> Dialect:
    return DIALECTS[row.dialect] if isinstance(row.dialect, str) else row.dialect


def thinking() -> str:
    """What is sent for off, an effort and a budget, by provider."""
    asked: tuple[Thinking, ...] = ("off", "high", 8000)
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, row in load_providers().items():
        if "thinking" not in row.quirks.without:
            alike.setdefault(tuple(_code(_told(row, each)) for each in asked), []).append(name)
    rows = [(", ".join(names), *told) for told, names in alike.items()]
    return table(("provider", '`"off"`', '`"high"`', "`8000`"), rows)


def _told(row: Provider, wanted: Thinking) -> object:
    """The part of a request that says how much to think."""

    def body(given: Options) -> object:
        request = Request((messages.user("hi"),), options=given)
        return json.loads(_dialect(row).format_request(request, model="m", quirks=row.quirks, cache=WireCache()))

    return _more(body(Options(thinking=wanted)), body(Options()))


def _more(told: object, plain: object) -> object:
    if not (isinstance(told, dict) and isinstance(plain, dict)):
        return told
    return {key: _more(value, plain.get(key)) for key, value in told.items() if value != plain.get(key)}


def _code(value: object) -> str:
    return f"`{json.dumps(value)[1:-1]}`"


def structured() -> str:
    """How each provider is brought to JSON of a schema, at first."""
    alike: dict[str, list[str]] = {}
    for name, row in load_providers().items():
        alike.setdefault(_WAYS[row.quirks.structured, row.quirks.forced], []).append(name)
    rows = [(how, ", ".join(names)) for how, names in alike.items()]
    return table(("how", "provider"), [*rows, ("by constrained decoding", "the built-in models")])


def media() -> str:
    """What pictures, sounds and documents each dialect takes."""
    rows = []
    for name, called in _CALLED.items():
        most = DIALECTS[name].limits
        picture = f"{_bounded(most.image_types, most.image_bytes)}, {most.image_side:,} pixels"
        sent = "pictures" if most.image_urls else ""
        sent = f"{sent}, documents" if most.file_urls else sent
        sounds, files = _bounded(most.audio_types, most.audio_bytes), _bounded(most.file_types, most.file_bytes)
        rows.append((called, picture, sounds, files, sent or "fetched here"))
    return table(("dialect", "pictures", "sounds", "documents and films", "addresses sent as they are"), rows)


def _bounded(types: Sequence[str], size: int) -> str:
    return f"{_types(types)}; {_size(size)}" if types else "none"


def _types(types: Sequence[str]) -> str:
    names = (each.removeprefix("image/").removeprefix("audio/").removeprefix("application/") for each in types)
    return ", ".join("mp3" if name == "mpeg" else name.replace("*", r"\*") for name in names)


def _size(size: int) -> str:
    return f"{size / 1e6:g} MB"


def magics() -> str:
    """What the magics for models say of themselves."""
    return _texts(
        [
            orders.help_text(),
            *map(_help, ((ModelMagics, "model"), (CredentialMagics, "credential"), (UsageMagics, "usage"))),
        ]
    )


def tools() -> str:
    """What the magics for tools say of themselves."""
    asked = ((McpMagics, "mcp"), (SkillMagics, "skill"), (SandboxMagics, "sandbox"), (BrowserMagics, "browser"))
    service = usage("%tool openapi SPEC", "[options]", openapi_verb.OPTIONS)
    sandbox_cell = usage("%%sandbox", "[options]", sandbox_magics.OPTIONS)
    return _texts([tool_magics.help_text(), service, *map(_help, asked), sandbox_cell])


def _texts(texts: Iterable[str]) -> str:
    return "\n".join(f"```text\n{text.strip()}\n```\n" for text in texts)


def _help(asked: tuple[type, str]) -> str:
    kind, magic = asked
    workspace = Workspace(environ={})
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        getattr(kind(None, workspace), magic)("--help")
    workspace.close()
    return said.getvalue()


def builtins() -> str:
    """The built-in tools: what each does, and whether it asks."""
    workspace = Workspace(environ={})
    rows = []
    for each in workspace.builtins.known():
        spec = each.spec({})
        properties = spec.parameters["properties"]
        assert isinstance(properties, dict)
        call = f"`{each.name}({', '.join(properties)})`"
        rows.append((call, traits(each).approval, spec.description.partition("\n")[0].partition(". ")[0].rstrip(".")))
    workspace.close()
    return table(
        ("tool", "asks", "what it does"), [(call, asks.replace("always", ""), does) for call, asks, does in rows]
    )


def errors() -> str:
    """What goes wrong, what is said then, and whether it is asked again before that."""
    rows = []
    for when, fail in mistakes.MISTAKES.items():
        error = mistakes.raised(fail)
        begun = isinstance(error, StreamBroken)
        again = "yes" if isinstance(error, ModelError) and error.retryable and not begun else ""
        words = " ".join(str(error).split())
        words = words if len(words) <= 420 else words[:419] + "…"
        rows.append((when, f"`{type(error).__name__}`", words.replace("<", "&lt;"), again))
    return table(("when", "error", "what it says", "asked again"), rows)


TABLES: Mapping[str, Callable[[], str]] = {
    each.__name__: each for each in (providers, options, thinking, structured, media, errors, magics, builtins, tools)
}


def render(page: str) -> str:
    """The page with its tables as they should be."""
    return _MARKED.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n{found[3]}", page)


def main(arguments: Sequence[str]) -> int:
    """Write the tables, or with --check compare them; the exit status."""
    stale = 0
    for target in TARGETS:
        page = target.read_text(encoding="utf-8")
        fresh = render(page)
        if "--check" not in arguments:
            target.write_text(fresh, encoding="utf-8")
        elif fresh != page:
            sys.stderr.write(f"docs/{target.name} is stale. Run: .venv/bin/python -m docs.tables\n")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
