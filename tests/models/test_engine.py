from __future__ import annotations

import gc
import os
import sys
import threading
from contextlib import aclosing
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from agentnb.errors import MissingExtra, ModelError
from agentnb.messages import JSONObject
from agentnb.models.engine import Engine, check_file, import_xllamacpp

pytestmark = pytest.mark.anyio
BODY: JSONObject = {"messages": [{"role": "user", "content": "hi"}], "stream": True}


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "llama.cpp"}


async def ask(engine: Engine) -> list[JSONObject]:
    async with aclosing(engine.chat(BODY)) as chunks:
        return [chunk async for chunk in chunks]


async def failure(engine: Engine) -> str:
    """Why it did not answer, in one line."""
    with pytest.raises(ModelError) as caught:
        await ask(engine)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A file, but not a model."""
    path = tmp_path / "other.gguf"
    path.write_text("PK, or what else a download may be")
    return path


async def test_a_file_that_is_no_gguf_is_refused_in_one_line_each_time(other: Path) -> None:
    engine = Engine(other)
    for _ in range(2):
        assert await failure(engine) == f"{other} is not a GGUF file. llama.cpp reads models in the GGUF format only."
    assert not engine.loaded.is_set()


async def test_a_missing_file_is_named_with_the_cause(tmp_path: Path) -> None:
    path = tmp_path / "gone.gguf"
    assert (
        await failure(Engine(path)) == f"Cannot read the model file {path}: No such file or directory. Check the path."
    )


async def test_a_damaged_model_is_refused_without_a_word_from_llama(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("xllamacpp")
    path = tmp_path / "damaged.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    assert (await failure(Engine(path))).startswith(f"llama.cpp could not load {path}: the file is damaged")
    assert capfd.readouterr() == ("", "")


async def test_one_core_is_left_to_everything_else(other: Path) -> None:
    assert Engine(other).threads == max(1, (os.cpu_count() or 2) - 1)
    assert Engine(other, threads=5).threads == 5


async def test_an_engine_that_nobody_holds_ends_its_thread(other: Path) -> None:
    before = threads()
    engine = Engine(other)
    assert threads() == before
    await failure(engine)
    (own,) = threads() - before
    del engine
    with anyio.fail_after(5):
        while own.is_alive():  # it may hold the error, and so all that the error saw, for a moment yet
            gc.collect()
            await anyio.lowlevel.checkpoint()


async def test_a_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingExtra, match=r"pip install 'agentnb\[local\]'"):
        import_xllamacpp()


def test_a_model_file_begins_with_its_magic(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(b"GGUF")
    check_file(path)
    with pytest.raises(ModelError, match="Is a directory"):
        check_file(tmp_path)
