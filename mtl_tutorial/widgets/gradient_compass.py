"""The gradient compass: two gradients by angle and length, and what each method makes of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import ipywidgets
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Wedge

from mtl_tutorial.balancing import mgda, pcgrad
from mtl_tutorial.plots import BLACK, BLUE, GREEN, GREY, PURPLE, SKY, VERMILION, panels
from mtl_tutorial.widgets.events import redraw_on_moves
from mtl_tutorial.widgets.limits import check_within
from mtl_tutorial.widgets.view import View

METHOD_COLOURS = {"sum": BLACK, "PCGrad": SKY, "MGDA": PURPLE}
TASK_COLOURS = (BLUE, VERMILION)
REACH = 2.6  # of the drawn plane


@dataclass(frozen=True)
class Compass:
    """Two gradients in the plane, and the directions that come of them.

    Args:
        angle: between them, in degrees.
        gradients: g_1 = (1, 0) and g_2, shape ``(2, 2)``.
        directions: d by method, shape ``(2,)``; the step goes against it.
        changes: −g_i · d by method: the first-order change of each loss, a unit of learning rate.
    """

    angle: float
    gradients: torch.Tensor
    directions: dict[str, torch.Tensor]
    changes: dict[str, tuple[float, float]]


def compute_compass(angle: float, length: float) -> Compass:
    """Work out the directions.

    Args:
        angle: between the gradients, 0 to 180 degrees.
        length: ‖g_2‖, with ‖g_1‖ = 1.
    """
    radians = math.radians(angle)
    gradients = torch.tensor(
        [[1.0, 0.0], [length * math.cos(radians), length * math.sin(radians)]],
        dtype=torch.float64,
    )
    directions = {"sum": gradients.sum(0), "PCGrad": pcgrad(gradients), "MGDA": mgda(gradients)}
    changes = {name: tuple((-gradients @ d).tolist()) for name, d in directions.items()}
    return Compass(angle, gradients, directions, changes)


def draw_compass(figure: Figure, compass: Compass) -> str:
    """Draw the arrows, the cone of directions that help both, and the change of each loss."""
    plane, bars = panels(figure, 1, 2)[0]
    plane.set_position([0.02, 0.06, 0.44, 0.82])
    bars.set_position([0.56, 0.15, 0.42, 0.73])
    plane.set(xlim=(-REACH, REACH), ylim=(-0.8, REACH), aspect="equal")
    plane.set_axis_off()
    cone = Wedge((0, 0), 4 * REACH, compass.angle - 90, 90, color=GREEN, alpha=0.15, linewidth=0)
    plane.add_patch(cone)
    middle = math.radians(compass.angle / 2)
    if compass.angle < 175:
        place = (2.2 * math.cos(middle), 2.2 * math.sin(middle))
        plane.text(*place, "helps both", color=GREEN, ha="center", va="center")
    tasks = zip(("g₁", "g₂"), compass.gradients.tolist(), TASK_COLOURS, strict=True)
    for name, vector, colour in tasks:
        _arrow(plane, vector, name, colour, width=3.5)
    for name, vector in compass.directions.items():
        _arrow(plane, vector.tolist(), name, METHOD_COLOURS[name], width=2)
    plane.set_title("Two gradients and what becomes of them")
    for row, changes in enumerate(compass.changes.values()):
        for i, (change, colour) in enumerate(zip(changes, TASK_COLOURS, strict=True)):
            bars.barh(row + 0.2 * (2 * i - 1), change, height=0.36, color=colour)
    widest = max(0.5, *(abs(c) for changes in compass.changes.values() for c in changes))
    bars.axvline(0, color=GREY, linewidth=1)
    bars.set(xlim=(-1.1 * widest, 1.1 * widest), ylim=(len(compass.changes) - 0.5, -0.5))
    bars.set_yticks(range(len(compass.changes)), list(compass.changes))
    bars.set(xlabel="first-order change of each loss")
    bars.grid(axis="y", visible=False)
    bars.set_title("Left of 0: this loss falls")
    return describe_compass(compass)


def _arrow(axes, vector, name: str, colour: str, *, width: float) -> None:
    x, y = vector
    if math.hypot(x, y) < 0.02:
        axes.plot(0, 0, "o", color=colour)
        axes.annotate(f"{name} = 0", (0, 0), xytext=(8, -14), textcoords="offset points",
                      color=colour)  # fmt: skip
        return
    head = {"arrowstyle": "-|>", "color": colour, "linewidth": width, "mutation_scale": 16,
            "shrinkA": 0, "shrinkB": 0}  # fmt: skip
    axes.annotate("", (x, y), (0, 0), arrowprops=head)
    away = 0.16 / math.hypot(x, y)
    axes.text(x + away * x, y + away * y, name, color=colour, fontweight="bold",
              ha="center", va="center")  # fmt: skip


def describe_compass(compass: Compass) -> str:
    """Say whether the gradients conflict, and whom each method hurts."""
    cosine = math.cos(math.radians(compass.angle))
    word = "They conflict" if cosine < -1e-9 else "They do not conflict"
    parts = []
    for name, changes in compass.changes.items():
        hurt = [str(i + 1) for i, change in enumerate(changes) if change > 1e-9]
        parts.append(f"{name} hurts task {' and '.join(hurt)}" if hurt else f"{name} hurts nobody")
    length = compass.gradients[1].norm().item()
    return (
        f"Angle {compass.angle:.0f}°, cosine {cosine:.2f}, g₂ is {length:.2f} times as long as g₁. "
        f"{word}: {', '.join(parts)}."
    )


class GradientCompass(View):
    """Turn two gradients; see the sum, PCGrad and MGDA, and what each does to both losses.

    Args:
        angle: between the gradients at the start, in degrees, 0 to 180.
        length: of the second, with 1 for the first, 0.1 to 2.5.

    Raises:
        ValueError: for another angle or length.
    """

    def __init__(self, angle: float = 135, length: float = 1.5) -> None:
        check_within("angle", angle, 0, 180)
        check_within("length", length, 0.1, 2.5)
        style = {"style": {"description_width": "110px"}, "layout": {"width": "350px"}}
        self.angle = ipywidgets.FloatSlider(
            value=angle, min=0, max=180, step=5, description="angle, degrees", **style
        )
        self.length = ipywidgets.FloatSlider(
            value=length, min=0.1, max=2.5, step=0.1, description="length of g₂", **style
        )
        self.button = ipywidgets.Button(
            description="As it was", icon="undo", layout={"width": "120px"}
        )
        row = ipywidgets.HBox([self.button, self.angle, self.length], layout={"width": "900px"})
        super().__init__(draw_compass, size=(9, 3.7), above=[row])
        redraw_on_moves((self.angle, self.length), self._refresh, self.button)
        self._refresh()

    def _refresh(self) -> None:
        self.redraw(compute_compass(self.angle.value, self.length.value))
