"""The relatedness lab: two linear tasks at an angle, and when learning them jointly hurts."""

from __future__ import annotations

from mtl_tutorial.experiments.relatedness import FEWEST, MOST, check_samples
from mtl_tutorial.widgets.explorable import Explorable, Number, Numbers


class RelatednessLab(Explorable):
    """Turn two linear tasks apart; see when learning them jointly hurts one or both.

    Args:
        angle: between the teachers at the start, in degrees, 0 to 180.
        samples: of the two tasks at the start, 15 to 120 each.
        noise: on the answers, at the start, 0.1 to 2; teachers have length 1.

    Raises:
        ValueError: for other samples.
        TraitError: for another angle or noise.
    """

    module = "relatedness_lab"
    angle = Number("angle", 30, 0, 180)
    noise = Number("noise", 1, 0.1, 2)
    samples = Numbers("samples", 2, FEWEST, MOST, default=(20, 60))
    seed = Number("seed", 1, 0, 2**31)

    def __init__(
        self, angle: float = 30, samples: tuple[int, int] = (20, 60), noise: float = 1.0
    ) -> None:
        check_samples(samples)
        super().__init__(angle=angle, samples=list(samples), noise=noise)
