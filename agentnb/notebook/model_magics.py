"""`%model`: choose, list, make, try and fetch models."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand

from agentnb.errors import ModelError, UsageError, nearest
from agentnb.models import listing, weights
from agentnb.models.base import Model
from agentnb.notebook import lists, orders, show
from agentnb.notebook.errand import wait_for
from agentnb.notebook.options import Option, Parsed, parse, usage
from agentnb.notebook.tables import Table
from agentnb.workspace import Workspace

_HELP = Option("help", "this text", "h", kind="flag")
#: Options that may hold what nobody should read.
_HIDDEN = ("headers", "query", "body")
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
VERBS = ("list", "add", "alias", "save", "rm", "test", "pull")
_SYNOPSIS = """[PROVIDER:NAME] [options]           choose the model that answers; without a name: which one does
%model list [PROVIDER [WORD…]]             what can answer; or the models of a provider, asked for now
%model add NAME [PROVIDER:NAME] [options]  a model of your own, made of others
%model alias NAME PROVIDER:NAME            another name for a model
%model save NAME                           keep such a name for every notebook
%model rm NAME                             forget such a name
%model test [NAME]                         ask for one word: does it answer, and how fast?
%model pull [NAME]                         fetch a built-in model"""


@magics_class
class ModelMagics(Magics):
    """`%model` over one workspace."""

    def __init__(self, shell: InteractiveShell, workspace: Workspace) -> None:
        super().__init__(shell)
        self.workspace = workspace
        self._chosen: tuple[str, Model] | None = None

    @no_var_expand
    @line_magic
    def model(self, line: str) -> None:
        """Choose the model that answers; without a name, print the current one. `%model --help` says the rest."""
        verb, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if verb not in VERBS:
            self._choose(line.strip())
        elif rest.split(" ")[0] in ("-h", "--help"):
            _help()
        else:
            verbs = {"list": self._list, "add": self._add, "alias": self._alias, "save": self._save}
            verbs |= {"rm": self._remove, "test": self._test}
            verbs.get(verb, self._pull)(rest)

    def _choose(self, line: str) -> None:
        name, _, rest = line.partition(" ") if not line.startswith("-") else ("", "", line)
        options = parse(rest, MODEL_OPTIONS, "%model")
        if options.has("help"):
            _help()
        elif not name and options.values:
            raise UsageError("The options of %model go with a model: %model PROVIDER:NAME [options].")
        elif not name:
            show.text(f"{self._current()}{self._options()}")
        elif options.rest:
            raise UsageError(f"%model takes one name; {options.rest!r} is one too many. See %model --help")
        else:
            self._use(name, options)

    def _use(self, name: str, options: Parsed) -> None:
        base, key = options.one("api-base"), options.one("api-key-name")
        chosen = orders.model_options(options)  # first what may be wrong, then the switch
        try:
            model = self.workspace.open_model(name, api_base=base, api_key_name=key)
        except UsageError:
            if verb := nearest(name, VERBS) if name.isalpha() else "":
                raise UsageError(f"{name!r} is neither a model nor a verb of %model.{verb} See %model --help") from None
            raise
        self.workspace.use_model(model, api_base=base, api_key_name=key, called=name)
        self.workspace.options = chosen
        self._chosen = name, model
        show.text(f"{self._current()} answers from now on{self._options()}.")
        self._say_missing(name if not (base or key) else "")

    def _say_missing(self, name: str) -> None:
        """Say it now where a provider's model has no key; what a name of one's own needs, nobody knows."""
        provider = name.partition(":")[0]
        own = name in self.workspace.models.names()
        if not own and (variable := lists.missing_key(self.workspace, provider)):
            show.text(f"It has no key yet: set {variable}, or %credential add {provider}")

    def _current(self) -> str:
        """The model that answers, by the name it was chosen by, and by its own."""
        name, model = self._chosen or ("", None)
        own = self.workspace.model_name
        is_called = name in self.workspace.models.names() and model is self.workspace.model
        return f"{name} ({own})" if is_called and name != own else own

    def _options(self) -> str:
        given = {name: value for name, value in self.workspace.options.given().items() if name not in _HIDDEN}
        words = ", ".join(f"{name} {value}" for name, value in given.items())
        return self.workspace.mask(f", with {words}") if words else ""

    def _list(self, line: str) -> None:
        provider, *words = line.split()[:10] or [""]
        if any(word.startswith("-") for word in (provider, *words)):
            raise UsageError("%model list takes no options: %model list [PROVIDER [WORD…]].")
        match provider:
            case "":
                found = lists.providers(self.workspace)
            case "local":
                found = lists.built_in()
            case _:
                found = self._cards(provider, words)
        show.table(found, self.workspace.mask)

    def _cards(self, provider: str, words: list[str]) -> Table:
        try:
            return lists.cards(wait_for(self.workspace, lambda: self.workspace.list_models(provider)), words)
        except ModelError as error:
            entries = self.workspace.credentials.list()
            whose = next((entry.provider for entry in entries if entry.name == provider), provider)
            known = self.workspace.known_models(whose)
            if not known:
                raise
            return lists.cards(known, words, str(error))

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
        settings = _words(options)
        self.workspace.add_model(
            _own(name),
            base or None,
            settings,
            options=orders.model_options(options),
            api_base=options.one("api-base"),
            api_key_name=options.one("api-key-name"),
            connect=options.number("connect"),
        )
        show.text(f"{name} is {self.workspace.made_models[name].words}. Choose it: %model {name}")

    def _alias(self, line: str) -> None:
        names = line.split()
        if len(names) != 2:
            raise UsageError("%model alias takes two names: %model alias NAME PROVIDER:NAME.")
        name, target = names
        if name != target:
            self.workspace.open_model(target)  # a slip is better told now
        self.workspace.alias_model(_own(name), target)
        show.text(f"{name} is {target}.")

    def _save(self, name: str) -> None:
        if not name:
            raise UsageError("%model save needs the name of a model that you made. %model list names them.")
        self.workspace.keep_model(name)
        show.text(f"{name} is kept. In any notebook: %model {name}")

    def _remove(self, name: str) -> None:
        if not name:
            raise UsageError("%model rm needs the name of a model that you made. %model list names them.")
        self.workspace.forget_model(name)
        show.text(f"{name} is forgotten.")

    def _test(self, name: str) -> None:
        model = self.workspace.open_model(name) if name else self.workspace.model
        trial = wait_for(self.workspace, lambda: listing.try_model(model, cards=self.workspace.cards))
        called = f"{name}: " if name and name != model.name else ""
        show.text(self.workspace.mask(f"{called}{trial}"))

    def _pull(self, name: str) -> None:
        row = weights.find((name or self.workspace.model_name).removeprefix("local:"))
        now, shown = [""], [""]

        def progress(what: str, done: int, total: int) -> None:
            now[:] = [f"{what} {100 * done // max(total, 1)} %"]

        def tick() -> None:
            if now != shown:  # each line stays in the notebook file
                shown[:] = now
                show.text_in_place(now[0])

        path = wait_for(self.workspace, lambda: weights.fetch(row, progress=progress), tick)
        show.text_in_place(f"{row.label} is ready in {path}\n")


def _help() -> None:
    show.text(usage("%model", _SYNOPSIS, MODEL_OPTIONS))
    show.text(usage("\n%model add", "NAME [PROVIDER:NAME], beside these", ADD_OPTIONS[: -len(MODEL_OPTIONS)]))


def _own(name: str) -> str:
    """A name for a model of one's own. Raises UsageError for one that would hide a verb."""
    if name in VERBS or name.startswith("-"):
        raise UsageError(f"A model cannot be called {name!r}, which %model takes for something else. Choose another.")
    return name


def _words(options: Parsed) -> dict[str, str | list[str]]:
    """The options that make a stack, as they were written."""
    own = {option.name: option for option in ADD_OPTIONS[: -len(MODEL_OPTIONS)]}
    return {
        name: values if own[name].kind == "many" else values[-1]
        for name, values in options.values.items()
        if name in own and name != "connect"
    }
