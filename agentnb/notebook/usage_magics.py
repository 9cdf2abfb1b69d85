"""`%usage`: what the runs of this notebook took, and how much they may cost."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand

from agentnb.errors import UsageError, nearest
from agentnb.notebook import show
from agentnb.notebook.orders import amount
from agentnb.workspace import Workspace

BY = ("cell", "model")
_HELP = """%usage [cell|model]     what the runs took: by cell, or by model
%usage cap USD          let this notebook cost no more than this, all runs together
%usage cap none         let it cost what it costs"""


@magics_class
class UsageMagics(Magics):
    """`%usage` over one workspace."""

    def __init__(self, shell: InteractiveShell, workspace: Workspace) -> None:
        super().__init__(shell)
        self.workspace = workspace

    @no_var_expand
    @line_magic
    def usage(self, line: str) -> None:
        """What the runs took, as a table; `cap` bounds what they may cost."""
        words = line.split()
        match words:
            case []:
                show.table(show.spent(self.workspace, "cell"))
            case [("cell" | "model") as by]:
                show.table(show.spent(self.workspace, by))
            case ["--help" | "-h"]:
                show.text(_HELP)
            case ["cap"]:
                show.text(self._cap())
            case ["cap", "none"]:
                self.workspace.cap(None)
                show.text(self._cap())
            case ["cap", usd]:
                self.workspace.cap(amount(usd, "%usage cap"))
                show.text(self._cap())
            case _:
                verb = words[0]
                raise UsageError(f"%usage does not know {verb!r}.{nearest(verb, (*BY, 'cap'))} See %usage --help")

    def _cap(self) -> str:
        budget = self.workspace.budget
        if budget is None:
            return f"No cap. Spent so far: ${self.workspace.ledger.total().usd or 0.0:.4f}."
        return f"This notebook may cost ${budget.limit:g}. Spent so far: ${budget.spent:.4f}."
