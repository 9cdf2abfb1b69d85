"""`%tool openapi`: the operations of a service as tools, from the document that describes it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from agentnb.errors import UsageError, nearest
from agentnb.notebook import show
from agentnb.notebook.errand import wait_for
from agentnb.notebook.options import Option, parse, usage
from agentnb.tools.base import Approval
from agentnb.workspace import Workspace

if TYPE_CHECKING:
    from agentnb.openapi import OpenApiTools
    from agentnb.openapi.documents import Source

OPTIONS = (
    Option("name", "what the service is called here, instead of the document's title", value="NAME"),
    Option("server", "ask there, whatever the document says", value="URL"),
    Option("auth", "a stored credential or a variable; SCHEME=NAME for one of several schemes", None, "many", "NAME"),
    Option(
        "only", "these operations: names, operationIds or 'METHOD /path', with * where you like", None, "many", "OP"
    ),
    Option("tag", "the operations with one of these tags", None, "many", "TAG"),
    Option("approve", "always (run at once), ask (the default) or never", value="HOW"),
)
_SYNOPSIS = """SPEC [options]    make a tool of each operation of a service

SPEC is the path or the URL of an OpenAPI 3.0 to 3.2 document, or a variable that holds one."""
HELP = ("%tool openapi SPEC       the operations of a service as tools; --help says more",)

#: No model can choose among more, and most take no more.
_MOST_TOOLS = 128
_LISTED = 40
_APPROVALS: tuple[Approval, ...] = ("always", "ask", "never")
_SAID: Mapping[Approval, str] = {
    "always": "which run without a question",
    "ask": "which ask you before they run",
    "never": "which do not run",
}


def openapi(workspace: Workspace, line: str) -> None:
    """Load a document, and offer its operations as tools. Raises AgentnbError."""
    given, rest = _first(line)
    if given in ("", "--help", "-h"):
        show.text(usage("%tool openapi", _SYNOPSIS, OPTIONS))
        return
    from agentnb.openapi import load  # sixteen modules that a first cell need not wait for

    options = parse(rest, OPTIONS, "%tool openapi")
    if options.rest:
        raise UsageError(
            f"What is {options.rest[:60]!r}? Write: %tool openapi SPEC [options]. See %tool openapi --help"
        )
    loading = partial(
        load,
        _source(workspace, given),
        name=options.one("name"),
        server=options.one("server"),
        auth=_auth(options.many("auth") or ()),
        only=options.many("only"),
        tags=options.many("tag"),
        approval=_approval(options.one("approve") or "ask"),
        http=workspace.models.http,
        credentials=workspace.credentials,
        environ=workspace.environ,
    )
    toolset = wait_for(workspace, loading)
    if len(toolset) > _MOST_TOOLS:
        raise UsageError(
            f"{toolset.name} has {len(toolset):,} operations, more than a model can choose from ({_MOST_TOOLS}). "
            f"Choose with --only or --tag{_tags(toolset)}."
        )
    workspace.toolbox.add_toolset(toolset)
    show.text(workspace.mask("\n".join(_listed(toolset))))


def _first(line: str) -> tuple[str, str]:
    """The first word of a line, which may stand in quotes, and the rest."""
    found = re.match(r"""\s*(?:"([^"]*)"|'([^']*)'|(\S*))\s*""", line)
    if found is None:  # anything begins with no word at all
        return "", line
    return next((each for each in found.groups() if each is not None), ""), line[found.end() :]


def _source(workspace: Workspace, given: str) -> Source:
    held = workspace.namespace.get(given) if given.isidentifier() else None
    return held if isinstance(held, str | Mapping) else given


def _auth(given: Sequence[str]) -> dict[str, str]:
    pairs = [each.rpartition("=") for each in given]
    return {scheme: name for scheme, _, name in pairs}


def _approval(given: str) -> Approval:
    for each in _APPROVALS:
        if each == given:
            return each
    raise UsageError(f"--approve takes {', '.join(_APPROVALS)}, not {given!r}.{nearest(given, _APPROVALS)}")


def _tags(toolset: OpenApiTools) -> str:
    counts = Counter(tag for tool in toolset for tag in tool.operation.tags)
    return f": {', '.join(tag for tag, _ in counts.most_common(20))}" if counts else ""


def _listed(toolset: OpenApiTools) -> list[str]:
    count = len(toolset)
    how = _SAID[next(iter(toolset)).traits.approval]
    lines = [f"{toolset.name}: {count} tool{'s' * (count != 1)} at {', '.join(toolset.hosts)}, {how}."]
    width = max(len(tool.name) for tool in toolset)
    for tool in list(toolset)[:_LISTED]:
        about = tool.description.partition("\n")[0]
        lines.append(
            f"  {tool.name:<{width}}  {about if about == tool.operation.label else f'{tool.operation.label}  {about}'}"
        )
    if count > _LISTED:
        lines.append(f"  … and {count - _LISTED} more: %tool lists them.")
    if toolset.left_out:
        label, reason = next(iter(toolset.left_out.items()))
        lines.append(f"{len(toolset.left_out)} left out, such as {label}: {reason}.")
    return lines
