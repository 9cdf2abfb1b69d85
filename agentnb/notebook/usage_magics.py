"""`%usage`: what the runs of this notebook took, and how much they may cost."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand

from agentnb import render
from agentnb.errors import UsageError, nearest
from agentnb.notebook import lists, show
from agentnb.notebook.orders import amount
from agentnb.workspace import Workspace

BY = ("cell", "model", "notebook")
_HELP = """%usage [cell|model|notebook]   what the runs took: each, by model, or all together
%usage cap USD                 let this notebook cost no more than this, all runs together
%usage cap none                let it cost what it costs
%usage cap                     what may be spent, and what is"""


@magics_class
class UsageMagics(Magics):
    """`%usage` over one workspace."""

    def __init__(self, shell: InteractiveShell, workspace: Workspace) -> None:
        super().__init__(shell)
        self.workspace = workspace

    @no_var_expand
    @line_magic
    @show.documented(_HELP)
    def usage(self, line: str) -> None:
        """What the runs took, as a table; `cap` bounds what they may cost."""
        words = line.split()
        match words:
            case []:
                show.table(lists.spent(self.workspace, "cell"), self.workspace.mask)
            case [("cell" | "model" | "notebook") as by]:
                show.table(lists.spent(self.workspace, by), self.workspace.mask)
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
                near = nearest(words[0], (*BY, "cap"))
                raise UsageError(f"%usage does not know {' '.join(words)!r}.{near} See %usage --help")

    def _cap(self) -> str:
        budget = self.workspace.budget
        spent = budget.spent if budget else self.workspace.ledger.total().usd or 0.0
        may = "what it costs" if budget is None or budget.limit is None else f"at most {render.usd(budget.limit)}"
        return f"This notebook may cost {may}. Spent so far: {render.money(spent) or '$0'}."
