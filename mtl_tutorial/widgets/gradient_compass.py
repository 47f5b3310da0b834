"""The gradient compass: gradients that are dragged, and what each method makes of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import traitlets

from mtl_tutorial.widgets.explorable import Explorable, Fixed, Number, Point, Switch
from mtl_tutorial.widgets.limits import check_within

REACH = 2.6  # of the drawn plane
METHODS = ("sum", "PCGrad", "MGDA", "UPGrad", "CAGrad", "IMTL-G", "gradient-norm weights")


class Methods(traitlets.List):
    """Some of `METHODS`, in their order."""

    def validate(self, obj, value):
        """Give them back.

        Raises:
            TraitError: naming the methods and the value.
        """
        unknown = [name for name in value if name not in METHODS]
        if unknown:
            raise traitlets.TraitError(
                f"methods must be of {', '.join(map(repr, METHODS))}, got {unknown[0]!r}"
            )
        return [name for name in METHODS if name in value]


class GradientCompass(Explorable):
    """Drag two gradients, or three; see the methods' directions, and what they do to each loss.

    Args:
        angle: between the gradients at the start, in degrees, 0 to 180.
        length: of the second, with 1 for the first, 0.1 to 2.5.
        methods: those that are shown at the start; see ``METHODS``.
        needles: measured pairs to replay, each (length of g₁, length of g₂, cosine).
        state: any of the traits to begin with.

    Raises:
        ValueError: for another angle or length, or a needle with a cosine outside −1 to 1.
        TraitError: for an unknown method.
    """

    module = "gradient_compass"
    g1 = Point("g1", (1.0, 0.0), -REACH, REACH)
    g2 = Point("g2", (-1.0607, 1.0607), -REACH, REACH)
    g3 = Point("g3", (0.3, 1.5), -REACH, REACH)
    third, parts = Switch(False), Switch(False)
    methods = Methods(["sum", "PCGrad", "MGDA"]).tag(sync=True)
    needles, needle = Fixed(), Number("needle", 0, 0, 1e6)

    def __init__(
        self,
        angle: float = 135,
        length: float = 1.5,
        methods: Sequence[str] = ("sum", "PCGrad", "MGDA"),
        needles: Iterable[Sequence[float]] = (),
        **state: Any,
    ) -> None:
        check_within("angle", angle, 0, 180)
        check_within("length", length, 0.1, 2.5)
        radians = math.radians(angle)
        tip = [round(length * math.cos(radians), 4), round(length * math.sin(radians), 4)]
        pairs = [[float(f"{number:.4g}") for number in pair] for pair in needles]
        for pair in pairs:
            if len(pair) != 3 or min(pair[:2]) < 0 or not -1 <= pair[2] <= 1:
                raise ValueError(
                    "a needle is two lengths from 0 on and a cosine from -1 to 1, got "
                    f"{tuple(pair)}"
                )
        super().__init__(**{"g2": tip, "methods": list(methods), "needles": pairs} | state)
