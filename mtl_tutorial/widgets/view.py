"""The one canvas: a figure as a picture that can be redrawn, with a sentence below it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
import matplotlib
import numpy as np
import traitlets
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.spines import Spine
from PIL import Image

from mtl_tutorial.plots import STYLE
from mtl_tutorial.widgets.alt_text import described
from mtl_tutorial.widgets.explorable import Explorable

Draw = Callable[..., str]
ROW = {  # of controls
    "flex_flow": "row wrap",
    "align_items": "center",
    "grid_gap": "0 12px",
    "max_width": "100%",
}
LIVE_DPI, STILL_DPI = 100, 144


class Stage:
    """A figure whose frame is painted once and kept, so that only what changed is drawn again.

    Axes, ticks and grid stay in a background; lines, texts, images and titles go over it. The
    background is painted anew where the limits, ticks or labels have changed.

    Args:
        draw: ``draw(figure, *args, **kwargs)`` fills the figure, starting with
            ``plots.panels``, and describes it in one line.
        size: width and height in inches.
        dpi: pixels an inch.
    """

    def __init__(self, draw: Draw, size: tuple[float, float], dpi: int) -> None:
        self._draw = draw
        self._figure = Figure(figsize=size, dpi=dpi)
        self._canvas = FigureCanvasAgg(self._figure)
        self._frame: tuple | None = None
        self._background: Any = None

    def render(self, *args: Any, **kwargs: Any) -> tuple[bytes, str]:
        """Draw; give the PNG's bytes and the description."""
        with matplotlib.rc_context(STYLE):
            description = self._draw(self._figure, *args, **kwargs)
            self._paint()
        buffer = io.BytesIO()
        pixels = np.asarray(self._canvas.buffer_rgba())[..., :3]
        Image.fromarray(pixels).save(buffer, format="png", compress_level=1)
        return buffer.getvalue(), description

    def _paint(self) -> None:
        moving = [*self._figure.texts, *self._figure.legends]
        for axes in self._figure.axes:
            moving += [
                artist
                for artist in axes.get_children()
                if artist is not axes.patch and not isinstance(artist, (Axis, Spine))
            ]
        moving = [artist for artist in moving if artist.get_visible()]
        frame = tuple(map(_frame, self._figure.axes))
        if frame != self._frame:
            for artist in moving:
                artist.set_visible(False)
            self._canvas.draw()
            self._background = self._canvas.copy_from_bbox(self._figure.bbox)
            self._frame = frame
            for artist in moving:
                artist.set_visible(True)
        self._canvas.restore_region(self._background)
        for artist in sorted(moving, key=lambda artist: artist.get_zorder()):
            self._figure.draw_artist(artist)


def _frame(axes: Axes) -> tuple:
    return (
        axes.axison,
        axes.get_position().bounds,
        *(
            (
                axis.get_view_interval().tolist(),
                axis.get_ticklocs().tolist(),
                axis.get_major_formatter().format_ticks(axis.get_ticklocs()),
                axis.get_label_text(),
                axis.get_scale(),
            )
            for axis in (axes.xaxis, axes.yaxis)
        ),
    )


class Picture:
    """A still picture, as the last line of a cell."""

    def __init__(self, png: bytes, description: str) -> None:
        self.png, self.description = png, description

    def _repr_mimebundle_(self, include=None, exclude=None):
        return described(base64.b64encode(self.png).decode(), self.description)


def show(draw: Draw, *args: Any, size: tuple[float, float] = (9, 4), **kwargs: Any) -> Picture:
    """Give the picture that ``draw(figure, *args, **kwargs)`` draws; ``size`` is in inches."""
    return Picture(*Stage(draw, size, STILL_DPI).render(*args, **kwargs))


class Shown(Explorable):
    """The picture of a view on the page, with its sentence; a screen reader gets both.

    Attributes:
        value: the picture, a PNG.
        alt: its description.
        sentence: stands below it, and is read out when it changes.
    """

    module = "picture"
    value = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    sentence = traitlets.Unicode().tag(sync=True)


def in_a_row(*controls: ipywidgets.Widget) -> ipywidgets.HBox:
    """Give controls in a row, which is broken where the page is narrow."""
    return ipywidgets.HBox(controls, layout=ROW)


class View(ipywidgets.VBox):
    """A picture that can be redrawn, between controls, with a sentence that changes with it.

    Before it is run, a reader of the notebook sees the picture that was committed.

    Args:
        draw: ``draw(figure, *args, **kwargs)`` fills a figure and describes it in one line.
        size: width and height of the figure in inches.
        above: controls over the picture.
        below: controls under the sentence.

    Attributes:
        image: the picture and the sentence as they are shown.
    """

    def __init__(
        self,
        draw: Draw,
        *,
        size: tuple[float, float] = (9, 4),
        above: Sequence[ipywidgets.Widget] = (),
        below: Sequence[ipywidgets.Widget] = (),
    ) -> None:
        self._stage = Stage(draw, size, LIVE_DPI)
        self.image = Shown()
        super().__init__([*above, self.image, *below])

    @property
    def sentence(self) -> str:
        """What is said below the picture."""
        return self.image.sentence

    def redraw(self, *args: Any, sentence: str | None = None, **kwargs: Any) -> None:
        """Draw anew; the sentence is the picture's description where none is given."""
        picture, description = self._stage.render(*args, **kwargs)
        with self.image.hold_sync():
            self.image.value, self.image.alt = picture, description
            self.image.sentence = description if sentence is None else sentence

    def say(self, sentence: str) -> None:
        """Change the sentence alone."""
        self.image.sentence = sentence

    def _repr_mimebundle_(self, **kwargs: Any):
        live = super()._repr_mimebundle_(**kwargs)
        data, metadata = described(base64.b64encode(self.image.value).decode(), self.image.alt)
        return {**live, **data}, metadata
