"""`%files`: the files of the workspace, listed, searched, changed with a way back, and brought in."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand

from agentnb.config import home
from agentnb.errors import UsageError, nearest
from agentnb.files.changes import FileChanges
from agentnb.files.chunks import Plan
from agentnb.files.listing import FileEntry, Node, list_folder, tree
from agentnb.files.place import directory, entry
from agentnb.files.search import SECONDS, search
from agentnb.files.trash import DAYS, MOST_BYTES, Trash
from agentnb.files.upload import Uploads
from agentnb.notebook import show
from agentnb.notebook.display import IPythonPublisher, default_mode
from agentnb.notebook.options import Option, shell_words
from agentnb.notebook.tables import Table
from agentnb.notebook.upload_widget import UploadDesk, UploadWidget
from agentnb.prompting.plain import moment, size
from agentnb.render.terminal import one_line
from agentnb.workspace import Workspace

VERBS = ("list", "tree", "search", "rename", "copy", "move", "mkdir", "rm", "undo", "trash", "upload")
OPTIONS = (
    Option("name", "only files whose names are like this: *.csv, or a part of the name", value="GLOB"),
    Option("sort", "by name, size or modified; -size begins with the smallest", value="BY"),
    Option("page", "the next 50 of a long list", value="N"),
)
_HELP = """%files [list] [DIR]        what is in a folder; --name *.csv, --sort size|modified, --page 2
%files tree [DIR]          with the folders below
%files search A B          lines of files that have A and B; A|B: either; --name *.py only there
%files rename A NEW        another name, in the same folder
%files copy A              a copy beside it: A (1)
%files move A DIR          into another folder
%files mkdir DIR           a new folder
%files rm A…               into the trash
%files undo [ID]           take back the last of these; with an ID, bring that back from the trash
%files trash               what can be brought back: for 30 days, or until it is more than 1 GB
%files upload [DIR]        drop files here, in the browser: they can pause, go on and try again

Paths begin at the workspace folder, where the kernel started, and do not leave it.
<file>PATH</file> in a prompt sends a picture or the text of a file along."""
_OPTION = re.compile(rf"(?:^|\s)--({'|'.join(option.name for option in OPTIONS)})(?:=|\s+)(\S+)")
#: The options of each verb that has some.
_TAKEN = {"list": {"name", "sort", "page"}, "search": {"name"}}
_NONE = "Nothing here yet. %files upload brings files in."


@magics_class
class FilesMagics(Magics):
    """`%files` over one workspace; `cell` names the cell that runs."""

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell, workspace: Workspace, cell: Callable[[], str | None]) -> None:
        super().__init__(shell)
        self.workspace = workspace
        self._cell = cell
        self._folder = workspace.builtins.folder
        self.changes = FileChanges(self._folder, Trash(lambda: home(workspace.environ) / "trash"))
        self._uploads = Uploads(self._folder)
        self._begun: dict[tuple[object, ...], Plan] = {}
        self._widgets: dict[str | None, UploadWidget] = {}

    @no_var_expand
    @line_magic
    @show.documented(_HELP)
    def files(self, line: str) -> None:
        """List, search and change files of the workspace, and bring some in."""
        verb, _, rest = line.strip().partition(" ")
        if verb in ("--help", "-h") or rest.strip() in ("--help", "-h"):
            show.text(_HELP)
            return
        if not verb or verb.startswith("--"):
            verb, rest = "list", line
        if verb not in VERBS:
            raise UsageError(f"%files has no verb {verb[:40]!r}.{nearest(verb, VERBS)} See %files --help")
        options = {found[1]: found[2] for found in _OPTION.finditer(rest)} if verb in _TAKEN else {}
        if wrong := sorted(options.keys() - _TAKEN.get(verb, set())):
            raise UsageError(f"%files {verb} takes no --{wrong[0]}. See %files --help")
        rest = (_OPTION.sub("", rest) if options else rest).strip()
        if verb == "search":
            self._search(rest, options)
        else:
            self._do(verb, [os.path.expanduser(word) for word in shell_words(rest)], options)

    def _do(self, verb: str, words: Sequence[str], options: dict[str, str]) -> None:
        if verb in ("list", "tree", "upload") and any(word.startswith("--") for word in words):
            raise UsageError(f"%files {verb} has no such option. See %files --help")
        if said := self._changed(verb, words):
            self._say("\n".join(said))
            return
        match verb, words:
            case "list", [] | [_]:
                self._list("".join(words), options)
            case "tree", [] | [_]:
                self._say("\n".join(drawn(tree(self._folder, "".join(words)))))
            case "trash", []:
                self._trash()
            case "upload", [] | [_]:
                self._upload("".join(words))
            case _:
                raise UsageError(f"%files {verb} is written otherwise: {_usage(verb)}. Quote paths that have spaces.")

    def _changed(self, verb: str, words: Sequence[str]) -> list[str]:
        """What became of a change, in sentences; nothing for a line that asks for none."""
        match verb, words:
            case "rename", [path, name]:
                return [f"{path!r} is {self.changes.rename(path, name)!r} now."]
            case "copy", [path]:
                return [f"The copy is {self.changes.duplicate(path)!r}."]
            case "move", [path, into]:
                return [f"{path!r} is {self.changes.move(path, into)!r} now."]
            case "mkdir", [path]:
                return [f"{self.changes.make_folder(path)!r} is there."]
            case "rm", [_, *_]:
                for path in words:
                    entry(self._folder, path)  # all of them are there, or none goes
                return [self._removed(path) for path in words]
            case "undo", [] | [_]:
                return [self.changes.undo(*words)]
        return []

    def _removed(self, path: str) -> str:
        return f"{path!r} is in the trash ({size(self.changes.remove(path).size)}). %files undo brings it back."

    def _list(self, path: str, options: dict[str, str]) -> None:
        page = options.get("page", "1")
        if not page.isdecimal():
            raise UsageError(f"--page takes a whole number, not {page[:40]!r}.")
        found = list_folder(
            self._folder,
            path,
            page=int(page),
            sort=options.get("sort", "name"),
            name_filter=options.get("name", "").strip("'\""),
        )
        note = f"{len(found.files)} of {found.total:,}." if found.total > len(found.files) else ""
        note += f" More: --page {int(page) + 1}" if found.has_more else ""
        none = "" if options or path else _NONE
        rows = tuple(
            (_name(each), "" if each.is_dir else size(each.size), moment(each.modified / 1000), _kind(each))
            for each in found.files
        )
        show.table(
            Table(
                ("name", "size", "modified", "kind"),
                rows,
                note if found.total else none or "Nothing like that is here.",
            ),
            self.workspace.mask,
        )

    def _search(self, query: str, options: dict[str, str]) -> None:
        found = search(self._folder, "", query, name_filter=options.get("name", "").strip("'\""))
        rows = tuple((hit.path, str(hit.line), hit.text) for hit in found.hits)
        notes = [f"No line of a file here has {query[:100]!r}."] if not rows else []
        notes += [f"The first {len(rows)} lines. Say more, or name the files: --name *.py"] if found.more else []
        notes += [f"The search was stopped after {SECONDS:g} s: there may be more."] if found.late else []
        show.table(Table(("file", "line", "text"), rows, "\n".join(notes)), self.workspace.mask)

    def _trash(self) -> None:
        self.changes.trash.prune()
        found = self.changes.trash.list(self._folder.root)
        rows = tuple(
            (each.id.rpartition("-")[2], self._was(each.path), size(each.size), moment(each.deleted)) for each in found
        )
        kept = f"Kept {DAYS:g} days, or until the trash has {MOST_BYTES / 1e9:g} GB. %files undo ID brings one back."
        note = kept if rows else "The trash has nothing of this folder."
        show.table(Table(("id", "was", "size", "deleted"), rows, note), self.workspace.mask)

    def _was(self, path: str) -> str:
        return Path(path).relative_to(self._folder.root).as_posix()

    def _upload(self, path: str) -> None:
        target = self._folder.relative(directory(self._folder, path))
        where = "the workspace folder" if target == "." else repr(target)
        cell = self._cell()
        if (before := self._widgets.pop(cell, None)) is not None:
            before.close()
        if getattr(self.shell, "kernel", None) is None or default_mode(self.workspace.environ, self.shell) != "live":
            self._say(f"There are no widgets here. Copy the file to {where}, or use the front end's own file browser.")
            return
        desk = UploadDesk(self._uploads, "" if target == "." else target, self._begun)
        self._widgets[cell] = widget = UploadWidget(desk, where, mask=self.workspace.mask)
        publisher = IPythonPublisher(self.shell)
        publisher.show(widget.bundle, {}, display_id=f"agentnb-upload-{uuid.uuid4().hex[:12]}", update=False)

    def _say(self, words: str) -> None:
        show.foreign(words, self.workspace.mask)


def _usage(verb: str) -> str:
    line = next(line for line in _HELP.splitlines() if re.match(rf"%files (\[{verb}\]|{verb}\b)", line))
    return line.partition("  ")[0]


def drawn(node: Node, indent: str = "") -> list[str]:
    """The lines of a tree."""
    lines = [one_line(f"{node.name}/", 200)] if not indent and node.is_root else []
    last = len(node.children) - 1
    for at, child in enumerate(node.children):
        ends = at == last and not node.more
        lines.append(f"{indent}{'└── ' if ends else '├── '}{one_line(child.name, 200)}{'/' if child.is_dir else ''}")
        lines += drawn(child, f"{indent}{'    ' if ends else '│   '}")
    return [*lines, f"{indent}└── …"] if node.more else lines


def _name(file: FileEntry) -> str:
    return f"{file.name}/" if file.is_dir else file.name


def _kind(file: FileEntry) -> str:
    kinds = {
        "folder": file.is_dir,
        "image": file.is_image,
        "audio": file.is_audio,
        "video": file.is_video,
        "text": file.is_text,
    }
    return next((kind for kind, is_it in kinds.items() if is_it), "")


def suggest(workspace: Workspace, earlier: Sequence[str], word: str) -> Sequence[str]:
    """What may stand at the cursor: a verb, an option, or a path."""
    if not earlier:
        return VERBS
    if word.startswith("-"):
        return [f"--{name}" for name in _TAKEN.get(earlier[0], ())]
    if earlier[-1] == "--sort":
        return ("name", "size", "modified")
    if earlier[0] in ("search", "undo", "trash") or earlier[-1] in ("--name", "--page"):
        return ()
    only_folders = earlier[0] in ("list", "tree", "upload", "mkdir") or (earlier[0] == "move" and len(earlier) > 1)
    return _paths(workspace, word, only_folders)


def _paths(workspace: Workspace, word: str, only_folders: bool) -> list[str]:
    head, slash, _ = word.rpartition("/")
    found = list_folder(workspace.builtins.folder, head or slash, page_size=1000)
    names = [_name(each) for each in found.files if each.is_dir or not only_folders]
    # What would have to be quoted is not completed within a word.
    return [f"{head}{slash}{name}" for name in names if not re.search(r"[\s'\"\\,=]", name)]
