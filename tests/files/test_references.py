"""What a file holds that a prompt names."""

from __future__ import annotations

import os
import struct

import pytest

from agentnb.errors import PromptError
from agentnb.files.references import referenced
from agentnb.messages import Image
from tests.files.conftest import OUTSIDE, Place

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8 + struct.pack(">II", 1, 1) + b"IEND"


def _refused(place: Place, path: str) -> str:
    with pytest.raises(PromptError) as caught:
        referenced(place.folder, path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_text_is_text_and_a_picture_a_picture(place: Place) -> None:
    (place.ws / "p.dat").write_bytes(PNG)
    (place.ws / "v.svg").write_text("<svg></svg>")
    assert referenced(place.folder, "in.txt") == "one\ntwo\nthree\n"
    assert referenced(place.folder, str(place.ws / "sub" / "data.csv")) == "a,b\n1,2\n"
    assert referenced(place.folder, "p.dat") == Image(PNG, "image/png", alt="p.dat")
    assert referenced(place.folder, "v.svg") == "<svg></svg>"


@pytest.mark.parametrize("data", [b"\0\1\2", b"%PDF-1.7\0", b"RIFF\x24\0\0\0WAVEfmt ", b"caf\xe9"])
def test_another_kind_is_refused_by_its_name(place: Place, data: bytes) -> None:
    (place.ws / "b.bin").write_bytes(data)
    assert "Unsupported workspace file reference type" in _refused(place, "b.bin")


def test_a_huge_file_is_refused_before_it_is_read(place: Place) -> None:
    with (place.ws / "huge.csv").open("wb") as file:
        os.truncate(file.fileno(), 2_000_000_000)
    said = _refused(place, "huge.csv")
    assert said.startswith("It has 2,000.0 MB, and 20.0 MB are the most that is read.")
    assert "{{Path('…')}}" in said


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_outside_is_read(place: Place, path: str) -> None:
    assert "secret\\n" not in _refused(place, path)


def test_a_missing_file_names_the_nearest_and_so_does_one_outside(place: Place) -> None:
    assert "Did you mean 'in.txt'" in _refused(place, "ni.txt")
    assert "Did you mean 'in.txt'" in _refused(place, "/elsewhere/in.txt")
    assert "It is a folder" in _refused(place, "sub")


def test_a_pipe_is_not_waited_for(place: Place) -> None:
    os.mkfifo(place.ws / "pipe")
    assert "device or a pipe" in _refused(place, "pipe")


def test_a_name_that_no_file_has_is_said_in_one_line(place: Place) -> None:
    assert "cannot be opened: File name too long" in _refused(place, "a" * 5_000)
