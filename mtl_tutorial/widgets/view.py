"""The one canvas: a figure as a picture that can be redrawn, with a sentence below it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mtl_tutorial.plots import STYLE

Draw = Callable[..., str]
WIDTH = 900  # of every picture on the page, in CSS pixels
LIVE_DPI, STILL_DPI = 100, 160


def render(draw: Draw, *args: Any, size: tuple[float, float], dpi: int, **kwargs: Any):
    """Draw on a new figure.

    Args:
        draw: ``draw(figure, *args, **kwargs)`` fills the figure and describes it in a line.
        size: width and height in inches.
        dpi: pixels an inch.

    Returns:
        The PNG's bytes, and the description.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, dpi=dpi)
        FigureCanvasAgg(figure)
        description = draw(figure, *args, **kwargs)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", pil_kwargs={"compress_level": 1 if dpi == LIVE_DPI else 9})
    return buffer.getvalue(), description


class Picture:
    """A still picture, as the last line of a cell."""

    def __init__(self, png: bytes, description: str) -> None:
        self.png, self.description = png, description

    def _repr_mimebundle_(self, include=None, exclude=None):
        return _bundle(self.png, self.description), {"image/png": {"width": WIDTH}}


def show(draw: Draw, *args: Any, size: tuple[float, float] = (9, 4), **kwargs: Any) -> Picture:
    """Give the picture that ``draw(figure, *args, **kwargs)`` draws; ``size`` is in inches."""
    return Picture(*render(draw, *args, size=size, dpi=STILL_DPI, **kwargs))


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
        self._draw, self._size, self._description = draw, size, ""
        height = round(WIDTH * size[1] / size[0])
        self.image = ipywidgets.Image(
            format="png",
            layout={"width": f"{WIDTH}px", "height": f"{height}px", "max_width": "none"},
        )
        self.sentence = ipywidgets.HTML(layout={"width": f"{WIDTH}px"})
        super().__init__([*above, self.image, self.sentence, *below])

    def redraw(self, *args: Any, sentence: str | None = None, **kwargs: Any) -> None:
        """Draw anew; the sentence is the picture's description where none is given."""
        self.image.value, self._description = render(
            self._draw, *args, size=self._size, dpi=LIVE_DPI, **kwargs
        )
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
