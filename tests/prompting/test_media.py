from __future__ import annotations

import base64
import io
import wave
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import PIL.Image
import plotly.graph_objects as go  # type: ignore[import-untyped]  # it has no types
import pytest
from inline_snapshot import snapshot
from IPython.display import Audio as DisplayAudio
from IPython.display import Image as DisplayImage

from agentnb.errors import PromptError
from agentnb.messages import Audio, Image
from agentnb.prompting import figures, to_media

WAV = b"RIFF\0\0\0\0WAVEfmt "
NOISE = np.random.default_rng(0).integers(0, 255, (900, 1700, 3), dtype=np.uint8)


def _saved(picture: PIL.Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


PNG = _saved(PIL.Image.new("RGB", (30, 20), "red"), "PNG")


def _picture(value: object) -> Image:
    (block,) = to_media(value, "image")
    assert isinstance(block, Image)
    return block


def _sound(value: object) -> Audio:
    (block,) = to_media(value, "audio")
    assert isinstance(block, Audio)
    return block


def _opened(block: Image) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(block.data))


def _wav(block: Audio) -> tuple[int, int, np.ndarray[Any, Any]]:
    """Rate, channels and samples."""
    with wave.open(io.BytesIO(block.data)) as file:
        assert file.getsampwidth() == 2
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return file.getframerate(), file.getnchannels(), samples


def test_files_addresses_and_bytes_are_pictures(tmp_path: Path) -> None:
    path = tmp_path / "sales.dat"
    path.write_bytes(PNG)
    assert _picture(path) == _picture(str(path)) == Image(PNG, "image/png", alt="sales.dat")
    assert _picture(PNG) == _picture(bytearray(PNG)) == _picture(memoryview(PNG)) == Image(PNG, alt="The picture")
    url = f"data:image/jpeg;base64,{base64.b64encode(PNG).decode()}"
    assert _picture(url) == Image(PNG, "image/png", alt="The picture")
    assert _picture("https://x/a.jpg?b") == Image(
        media_type="image/jpeg", url="https://x/a.jpg?b", alt="https://x/a.jpg?b"
    )
    assert _picture("HTTP://x/a").media_type == "image/png"
    assert _picture(Image(b"as it is")) == Image(b"as it is")


def test_a_home_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.png").write_bytes(PNG)
    assert _picture("~/a.png").data == PNG


def test_what_draws_itself_is_a_picture() -> None:
    figure = matplotlib.figure.Figure(figsize=(2, 1))
    axes = figure.subplots()
    assert _picture(figure).data == _picture(axes).data
    assert _opened(_picture(PIL.Image.new("RGB", (9, 8)))).size == (9, 8)
    assert _picture(DisplayImage(data=PNG)).data == PNG

    class Drawing:
        def _repr_png_(self) -> bytes:
            return PNG

    assert _picture(Drawing()).data == PNG
    assert [type(block) for block in to_media([figure, PNG, ("https://x/y.png",)], "image")] == [Image] * 3


@pytest.mark.parametrize(
    ("array", "mode", "pixel"),
    [
        (np.full((20, 30), 7, np.uint8), "L", 7),
        (np.full((20, 30, 1), 7, np.uint8), "L", 7),
        (np.full((20, 30), True), "L", 255),
        (np.full((20, 30), 0.5), "L", 128),
        (np.full((20, 30), 1.0000001, np.float32), "L", 255),
        (np.full((20, 30), 200.4), "L", 200),
        (np.full((20, 30), np.nan), "L", 0),
        (np.full((20, 30), 200, np.int64), "L", 200),
        (np.full((20, 30), 0x7F00, np.uint16), "L", 127),
        (np.full((20, 30, 3), (1.0, 0.0, 0.5)), "RGB", (255, 0, 128)),
        (np.full((20, 30, 4), (1, 2, 3, 4), np.uint8), "RGBA", (1, 2, 3, 4)),
        (np.full((40, 30), 9, np.uint8)[::-2], "L", 9),
    ],
)
def test_an_array_is_the_picture_of_its_values(array: np.ndarray[Any, Any], mode: str, pixel: object) -> None:
    block = _picture(array)
    picture = _opened(block)
    assert (picture.size, picture.mode, picture.getpixel((1, 1))) == ((30, 20), mode, pixel)
    assert block.alt == "Array, 30 × 20 pixels"


def test_pictures_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(_saved(PIL.Image.new("L", (3000, 300)), "JPEG"))
    for value in (NOISE, PIL.Image.fromarray(NOISE), np.zeros((9000, 7)), tmp_path / "a.jpg"):
        block = _picture(value)
        assert len(block.data) <= 400_000
        assert max(_opened(block).size) <= 1568


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.zeros((2, 3, 2)), "shape 2 × 3 × 2 is no picture"),
        (np.zeros(5), "shape 5 is no picture"),
        (np.zeros((0, 3)), "shape 0 × 3 is no picture"),
        (np.full((2, 2), -5), "values from -5 to -5"),
        (np.full((2, 2), np.inf), "values from inf to inf"),
        (np.full((2, 2), 300), "values from 300 to 300"),
        (np.full((2, 2), "a"), "array of <U1"),
        (3, "An int is no picture. Give a figure, a PIL image, an array, a path"),
        ({"a": 1}, "A dict is no picture"),
        (None, "A NoneType is no picture"),
        (Audio(WAV), "An Audio is no picture"),
        ([], "no picture in an empty list"),
        (b"", "The picture is no picture. Give"),
        (WAV, "is no picture, but audio/wav"),
        (b"<svg></svg>", "SVG drawing"),
        (PNG[:50], "cannot be read as a picture"),
        ("no such file.png", "No file 'no such file.png'"),
        ("a\0b", "cannot be read"),
        (".", "is no file"),
        ("ftp://x/y.png", "is no http(s) address"),
        ("file:///etc/passwd", "is no http(s) address"),
        ("data:image/png;base64,%", "cannot be decoded"),
        ("data:image/png", "cannot be decoded"),
    ],
)
def test_what_is_no_picture_is_an_error_that_says_what_is(value: object, said: str) -> None:
    with pytest.raises(PromptError) as raised:
        to_media(value, "image")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_figure_that_cannot_be_drawn_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = matplotlib.figure.Figure()
    figure.text(0, 0, "$\\frac{$")
    with pytest.raises(PromptError, match="A Figure cannot be made a picture: ValueError: "):
        to_media(figure, "image")
    lines = go.Figure(go.Scatter(x=[1], y=[2]))
    monkeypatch.setattr(figures.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(PromptError) as raised:
        to_media(lines, "image")
    assert str(raised.value) == snapshot(
        "No picture of a plotly Figure as JSON (for a picture, run: pip install kaleido)."
    )


def test_files_addresses_and_bytes_are_sounds(tmp_path: Path) -> None:
    path = tmp_path / "talk.mp3"
    path.write_bytes(WAV)
    assert _sound(path) == _sound(str(path)) == _sound(WAV) == _sound(DisplayAudio(WAV)) == Audio(WAV, "audio/wav")
    assert _sound("https://x/a.mp3") == Audio(media_type="audio/mpeg", url="https://x/a.mp3")
    assert _sound(DisplayAudio(url="https://x/a", embed=False)) == Audio(url="https://x/a")
    assert _sound(b"\0\0\0\x20ftypisom").media_type == "audio/mp4"
    assert to_media((path, [WAV]), "audio") == (Audio(WAV), Audio(WAV))


@pytest.mark.parametrize(
    ("samples", "channels", "values"),
    [
        (np.array([1, -2], np.int16), 1, [1, -2]),
        (np.array([1 << 16, -1], np.int32), 1, [1, -1]),
        (np.array([128, 255, 0], np.uint8), 1, [0, 32512, -32768]),
        (np.array([0.0, 1.0, -0.5]), 1, [0, 32767, -16384]),
        (np.array([0.0, 2.0, np.nan], np.float32), 1, [0, 32767, 0]),
        (np.array([[1, 2], [3, 4]], np.int16), 2, [1, 2, 3, 4]),
        (np.stack([np.arange(9), np.arange(9)]).astype(np.int16), 2, [i for i in range(9) for _ in "lr"]),
    ],
)
def test_samples_are_a_sound(samples: np.ndarray[Any, Any], channels: int, values: list[int]) -> None:
    rate, found, written = _wav(_sound((16_000, samples)))
    assert (rate, found, written.tolist()) == (16_000, channels, values)
    assert _sound((samples, np.int64(16_000))) == _sound((16_000, samples))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ((0, np.zeros(3)), "samples a second, not 0"),
        ((float("nan"), np.zeros(3)), "samples a second, not nan"),
        ((8000, np.zeros((3, 3, 3))), "shape 3 × 3 × 3 is no sound"),
        ((8000, np.zeros(0)), "shape 0 is no sound"),
        ((8000, np.array(["a"])), "array of <U1 is no sound"),
        ((8000, np.zeros(20_000_000, np.int16)), "20,000,000 samples is too long"),
        (np.zeros(3), "An array alone does not say how fast it is played"),
        (PNG, "is no sound, but image/png"),
        (b"abc", "The sound is no sound. Give"),
        (("a", "b"), "No file 'a'"),
    ],
)
def test_what_is_no_sound_is_an_error_that_says_what_is(value: object, said: str) -> None:
    with pytest.raises(PromptError) as raised:
        to_media(value, "audio")
    assert said in str(raised.value)
