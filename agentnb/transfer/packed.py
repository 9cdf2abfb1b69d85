"""A bundle's file: a zip with a manifest that says what is in it, each file with its size and SHA-256."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from agentnb.errors import UsageError
from agentnb.messages import JSON, JSONObject
from agentnb.transfer.texts import format_json, parse_json

FORMAT, VERSION = "agentnb bundle", 1
MANIFEST = "manifest.json"
#: Bytes that a bundle may unpack to, files that it may hold, and how many times larger it may get beyond `_SMALL`.
LARGEST, MOST, STEEPEST = 4 << 30, 500_000, 300
_SMALL = 64 << 20
_CHUNK = 1 << 20


class Packing:
    """A bundle that is being written: whole or not at all, and readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
        self._files: JSONObject = {}

    @contextlib.contextmanager
    def writing(self, about: Mapping[str, JSON]) -> Iterator[None]:
        """Write until the end; `about` goes into the manifest, and may change until then. Raises UsageError."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w+b") as file:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                    self._archive = archive
                    yield
                    manifest: JSONObject = {
                        "format": FORMAT,
                        "version": VERSION,
                        "created": datetime.now(UTC).isoformat(timespec="seconds"),
                        **about,
                        "files": self._files,
                    }
                    archive.writestr(MANIFEST, format_json(manifest))
                file.flush()
                os.fsync(file.fileno())
            self._draft.replace(self._path)
        except OSError as error:
            raise UsageError(
                f"{self._path} cannot be written: {error.strerror}. Name another place; nothing was left."
            ) from None
        finally:
            self._draft.unlink(missing_ok=True)

    def add(self, name: str, data: bytes) -> None:
        """Put a file in; one of this name that is in there already stays."""
        if name not in self._files:
            self._files[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            self._archive.writestr(name, data)


class Packed:
    """A bundle that was written somewhere: everything in it is checked before anything is read of it.

    Raises UsageError, one line, for a file that is none, was cut off or changed, or that could do harm.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest: JSONObject = {}

    @contextlib.contextmanager
    def reading(self) -> Iterator[Packed]:
        """Open and check it."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                self._archive = archive
                self._check_names()
                self.manifest = self._manifest()
                self._check_files()
                yield self
        except FileNotFoundError:
            raise UsageError(f"There is no {self.path}. Name a bundle (.zip), or a folder.") from None
        except OSError as error:
            raise self._bad(f"cannot be read: {error.strerror or error}", "Make it a file that you may read.") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise self._bad(f"is no bundle, or was cut off ({error})", "Copy it again; nothing was imported.") from None

    def names(self, begins: str = "") -> list[str]:
        """The files in it, by how their names begin."""
        files = self.manifest["files"]
        return sorted(name for name in files if name.startswith(begins)) if isinstance(files, dict) else []

    def data(self, name: str) -> bytes:
        """What is in a file. Raises KeyError for one that is not in there."""
        return self._archive.read(name)

    def _check_names(self) -> None:
        infos = self._archive.infolist()
        names = [info.filename for info in infos]
        if len(infos) > MOST:
            raise self._bad(f"holds {len(infos):,} files, more than {MOST:,}", "It is not imported.")
        if len(set(names)) != len(names):
            raise self._bad("holds two files of one name", "It is not imported.")
        for info in infos:
            name = info.filename
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
                raise self._bad(f"holds {name[:80]!r}, which leads out of it", "It is not imported.")
            if stat.S_ISLNK(info.external_attr >> 16):
                raise self._bad(f"holds a link, {name[:80]!r}", "It is not imported.")
            if info.flag_bits & 1:
                raise self._bad("is locked by a password", "Unlock it first.")
        size, packed = sum(info.file_size for info in infos), sum(info.compress_size for info in infos)
        if size > LARGEST or (size > _SMALL and size > packed * STEEPEST):
            raise self._bad(f"would unpack to {size:,} bytes from {packed:,}", "It is not imported.")

    def _manifest(self) -> JSONObject:
        if MANIFEST not in self._archive.namelist():
            raise self._bad("has no manifest", "It is no bundle of agentnb; unpack it, and import the folder.")
        if self._archive.getinfo(MANIFEST).file_size > _SMALL * 2:
            raise self._bad("has a manifest that is too large", "It is not imported.")
        try:
            manifest = parse_json(self._archive.read(MANIFEST).decode())
        except ValueError:
            manifest = None
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise self._bad("has a manifest that is not agentnb's", "It is not imported.")
        version = manifest.get("version")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise self._bad("does not say its version", "It is not imported.")
        if version > VERSION:
            raise self._bad(f"was written by a newer agentnb (bundle {version}; this one reads {VERSION})", "Upgrade.")
        if not isinstance(manifest.get("files"), dict):
            raise self._bad("does not say what is in it", "It is not imported.")
        return manifest

    def _check_files(self) -> None:
        said = self.manifest["files"]
        files = said if isinstance(said, dict) else {}
        here = {info.filename: info for info in self._archive.infolist() if not info.is_dir()}
        if lost := sorted(set(files) - set(here)):
            raise self._bad(f"has lost {lost[0][:80]!r} and {len(lost) - 1} more", "Copy it again.")
        if added := sorted(set(here) - set(files) - {MANIFEST}):
            raise self._bad(f"holds {added[0][:80]!r}, which its manifest does not name", "It was changed.")
        for name, known in files.items():
            size = known.get("bytes") if isinstance(known, dict) else None
            if here[name].file_size != size or not isinstance(known, dict) or self._digest(name) != known.get("sha256"):
                raise self._bad(
                    f"is damaged at {name[:80]!r}: it is not what the manifest says",
                    "Copy it again; to import what you changed yourself, unpack it, and import its folder "
                    "agents_runtime.",
                )

    def _digest(self, name: str) -> str:
        digest = hashlib.sha256()
        with self._archive.open(name) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def _bad(self, what: str, then: str) -> UsageError:
        return UsageError(f"{self.path} {what}. {then}")
