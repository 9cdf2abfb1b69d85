"""`%credential`: keys that live in the system's keyring, and never in the notebook."""

from __future__ import annotations

from getpass import getpass

from IPython.core.error import StdinNotImplementedError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand

from agentnb.errors import UsageError, nearest
from agentnb.models.credentials import Kind
from agentnb.notebook import show
from agentnb.notebook.errand import wait_for
from agentnb.notebook.options import Option, parse, usage
from agentnb.workspace import Workspace

VERBS = ("list", "add", "test", "enable", "disable", "rm")
#: What each type is made of.
SECRETS: dict[Kind, tuple[str, ...]] = {
    "api_key": ("key",),
    "basic": ("user", "password"),
    "jwt": ("token",),
    "ak_sk": ("access_key", "secret_key"),
    "custom_header": ("name", "value"),
}
ADD_OPTIONS = (
    Option("provider", "whose it is, where the name does not say", value="NAME"),
    Option("type", f"one of {', '.join(SECRETS)}", value="TYPE"),
    Option("from-env", "take the key from this variable, instead of asking for it", value="VARIABLE"),
)
_SYNOPSIS = """[list]                       what there is, masked
%credential add NAME [options]       asks for the key, and keeps it in the keyring
%credential test NAME                does the provider accept it?
%credential disable NAME | enable    switch it off and on at once
%credential rm NAME                  forget it"""


@magics_class
class CredentialMagics(Magics):
    """`%credential` over one workspace."""

    def __init__(self, shell: InteractiveShell, workspace: Workspace) -> None:
        super().__init__(shell)
        self.workspace = workspace

    @no_var_expand
    @line_magic
    def credential(self, line: str) -> None:
        """Keep, list, try, switch off and forget keys."""
        verb, _, rest = line.strip().partition(" ")
        name = rest.strip()
        if verb in ("", "list"):
            show.table(show.credentials(self.workspace))
        elif verb in ("--help", "-h"):
            show.text(usage("%credential", _SYNOPSIS, ADD_OPTIONS))
        elif verb not in VERBS:
            raise UsageError(f"%credential has no verb {verb!r}.{nearest(verb, VERBS)} See %credential --help")
        elif not name:
            raise UsageError(f"%credential {verb} needs a name. %credential lists them.")
        elif verb == "add":
            self._add(name)
        elif verb == "test":
            count = len(wait_for(self.workspace, lambda: self.workspace.list_models(name)))
            show.text(f"{name}: accepted; it lists {count} model{'s' * (count != 1)}.")
        elif verb == "rm":
            self.workspace.credentials.remove(name)
            show.text(f"{name} is forgotten.")
        else:
            self.workspace.credentials.enable(name, verb == "enable")
            show.text(f"{name} is {verb}d.")

    def _add(self, line: str) -> None:
        name, _, rest = line.partition(" ")
        options = parse(rest, ADD_OPTIONS, "%credential add")
        kind = options.one("type") or "api_key"
        if options.rest:
            raise UsageError("A key is never written in a notebook: it would stay there. Run %credential add NAME.")
        known = next((each for each in SECRETS if each == kind), None)
        if known is None:
            raise UsageError(f"There is no type {kind!r}.{nearest(kind, SECRETS)} It is one of {', '.join(SECRETS)}.")
        provider = self.workspace.models.provider(options.one("provider") or name).name
        secrets = {part: self._secret(name, part, options.one("from-env")) for part in SECRETS[known]}
        entry = self.workspace.credentials.add(name, provider, known, secrets)
        show.text(f"{name} is kept in {entry.where}.")

    def _secret(self, name: str, part: str, variable: str | None) -> str:
        if variable:
            value = self.workspace.environ.get(variable, "")
            if not value.strip():
                raise UsageError(f"{variable} is not set. Set it, or leave out --from-env to be asked.")
            return value
        try:
            value = getpass(f"{part} of {name}: ")
        except (StdinNotImplementedError, EOFError):
            raise UsageError(
                f"Nobody can be asked for the {part} of {name!r} here. Put it into a variable: --from-env VARIABLE."
            ) from None
        if not value.strip():
            raise UsageError(f"No {part} was given, and nothing was kept.")
        return value
