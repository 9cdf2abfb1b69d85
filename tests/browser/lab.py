"""A JupyterLab in a browser, as the browser tests talk to it: notebooks from cells, runs, outputs, pictures."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

import nbformat
from playwright.sync_api import Locator, Page

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
#: Seconds that a page, a kernel or a cell may take on a busy machine.
PATIENCE = 30

READY = """async () => {
  while (!window.jupyterapp) await new Promise(done => setTimeout(done, 50));
  const app = jupyterapp;
  await app.restored;
  while (!app.shell.currentWidget?.sessionContext) await new Promise(done => setTimeout(done, 50));
  const panel = app.shell.currentWidget;
  await panel.context.ready;
  await panel.sessionContext.ready;
  await panel.sessionContext.session.kernel.info;
}"""

# Resolves when the cell has run; whether it ran well is in its output.
RUN = """async ({index, wait}) => {
  const content = jupyterapp.shell.currentWidget.content;
  content.activeCellIndex = index;
  content.deselectAll();
  const done = jupyterapp.commands.execute('notebook:run-cell');
  if (wait) await done;
}"""

OPEN_WITHOUT_KERNEL = """async ({path}) => {
  await jupyterapp.restored;
  const panel = await jupyterapp.commands.execute('docmanager:open', {path, kernelPreference: {shouldStart: false}});
  await panel.context.ready;
  await panel.revealed;
  if (panel.sessionContext.session) throw new Error('a kernel was started');
}"""


@dataclass(frozen=True, slots=True)
class Server:
    """A running JupyterLab: where it answers, and the folder that it serves."""

    url: str
    token: str
    root: Path

    def shut_kernels_down(self) -> None:
        """End every kernel that a test left behind."""
        with self._ask("GET", "api/kernels") as answer:
            kernels = json.load(answer)
        for kernel in kernels:
            self._ask("DELETE", f"api/kernels/{kernel['id']}").close()

    def _ask(self, method: str, path: str) -> HTTPResponse:
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(self.url + path, method=method, headers=headers)
        answer = urllib.request.urlopen(request, timeout=PATIENCE)
        assert isinstance(answer, HTTPResponse)
        return answer


def _isolated(base: Path) -> dict[str, str]:
    """The environment of a person who has no settings yet."""
    names = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    env = {f"JUPYTER_{name}": str(base / name.lower()) for name in names}
    env |= {f"JUPYTERLAB_{name}": str(base / name.lower()) for name in ("SETTINGS_DIR", "WORKSPACES_DIR")}
    env |= {f"XDG_{name}_HOME": str(base / name.lower()) for name in ("CONFIG", "DATA", "CACHE", "STATE")}
    return os.environ | env | {"IPYTHONDIR": str(base / "ipython"), "PYTHONWARNINGS": "default"}


def _write_settings(base: Path) -> None:
    settings = {
        "notebook-extension/tracker": {"windowingMode": "none"},
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    }
    for name, values in settings.items():
        path = base / "settings_dir" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")


def _answers(info: Path) -> str | None:
    """The server's address, once it answers."""
    try:
        url = str(json.loads(info.read_text(encoding="utf-8"))["url"])
        with urllib.request.urlopen(url + "api", timeout=5):
            return url
    except (OSError, ValueError):
        return None


@contextmanager
def serve(base: Path) -> Generator[Server]:
    """A JupyterLab of its own, with nobody's settings, on a port that the system chose."""
    root = base / "notebooks"
    root.mkdir()
    _write_settings(base)
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.port=0"]
    command += [f"--ServerApp.root_dir={root}", f"--IdentityProvider.token={token}", "--ServerApp.ip=127.0.0.1"]
    command += ["--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True"]
    log = base / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=_isolated(base), stdout=out, stderr=out, start_new_session=True)
    try:
        info = base / "runtime_dir" / f"jpserver-{process.pid}.json"
        deadline = time.monotonic() + 3 * PATIENCE
        while not (url := _answers(info)):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"JupyterLab did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.05)
        yield Server(url, token, root)
    finally:
        # The server's own process group: it takes its kernels with it.
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Lab:
    """One page of JupyterLab and the notebook that is open in it."""

    def __init__(self, server: Server, page: Page) -> None:
        self.server = server
        self.page = page

    def write(self, name: str, cells: Sequence[str]) -> str:
        """Write a notebook of code cells (Markdown where a cell begins with "# "); its path on the server."""
        make = nbformat.v4.new_notebook
        nodes = [
            nbformat.v4.new_markdown_cell(cell) if cell.startswith("# ") else nbformat.v4.new_code_cell(cell)
            for cell in cells
        ]
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(make(cells=nodes, metadata={"kernelspec": spec}), self.server.root / name)
        return name

    def open(self, name: str, *cells: str) -> None:
        """Open a notebook (written first, where cells are given) in a fresh workspace; its kernel is ready then."""
        if cells:
            self.write(name, cells)
        workspace = secrets.token_hex(4)
        self.page.goto(f"{self.server.url}lab/workspaces/{workspace}/tree/{name}?token={self.server.token}")
        self.ready()

    def open_without_kernel(self, name: str) -> None:
        """Open a notebook as a reader who starts nothing."""
        workspace = secrets.token_hex(4)
        self.page.goto(f"{self.server.url}lab/workspaces/{workspace}?token={self.server.token}")
        self.page.wait_for_function("() => window.jupyterapp")
        self.page.evaluate(OPEN_WITHOUT_KERNEL, {"path": name})

    def ready(self) -> None:
        """Wait until the notebook in front and its kernel are there."""
        self.page.evaluate(READY)

    def switch(self, name: str) -> None:
        """Open another notebook beside, or go back to it."""
        self.execute("docmanager:open", path=name)
        self.ready()

    def run(self, index: int, *, wait: bool = True) -> None:
        """Run one cell; without `wait` it goes on running."""
        self.page.evaluate(RUN, {"index": index, "wait": wait})

    def cell(self, index: int) -> Locator:
        """One cell of the notebook in front."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell").nth(index)

    def output(self, index: int) -> Locator:
        """What stands below a cell."""
        return self.cell(index).locator(".jp-OutputArea")

    def finished(self, index: int) -> None:
        """Wait until a cell has an execution count, that is, until it ran."""
        number = self.cell(index).locator(".jp-InputPrompt").first
        number.filter(has_text=re.compile(r"\[\d+\]")).wait_for()

    def execute(self, command: str, **arguments: object) -> None:
        """Execute a command of the application."""
        self.page.evaluate("async ([c, a]) => { await jupyterapp.commands.execute(c, a) }", [command, arguments])

    def show_sidebar(self) -> Locator:
        """Open the agent sidebar."""
        self.page.wait_for_function("() => window.jupyterapp")
        self.page.evaluate(
            "async () => { await jupyterapp.restored; jupyterapp.shell.activateById('agentnb-sidebar') }"
        )
        sidebar = self.page.locator("#agentnb-sidebar")
        sidebar.wait_for(state="visible")
        return sidebar

    def dark(self, on: bool = True) -> None:
        """Change the theme."""
        self.execute("apputils:change-theme", theme="JupyterLab Dark" if on else "JupyterLab Light")
        self.page.locator(f"body[data-jp-theme-light={'false' if on else 'true'}]").wait_for(state="attached")

    def screenshot(self, name: str, of: Locator | None = None) -> Path:
        """A picture in build/screenshots, of the page or of one part of it."""
        path = SCREENSHOTS / f"{name}.png"
        (of or self.page).screenshot(path=path)
        return path
