"""`%agentenv`: variables of the environment that are kept for every notebook, and those that a project's code reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from getpass import getpass
from pathlib import Path

from IPython.core.error import StdinNotImplementedError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand

from agentnb.env_reads import Read, detect
from agentnb.environment import checked_name, is_secret_name
from agentnb.errors import UsageError, nearest
from agentnb.models.key_shapes import known_keys
from agentnb.notebook import show
from agentnb.notebook.options import Option, usage
from agentnb.notebook.tables import Table
from agentnb.prompting.plain import plural
from agentnb.workspace import Workspace

VERBS = ("list", "set", "rm", "detect")
OPTIONS = (
    Option("secret", "of set: ask for the value, and keep it in the system's keyring; it is never shown", kind="flag"),
    Option("plain", "of set: keep it as it is, though its name is that of a secret", kind="flag"),
    Option("known", "of list: the variables of other programs, and what agentnb has in their place", kind="flag"),
)
_SYNOPSIS = """[list]                 the kept variables, secrets hidden, and whose value this kernel has
%agentenv set KEY=VALUE   keep a variable, in this kernel and in every notebook from now on
%agentenv set KEY --secret
%agentenv rm KEY          forget it, here as well where its value is the kept one
%agentenv detect [PATH]   the variables that the code of a folder reads, and which of them are missing"""
_NEVER = (
    "A secret is not written in a notebook: it would stay there. Delete it here, and run: %agentenv set {} --secret"
)
#: Names that similar programs have; what they do here, or what does it here.
KNOWN = {
    "SUMMARY_MODEL_ID": "read, as AGENTNB_SUMMARY_MODEL: the model that summarizes long sessions by itself",
    "MAX_TOKENS_IN_CONTEXT": "read, as AGENTNB_CONTEXT_TOKENS: tokens of a session from which that is done",
    "MAX_TOOL_ROUNDS": "%%agent --max-rounds N, and of a saved agent: %agent save NAME --max-rounds N",
    "BASH_EXEC_TIMEOUT": "read: seconds that a command of `bash` may take",
    "FETCH_MAX_SIZE": "read: bytes of text that `fetch` hands on",
    "AGENT_WORKSPACE": "the folder the kernel began in; Workspace(base_dir=…)",
    "AGENTS_URL": "none: agents run in this kernel, not behind a server",
    "UPLOAD_PARALLEL_SIZE": "%files upload chooses it",
    "UPLOAD_PARALLEL_MAX_THREADS": "%files upload chooses it",
    "RESTRICT_WORKSPACE_IN_BACKEND": "always: files stay within the workspace folder",
    "SEARCH_MAX_RESULTS": "a limit of the search itself",
    "DISABLE_NESTED_DELEGATE": "read when agentnb loads: who was handed a task hands on none",
}
_PLACES = 3
#: A shorter secret is not masked (see masking.Mask).
_SHORTEST = 6


@magics_class
class EnvMagics(Magics):
    """`%agentenv` over one workspace."""

    def __init__(self, shell: InteractiveShell, workspace: Workspace) -> None:
        super().__init__(shell)
        self.workspace = workspace

    @no_var_expand
    @line_magic
    def agentenv(self, line: str) -> None:
        """Keep variables, list them, forget them, and find those that code reads. `%agentenv --help` says how."""
        verb, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if {verb, rest} & {"-h", "--help"}:
            show.text(usage("%agentenv", _SYNOPSIS, OPTIONS))
            return
        match verb:
            case "" | "list" | "--known":
                self._list((rest or verb).removeprefix("list"))
            case "set":
                show.text(self.workspace.mask(self._set(rest)))
            case "rm":
                show.text(self._remove(rest))
            case "detect":
                show.table(reads(self.workspace, rest.strip("'\"") or "."), self.workspace.mask)
            case _:
                close = nearest(known_keys(verb.partition("=")[0]), VERBS)
                raise UsageError(f"%agentenv has no such verb.{close} It has {', '.join(VERBS)}. See %agentenv --help")

    def _list(self, option: str) -> None:
        match option:
            case "":
                wrong = self.workspace.environment.load()
                show.table(kept(self.workspace, wrong), self.workspace.mask)
            case "--known":
                note = "All others are read by your own code only."
                show.table(Table(("variable", "here"), tuple(KNOWN.items()), note), self.workspace.mask)
            case _:
                raise UsageError("%agentenv list takes nothing, or --known. See %agentenv --help")

    def _set(self, rest: str) -> str:
        words, secret, plain = _flags(rest)
        name, equals, value = words.partition("=")
        name = checked_name(name.strip())
        if secret and plain:
            raise UsageError("--secret and --plain contradict each other. Leave one out.")
        if secret:
            if equals:
                raise UsageError(_NEVER.format(name))
            value = _asked(name)
            where = self.workspace.environment.set_secret(name, value)
            short = (
                " It is too short to be told from other words, so it is not masked." if len(value) < _SHORTEST else ""
            )
            return f"{name} is set, and kept in {where}.{short}"
        if not equals:
            raise UsageError(f"%agentenv set needs a value: {name}=VALUE; or --secret, to be asked for it.")
        if not plain and (is_secret_name(name) or known_keys(value) != value):
            raise UsageError(f"{name} seems to be a secret. {_NEVER.format(name)} (or --plain, where it is none).")
        self.workspace.environment.set(name, _unquoted(value.strip()))
        self.workspace.changed()
        return f"{name} is set, and kept in the store."

    def _remove(self, name: str) -> str:
        if not name:
            raise UsageError("%agentenv rm needs the name of a variable. %agentenv lists them.")
        stays = self.workspace.environment.remove(name)
        return f"{name} is forgotten." + (" This kernel still has one, which was set elsewhere." if stays else "")


def suggest(workspace: Workspace, earlier: Sequence[str], _word: str) -> Sequence[str]:
    """What may stand behind these words of the line."""
    match earlier:
        case []:
            return VERBS
        case ["rm"]:
            return [each.name for each in workspace.environment.list()]
        case ["list"]:
            return ("--known",)
        case ["set", _]:
            return ("--secret", "--plain")
    return ()


def kept(workspace: Workspace, wrong: Sequence[str] = ()) -> Table:
    """The kept variables; `wrong` says what is wrong with any."""
    said = {"here": "set", "outside": "set elsewhere, which goes before", "unset": "not set"}
    rows = tuple((each.name, each.shown, each.where, said[each.source]) for each in workspace.environment.list())
    note = (
        ""
        if rows
        else "No variables are kept. %agentenv set KEY=VALUE keeps one; %agentenv detect finds those you need."
    )
    return Table(("variable", "value", "kept in", "this kernel"), rows, "\n".join(filter(None, [note, *wrong])))


def reads(workspace: Workspace, path: str) -> Table:
    """The variables that code reads: whether this kernel has them, and where they are read; no values."""
    found = detect(Path(path))
    names = {each.name for each in workspace.environment.list()}
    rows = tuple(
        (name, _state(workspace, name, name in names, places), _where(places))
        for name, places in found.by_name().items()
    )
    missing = [row[0] for row in rows if row[1].startswith("missing")]
    notes = [f"{plural(found.files, 'file')} with code looked at, and {plural(len(rows), 'variable')} found."]
    if missing:
        secret = next((name for name in missing if is_secret_name(name)), None)
        notes.append(f"Set one: %agentenv set {f'{secret} --secret' if secret else f'{missing[0]}=VALUE'}")
    return Table(("variable", "state", "read in"), rows, "\n".join([*notes, *found.problems]))


def _state(workspace: Workspace, name: str, is_kept: bool, places: Sequence[Read]) -> str:
    if name in workspace.environ:
        return "set, kept" if is_kept else "set"
    if is_kept:
        return "kept, not set here"
    return "missing, has a default" if all(each.optional for each in places) else "missing"


def _where(places: Sequence[Read]) -> str:
    more = f", and {len(places) - _PLACES} more" if len(places) > _PLACES else ""
    return ", ".join(each.place for each in places[:_PLACES]) + more


def _flags(rest: str) -> tuple[str, bool, bool]:
    """The words of `set` without its flags, before or behind, and whether these are there."""
    flags: list[str] = []
    while found := re.match(r"(--\w+)(?:\s+|$)", rest) or re.search(r"(?:^|\s)(--\w+)\s*$", rest):
        if found[1] not in ("--secret", "--plain"):
            break
        flags.append(found[1])
        rest = (rest[: found.start()] + rest[found.end() :]).strip()
    if rest.startswith("--"):
        raise UsageError(f"%agentenv set has no option {rest.split()[0][:20]}. It has --secret and --plain.")
    return rest, "--secret" in flags, "--plain" in flags


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value


def _asked(name: str) -> str:
    try:
        return getpass(f"{name}: ")
    except (StdinNotImplementedError, EOFError):
        raise UsageError(f"Nobody can be asked for {name} here. Set it outside, before the kernel starts.") from None
