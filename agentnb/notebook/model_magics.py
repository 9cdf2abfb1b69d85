"""`%model`: choose, list, make, try and fetch models."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand

from agentnb.errors import ConnectionFailed, CredentialError, UsageError
from agentnb.models import listing, weights
from agentnb.notebook import orders, show
from agentnb.notebook.errand import wait_for
from agentnb.notebook.options import Option, Parsed, parse, usage
from agentnb.workspace import Workspace

_HELP = Option("help", "this text", "h", kind="flag")
MODEL_OPTIONS = (*orders.MODEL_OPTIONS, _HELP)
ADD_OPTIONS = (
    Option("fallback", "ask these in turn where it fails before its first word", kind="many", value="PROVIDER:NAME"),
    Option("balance", "share the requests with these, by weight", kind="many", value="PROVIDER:NAME=WEIGHT"),
    Option("retries", "ask again so often when it is briefly unable to answer (default 2)", value="N"),
    Option("concurrency", "at most so many requests at once", value="N"),
    Option("rate", "at most so much in a time: '10/s', '2000 tokens/m', several with commas", value="RATES"),
    Option("timeout", "seconds for the first word, between two, for all: first=30,idle=60,total=600", value="NAME=S,…"),
    Option("connect", "seconds to wait for a connection (default 5)", value="S"),
    Option("cache", "answer the same question from memory, or from this folder", value="memory|FOLDER"),
    Option("record", "keep every answer in this cassette", value="FILE.json"),
    Option("replay", "answer from this cassette, and ask nobody", value="FILE.json"),
    *MODEL_OPTIONS,
)
VERBS = ("list", "add", "alias", "rm", "test", "pull")
_SYNOPSIS = """[PROVIDER:NAME] [options]         choose the model that answers; print it
%model list [PROVIDER]                   the providers; or the models of one, asked for now
%model add NAME [PROVIDER:NAME] [options]  a model of your own, made of others
%model alias NAME PROVIDER:NAME          another name for a model
%model rm NAME                           forget such a name
%model test [NAME]                       ask for one word: does it answer, and how fast?
%model pull [NAME]                       fetch a built-in model"""


@magics_class
class ModelMagics(Magics):
    """`%model` over one workspace."""

    def __init__(self, shell: InteractiveShell, workspace: Workspace) -> None:
        super().__init__(shell)
        self.workspace = workspace

    @no_var_expand
    @line_magic
    def model(self, line: str) -> None:
        """Choose the model that answers; without a name, print the current one."""
        verb, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        match verb:
            case "list":
                self._list(rest)
            case "add":
                self._add(rest)
            case "alias":
                self._alias(rest.split())
            case "rm":
                self._remove(rest)
            case "test":
                self._test(rest)
            case "pull":
                self._pull(rest or self.workspace.model_name)
            case _:
                self._choose(line.strip())

    def _choose(self, line: str) -> None:
        name, _, rest = line.partition(" ") if not line.startswith("-") else ("", "", line)
        options = parse(rest, MODEL_OPTIONS, "%model")
        if options.has("help"):
            show.text(usage("%model", _SYNOPSIS, MODEL_OPTIONS))
            show.text(usage("\n%model add", "NAME [PROVIDER:NAME]", ADD_OPTIONS[: -len(MODEL_OPTIONS)]))
        elif not name and options.values:
            raise UsageError("The options of %model go with a model: %model PROVIDER:NAME [options].")
        elif not name:
            show.text(self.workspace.model_name)
        elif options.rest:
            raise UsageError(f"%model takes one name; {options.rest!r} is one too many. See %model --help")
        else:
            chosen = orders.model_options(options)  # first what may be wrong, then the switch
            self.workspace.use_model(name, api_base=options.one("api-base"), api_key_name=options.one("api-key-name"))
            self.workspace.options = chosen
            show.text(f"{self.workspace.model_name} answers from now on.")

    def _list(self, provider: str) -> None:
        if not provider:
            show.providers(self.workspace)
            return
        try:
            found, note = wait_for(self.workspace, lambda: self.workspace.list_models(provider)), ""
        except (CredentialError, ConnectionFailed) as error:
            found, note = self.workspace.known_models(provider), str(error)
            if not found:
                raise
        show.table(show.cards(found, note))

    def _add(self, line: str) -> None:
        name, _, rest = line.partition(" ")
        base, _, rest = rest.strip().partition(" ") if not rest.strip().startswith("-") else ("", "", rest)
        if not name or name.startswith("-"):
            raise UsageError("%model add needs a name for the new model: %model add NAME PROVIDER:NAME [options].")
        options = parse(rest, ADD_OPTIONS, "%model add")
        if options.rest:
            raise UsageError(f"%model add takes a name and a model; {options.rest!r} is one too many.")
        if not base and not options.has("replay"):
            raise UsageError(f"%model add {name} needs the model it is made of: %model add {name} PROVIDER:NAME.")
        self.workspace.add_model(
            name,
            base or None,
            _words(options),
            options=orders.model_options(options),
            api_base=options.one("api-base"),
            api_key_name=options.one("api-key-name"),
            connect=options.number("connect"),
        )
        show.text(f"{name} is ready: %model {name}")

    def _alias(self, names: list[str]) -> None:
        if len(names) != 2:
            raise UsageError("%model alias takes two names: %model alias NAME PROVIDER:NAME.")
        self.workspace.models.alias(*names)
        show.text(f"{names[0]} is {names[1]}.")

    def _remove(self, name: str) -> None:
        if not name:
            raise UsageError("%model rm needs the name of a model that you made. %model list names them.")
        self.workspace.models.remove(name)
        show.text(f"{name} is forgotten.")

    def _test(self, name: str) -> None:
        model = self.workspace.open_model(name) if name else self.workspace.model
        show.text(str(wait_for(self.workspace, lambda: listing.try_model(model, cards=self.workspace.cards))))

    def _pull(self, name: str) -> None:
        row = weights.find(name.removeprefix("local:"))
        now, shown = [""], [""]

        def progress(what: str, done: int, total: int) -> None:
            now[:] = [f"{what} {100 * done // max(total, 1)} %"]

        def tick() -> None:
            if now != shown:  # each line stays in the notebook file
                shown[:] = now
                show.text_in_place(now[0])

        path = wait_for(self.workspace, lambda: weights.fetch(row, progress=progress), tick)
        show.text_in_place(f"{row.label} is ready in {path}\n")


def _words(options: Parsed) -> dict[str, str | list[str]]:
    """The options that make a stack, as they were written."""
    own = {option.name: option for option in ADD_OPTIONS[: -len(MODEL_OPTIONS)]}
    return {
        name: values if own[name].kind == "many" else values[-1]
        for name, values in options.values.items()
        if name in own and name != "connect"
    }
