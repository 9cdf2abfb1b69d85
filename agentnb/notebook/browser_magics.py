"""`%browser`: what the agents' browser shows, and whether agents may use it."""

from __future__ import annotations

from importlib.util import find_spec

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand
from IPython.display import Image, display

from agentnb.errors import MissingExtra, UsageError, nearest
from agentnb.notebook import show
from agentnb.notebook.errand import wait_for
from agentnb.notebook.starting import starting
from agentnb.sandbox.browser_tools import BrowserTools
from agentnb.workspace import Workspace

VERBS = ("on", "off", "shot", "snapshot", "tabs", "close")
_HELP = """%browser                  the page in front, as it looks now
%browser URL              open a page (also one on this machine: from then on agents may open that too)
%browser on|off           offer the browser's tools to models, or no longer
%browser shot [full]      a picture of what is in view, or of all of the page
%browser snapshot         what a model reads of the page
%browser tabs             the open tabs
%browser close            stop the browser; the next use starts a fresh one"""


@magics_class
class BrowserMagics(Magics):
    """`%browser` over one workspace."""

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell, workspace: Workspace) -> None:
        super().__init__(shell)
        self.workspace = workspace

    @no_var_expand
    @line_magic
    @show.documented(_HELP)
    def browser(self, line: str) -> None:
        """Open, see and close pages in the agents' browser."""
        words = line.split()
        browser = self.workspace.browser
        match words:
            case ["--help" | "-h"]:
                show.text(_HELP)
            case []:
                self._page(None)
            case ["on" | "off" as switch]:
                self._switch(switch == "on")
            case ["shot"] | ["shot", "full"]:
                picture = wait_for(self.workspace, lambda: browser.screenshot(full="full" in words))
                _display(Image(picture.data))  # type: ignore[no-untyped-call]  # as below
            case ["snapshot"]:
                show.text(self.workspace.mask(wait_for(self.workspace, browser.snapshot)))
            case ["tabs"]:
                show.text(self.workspace.mask("\n".join(wait_for(self.workspace, browser.tabs))))
            case ["close"]:
                wait_for(self.workspace, browser.close)
                show.text("The browser is closed.")
            case [url] if _is_address(url):
                self._page(url)
            case _:
                near = nearest(words[0], VERBS)
                raise UsageError(f"%browser does not know {' '.join(words)[:80]!r}.{near} See %browser --help")

    def _page(self, url: str | None) -> None:
        browser = self.workspace.browser
        words = "Opening the page…" if browser.running else "Starting the browser…"
        with starting(self.shell, self.workspace, words) as notice:
            found = wait_for(self.workspace, lambda: browser.see() if url is None else browser.open(url), notice.tick)
        _display(found)

    def _switch(self, on: bool) -> None:
        toolbox = self.workspace.toolbox
        if on and find_spec("playwright") is None:
            raise MissingExtra("A browser", "sandbox")
        toolbox.enable(BrowserTools.name, on)
        if on:
            count = len(toolbox.match(BrowserTools.name))
            show.text(f"Models are offered the browser: {count} tools. Those that act ask you first.")
        else:
            show.text("Models are not offered the browser.")


def _is_address(word: str) -> bool:
    return any(mark in word for mark in ".:/") or word == "localhost"


def _display(shown: object) -> None:
    display(shown)  # type: ignore[no-untyped-call]  # IPython has no types here
