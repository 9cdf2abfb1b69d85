"""`%credential`: keys that live in the system's keyring, and never in the notebook."""

from __future__ import annotations

from collections.abc import Sequence
from getpass import getpass

from IPython.core.error import StdinNotImplementedError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand

from agentnb.errors import UsageError, nearest
from agentnb.models.credentials import Kind
from agentnb.models.key_shapes import known_keys
from agentnb.notebook import lists, show
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
    Option("region", "of ak_sk: where the service is, where its address does not say", value="NAME"),
    Option("service", "of ak_sk: the name of the service, likewise", value="NAME"),
    Option("from-env", "take the key from a variable (or each part from one) instead of asking", None, "many", "NAME"),
)
_SYNOPSIS = """[list]                what there is, masked
%credential add NAME [options]    ask for a key, and keep it in the system's keyring
%credential test NAME             does the provider accept it?
%credential disable|enable NAME   switch it off or on at once
%credential rm NAME               forget it

NAME is a provider (%model list), or a name of your own with --provider, which is `service` for a key that no model
needs: %tool openapi … --auth NAME uses it."""
#: Whose key it is where it is no model provider's.
_SERVICE = "service"


_NEVER = "A key is not written in a notebook: it would stay there. Delete it here, and run %credential add PROVIDER."


@magics_class
class CredentialMagics(Magics):
    """`%credential` over one workspace."""

    def __init__(self, shell: InteractiveShell, workspace: Workspace) -> None:
        super().__init__(shell)
        self.workspace = workspace

    @no_var_expand
    @line_magic
    def credential(self, line: str) -> None:
        """Keep, list, try, switch off and forget keys. `%credential --help` says how."""
        verb, _, rest = line.strip().partition(" ")
        name = rest.strip()
        if verb in ("--help", "-h") or (verb in VERBS and name.split(" ")[0] in ("--help", "-h")):
            show.text(usage("%credential", _SYNOPSIS, ADD_OPTIONS))
        elif verb in ("", "list"):
            show.table(lists.credentials(self.workspace), self.workspace.mask)
        elif verb not in VERBS:
            raise UsageError(f"%credential has no verb {_shown(verb)}.{nearest(verb, VERBS)} See %credential --help")
        elif not name or name.startswith("-"):
            example = "a provider's, such as openai, or your own with --provider" if verb == "add" else "see the list"
            raise UsageError(f"%credential {verb} needs a name: {example}. See %credential --help")
        elif verb == "add":
            self._add(name)
        else:
            self._do(verb, name)

    def _do(self, verb: str, name: str) -> None:
        match verb:
            case "test":
                count = len(wait_for(self.workspace, lambda: self.workspace.list_models(name)))
                show.text(f"{name}: accepted; {count:,} model{'s' * (count != 1)} known.")
            case "rm":
                self.workspace.credentials.remove(name)
                show.text(f"{name} is forgotten.")
            case _:
                self.workspace.credentials.enable(name, verb == "enable")
                show.text(f"{name} is {verb}d.")

    def _add(self, line: str) -> None:
        name, _, rest = line.partition(" ")
        if known_keys(name) != name:
            raise UsageError(_NEVER)
        options = parse(rest, ADD_OPTIONS, "%credential add")
        if options.rest:
            raise UsageError(_NEVER)
        asked = options.one("type") or "api_key"
        kind = next((each for each in SECRETS if each == asked), None)
        if kind is None:
            raise UsageError(f"There is no type {asked!r}.{nearest(asked, SECRETS)} It is one of {', '.join(SECRETS)}.")
        provider = self._provider(name, options.one("provider"))
        secrets = self._secrets(name, SECRETS[kind], options.many("from-env"))
        for part in ("region", "service"):
            if (value := options.one(part)) is not None:
                if kind != "ak_sk":
                    raise UsageError(f"--{part} goes with --type ak_sk.")
                secrets[part] = value
        entry = self.workspace.credentials.add(name, provider, kind, secrets)
        users = "What is told to (--auth NAME) uses" if provider == _SERVICE else f"{provider} models use"
        show.text(f"{name} is kept in {entry.where}. {users} it from now on.")

    def _provider(self, name: str, given: str | None) -> str:
        if given == _SERVICE:
            return _SERVICE
        try:
            return self.workspace.models.provider(given or name).name
        except UsageError as error:
            if given is not None:
                raise
            close = nearest(name, self.workspace.models.providers())
            raise UsageError(
                f"Whose key is {name!r}?{close} Say it: %credential add {name} --provider NAME. %model list names them."
            ) from error

    def _secrets(self, name: str, parts: Sequence[str], variables: Sequence[str] | None) -> dict[str, str]:
        if variables is None:
            return {part: self._secret(name, part) for part in parts}
        if len(variables) != len(parts):
            raise UsageError(f"--from-env takes a variable for each of: {', '.join(parts)}; not {len(variables)}.")
        values = {part: self.workspace.environ.get(each, "") for part, each in zip(parts, variables, strict=True)}
        for part, variable in zip(parts, variables, strict=True):
            if not values[part].strip():
                raise UsageError(f"{_shown(variable)} is not set. Set it, or leave out --from-env to be asked.")
        return values

    def _secret(self, name: str, part: str) -> str:
        try:
            value = getpass(f"{part} of {name}: ")
        except (StdinNotImplementedError, EOFError):
            raise UsageError(
                f"Nobody can be asked for the {part} of {name!r} here. Put it into a variable: --from-env VARIABLE."
            ) from None
        if not value.strip():
            raise UsageError(f"No {part} was given, and nothing was kept.")
        return value


def _shown(word: str) -> str:
    """A word as errors repeat it: not where it is a key in the wrong place."""
    return repr(known_keys(word))
