"""The shape of the package, kept by test: floors, third-party doors, sizes, broad excepts, what an import costs.

A failure names the file and line and what to do. A new module needs a place in `FLOORS`: that is a decision.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import agentnb

PACKAGE = Path(__file__).parents[1] / "agentnb"

#: From the ground up. A blank line ends a floor; the lines of a floor are strangers to each other. Within a line `<`
#: makes steps, and a package named before `:` speaks for all of them. A module imports from floors below its own and
#: from lower steps of its own line.
FLOORS = """
errors

messages
pixels
sniff
locking

events

transcript
conversation
codec
config
masking
protocol
tokens

session

models: options < base
tools: base

prompting: budget < plain pictures template < files layout objects table tree \
  < arrays figures frames < blocks < filling media < .
render: parts pieces spent terminal < calls cards markdown record < \
  compared media recorded < callcards < \
  bundles < .
models: anthropic_blocks attempt canonical cards dashscope_growth decision documents download engine estimate \
  examples failures fake kept key_shapes openai_bases openai_calls openai_chunks openai_parts openai_reasoning \
  private_files rates routes signing sse strict structured topics truncation wire < anthropic_options cached \
  checks complaint constrained dashscope_chunks fallback fragments gemini_chunks limits redirects meter multi_agent \
  preset recording retry timeouts turns vault weights < balance cassette http local refusal < arriving dialect \
  openai_body stack < anthropic_request anthropic_stream dashscope_stream gemini_request gemini_stream \
  ollama_request ollama_stream openai_options openai_stream pictures providers responses_stream settings < \
  anthropic credentials dashscope_request entries gemini media ollama openai_request responses_request < dashscope \
  keybook openai_chat responses < dialects keys < listing remote < resolve
store: bodies infos migrations owners < database < memory records rescue runs sessions < finding moved \
  recording stored < moving < .
ledger
paused

models.formatting: files < forms results < .
exporting: conversation < displays heading < layout markdown notebook page < .
tools: capture consent definitions docstrings hints naming references schema < bundle fitting < arguments results \
  < function < loading sourcing < saved
interrupts
jobs
providers
wrappers
credential
agents
environment
env_reads
provenance

context: parts < cells choosing outline project secrets < variables < instructions < .
builtins: copies declared delegate diffs displayed execution folder picture processes readable seek < changes fetch \
  search terminal < bash inspection undo < files python < toolset
mcp: elicit expansion groups results tool < settings underway < signin stdio < client < connection < server < hub
mcp_server: content questions < calls < .
openapi: reading shape styles < documents < refs < operations schemas < answers arguments bodies security servers < \
  requests < tool < toolset < .
sandbox: base browser_address browser_find browser_recordings guest_boot guest_files idle seccomp watch < \
  browser_snapshot browser_tabs browser_upstream guest_kernels guest_processes launch outputs served < browser_gate \
  browser_look bwrap channel guest interpreter jupyter_server < browser_process browser_verbs process remote_files \
  < browser remote < browser_tools sandboxes < tools

files: chunks place < listing references search trash upload < changes
mcp_toolsets
kept_settings
skills: parse steps < properties validate < prompt skill < allowed files < tool < workflow < shelf

bridge

output
result
testing
approval
hooks
passing toolsources < toolbox < direct
panel
transfer: report texts times < format_messages lines packed secrets tree < kept models vaulting < named \
  parse_messages < parse_records < parse_sessions < parse_folder < format_folder < runtime_dir < bundle < .

turns < background
calling
requests
storing

outfit
templates: changes template < serving < shelf < .

loop
agent_file

agent

lineup
notebook_file
remembering

keeping
condensing

shelves

workspace

notebook: pairs < briefing harmless replay told errand options tool_shelf publisher console tables asking.fields \
  undo upload_widget export_file session_orders which_session < call_line live orders saved_runs session_lists \
  text execute asking.view < templated < casting display asking.console asking.trace asking.widget < \
  asking.choose < attended direct session_memory starting tool_lists < background cell comm < agent_files \
  inspecting lists replaying resuming show transferring < forms < agent_verbs openapi_verb template_form \
  tool_form tool_rules < browser_magics credential_magics env_magics files_magics magics mcp_magics model_magics \
  sandbox_magics session_magics skill_magics template_magics tool_magics usage_magics < complete_template \
  complete_tool < complete < later < extension < .

__init__

__main__
"""

_VALIDATION = {"pydantic", "pydantic_core", "typing_extensions"}

#: The doors: which module may import which third-party package, most of them on first use.
THIRD_PARTY: dict[str, set[str]] = {
    "bridge": {"nest_asyncio2"},
    "codec": {"orjson", "pydantic"},
    "config": {"platformdirs"},
    "exporting.page": {"markdown_it"},
    "mcp.client": {"httpx2", "mcp", "mcp_types"},
    "mcp.connection": {"mcp", "mcp_types", "pydantic"},
    "mcp.elicit": {"mcp_types"},
    "mcp_server": {"mcp", "mcp_types"},
    "mcp_server.calls": {"anyio", "mcp", "mcp_types"},
    "mcp_server.content": {"mcp_types"},
    "mcp_server.questions": {"mcp_types"},
    "mcp.signin": {"mcp"},
    "mcp.stdio": {"anyio", "mcp", "mcp_types", "pydantic_core"},
    "context.outline": {"orjson"},
    "models.anthropic_blocks": {"orjson"},
    "models.anthropic_request": {"orjson"},
    "models.arriving": {"orjson"},
    "models.cards": {"orjson"},
    "models.complaint": {"orjson"},
    "models.dashscope_request": {"orjson"},
    "models.dashscope_stream": {"orjson"},
    "models.documents": {"orjson"},
    "models.download": {"httpx"},
    "models.engine": {"xllamacpp"},
    "models.failures": {"aiohttp", "httpx"},
    "models.fake": {"orjson"},
    "models.formatting.forms": {"orjson"},
    "models.gemini_request": {"orjson"},
    "models.http": {"httpx", "httpx_aiohttp"},
    "models.listing": {"orjson"},
    "models.ollama_request": {"orjson"},
    "models.ollama_stream": {"orjson"},
    "models.openai_calls": {"orjson"},
    "models.openai_chunks": {"orjson"},
    "models.openai_parts": {"orjson"},
    "models.openai_request": {"orjson"},
    "models.private_files": {"orjson"},
    "models.responses_request": {"orjson"},
    "output": {"jsonschema", "pydantic", "typing_extensions"},
    "models.routes": {"httpx"},
    "models.signing": {"orjson"},
    "models.vault": {"keyring", "orjson"},
    "models.weights": {"platformdirs"},
    "notebook_file": {"orjson"},
    "notebook.asking.widget": {"anywidget", "traitlets"},
    "notebook.browser_magics": {"IPython"},
    "notebook.comm": {"comm"},
    "notebook.complete": {"IPython"},
    "notebook.execute": {"jinja2", "jupyter_client", "jupyter_core", "nbclient", "nbconvert", "nbformat"},
    "notebook.credential_magics": {"IPython"},
    "notebook.env_magics": {"IPython"},
    "notebook.files_magics": {"IPython"},
    "notebook.later": {"IPython"},
    "notebook.magics": {"IPython"},
    "notebook.upload_widget": {"anywidget", "traitlets"},
    "notebook.mcp_magics": {"IPython"},
    "notebook.model_magics": {"IPython"},
    "notebook.sandbox_magics": {"IPython"},
    "notebook.session_magics": {"IPython"},
    "notebook.show": {"IPython"},
    "notebook.skill_magics": {"IPython"},
    "notebook.template_magics": {"IPython"},
    "notebook.tool_magics": {"IPython"},
    "notebook.usage_magics": {"IPython"},
    "openapi.arguments": {"jsonschema"},
    "openapi.reading": {"yaml"},
    "pixels": {"PIL"},
    "prompting.arrays": {"numpy"},
    "provenance": {"pandas"},
    "render.markdown": {"markdown_it"},
    "skills.parse": {"yaml"},
    "sandbox.browser": {"playwright"},
    "sandbox.browser_look": {"playwright"},
    "sandbox.browser_process": {"playwright"},
    "sandbox.browser_tabs": {"playwright"},
    "sandbox.channel": {"orjson"},
    "sandbox.guest_kernels": {"jupyter_client", "zmq"},
    "sandbox.jupyter_server": {"httpx", "orjson", "websockets"},
    "sandbox.launch": {"orjson"},
    "tools.arguments": _VALIDATION,
    "tools.docstrings": {"docstring_parser"},
    "tools.fitting": _VALIDATION,
    "tools.results": {"pydantic_core"},
    "tools.schema": {"pydantic"},
}

#: The only modules of ours that are imported in a function: a script that imports agentnb must not pay for IPython, nor
#: a first cell for OpenAPI, HTML and the files of other programs.
LATE = {
    "__init__": {"agentnb.notebook.extension"},
    "builtins.fetch": {"agentnb.builtins.readable"},
    "keeping": {"agentnb.store"},
    "notebook.cell": {"agentnb.notebook.casting"},
    "notebook.later": {
        "agentnb.notebook.browser_magics",
        "agentnb.notebook.complete",
        "agentnb.notebook.credential_magics",
        "agentnb.notebook.env_magics",
        "agentnb.notebook.files_magics",
        "agentnb.notebook.mcp_magics",
        "agentnb.notebook.model_magics",
        "agentnb.notebook.sandbox_magics",
        "agentnb.notebook.session_magics",
        "agentnb.notebook.skill_magics",
        "agentnb.notebook.template_magics",
        "agentnb.notebook.usage_magics",
    },
    "notebook.magics": {"agentnb.notebook.agent_verbs", "agentnb.notebook.replaying", "agentnb.notebook.transferring"},
    "notebook.openapi_verb": {"agentnb.openapi"},
    "provenance": {"agentnb.store"},
    "shelves": {"agentnb.condensing"},
    "notebook.transferring": {"agentnb.transfer", "agentnb.transfer.vaulting"},
}

#: Never loaded by `%load_ext agentnb`, nor by `import agentnb`: a first cell waits for none of them.
HEAVY = {
    "PIL", "aiohttp", "anywidget", "docstring_parser", "httpx", "httpx_aiohttp", "ipywidgets", "jsonschema", "keyring",
    "markdown_it", "matplotlib", "mcp", "nest_asyncio2", "numpy", "pandas", "platformdirs", "playwright", "polars",
    "pydantic", "xllamacpp", "yaml",
}  # fmt: skip

FILE_LINES, FUNCTION_LINES = 300, 50
#: Files that may be longer, each with its limit and reason.
LONG_FILES: dict[str, int] = {}
#: Functions that may be longer, each with its limit and reason.
LONG_FUNCTIONS: dict[str, int] = {}

#: Who may catch everything, and how often.
BROAD_EXCEPTS: dict[str, int] = {
    "builtins.execution": 1,  # the error of a model's code may fail to say what it is
    "builtins.inspection": 1,  # the user's own objects are asked to show themselves
    "builtins.python": 2,  # what a model's code raises, the model reads: a cell's, one that awaits
    "calling": 1,  # a tool's failure is a result that the model reads
    "bridge": 2,  # what user code raised belongs to the run: a function's, a coroutine's
    "mcp.connection": 1,  # a transport's failures have no common name; whatever it was is said to whoever calls
    "mcp_server.calls": 1,  # a tool's failure is a result that the caller's model reads
    "models.vault": 1,  # keyrings fail in ways of their own; the file serves, or the person is told
    "sandbox.guest": 1,  # it runs inside: whatever fails there is an answer, else who asked would wait for ever
    "jobs": 2,  # a bug must not leave a run that looks alive; what a thread raised belongs to who awaits it
    "tools.loading": 1,  # the file of a person: whatever it raises is why it cannot be loaded
    "pixels": 1,  # what Pillow raises for damaged bytes has no common name
    "context.cells": 1,  # what earlier cells gave is shown as prompts show it; the user's own objects may be in it
    "context.variables": 1,  # a metaclass of the user's may raise when a type is asked its name
    "prompting.figures": 1,  # from here on: the user's own objects are asked to show themselves
    "prompting.filling": 2,
    "prompting.media": 1,
    "prompting.plain": 1,
    "prompting.table": 1,
    "tools.results": 1,
    "skills.workflow": 1,  # a step's tool may raise anything; what the model reads must name the step
    "testing": 1,  # a model under test may raise anything
}


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module: its full name, where it stands, whether in a function, whether for types only."""

    name: str
    line: int
    in_function: bool
    for_types: bool


@dataclass(frozen=True, slots=True)
class Module:
    """One file of the package; its name is relative to the package, and that of a package is its own."""

    name: str
    path: Path
    tree: ast.Module
    lines: int

    def at(self, line: int) -> str:
        return f"agentnb/{self.path.relative_to(PACKAGE)}:{line}"


@cache
def modules() -> dict[str, Module]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts if parts == ("__init__",) else (p for p in parts if p != "__init__"))
        text = path.read_text(encoding="utf-8")
        found[name] = Module(name, path, ast.parse(text), text.count("\n"))
    return found


def _targets(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """The modules that a statement imports: `from agentnb import events` imports `agentnb.events`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    assert node.level == 0, "imports are absolute"
    assert node.module is not None
    for alias in node.names:
        below = f"{node.module}.{alias.name}"
        yield below if below.removeprefix("agentnb.") in modules() else node.module


def imports(module: Module) -> list[Import]:
    """Every import of a file, at whatever depth."""
    found: list[Import] = []

    def walk(node: ast.AST, in_function: bool, for_types: bool) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.extend(Import(name, node.lineno, in_function, for_types) for name in _targets(node))
        match node:
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name))]):
                found.append(Import(name, node.lineno, in_function, for_types))
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for child in node.body:
                walk(child, in_function, True)
            for child in node.orelse:
                walk(child, in_function, for_types)
            return
        inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            walk(child, inside, for_types)

    walk(module.tree, False, False)
    return found


def _own(name: str) -> str | None:
    """A module of ours by its relative name, else None."""
    if name == "agentnb":
        return "__init__"
    return name.removeprefix("agentnb.") if name.startswith("agentnb.") else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a module lives: its floor, its line there, its step in the line."""

    floor: int
    line: str
    step: int

    def relation(self, other: Place) -> str | None:
        """What is wrong with importing from there, if anything."""
        if other.floor != self.floor:
            return None if other.floor < self.floor else "on a floor above"
        if other.line != self.line:
            return "a stranger on the same floor"
        return None if other.step < self.step else "on the same step or above"


@cache
def places() -> dict[str, Place]:
    found = {}
    for floor, block in enumerate(FLOORS.strip().split("\n\n")):
        for line in block.splitlines():
            package, _, names = line.rpartition(":")
            for step, residents in enumerate(names.split("<")):
                for name in residents.split():
                    full = package if name == "." else f"{package}.{name}".lstrip(".")
                    found[full] = Place(floor, line, step)
    return found


def _fail_with(complaints: list[str]) -> None:
    if complaints:
        pytest.fail("\n".join(["", *complaints]), pytrace=False)


def test_every_module_has_its_floor() -> None:
    empty = {name for name, module in modules().items() if module.path.name == "__init__.py" and not _code(module)}
    missing = set(modules()) - set(places()) - empty
    gone = set(places()) - set(modules())
    _fail_with(
        [f"{name}: say in FLOORS where it lives" for name in sorted(missing)]
        + [f"{name}: is in FLOORS but not in the package" for name in sorted(gone)]
    )


def _code(module: Module) -> bool:
    """Whether there is more than a docstring."""
    return any(not isinstance(node, ast.Expr) for node in module.tree.body)


def test_imports_point_down() -> None:
    complaints = []
    for module in modules().values():
        for each in imports(module):
            here, there = places().get(module.name), places().get(_own(each.name) or "")
            if here and there and (wrong := here.relation(there)):
                complaints.append(f"{module.at(each.line)}: {module.name} imports {each.name}, {wrong}")
    _fail_with(complaints)


def test_no_module_of_ours_is_imported_in_a_function() -> None:
    _fail_with(
        [
            f"{module.at(each.line)}: {each.name} is imported in a function: a cycle in disguise"
            for module in modules().values()
            for each in imports(module)
            if each.in_function and _own(each.name) and each.name not in LATE.get(module.name, set())
        ]
    )


def test_third_party_packages_come_in_by_their_doors() -> None:
    complaints = []
    for module in modules().values():
        for each in imports(module):
            top = each.name.partition(".")[0]
            ours = top == "agentnb" or top in sys.stdlib_module_names
            if not (each.for_types or ours or top in THIRD_PARTY.get(module.name, set())):
                complaints.append(f"{module.at(each.line)}: {module.name} imports {top}; its door is elsewhere")
    _fail_with(complaints)


def test_no_door_stands_open_for_nothing() -> None:
    complaints = []
    for name, allowed in THIRD_PARTY.items():
        module = modules().get(name)
        used = {each.name.partition(".")[0] for each in imports(module)} if module else set()
        complaints += [f"{name} may import {package} but does not: close that door" for package in allowed - used]
    _fail_with(complaints)


@pytest.mark.parametrize("name", ["agentnb", "agentnb.notebook.extension"])
def test_nothing_heavy_is_loaded_before_it_is_used(name: str) -> None:
    code = f"import sys, {name}; print(*sorted(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert loaded.returncode == 0, loaded.stderr
    assert set(loaded.stdout.split()) & HEAVY == set()


def test_files_are_short_enough_to_read() -> None:
    _fail_with(
        [
            f"agentnb/{module.path.relative_to(PACKAGE)}: {module.lines} lines, more than {limit}"
            for module in modules().values()
            if module.lines > (limit := LONG_FILES.get(module.name, FILE_LINES))
        ]
    )


def test_functions_are_short_enough_to_read() -> None:
    complaints = []
    for module in modules().values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                limit = LONG_FUNCTIONS.get(f"{module.name}.{node.name}", FUNCTION_LINES)
                if lines > limit:
                    complaints.append(f"{module.at(node.lineno)}: {node.name} has {lines} lines, more than {limit}")
    _fail_with(complaints)


def test_only_those_named_here_catch_everything() -> None:
    found: dict[str, list[str]] = {}
    for module in modules().values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ExceptHandler) and _is_broad(node.type):
                found.setdefault(module.name, []).append(module.at(node.lineno))
    _fail_with(
        [
            f"{name} catches everything {len(found.get(name, []))} times, not {BROAD_EXCEPTS.get(name, 0)}: "
            + ", ".join(found.get(name, []))
            for name in sorted(set(found) | set(BROAD_EXCEPTS))
            if len(found.get(name, [])) != BROAD_EXCEPTS.get(name, 0)
        ]
    )


def _is_broad(kind: ast.expr | None) -> bool:
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(each is None or ast.unparse(each) in ("Exception", "BaseException") for each in kinds)


def test_what_is_exported_is_what_is_there() -> None:
    # IPython calls these two; nobody imports them.
    hooks = {"load_ipython_extension", "unload_ipython_extension"}
    public = {name for name in vars(agentnb) if not name.startswith("_")} - hooks - {"annotations", "TYPE_CHECKING"}
    values = {name for name in public if not isinstance(getattr(agentnb, name), ModuleType)}
    assert sorted(values) == agentnb.__all__
