"""`%%sandbox` runs a cell apart from the notebook; `%sandbox` says what runs there, and moves files in and out."""

from __future__ import annotations

import base64
import json
import keyword
import re
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from pathlib import Path, PurePosixPath

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand

from agentnb.errors import SandboxError, UsageError, nearest
from agentnb.messages import Content, Data, Image, Text
from agentnb.notebook import show
from agentnb.notebook.errand import wait_for
from agentnb.notebook.options import Option, Parsed, parse, usage
from agentnb.notebook.starting import starting
from agentnb.sandbox.base import Execution, Failed, Language, Output, Printed, Sandbox, Shown, joined
from agentnb.sandbox.interpreter import described, told
from agentnb.sandbox.sandboxes import Wanted
from agentnb.sandbox.tools import SandboxTools
from agentnb.workspace import Workspace

VERBS = ("status", "list", "files", "ps", "kill", "upload", "download", "stop", "restart", "use", "on", "off")
WHICH = (
    Option("network", "a sandbox that reaches what this machine reaches", kind="flag"),
    Option("memory", "how much all that runs there may take together: 512MB, 2GB", value="SIZE"),
    Option("unsafe", "a plain subprocess: nothing is locked up", kind="flag"),
    Option("remote", "kernels of a Jupyter server", value="URL"),
    Option("token", "the variable that holds the server's token (JUPYTER_TOKEN)", value="NAME"),
)
OPTIONS = (
    Option("out", "put the last line's value in this variable (or, without one, what was printed)", "o", value="VAR"),
    Option("shell", "the cell is commands for bash", kind="flag"),
    Option("context", "the kernel to run in (main); each has its own variables", value="NAME"),
    Option("timeout", "stop the code after so many seconds (60)", value="S"),
    Option("in", "copy these files in before", kind="many", value="FILE"),
    Option("out-file", "copy these files out afterwards, into this folder", kind="many", value="FILE"),
    *WHICH,
    Option("help", "this text", "h", kind="flag"),
)  # fmt: skip
_HELP = """%sandbox [status]          the sandboxes, and what runs in them
%sandbox list              the contexts (kernels) of the usual one
%sandbox files [FOLDER]    its files
%sandbox ps                the processes that were started there
%sandbox kill PID          end one
%sandbox upload FILE…      copy files in
%sandbox download FILE…    copy files out, into this folder
%sandbox stop              end what runs there; files stay
%sandbox restart           begin with a new one, without files
%sandbox use [options]     which one is the usual: --network, --memory SIZE, --unsafe, --remote URL; bubblewrap without
%sandbox on|off            offer its tools to models, or no longer

%%sandbox --help says how a cell is run there."""
_MAIN = "main"
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


@magics_class
class SandboxMagics(Magics):
    """`%%sandbox` and `%sandbox` over one workspace."""

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell, workspace: Workspace) -> None:
        super().__init__(shell)
        self.workspace = workspace

    @no_var_expand
    @cell_magic("sandbox")  # type: ignore[arg-type]  # IPython types the decorator for functions of one argument
    def sandbox_cell(self, line: str, body: str) -> None:
        """Run the cell in the sandbox: its output is shown below, its errors fail the cell."""
        options = parse(line, OPTIONS, "%%sandbox")
        if options.has("help"):
            show.text(usage("%%sandbox", "[options]      the lines below are run in the sandbox", OPTIONS))
            return
        if options.rest:
            raise UsageError(f"%%sandbox takes its code from the lines below; {options.rest!r} is not an option.")
        name = options.one("out") or "_"
        if not name.isidentifier() or keyword.iskeyword(name):
            raise UsageError(f"--out takes the name of a variable, not {name[:80]!r}.")
        timeout = options.number("timeout")
        sandbox = self.workspace.sandboxes.open(self._wanted(options))
        for file in options.many("in") or ():
            self._copy_in(sandbox, file)
        run = self._run(sandbox, body, options, timeout)
        for file in options.many("out-file") or ():
            self._copy_out(sandbox, file)
        if options.has("out"):
            self.shell.user_ns[name] = _value(run)
        if run.error is not None:
            raise SandboxError(self.workspace.mask(str(run.error)))

    def _run(self, sandbox: Sandbox, code: str, options: Parsed, timeout: float | None) -> Execution:
        arriving: deque[Output] = deque()
        outputs: list[Output] = []
        context = options.one("context") or _MAIN
        notice = starting(self.shell, self.workspace, "Starting the sandbox…", on=False)

        async def work() -> None:
            language: Language = "shell" if options.has("shell") else "python"
            if language == "python" and not (await sandbox.health()).running:
                notice.on = True
                await sandbox.create_context(context)
                notice.on = False
            asked = options.has("out")
            running = sandbox.execute(code, language, context=context, timeout=timeout, value=asked)
            async with aclosing(running):
                async for output in running:
                    arriving.append(output)

        def tick() -> None:
            notice.tick()
            while arriving:
                output = arriving.popleft()
                outputs.append(output)
                self._show(output)

        with notice:
            try:
                wait_for(self.workspace, work, tick)
            finally:
                tick()
        return joined(outputs)

    def _show(self, output: Output) -> None:
        mask = self.workspace.mask
        match output:
            case Printed(text, stream):
                to = sys.stderr if stream == "stderr" else sys.stdout
                to.write(mask(text))
                to.flush()
            case Shown(content):
                for block in content:
                    bundle = _bundle(block)
                    bundle["text/plain"] = mask(str(bundle["text/plain"]))
                    self.shell.display_pub.publish(bundle)
            case Failed(traceback=traceback) if traceback:
                sys.stderr.write(mask(traceback) + "\n")

    def _wanted(self, options: Parsed) -> Wanted:
        """The sandbox that options ask for; without any, the usual one."""
        if not any(options.has(option.name) for option in WHICH):
            return self.workspace.sandboxes.usual
        kinds = [name for name in ("network", "unsafe", "remote") if options.has(name)]
        if len(kinds) > 1:
            raise UsageError(f"--{kinds[0]} and --{kinds[1]} do not go together.")
        memory = options.one("memory")
        size = None if memory is None else _size(memory)
        if url := options.one("remote"):
            variable = options.one("token") or "JUPYTER_TOKEN"
            self.workspace.mask.add(*filter(None, [self.workspace.environ.get(variable)]))
            return Wanted("remote", url=url, token=variable)
        return Wanted("local" if "unsafe" in kinds else "bwrap", "network" in kinds, size)

    def _copy_in(self, sandbox: Sandbox, file: str) -> None:
        path = Path(file).expanduser()
        if not path.is_file():
            raise UsageError(f"There is no file {file!r} here.")
        data = path.read_bytes()
        wait_for(self.workspace, lambda: sandbox.files.write(path.name, data))

    def _copy_out(self, sandbox: Sandbox, file: str) -> Path:
        data = wait_for(self.workspace, lambda: sandbox.files.read(file, sandbox.limits.disk))
        target = Path(PurePosixPath(file).name)
        target.write_bytes(data)
        return target

    @no_var_expand
    @line_magic
    @show.documented(_HELP)
    def sandbox(self, line: str) -> None:
        """What runs in the sandbox; files in and out; stop it, or choose another."""
        verb, *words = line.split() or ["status"]
        match verb, words:
            case (("--help" | "-h"), _):
                show.text(_HELP)
            case "use", _:
                self._use(parse(line.partition("use")[2], WHICH, "%sandbox use"))
            case (("on" | "off"), []):
                self._offer(verb == "on")
            case "status", []:
                self._status()
            case "restart", []:
                sandboxes = self.workspace.sandboxes
                wait_for(self.workspace, lambda: sandboxes.drop(sandboxes.usual))
                show.text("The next cell or call has a new sandbox, without files.")
            case _ if verb in VERBS:
                self._with(verb, words, self.workspace.sandboxes.open())
            case _:
                raise UsageError(f"%sandbox has no verb {verb[:80]!r}.{nearest(verb, VERBS)} See %sandbox --help")

    def _with(self, verb: str, words: list[str], sandbox: Sandbox) -> None:
        """The verbs that ask the usual sandbox."""
        match verb, words:
            case "list", []:
                found = wait_for(self.workspace, sandbox.contexts)
                self._lines(f"{each.name}  {each.cwd}{'  (busy)' * each.busy}" for each in found)
            case "files", ([] | [_]):
                self._lines(map(described, wait_for(self.workspace, lambda: sandbox.files.list(*words))))
            case "ps", []:
                self._lines(map(told, wait_for(self.workspace, sandbox.processes.list)))
            case "kill", [pid] if pid.isdecimal():
                wait_for(self.workspace, lambda: sandbox.processes.kill(int(pid)))
                show.text(f"{pid} is ended.")
            case "upload", [_, *_]:
                for file in words:
                    self._copy_in(sandbox, file)
                show.text(f"Copied in: {', '.join(words)}")
            case "download", [_, *_]:
                show.text(f"Copied out: {', '.join(str(self._copy_out(sandbox, file)) for file in words)}")
            case "stop", []:
                wait_for(self.workspace, sandbox.stop)
                show.text("Stopped. Files stay; the next cell or call starts it again.")
            case _:
                raise UsageError(f"%sandbox {verb} does not take {' '.join(words)[:80]!r}. See %sandbox --help")

    def _lines(self, lines: Iterable[str]) -> None:
        show.text(self.workspace.mask("\n".join(lines)) or "None.")

    def _use(self, options: Parsed) -> None:
        wanted = self._wanted(options) if options.values else Wanted()
        self.workspace.sandboxes.open(wanted)  # where there can be none, this says so
        self.workspace.sandboxes.usual = wanted
        show.text(f"Cells and tools use {wanted} from now on.")

    def _offer(self, on: bool) -> None:
        if on:
            self.workspace.sandboxes.open()  # where there can be none, this says so
        self.workspace.toolbox.enable(SandboxTools.name, on)
        asks = "" if self.workspace.sandboxes.usual.safe else " Those that act ask you first."
        show.text(f"Models are offered the sandbox.{asks}" if on else "Models are not offered the sandbox.")

    def _status(self) -> None:
        sandboxes = self.workspace.sandboxes
        opened = sandboxes.all()
        for wanted in dict.fromkeys((*opened, sandboxes.usual)):
            mark = " (usual)" if wanted == sandboxes.usual else ""
            show.text(f"{wanted}{mark}: {self._state(opened.get(wanted))}")
        if sandboxes.unavailable:
            show.text(f"{sandboxes.unavailable}.")

    def _state(self, sandbox: Sandbox | None) -> str:
        if sandbox is None:
            return "not started yet"
        health = wait_for(self.workspace, sandbox.health)
        if not health.running:
            return "not running"
        plural = "" if health.contexts == 1 else "s"
        return self.workspace.mask(f"{health.contexts} context{plural}, {health.detail}")


def suggest(earlier: Sequence[str], word: str) -> Sequence[str]:
    """What may stand at `word`: verbs, options, files of this folder."""
    if word.startswith("-"):
        return [f"--{option.name}" for option in (WHICH if earlier[:1] == ["use"] else OPTIONS)]
    last = next((each for each in reversed(earlier) if each.startswith("-")), "")
    if last == "--in" or earlier[:1] == ["upload"]:
        return sorted(path.name for path in Path().iterdir() if path.is_file() and not path.name.startswith("."))
    return () if earlier else VERBS


def _bundle(block: Content) -> dict[str, object]:
    match block:
        case Image(data=data, media_type=kind):
            return {kind: base64.b64encode(data).decode(), "text/plain": f"<picture, {len(data):,} bytes>"}
        case Data(value=value):
            return {"text/plain": json.dumps(value, indent=2, ensure_ascii=False)}
        case Text(text=text):
            return {"text/plain": text}
    return {"text/plain": f"<{block.type}>"}


def _value(run: Execution) -> object:
    """What `--out` gives: the value as JSON, its text, or what was printed."""
    if run.value is not None or run.result == "None":
        return run.value
    return run.stdout if run.result is None else run.result


def _size(text: str) -> int:
    """Bytes, from `2GB` or `512MB`. Raises UsageError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?", text.strip().lower())
    size = int(float(found[1]) * _UNITS[found[2]]) if found else 0
    if size < 100_000_000:
        raise UsageError(f"--memory takes a size such as 512MB or 2GB, at least 100MB, not {text[:40]!r}.")
    return size
