from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agentnb.builtins.files import EDITED, EditFile, FileStep, ReadFile, WriteFile
from agentnb.builtins.undo import Undo
from agentnb.errors import ToolError
from agentnb.messages import Image, JSONObject, Text
from agentnb.tools.base import InlineRunner, ToolContext, traits
from tests.builtins.conftest import Call, Place

pytestmark = pytest.mark.anyio

CONTEXT = ToolContext(lambda _: None, {}, InlineRunner())


async def test_text_is_read_with_line_numbers(call: Call, place: Place) -> None:
    assert (await call(ReadFile(place.folder), path="in.txt")).text == "     1\tone\n     2\ttwo\n     3\tthree"


@pytest.mark.parametrize(
    ("content", "arguments", "text"),
    [
        (
            "a\nb\nc\nd\n",
            {"offset": 2, "limit": 2},
            "     2\tb\n     3\tc\n… more lines follow: read on with offset=4 …",
        ),
        ("a\nb\n", {"offset": 2, "limit": 1}, "     2\tb"),
        ("a\nb\n", {"offset": 9}, "(f.txt has 2 lines, so line 9 is beyond its end)"),
        ("", {}, "(f.txt is empty)"),
        ("a\r\nb", {}, "     1\ta\n     2\tb"),
        ("é\udce9", {}, "     1\té\N{REPLACEMENT CHARACTER}"),
        ("x" * 9_000_000 + "\nend\n", {}, f"     1\t{'x' * 2000} … line goes on …\n     2\tend"),
    ],
    ids=["part", "last", "beyond", "empty", "crlf", "latin", "wide"],
)
async def test_a_part_of_a_text(
    call: Call, place: Place, content: str, arguments: dict[str, object], text: str
) -> None:
    (place.ws / "f.txt").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert (await call(ReadFile(place.folder), path="f.txt", **arguments)).text == text


async def test_a_long_text_is_bounded_and_says_where_it_goes_on(call: Call, place: Place) -> None:
    (place.ws / "long.txt").write_text("\n".join("x" * 100 for _ in range(100_000)))
    text = (await call(ReadFile(place.folder), path="long.txt")).text
    assert len(text) < 41_000
    assert text.endswith("read on with offset=374 …")


async def test_a_picture_is_seen(call: Call, place: Place) -> None:
    from PIL import Image as Pillow

    Pillow.fromarray(np.zeros((4, 4, 3), dtype="uint8")).save(place.ws / "p.png")
    got = await call(ReadFile(place.folder), path="p.png")
    assert isinstance(got.result.content[0], Image)
    (place.ws / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\1" * 50)
    with pytest.raises(ToolError):
        await call(ReadFile(place.folder), path="broken.png")


@pytest.mark.parametrize(
    ("data", "kind"), [(b"%PDF-1.7 ...", "application/pdf"), (b"\x7fELF\0\0", "binary data"), (b"OggS\0", "audio/ogg")]
)
async def test_binary_is_refused_by_its_name(call: Call, place: Place, data: bytes, kind: str) -> None:
    (place.ws / "f").write_bytes(data)
    with pytest.raises(ToolError, match=f"'f' is no text but {kind}, {len(data)} bytes"):
        await call(ReadFile(place.folder), path="f")


async def test_a_new_file_is_written_with_its_folders_and_taken_back(call: Call, place: Place) -> None:
    undo = Undo()
    tool = WriteFile(place.folder, undo)
    arguments = {"path": "new/deep/f.py", "content": "x = 1\n"}
    assert await tool.preview(arguments, CONTEXT) == (  # type: ignore[arg-type]  # texts are JSON
        Text("--- /dev/null\n+++ b/new/deep/f.py\n@@ -0,0 +1,2 @@\n+x = 1\n+"),
    )
    assert not (place.ws / "new").exists()
    assert (await call(tool, **arguments)).text == "Created new/deep/f.py: 2 lines, 6 bytes."
    assert (place.ws / "new/deep/f.py").read_text() == "x = 1\n"
    assert undo.undo() == "Undid write_file (new/deep/f.py). Removed new/deep/f.py."
    assert not (place.ws / "new/deep/f.py").exists()


async def test_an_edit_is_shown_as_a_diff_made_and_taken_back(call: Call, place: Place) -> None:
    undo = Undo()
    tool = EditFile(place.folder, undo)
    arguments = {"path": "in.txt", "old": "two", "new": "2"}
    assert await tool.preview(arguments, CONTEXT) == (  # type: ignore[arg-type]  # texts are JSON
        Text("--- a/in.txt\n+++ b/in.txt\n@@ -1,4 +1,4 @@\n one\n-two\n+2\n three\n "),
    )
    assert (await call(tool, **arguments)).text == "Edited in.txt: 1 place changed."
    assert (place.ws / "in.txt").read_text() == "one\n2\nthree\n"
    assert undo.undo() == "Undid edit_file (in.txt). Put back in.txt as it was."
    assert (place.ws / "in.txt").read_text() == "one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"old": "four", "new": "4"}, "old is not in 'in.txt'"),
        ({"old": "t", "new": "T"}, "old is in 'in.txt' 2 times"),
        ({"old": "", "new": "T"}, "old is empty"),
        ({"old": "two", "new": "two"}, "nothing would change"),
        ({"old": "two", "new": "\ud800"}, "lone surrogates"),
        ({"old": "two"}, "'new' is missing"),
    ],
)
async def test_an_edit_that_cannot_be_made_changes_nothing(
    call: Call, place: Place, arguments: dict[str, object], words: str
) -> None:
    tool = EditFile(place.folder, Undo())
    for attempt in (call(tool, path="in.txt", **arguments), tool.preview({"path": "in.txt", **arguments}, CONTEXT)):  # type: ignore[dict-item]
        with pytest.raises(ToolError, match=words):
            await attempt
    assert (place.ws / "in.txt").read_text() == "one\ntwo\nthree\n"


async def test_all_places_are_edited_where_that_is_asked(call: Call, place: Place) -> None:
    got = await call(EditFile(place.folder, Undo()), path="in.txt", old="t", new="T", all=True)
    assert got.text == "Edited in.txt: 2 places changed."
    assert (place.ws / "in.txt").read_text() == "one\nTwo\nThree\n"


async def test_line_ends_of_windows_stay(call: Call, place: Place) -> None:
    (place.ws / "w.txt").write_bytes(b"a\r\nb\r\nc\r\n")
    await call(EditFile(place.folder, Undo()), path="w.txt", old="a\nb", new="x\ny\nz")
    assert (place.ws / "w.txt").read_bytes() == b"x\r\ny\r\nz\r\nc\r\n"


async def test_what_is_no_text_is_not_edited(call: Call, place: Place) -> None:
    (place.ws / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ToolError, match="no UTF-8 text"):
        await call(EditFile(place.folder, Undo()), path="latin.txt", old="c", new="k")
    (place.ws / "bin").write_bytes(b"\0\1")
    shown = await WriteFile(place.folder, Undo()).preview({"path": "bin", "content": "text"}, CONTEXT)
    assert shown == (Text("bin is no text, 2 bytes; all of it would be replaced by:\ntext"),)


async def test_huge_edits_are_refused(call: Call, place: Place) -> None:
    with pytest.raises(ToolError, match=r"would have 10\.0 MB"):
        await call(WriteFile(place.folder, Undo()), path="huge.txt", content="x" * (EDITED + 1))
    with pytest.raises(ToolError, match=r"would have 20\.0 MB"):
        await call(EditFile(place.folder, Undo()), path="in.txt", old="two", new="x" * (2 * EDITED))
    with (place.ws / "big.txt").open("wb") as file:
        os.truncate(file.fileno(), EDITED + 1)
    with pytest.raises(ToolError, match="are the most"):
        await call(EditFile(place.folder, Undo()), path="big.txt", old="a", new="b")
    assert not (place.ws / "huge.txt").exists()


async def test_the_diff_of_a_huge_change_is_quick_and_short(place: Place) -> None:
    lines = [f"line {number}" for number in range(200_000)]
    (place.ws / "many.txt").write_text("\n".join(lines))
    changed = "\n".join(reversed(lines))
    said, shown = await WriteFile(place.folder, Undo()).preview({"path": "many.txt", "content": changed}, CONTEXT)
    assert isinstance(said, Text)
    assert said.text.startswith("Not all of this change is shown below")
    assert isinstance(shown, Text)
    assert shown.text.startswith("--- a/many.txt\n+++ b/many.txt\n@@ -1,200000 +1,200000 @@\n-line 0\n")
    assert shown.text.endswith("more lines left out …")
    assert len(shown.text) < 20_000


@pytest.mark.parametrize("meanwhile", ["other", None])
async def test_a_file_that_has_changed_since_is_left_alone(call: Call, place: Place, meanwhile: str | None) -> None:
    undo = Undo()
    await call(WriteFile(place.folder, undo), path="in.txt", content="mine")
    if meanwhile is None:
        (place.ws / "in.txt").unlink()
    else:
        (place.ws / "in.txt").write_text(meanwhile)
    assert "Left in.txt alone, because it has changed since." in undo.undo()
    assert (place.ws / "in.txt").exists() == (meanwhile is not None)


async def test_what_a_person_saves_while_they_are_asked_is_not_written_over(place: Place) -> None:
    undo = Undo()
    write, edit = WriteFile(place.folder, undo), EditFile(place.folder, undo)
    written: JSONObject = {"path": "in.txt", "content": "mine\n"}
    edited: JSONObject = {"path": "in.txt", "old": "two", "new": "2"}
    for tool, arguments in ((write, written), (edit, edited)):
        context = replace(CONTEXT, call_id=tool.name)
        (place.ws / "in.txt").write_text("one\ntwo\n")
        await tool.preview(arguments, context)
        (place.ws / "in.txt").write_text(f"one\ntwo\nsaved before {tool.name}\n")
        with pytest.raises(ToolError, match="while the person was asked"):
            await tool.call(arguments, context)
        assert (place.ws / "in.txt").read_text() == f"one\ntwo\nsaved before {tool.name}\n"
        await tool.preview(arguments, context)
        await tool.call(arguments, context)
    new: JSONObject = {"path": "new.txt", "content": "x"}
    await write.preview(new, context)
    (place.ws / "new.txt").write_text("saved")
    with pytest.raises(ToolError, match="while the person was asked"):
        await write.call(new, context)


async def test_undo_says_where_a_file_cannot_be_put_back(place: Place) -> None:
    step = FileStep(place.folder, "in.txt", b"old", b"digest", "write_file (in.txt)")
    (place.ws / "in.txt").unlink()
    (place.ws / "in.txt").symlink_to(place.secret)
    assert "could not be put back" in step.undo()[0]
    assert place.secret.read_text() == "secret\n"


async def test_undo_finds_the_file_also_where_the_kernel_has_gone_elsewhere(
    call: Call, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentnb.builtins.folder import Folder

    undo = Undo()
    monkeypatch.chdir(place.ws)
    await call(WriteFile(Folder(), undo), path="in.txt", content="new")
    monkeypatch.chdir(place.around)
    undo.undo()
    assert (place.ws / "in.txt").read_text() == "one\ntwo\nthree\n"
    assert Path.cwd() == place.around


async def test_reading_does_not_ask_and_writing_does(place: Place) -> None:
    assert traits(ReadFile(place.folder)).approval == "always"
    assert traits(WriteFile(place.folder, Undo())).approval == "ask"
    assert traits(EditFile(place.folder, Undo())).approval == "ask"


@pytest.mark.parametrize("arguments", [{"offset": 0}, {"limit": 0}, {"offset": "x"}, {"lines": 3}])
async def test_bad_arguments_are_named(call: Call, place: Place, arguments: dict[str, object]) -> None:
    with pytest.raises(ToolError, match=r"offset|lines"):
        await call(ReadFile(place.folder), path="in.txt", **arguments)
