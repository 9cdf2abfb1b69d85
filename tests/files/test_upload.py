"""Files that come in pieces: planned, checked, and whole or not there."""

from __future__ import annotations

import errno
import os
import random
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from agentnb.files import upload as module
from agentnb.files.chunks import Chunk, divided
from agentnb.files.upload import Received, UploadError, Uploads
from tests.files.conftest import Place

MB = 1024 * 1024


@pytest.fixture
def uploads(place: Place) -> Uploads:
    return Uploads(place.folder, parallel_size=10)


def _code(call: Callable[[], object]) -> str:
    with pytest.raises(UploadError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return caught.value.code


def _parts(place: Place) -> list[str]:
    return [name for name in place.names() if name.startswith(".uploading-")]


@pytest.mark.parametrize(
    ("size", "chunks"),
    [
        (0, []),
        (1, [1]),
        (100 * MB, [100 * MB]),
        (150 * MB, [75 * MB, 75 * MB]),
        (401 * MB, [401 * MB // 5] * 4),
        (1000 * MB, [200 * MB] * 5),
    ],
)
def test_a_file_is_divided_by_its_size(size: int, chunks: list[int]) -> None:
    plan = divided(size)
    assert [each.size for each in plan][: len(chunks)] == chunks
    assert sum(each.size for each in plan) == size
    assert max((each.size for each in plan), default=0) - min((each.size for each in plan), default=0) <= 1


def test_chunks_of_an_odd_size_leave_no_gap() -> None:
    assert divided(11, 10) == (Chunk(0, 0, 5), Chunk(1, 5, 6))
    assert [each.size for each in divided(42, 10)] == [8, 8, 9, 8, 9]


def test_a_file_that_came_in_pieces_is_what_was_sent(place: Place, uploads: Uploads) -> None:
    data = random.Random(1).randbytes(42)
    plan = uploads.init("x.bin", 42, "sub/new")
    assert (plan.chunk_count, plan.parallel_size, plan.parallel_max_threads) == (5, 10, 5)
    for chunk in reversed(plan.chunks):
        for at in range(0, chunk.size, 3):
            piece = data[chunk.offset + at : chunk.offset + min(at + 3, chunk.size)]
            got = uploads.put(
                plan.upload_id, chunk.parallel_id, piece, offset=at, crc32=zlib.crc32(piece), file_size=42
            )
        assert got == Received(chunk.size, "uploaded")
    assert uploads.complete(plan.upload_id) == "sub/new/x.bin"
    assert uploads.complete(plan.upload_id) == "sub/new/x.bin"
    assert (place.ws / "sub/new/x.bin").read_bytes() == data
    assert place.names("sub/new") == {"x.bin"}


def test_an_empty_file_has_no_chunks(place: Place, uploads: Uploads) -> None:
    plan = uploads.init("empty", 0)
    assert plan.chunks == ()
    uploads.complete(plan.upload_id)
    assert (place.ws / "empty").read_bytes() == b""


def test_a_file_of_that_name_stays(place: Place, uploads: Uploads) -> None:
    plan = uploads.init("in.txt", 3)
    uploads.put(plan.upload_id, 0, b"new")
    assert uploads.complete(plan.upload_id) == "in (1).txt"
    assert (place.ws / "in.txt").read_text() == "one\ntwo\nthree\n"


def test_a_sender_goes_on_where_it_was_and_may_repeat_itself(place: Place, uploads: Uploads) -> None:
    plan = uploads.init("x", 8)
    uploads.put(plan.upload_id, 0, b"0123")
    assert uploads.status(plan.upload_id) == (Received(4, "uploading"),)
    assert _code(lambda: uploads.complete(plan.upload_id)) == "UPLOAD_NOT_READY"
    assert _code(lambda: uploads.put(plan.upload_id, 0, b"67", offset=6)) == "CHUNK_SIZE_MISMATCH"
    assert uploads.put(plan.upload_id, 0, b"01", offset=0).received == 4
    assert uploads.put(plan.upload_id, 0, b"4567", offset=4).status == "uploaded"
    uploads.complete(plan.upload_id)
    assert (place.ws / "x").read_text() == "01234567"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"data": b"x" * 9}, "CHUNK_SIZE_MISMATCH"),
        ({"data": b""}, "CHUNK_SIZE_MISMATCH"),
        ({"data": b"xx", "offset": 7}, "CHUNK_SIZE_MISMATCH"),
        ({"data": b"x", "offset": -1}, "INVALID_REQUEST"),
        ({"data": b"x", "offset": True}, "INVALID_REQUEST"),
        ({"data": b"x", "chunk_size": 9}, "CHUNK_SIZE_MISMATCH"),
        ({"data": b"x", "file_size": 9}, "CHUNK_SIZE_MISMATCH"),
        ({"data": b"x", "crc32": 1}, "CHECKSUM_MISMATCH"),
        ({"data": b"x", "parallel_id": 1}, "CHUNK_NOT_FOUND"),
        ({"data": b"x", "upload_id": "zz"}, "UPLOAD_NOT_FOUND"),
    ],
)
def test_a_piece_that_is_wrong_changes_nothing(
    place: Place, uploads: Uploads, arguments: dict[str, object], code: str
) -> None:
    plan = uploads.init("x", 8)
    call = {"upload_id": plan.upload_id, "parallel_id": 0, **arguments}
    assert _code(lambda: uploads.put(**call)) == code  # type: ignore[arg-type]
    assert uploads.status(plan.upload_id)[0].received == 0


@pytest.mark.parametrize(
    "target", ["../ws-evil", "..", ".", "sub/../..", "/tmp", "a//b", "a\0b", "link", "a:b", "..\\x", "C:\\x", "in.txt"]
)
def test_a_target_that_leads_out_is_refused(place: Place, uploads: Uploads, target: str) -> None:
    assert _code(lambda: uploads.init("x", 1, target)) == "INVALID_TARGET_PATH"
    assert os.listdir(place.secret.parent) == ["secret.txt"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", "\0", ".uploading-x", "a\nb", "x" * 300, "\ud800"])
def test_a_name_that_cannot_be_is_refused(uploads: Uploads, name: str) -> None:
    assert _code(lambda: uploads.init(name, 1)) == "INVALID_REQUEST"


@pytest.mark.parametrize("size", [-1, 1.5, True, "1"])
def test_a_size_that_cannot_be_is_refused(uploads: Uploads, size: int) -> None:
    assert _code(lambda: uploads.init("x", size)) == "INVALID_REQUEST"


def test_a_cancelled_upload_leaves_nothing_and_takes_nothing(place: Place, uploads: Uploads) -> None:
    plan = uploads.init("x", 2)
    uploads.put(plan.upload_id, 0, b"x")
    assert _parts(place)
    uploads.cancel(plan.upload_id)
    assert not _parts(place)
    for call in (
        lambda: uploads.put(plan.upload_id, 0, b"x", offset=1),
        lambda: uploads.complete(plan.upload_id),
        lambda: uploads.status(plan.upload_id),
    ):
        assert _code(call) == "UPLOAD_CANCELLED"
    uploads.cancel(plan.upload_id)
    assert _code(lambda: uploads.cancel("zz")) == "UPLOAD_NOT_FOUND"


def test_a_complete_upload_is_not_cancelled(place: Place, uploads: Uploads) -> None:
    plan = uploads.init("x", 1)
    uploads.put(plan.upload_id, 0, b"x")
    uploads.complete(plan.upload_id)
    uploads.cancel(plan.upload_id)
    assert (place.ws / "x").exists()


def test_a_disk_without_room_is_told_before_anything_is_sent(place: Place) -> None:
    uploads = Uploads(place.folder, free=lambda _: 20_000_000)
    with pytest.raises(UploadError, match=r"'x' has 50.0 MB, and the disk has 20.0 MB left. Make room") as caught:
        uploads.init("x", 50_000_000)
    assert caught.value.code == "NO_SPACE"
    assert not _parts(place)


def test_a_disk_that_fills_meanwhile_keeps_what_was_received(
    place: Place, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = uploads.init("x", 4)
    uploads.put(plan.upload_id, 0, b"01")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "_writable", full)
        assert _code(lambda: uploads.put(plan.upload_id, 0, b"23", offset=2)) == "NO_SPACE"
    assert uploads.status(plan.upload_id)[0].received == 2
    uploads.put(plan.upload_id, 0, b"23", offset=2)
    uploads.complete(plan.upload_id)
    assert (place.ws / "x").read_text() == "0123"


def test_what_a_kernel_that_died_left_goes_after_a_day(place: Place) -> None:
    now = [1_700_000_000.0]
    uploads = Uploads(place.folder, clock=lambda: now[0])
    for name, age in {"old": 90_000, "young": 80_000}.items():
        (place.ws / f".uploading-{name}").touch()
        os.utime(place.ws / f".uploading-{name}", (now[0] - age, now[0] - age))
    plan = uploads.init("x", 1)
    assert ".uploading-old" not in place.names()
    assert ".uploading-young" in place.names()
    os.utime(place.ws / f".uploading-{plan.upload_id}", (0, 0))
    now[0] += 20_000
    other = uploads.init("y", 0)
    uploads.complete(other.upload_id)
    assert _parts(place) == [f".uploading-{plan.upload_id}"]


def test_what_was_taken_away_meanwhile_is_told(place: Place, uploads: Uploads) -> None:
    plan = uploads.init("x", 2)
    (place.ws / f".uploading-{plan.upload_id}").unlink()
    assert _code(lambda: uploads.put(plan.upload_id, 0, b"x")) == "UPLOAD_NOT_FOUND"


def test_a_link_that_was_put_in_the_way_is_not_followed(place: Place, uploads: Uploads) -> None:
    plan, other = uploads.init("x", 2), uploads.init("y", 2, "sub")
    (place.ws / f".uploading-{plan.upload_id}").unlink()
    os.symlink(place.secret, place.ws / f".uploading-{plan.upload_id}")
    assert _code(lambda: uploads.put(plan.upload_id, 0, b"xx")) == "WRITE_FAILED"
    os.rename(place.ws / "sub", place.ws / "was")
    os.symlink(place.secret.parent, place.ws / "sub")
    (place.secret.parent / f".uploading-{other.upload_id}").write_text("zz")
    assert _code(lambda: uploads.put(other.upload_id, 0, b"xx")) == "UPLOAD_NOT_FOUND"
    assert place.secret.read_text() == "secret\n"


def test_many_threads_may_send_at_once(place: Place) -> None:
    uploads = Uploads(place.folder, parallel_size=MB)
    data = {f"{number}.bin": random.Random(number).randbytes(4 * MB + number) for number in range(4)}
    plans = {name: uploads.init(name, len(content)) for name, content in data.items()}
    failed: list[BaseException] = []

    def send(name: str, chunk: Chunk) -> None:
        try:
            for at in range(0, chunk.size, 65_536):
                piece = data[name][chunk.offset + at : chunk.offset + min(at + 65_536, chunk.size)]
                uploads.put(plans[name].upload_id, chunk.parallel_id, piece, offset=at, crc32=zlib.crc32(piece))
        except UploadError as error:
            failed.append(error)

    threads = [threading.Thread(target=send, args=(name, each)) for name, plan in plans.items() for each in plan.chunks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failed
    for name, plan in plans.items():
        uploads.complete(plan.upload_id)
        assert (place.ws / name).read_bytes() == data[name]


def test_two_files_of_one_name_both_come_in(place: Place, uploads: Uploads) -> None:
    plans = [uploads.init("x", 1) for _ in range(2)]
    for plan, data in zip(plans, (b"a", b"b"), strict=True):
        uploads.put(plan.upload_id, 0, data)
    assert [uploads.complete(plan.upload_id) for plan in plans] == ["x", "x (1)"]


def test_a_disk_without_links_takes_them_too(place: Place, uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    plan = uploads.init("x", 1)
    uploads.put(plan.upload_id, 0, b"a")
    assert uploads.complete(plan.upload_id) == "x"
    assert not _parts(place)


def test_ended_uploads_are_forgotten_in_the_end(place: Place, uploads: Uploads) -> None:
    first = uploads.init("x", 1)
    uploads.cancel(first.upload_id)
    for _ in range(201):
        uploads.cancel(uploads.init("x", 1).upload_id)
    uploads.init("y", 1)
    assert _code(lambda: uploads.complete(first.upload_id)) == "UPLOAD_NOT_FOUND"


def test_a_read_only_folder_is_told(place: Place, uploads: Uploads) -> None:
    if os.geteuid() == 0:
        pytest.skip("nothing is read-only to root")
    Path(place.ws / "sub").chmod(0o500)
    assert _code(lambda: uploads.init("x", 1, "sub")) == "WRITE_FAILED"
