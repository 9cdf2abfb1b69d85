"""A bundle carries everything, is checked before anything of it is used, and overwrites nothing."""

from __future__ import annotations

import json
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from agentnb.errors import UsageError
from agentnb.masking import Mask
from agentnb.messages import Data, File, Image, Message, Text, Thinking, ToolCall, ToolResult, Usage, user
from agentnb.session import RunHead
from agentnb.store import Store
from agentnb.store.bodies import keep_artifact
from agentnb.store.memory import MemoryEntry
from agentnb.store.moved import MovedRun, MovedSession, MovedTurn, Said
from agentnb.store.runs import StoredRun
from agentnb.transfer import export_to, import_from
from agentnb.transfer.bundle import export_bundle, import_bundle
from agentnb.transfer.lines import digest_of
from agentnb.transfer.runtime_dir import export_directory, import_directory

PICTURE = b"\x89PNG\r\n\x1a\n" + os.urandom(30_000)


def run(run_id: str, *messages: Message, session: str | None = "s1", **more: str) -> MovedRun:
    head = RunHead(run_id, session, cell="c", model="openai:m", prompt="p", variables={"x": "ab"}, **more)  # type: ignore[arg-type]
    said = tuple(Said(message, 1000.0 + at) for at, message in enumerate(messages))
    return MovedRun(StoredRun(head, 1000.0, 1009.5, "done", None, Usage(3, 4, 1, usd=0.25), 1), said)


def answer(*content: object) -> Message:
    return Message("assistant", content, "m1", "openai:m", "length")  # type: ignore[arg-type]


@pytest.fixture
def full(store: Store) -> Store:
    """A store with a session that has everything a folder cannot hold, a fork of it, versions, and a loose run."""
    call = ToolCall("c1", "look", "{}", extra={"signature": "x"})
    result = ToolResult(
        "c1", "look", (Text("a"), Text("b"), Data({"n": 1}), File("f.pdf", b"%PDF-", "application/pdf"))
    )
    said = answer(Text("one "), Thinking("hm", "sig"), Text("two"), call)
    first = run("r1", user("see", Image(PICTURE)), said, Message("tool", (result,)), answer(Text("x")))
    store.moving.put(
        MovedSession(
            "s1",
            "Title",
            "person",
            "/n.ipynb",
            None,
            1000.0,
            2000.0,
            12,
            turns=(MovedTurn("r1", "c1"), MovedTurn("r2", "c2")),
            runs=(
                first,
                run("r2", user("b"), answer(Text("y"))),
                run("w1", user("sub"), answer(Text("z")), within="r1", call="c1"),
            ),
        )
    )
    store.sessions.fork("s1", 1)
    store.sessions.revoke("s1", 1)
    store.memory.summarize("s1", "short", 1, [MemoryEntry("fact", "is so")])
    with store.database.writing() as db:
        keep_artifact(db, "s1", "plots/a.png", PICTURE, "image/png", 1.0)
    store.moving.put_loose([run("alone", user("q"), session=None)])
    for content in ("a", "b", "c"):
        store.records.put("template", "t", {"content": content})
    store.records.put("setting", "x", {"y": 1})
    store.records.put("agent", "gone", {"model": "m"})
    store.records.remove("agent", "gone")
    return store


def everything(store: Store) -> object:
    kinds = ("template", "agent", "setting", "model", "env")
    versions = [each for kind in kinds for each in store.records.versions(kind)]
    return [store.moving.take(each) for each in store.moving.ids(removed=True)], store.moving.loose(), versions


def test_everything_arrives_in_another_store(full: Store, tmp_path: Path, make_store: Callable[[str], Store]) -> None:
    export_to(full, tmp_path / "b.zip")
    other = make_store("other")
    report = import_from(other, tmp_path / "b.zip")
    assert report.notes == []
    assert everything(other) == everything(full)
    assert other.sessions.unrevoke("s1") == 1
    assert other.findings.search("see")[0].session
    again = import_from(other, tmp_path / "b.zip")
    assert not again.new
    assert not again.changed


def test_the_manifest_says_what_is_in_it(full: Store, tmp_path: Path) -> None:
    export_bundle(full, tmp_path / "b.zip")
    assert stat.S_IMODE((tmp_path / "b.zip").stat().st_mode) == 0o600
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        manifest = json.loads(archive.read("manifest.json"))
        names = set(archive.namelist())
    assert (manifest["format"], manifest["version"], manifest["sessions"]) == ("agentnb bundle", 1, None)
    assert manifest["counts"]["session"] == 2
    assert set(manifest["files"]) == names - {"manifest.json"}
    assert "agents_runtime/chat_data/s1/conversation.json" in names
    assert len([name for name in names if name.startswith("blobs/")]) == 1, "a picture that is there twice is kept once"


def test_some_sessions_alone_bring_nothing_else(
    full: Store, tmp_path: Path, make_store: Callable[[str], Store]
) -> None:
    export_to(full, tmp_path / "b.zip", sessions=["s1"])
    other = make_store("other")
    import_from(other, tmp_path / "b.zip")
    assert other.moving.ids() == ["s1"]
    assert other.records.names("template") == []
    with pytest.raises(UsageError, match="no session 'nope'"):
        export_to(full, tmp_path / "c.zip", sessions=["nope"])


def test_a_folder_gives_back_what_it_has_no_words_for(
    full: Store, tmp_path: Path, make_store: Callable[[str], Store]
) -> None:
    full.sessions.unrevoke("s1")
    export_directory(full, tmp_path / "out")
    other = make_store("other")
    import_directory(other, tmp_path / "out")
    ours, theirs = full.moving.take("s1"), other.moving.take("s1")
    assert [run.said for run in theirs.runs] == [run.said for run in ours.runs]
    assert [run.run.usage for run in theirs.runs] == [run.run.usage for run in ours.runs]
    assert [(each.name, each.data) for each in theirs.artifacts] == [("plots/a.png", PICTURE)]
    assert not import_directory(full, tmp_path / "out").changed


def test_what_is_here_and_other_stays_beside_what_comes(
    full: Store, tmp_path: Path, make_store: Callable[[str], Store]
) -> None:
    export_to(full, tmp_path / "b.zip")
    other = make_store("other")
    other.moving.put(MovedSession("s1", turns=(MovedTurn("r1"),), runs=(run("r1", user("quite another")),)))
    other.records.put("template", "t", {"content": "mine"})
    report = import_from(other, tmp_path / "b.zip")
    assert [m.text for m in other.moving.take("s1").runs[0].said[0].message.content] == ["quite another"]  # type: ignore[union-attr]
    [copy] = [each for each in other.moving.ids() if each.startswith("s1-")]
    assert other.session(copy).turns[0].messages == full.session("s1").turns[0].messages
    bodies = [each.body for each in other.records.history("template", "t")]
    assert bodies == [{"content": each} for each in ("mine", "a", "b", "c")]
    assert report.changed["template"] == 1
    again = import_from(other, tmp_path / "b.zip")
    assert not again.new
    assert not again.changed


def test_secrets_travel_only_on_request_and_get_a_free_name(
    store: Store, tmp_path: Path, make_store: Callable[[str], Store]
) -> None:
    store.records.put("model", "m", {"base": "openai:x", "api_key_name": "work"})
    store.records.put("env", "DB_PASSWORD", {"secret": True, "place": "keyring"})
    known = {"work": "sk-1-secret", "env/DB_PASSWORD": "hunter2"}
    export_bundle(store, tmp_path / "safe.zip")
    export_bundle(store, tmp_path / "open.zip", reveal=known.get)
    with zipfile.ZipFile(tmp_path / "safe.zip") as archive:
        assert not any(
            secret.encode() in archive.read(name) for name in archive.namelist() for secret in known.values()
        )
    other, kept = make_store("other"), dict[str, str]()

    def keep(name: str, value: str) -> str:
        kept[name] = value
        return "file" if name.startswith("env/") else f"{name}-2"

    import_bundle(other, tmp_path / "open.zip", keep)
    assert kept == known
    assert other.records.get("model", "m").body == {"base": "openai:x", "api_key_name": "work-2"}
    assert other.records.get("env", "DB_PASSWORD").body == {"secret": True, "place": "file"}


def rewritten(source: Path, target: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """A bundle with other files in it, as they are."""
    with zipfile.ZipFile(source) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target


def manifest(files: dict[str, bytes], /, **change: object) -> None:
    files["manifest.json"] = json.dumps({**json.loads(files["manifest.json"]), **change}).encode()


CHANGES: dict[str, tuple[Callable[[dict[str, bytes]], object], str]] = {
    "newer": (lambda files: manifest(files, version=2), "newer agentnb"),
    "no version": (lambda files: manifest(files, version="x"), "does not say its version"),
    "foreign": (lambda files: manifest(files, format="x"), "not agentnb's"),
    "no files": (lambda files: manifest(files, files=[]), "does not say what is in it"),
    "no manifest": (lambda files: files.pop("manifest.json"), "has no manifest"),
    "bad manifest": (lambda files: files.update({"manifest.json": b"{"}), "not agentnb's"),
    "lost": (lambda files: files.pop("store/runs.jsonl"), "has lost 'store/runs.jsonl'"),
    "added": (lambda files: files.update({"x": b"y"}), "manifest does not name"),
    "changed": (lambda files: files.update({"store/records.jsonl": b"{}"}), "is damaged at 'store/records.jsonl'"),
    "upward": (lambda files: files.update({"../x": b""}), "leads out of it"),
    "absolute": (lambda files: files.update({"/x": b""}), "leads out of it"),
    "windows": (lambda files: files.update({"C:\\x": b""}), "leads out of it"),
    "bomb": (lambda files: files.update({"x": bytes(100 << 20)}), "would unpack to"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_bundle_that_was_changed_brings_nothing(
    full: Store, tmp_path: Path, make_store: Callable[[str], Store], name: str
) -> None:
    export_bundle(full, tmp_path / "b.zip")
    change, said = CHANGES[name]
    bad, other = rewritten(tmp_path / "b.zip", tmp_path / "bad.zip", change), make_store("other")
    with pytest.raises(UsageError, match=said) as caught:
        import_bundle(other, bad)
    assert "\n" not in str(caught.value)
    assert other.moving.ids() == []


def test_a_link_in_a_bundle_is_refused(store: Store, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        info = zipfile.ZipInfo("store/x")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UsageError, match="holds a link"):
        import_bundle(store, tmp_path / "b.zip")


def test_a_bundle_that_was_cut_off_or_is_none_is_said_in_one_line(full: Store, tmp_path: Path) -> None:
    export_bundle(full, tmp_path / "b.zip")
    data = (tmp_path / "b.zip").read_bytes()
    for at, cut in enumerate((b"", b"x" * 50, data[: len(data) // 2], data[:-10])):
        (tmp_path / f"{at}.zip").write_bytes(cut)
        with pytest.raises(UsageError, match="is no bundle, or was cut off"):
            import_bundle(full, tmp_path / f"{at}.zip")
    flipped = bytearray(data)
    flipped[200] ^= 0xFF
    (tmp_path / "flipped.zip").write_bytes(flipped)
    with pytest.raises(UsageError, match=r"is damaged|was cut off"):
        import_bundle(full, tmp_path / "flipped.zip")
    with pytest.raises(UsageError, match="There is no"):
        import_bundle(full, tmp_path / "none.zip")
    with pytest.raises(UsageError, match="nothing is overwritten"):
        export_bundle(full, tmp_path / "b.zip")


def test_a_session_that_makes_no_sense_is_left_out_alone(
    full: Store, tmp_path: Path, make_store: Callable[[str], Store]
) -> None:
    export_bundle(full, tmp_path / "b.zip")

    def spoil(files: dict[str, bytes]) -> None:
        known = json.loads(files["manifest.json"])["files"]
        lines = {
            "store/sessions/a.jsonl": b'{"type": "session", "id": 5}\n',
            "store/sessions/b.jsonl": b'{"type": "session", "id": "../../x"}\n',
            "store/sessions/c.jsonl": b'{"type": "session", "id": "c"}\n{"type": "artifact", "name": "x"}\n',
            "store/records.jsonl": b'{"kind": "nonsense"}\n',
        }
        for name, data in lines.items():
            files[name], known[name] = data, {"bytes": len(data), "sha256": digest_of(data)}
        manifest(files, files=known)

    other = make_store("other")
    report = import_bundle(other, rewritten(tmp_path / "b.zip", tmp_path / "bad.zip", spoil))
    assert set(other.moving.ids()) == set(full.moving.ids())
    assert len([note for note in report.notes if "was left out" in note]) == 4


def test_a_secret_that_became_known_after_it_was_said_does_not_travel(full: Store, tmp_path: Path) -> None:
    key = "sk-proj-7Hq2Zk9TnW4bXv81"
    full.runs.begin(RunHead("r9", "s1", prompt=f"use {key}", options={"body": key}), "me", 3000.0)
    full.runs.add("r9", 0, user(f"use {key}"), 3000.0)
    full.memory.summarize("s1", f"They use {key}", 1, [MemoryEntry("fact", f"key {key}")])
    knowing = Store(full.path.parent, mask=Mask(key))
    export_to(knowing, tmp_path / "out.zip")
    export_to(knowing, tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert not [name for name in archive.namelist() if key.encode() in archive.read(name)]
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file() and key.encode() in path.read_bytes()]
    assert import_from(knowing, tmp_path / "out.zip").new == {}
    assert [message.text for message in knowing.runs.messages("r9")] == [f"use {key}"]  # here it stays as it was


def test_an_agent_from_elsewhere_does_not_decide_that_its_tools_run_unasked(
    store: Store, tmp_path: Path, make_store: Callable[[str], Store]
) -> None:
    store.records.put("agent", "helper", {"name": "helper", "approve": "auto", "tools": ["bash"]})
    export_to(store, tmp_path / "out.zip")
    other = make_store("other")
    report = import_from(other, tmp_path / "out.zip")
    assert other.records.get("agent", "helper").body == {"name": "helper", "tools": ["bash"]}
    assert "agent helper: approve was left out; tools ask first." in str(report)
    assert import_from(store, tmp_path / "out.zip").new == {}
    assert store.records.get("agent", "helper").version == 1
