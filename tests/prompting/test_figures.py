from __future__ import annotations

import io
import subprocess
import sys
import threading

import matplotlib as mpl
import matplotlib.figure
import numpy as np
import PIL.Image
import plotly.graph_objects as go
import pytest
from inline_snapshot import snapshot
from IPython.display import Image as DisplayImage
from IPython.display import Markdown

from agentnb.messages import Image, Text
from agentnb.prompting import figures, to_blocks

NOISE = np.random.default_rng(0).integers(0, 255, (900, 1200, 3), dtype=np.uint8)


def picture(value: object) -> Image:
    (block,) = to_blocks(value)
    assert isinstance(block, Image)
    return block


def opened(block: Image) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(block.data))


def test_a_matplotlib_figure_is_a_picture_and_stays_untouched() -> None:
    figure = mpl.figure.Figure(figsize=(4, 3))
    axes = figure.subplots()
    axes.plot([1, 2])
    canvas, dpi, size = figure.canvas, figure.dpi, tuple(figure.get_size_inches())
    block = picture(figure)
    assert block.media_type == "image/png"
    width, height = opened(block).size
    assert block.alt == f"Figure, {width} × {height} pixels"
    assert (figure.canvas, figure.dpi, tuple(figure.get_size_inches())) == (canvas, dpi, size)
    assert picture(axes).data == block.data
    assert picture(axes.lines[0]).data == block.data


def test_a_subfigure_shows_the_figure_it_is_in() -> None:
    figure = mpl.figure.Figure(figsize=(2, 2))
    part = figure.subfigures(1, 2)[0]
    part.subplots().plot([1, 2])
    assert picture(part).data == picture(figure).data


def test_pyplot_is_not_imported_and_its_figure_stays_current() -> None:
    code = (
        "import sys, matplotlib; matplotlib.use('agg'); from matplotlib.figure import Figure\n"
        "from agentnb.prompting import to_blocks\n"
        "to_blocks(Figure(figsize=(1, 1))); print('matplotlib.pyplot' in sys.modules)\n"
        "import matplotlib.pyplot as plt; first = plt.figure(figsize=(1, 1)); second = plt.figure(figsize=(1, 1))\n"
        "to_blocks(first); print(plt.gcf() is second, plt.get_fignums())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "False\nTrue [1, 2]\n", done.stderr


def test_a_large_figure_is_scaled_to_pixels_and_bytes() -> None:
    figure = mpl.figure.Figure(figsize=(40, 30))
    figure.subplots().imshow(NOISE)
    block = picture(figure)
    assert max(opened(block).size) <= 1568
    assert len(block.data) <= 400_000


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "HSV", "YCbCr"])
def test_every_pillow_mode_can_be_sent(mode: str) -> None:
    block = picture(PIL.Image.new(mode, (20, 10)))
    assert opened(block).size == (20, 10)
    assert block.alt == "Image, 20 × 10 pixels"


def test_a_photo_is_jpeg_and_a_drawing_png() -> None:
    photo = picture(PIL.Image.fromarray(NOISE).resize((2400, 1800)))
    assert photo.media_type == "image/jpeg"
    assert len(photo.data) <= 400_000
    assert max(opened(photo).size) <= 1568
    assert picture(PIL.Image.new("RGB", (3000, 300), "red")).media_type == "image/png"


def test_transparency_is_kept_or_becomes_white() -> None:
    assert opened(picture(PIL.Image.new("RGBA", (9, 9), (0, 0, 0, 0)))).mode == "RGBA"
    noisy = PIL.Image.fromarray(NOISE).convert("RGBA")
    noisy.putalpha(0)
    pixel = opened(picture(noisy)).getpixel((5, 5))
    assert pixel == (255, 255, 255)


def test_ipython_display_objects_are_what_they_show() -> None:
    block = picture(PIL.Image.new("RGB", (9, 9)))
    assert picture(DisplayImage(data=block.data)).data == block.data
    assert picture(DisplayImage(url="https://example.org/x.png")).url == "https://example.org/x.png"
    assert to_blocks(Markdown("**x**")) == (Text("**x**"),)


class FakePlotly(go.Figure):
    """A figure whose renderer fails."""

    def to_image(self, *_args: object, **_kwargs: object) -> bytes:
        raise RuntimeError("no browser\nwas found")


def test_a_plotly_figure_that_cannot_be_drawn_is_told_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = FakePlotly(go.Scatter(x=np.arange(500), y=np.arange(500.0)), layout={"title": {"text": "Sales"}})
    monkeypatch.setattr(figures.importlib.util, "find_spec", lambda _name: None)
    (block,) = to_blocks(figure, 100)
    assert isinstance(block, Text)
    assert block.text == snapshot("""\
plotly Figure as JSON (for a picture, run: pip install kaleido):
{
  "layout": {"title": {"text": "Sales"}},
  "data": [
    {
      "x": [0, 1, 2, 3, 4, … 495 of 500 items left out …],
      "y": [0.0, 1.0, 2.0, … 497 of 500 items left out …],
      "type": "scatter"
    }
  ]
}\
""")
    monkeypatch.setattr(figures.importlib.util, "find_spec", lambda _name: object())
    (block,) = to_blocks(figure, 100)
    assert isinstance(block, Text)
    assert block.text.startswith("plotly Figure as JSON (kaleido made no picture: RuntimeError: no browser was found):")


def test_a_renderer_that_hangs_is_left_behind() -> None:
    never = threading.Event()
    data, problem = figures._within(0.05, lambda: bytes(never.wait(30)))
    never.set()
    assert (data, problem) == (None, "no answer within 0.05 seconds")


def test_kaleido_draws_a_plotly_figure() -> None:
    pytest.importorskip("kaleido", reason="kaleido is an optional dependency")
    (block,) = to_blocks(go.Figure(go.Scatter(x=[1, 2], y=[2, 1])))
    if isinstance(block, Text):
        pytest.skip(f"no browser for kaleido here: {block.text[:200]}")
    assert isinstance(block, Image)
    assert opened(block).size == (700, 500)
