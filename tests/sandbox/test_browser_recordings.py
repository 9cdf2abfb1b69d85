"""Recordings: pictures in order, bounded, saved as a zip, deleted."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from agentnb.errors import ToolError
from agentnb.sandbox import browser_recordings
from agentnb.sandbox.browser_recordings import Recordings


def test_a_recording_is_listed_and_packed_in_order() -> None:
    recordings = Recordings(iter(range(10)).__next__)
    assert recordings.all() == []
    recording = recordings.begin()
    assert recordings.all() == []  # nothing was seen yet
    recordings.add(recording, "open", "https://a/", b"one")
    recordings.add(recording, "click", "https://b/", b"two")
    assert [str(each) for each in recordings.all()] == ["recording-1: 2 pictures, 0 kB"]
    with zipfile.ZipFile(io.BytesIO(recordings.packed("recording-1"))) as packed:
        assert packed.namelist() == ["0001.jpg", "0002.jpg", "index.json"]
        assert packed.read("0002.jpg") == b"two"
        assert json.loads(packed.read("index.json"))[1] == {
            "file": "0002.jpg", "time": 1, "after": "click", "url": "https://b/"
        }  # fmt: skip


def test_the_oldest_pictures_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser_recordings, "MOST_BYTES", 10)
    recordings = Recordings()
    old, new = recordings.begin(), recordings.begin()
    for number in range(3):
        recordings.add(old, str(number), "", b"1234")
    assert [frame.action for frame in old.frames] == ["1", "2"]
    recordings.add(new, "9", "", b"1234567890")
    assert [each.id for each in recordings.all()] == ["recording-2"]


def test_films_are_packed_too_and_deleted(tmp_path: Path) -> None:
    recordings = Recordings()
    recording = recordings.begin(tmp_path)
    recordings.add(recording, "", "", b"x")
    (tmp_path / "page@1.webm").write_bytes(b"film")
    assert str(recording) == "recording-1: 1 picture, 0 kB, 1 film"
    with zipfile.ZipFile(io.BytesIO(recordings.packed("recording-1"))) as packed:
        assert packed.read("film-1.webm") == b"film"
    recordings.delete("recording-1")
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_deleted_is_gone_also_while_it_goes_on() -> None:
    recordings = Recordings()
    recording = recordings.begin()
    recordings.add(recording, "", "", b"x")
    recordings.delete("recording-1")
    recordings.add(recording, "", "", b"y")
    assert recordings.all() == []
    with pytest.raises(ToolError, match="there is no recording 'recording-1'"):
        recordings.packed("recording-1")
