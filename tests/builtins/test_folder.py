from __future__ import annotations

import contextlib
import os
import shutil
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from agentnb.builtins.bash import Bash
from agentnb.builtins.files import EditFile, ReadFile, WriteFile
from agentnb.builtins.folder import Folder
from agentnb.builtins.search import ListFiles, SearchFiles
from agentnb.builtins.toolset import Builtins
from agentnb.builtins.undo import Undo
from agentnb.errors import ToolError
from agentnb.models.http import Http
from tests.builtins.conftest import Call, Place

pytestmark = pytest.mark.anyio


def _link(name: str, target: str) -> Callable[[Place], object]:
    return lambda place: (place.ws / name).symlink_to(target)


def _nothing(place: Place) -> object:
    return place


#: What is tried, and what is put in place for it. `{around}` is the folder around the workspace.
ESCAPES: list[tuple[str, Callable[[Place], object]]] = [
    ("../ws-evil/secret.txt", _nothing),
    ("sub/../../ws-evil/secret.txt", _nothing),
    ("./../ws-evil/../ws-evil/secret.txt", _nothing),
    ("{around}/ws-evil/secret.txt", _nothing),
    ("{around}/ws/../ws-evil/secret.txt", _nothing),
    ("/etc/passwd", _nothing),
    ("//etc/passwd", _nothing),
    ("/proc/self/environ", _nothing),
    ("/proc/self/root/etc/passwd", _nothing),
    ("/dev/zero", _nothing),
    ("/", _nothing),
    ("..", _nothing),
    ("link", _link("link", "../ws-evil/secret.txt")),
    ("out/secret.txt", _link("out", "../ws-evil")),
    ("out/../secret.txt", _link("out", "../ws-evil/x")),
    ("a/secret.txt", lambda place: (_link("b", "../ws-evil")(place), _link("a", "b")(place))),
    ("null", _link("null", "/dev/null")),
    ("in.txt\0.png", _nothing),
    ("\0", _nothing),
]
#: What lies inside, and is no file all the same.
ODD: list[tuple[str, Callable[[Place], object]]] = [
    ("sub", _nothing),
    (".", _nothing),
    ("pipe", lambda place: os.mkfifo(place.ws / "pipe")),
    ("in.txt/below", _nothing),
    ("n" * 5_000, _nothing),
]


def _ids(rows: list[tuple[str, Callable[[Place], object]]]) -> list[str]:
    return [repr(path[:40]) for path, _ in rows]


@pytest.mark.parametrize(("path", "prepare"), ESCAPES + ODD, ids=_ids(ESCAPES + ODD))
async def test_no_path_leads_out_of_the_workspace_folder(
    call: Call, place: Place, path: str, prepare: Callable[[Place], object]
) -> None:
    prepare(place)
    path = path.format(around=place.around)
    undo = Undo()
    before = sorted(os.listdir(place.around / "ws-evil"))
    for tool, arguments in (
        (ReadFile(place.folder), {}),
        (WriteFile(place.folder, undo), {"content": "owned"}),
        (EditFile(place.folder, undo), {"old": "secret", "new": "owned"}),
    ):
        with pytest.raises(ToolError) as refused:
            await call(tool, path=path, **arguments)
        assert "secret\n" not in str(refused.value)
    assert place.secret.read_text() == "secret\n"
    assert sorted(os.listdir(place.around / "ws-evil")) == before
    assert len(undo) == 0


@pytest.mark.parametrize(("path", "prepare"), ESCAPES, ids=_ids(ESCAPES))
async def test_no_search_and_no_list_leads_out(
    call: Call, place: Place, path: str, prepare: Callable[[Place], object]
) -> None:
    prepare(place)
    path = path.format(around=place.around)
    for tool, arguments in ((SearchFiles(place.folder), {"pattern": "secret"}), (ListFiles(place.folder), {})):
        with pytest.raises(ToolError):
            await call(tool, path=path, **arguments)
        assert "secret" not in (await call(tool, **arguments)).text.replace("'secret'", "")


async def test_no_tool_sees_agentnbs_own_folder_where_the_workspace_is_all_of_the_home(
    call: Call, place: Place
) -> None:
    home = place.ws / ".config" / "agentnb"
    home.mkdir(parents=True)
    (home / "secrets.json").write_text("the key")
    (home / "approvals.json").write_text("{}")
    (place.ws / "way").symlink_to(home)
    tools = Builtins(place.ws, Http, environ={"AGENTNB_HOME": str(home)})
    by_name = {tool.name: tool for tool in tools.known()}
    for path in (".config/agentnb/secrets.json", "way/secrets.json", str(home / "secrets.json")):
        with pytest.raises(ToolError, match="of agentnb itself"):
            await call(by_name["read_file"], path=path)
    with pytest.raises(ToolError, match="of agentnb itself"):
        await call(by_name["write_file"], path=".config/agentnb/approvals.json", content='{"all": "always"}')
    with pytest.raises(ToolError, match="of agentnb itself"):
        await call(by_name["search_files"], path="way", pattern="key")
    assert "secrets" not in (await call(by_name["search_files"], pattern="the key")).text
    assert "secrets" not in (await call(by_name["list_files"])).text
    assert (await call(by_name["read_file"], path="in.txt")).text
    # A workspace in there, for once, is one.
    assert Folder(home / "deep", closed=lambda: [home]).resolve("x") == home / "deep" / "x"


@pytest.mark.parametrize("path", ["in.txt", "./in.txt", "sub/../in.txt", "{ws}/in.txt", "inside", "folder/in.txt"])
def test_paths_that_stay_inside_are_read(place: Place, path: str) -> None:
    (place.ws / "inside").symlink_to("in.txt")
    (place.ws / "folder").symlink_to(place.ws)
    assert place.folder.read(path.format(ws=place.ws), 100) == b"one\ntwo\nthree\n"


def test_a_folder_behind_a_symlink_is_the_folder_it_leads_to(place: Place) -> None:
    (place.around / "alias").symlink_to(place.ws)
    folder = Folder(place.around / "alias")
    assert folder.root == place.ws
    assert folder.resolve(str(place.ws / "in.txt")) == place.ws / "in.txt"


def test_a_symlink_that_appears_after_the_check_is_not_followed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = place.folder
    resolve = folder.resolve

    def resolved_then_swapped(path: str) -> Path:
        real = resolve(path)
        (place.ws / "sub").rename(place.ws / "moved")
        (place.ws / "sub").symlink_to(place.secret.parent)
        return real

    (place.ws / "sub" / "secret.txt").write_text("harmless")
    monkeypatch.setattr(folder, "resolve", resolved_then_swapped)
    with pytest.raises(ToolError):
        folder.read("sub/secret.txt", 100)
    (place.ws / "sub").unlink()
    (place.ws / "moved").rename(place.ws / "sub")
    with pytest.raises(ToolError):
        folder.write("sub/secret.txt", b"owned")
    assert place.secret.read_text() == "secret\n"


def test_a_race_of_symlinks_never_reads_or_writes_outside(place: Place) -> None:
    """One thread swaps a folder for a symlink as fast as it can, the other reads and writes through it."""
    honest = place.ws / "sub"
    (honest / "secret.txt").write_text("harmless")
    aside = place.ws / "aside"
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for step in (
                lambda: os.rename(honest, aside),
                lambda: os.symlink(place.secret.parent, honest),
                lambda: os.unlink(honest),
                lambda: os.rename(aside, honest),
            ):
                with contextlib.suppress(OSError):  # the other made the folder anew in between
                    step()
            shutil.rmtree(aside, ignore_errors=True)

    swapper = threading.Thread(target=swap)
    swapper.start()
    outcomes: set[str] = set()
    try:
        for _ in range(1_500):
            try:
                outcomes.add(place.folder.read("sub/secret.txt", 100).decode())
                place.folder.write("sub/secret.txt", b"harmless")
            except ToolError:
                outcomes.add("refused")
    finally:
        stop.set()
        swapper.join()
    assert "harmless" in outcomes
    assert outcomes <= {"harmless", "refused"}
    assert place.secret.read_text() == "secret\n"
    assert os.listdir(place.secret.parent) == ["secret.txt"]


def test_a_symlink_to_itself_is_not_followed_for_ever(place: Place) -> None:
    (place.ws / "loop").symlink_to("loop")
    with pytest.raises(ToolError, match="a symlink"):
        place.folder.read("loop", 10)


def test_what_is_written_keeps_the_permissions_and_leaves_nothing_beside_it(place: Place) -> None:
    (place.ws / "in.txt").chmod(0o640)
    place.folder.write("in.txt", b"new")
    assert stat.S_IMODE((place.ws / "in.txt").stat().st_mode) == 0o640
    assert sorted(os.listdir(place.ws)) == ["in.txt", "sub"]


def test_a_hard_link_to_a_file_outside_is_not_written_through(place: Place) -> None:
    os.link(place.secret, place.ws / "hard.txt")
    place.folder.write("hard.txt", b"mine")
    assert place.secret.read_text() == "secret\n"


def test_a_missing_file_names_the_nearest(place: Place) -> None:
    with pytest.raises(ToolError, match=r"no file 'im.txt' in the workspace folder .*\. Did you mean 'in.txt'\?"):
        place.folder.read("im.txt", 10)


def test_a_file_that_is_too_big_is_not_read(place: Place) -> None:
    with pytest.raises(ToolError, match="14 bytes; 5 bytes are the most"):
        place.folder.read("in.txt", 5)


async def test_a_shell_is_told_its_folder_or_that_there_is_none(call: Call, place: Place) -> None:
    bash = Bash(place.ws)
    assert (await call(bash, command="pwd", cwd="sub")).text == str(place.ws / "sub")
    for missing in ("nowhere", "in.txt", "\0"):
        with pytest.raises(ToolError, match="there is no folder"):
            await call(bash, command="pwd", cwd=missing)
