"""The one canvas: a figure as a picture that can be redrawn, with a sentence below it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.spines import Spine
from PIL import Image

from mtl_tutorial.plots import STYLE

Draw = Callable[..., str]
WIDTH = 900  # of every picture on the page, in CSS pixels
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
        return _bundle(self.png, self.description), {"image/png": {"width": WIDTH}}


def show(draw: Draw, *args: Any, size: tuple[float, float] = (9, 4), **kwargs: Any) -> Picture:
    """Give the picture that ``draw(figure, *args, **kwargs)`` draws; ``size`` is in inches."""
    return Picture(*Stage(draw, size, STILL_DPI).render(*args, **kwargs))


class View(ipywidgets.VBox):
    """A picture that can be redrawn, between controls, with a sentence that changes with it.

    Before it is run, a reader of the notebook sees the picture that was committed.

    Args:
        draw: ``draw(figure, *args, **kwargs)`` fills a figure and describes it in one line.
        size: width and height of the figure in inches.
        above: controls over the picture.
        below: controls under the sentence.
    """

    def __init__(
        self,
        draw: Draw,
        *,
        size: tuple[float, float] = (9, 4),
        above: Sequence[ipywidgets.Widget] = (),
        below: Sequence[ipywidgets.Widget] = (),
    ) -> None:
        self._stage, self._description = Stage(draw, size, LIVE_DPI), ""
        height = round(WIDTH * size[1] / size[0])
        self.image = ipywidgets.Image(
            format="png",
            layout={"width": f"{WIDTH}px", "height": f"{height}px", "max_width": "none"},
        )
        self.sentence = ipywidgets.HTML(layout={"width": f"{WIDTH}px"})
        super().__init__([*above, self.image, self.sentence, *below])

    def redraw(self, *args: Any, sentence: str | None = None, **kwargs: Any) -> None:
        """Draw anew; the sentence is the picture's description where none is given."""
        self.image.value, self._description = self._stage.render(*args, **kwargs)
        self.say(self._description if sentence is None else sentence)

    def say(self, sentence: str) -> None:
        """Change the sentence alone."""
        text = f'<p style="font-size:15px;line-height:1.45;margin:4px 8px">{sentence}</p>'
        if self.sentence.value != text:
            self.sentence.value = text

    def _repr_mimebundle_(self, **kwargs: Any):
        bundle = super()._repr_mimebundle_(**kwargs)
        return {**bundle, **_bundle(self.image.value, self._description)}


def _bundle(png: bytes, description: str) -> dict[str, str]:
    return {"image/png": base64.b64encode(png).decode(), "text/plain": description}
