"""Figures become pictures: what the person sees in the notebook is what the model sees."""

from __future__ import annotations

import importlib.util
import io
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from agentnb.messages import Content, Image, Text
from agentnb.prompting.budget import CHARS_PER_TOKEN, one_line
from agentnb.prompting.pictures import LONGEST_SIDE, image_from_bytes, image_from_pillow, image_type, png_size
from agentnb.prompting.tree import json_text

if TYPE_CHECKING:
    import matplotlib.figure
    import PIL.Image

#: Kaleido starts a browser for each picture: 3 seconds where all is well, for ever where it is not.
PLOTLY_SECONDS = 20.0


class DisplayImage(Protocol):
    """What is used of `IPython.display.Image`."""

    data: bytes | str | None
    url: str | None


def display_image(value: DisplayImage, budget: int) -> tuple[Content, ...] | None:  # noqa: ARG001  as above
    """The picture itself, or its URL; None for one that holds neither."""
    if isinstance(value.data, bytes) and image_type(value.data):
        return (image_from_bytes(value.data, "Image"),)
    return (Image(url=value.url, alt="Image"),) if value.url else None


class _PlotlyNode(Protocol):
    def to_plotly_json(self) -> dict[str, object]: ...


class PlotlyFigure(Protocol):
    """What is used of a plotly figure; plotly has no types of its own."""

    layout: _PlotlyNode
    data: tuple[_PlotlyNode, ...]

    def to_image(self, *, format: str) -> bytes:  # noqa: A002  plotly's word
        """The figure drawn by kaleido."""


def matplotlib_figure(value: matplotlib.figure.Figure, budget: int) -> tuple[Content, ...]:  # noqa: ARG001  a picture has its own limits
    """The figure as the inline backend shows it; its canvas, its dpi and pyplot's state stay as they are."""
    out = io.BytesIO()
    dpi = min(value.get_dpi(), LONGEST_SIDE / max(value.get_size_inches()))
    value.savefig(out, format="png", dpi=dpi, bbox_inches="tight")
    return (_figure_image(out.getvalue()),)


def _figure_image(data: bytes) -> Image:
    width, height = png_size(data)
    return image_from_bytes(data, f"Figure, {width} × {height} pixels")


def matplotlib_part(value: object, budget: int) -> tuple[Content, ...] | None:
    """Axes, artists and seaborn grids: the whole figure they belong to; None where there is none."""
    figure = getattr(value, "figure", None)
    while figure is not None and (parent := getattr(figure, "figure", figure)) is not figure:
        figure = parent  # out of a subfigure
    return None if figure is None or not hasattr(figure, "savefig") else matplotlib_figure(figure, budget)


def pillow_image(value: PIL.Image.Image, budget: int) -> tuple[Content, ...]:  # noqa: ARG001  a picture has its own limits
    """Scaled, PNG or JPEG."""
    return (image_from_pillow(value, f"Image, {value.width} × {value.height} pixels"),)


def plotly_figure(value: PlotlyFigure, budget: int) -> tuple[Content, ...]:
    """A picture through kaleido; without it, the figure's JSON cut to the budget, and a line that says why."""
    if importlib.util.find_spec("kaleido") is None:
        return _plotly_json(value, "for a picture, run: pip install kaleido", budget)
    data, problem = _within(PLOTLY_SECONDS, lambda: bytes(value.to_image(format="png")))
    if data is None:
        return _plotly_json(value, f"kaleido made no picture: {problem}", budget)
    return (_figure_image(data),)


def _within(seconds: float, make: Callable[[], bytes]) -> tuple[bytes | None, str]:
    """What `make` gives, or None and the reason; a thread that does not end in time is left behind."""
    made: list[bytes] = []
    problem = [f"no answer within {seconds:g} seconds"]

    def work() -> None:
        try:
            made.append(make())
        except Exception as error:  # kaleido, its browser and the figure may raise anything; the JSON still tells it
            problem[0] = one_line(f"{type(error).__name__}: {error}", 150)

    thread = threading.Thread(target=work, name="agentnb-plotly", daemon=True)
    thread.start()
    thread.join(seconds)
    return (made[0], "") if made else (None, problem[0])


def _plotly_json(value: PlotlyFigure, note: str, budget: int) -> tuple[Content, ...]:
    layout = {key: part for key, part in value.layout.to_plotly_json().items() if key != "template"}
    # One by one: the figure's own to_dict() packs arrays into base64, which says nothing to a model.
    figure = {"layout": layout, "data": [trace.to_plotly_json() for trace in value.data]}
    title = f"plotly Figure as JSON ({note}):"
    return (Text(f"{title}\n{json_text(figure, budget * CHARS_PER_TOKEN - len(title))}"),)
