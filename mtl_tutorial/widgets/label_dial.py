"""The label dial: a task with few labels, alone and with helpers, from runs that were made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
import traitlets

from mtl_tutorial.experiments.few_labels import (
    AS_IT_COMES,
    MOMENTS,
    QUESTIONS,
    as_names,
    at_moment,
    companies,
    company_name,
    label_runs,
)
from mtl_tutorial.widgets.explorable import Choice, Explorable, Fixed, Number, Words, check_choice

HELPERS = ("digit", "box", "mask", "speaker")
SCORE = Number("value", 0, 0, 1)


class Helpers(traitlets.List):
    """Names of helpers; those that a task does not have are left alone."""

    def __init__(self) -> None:
        super().__init__(default_value=[])
        self.tag(sync=True)

    def validate(self, obj: Any, value: Any) -> list[str]:
        """Give the names as a list.

        Raises:
            TraitError: naming those that there are, and the value.
        """
        try:
            given = as_names(value or ())
        except TypeError:
            given = [value]
        return [check_choice("helpers", name, HELPERS) for name in given]


class LabelDial(Explorable):
    """Drag the number of labels, switch helpers, and see what they are worth.

    Args:
        task: shown first: ``"digit"``, ``"box"`` or ``"match"``.
        labels: of the task at the start, 10 to 1000.
        helpers: of the task at the start; none if left out.
        runs: as `label_runs` gives them; left out, those that come with the course.

    Raises:
        ValueError: where the runs are not there, or lack a company that a task of theirs can have.
        TraitError: for another task, number or helper.
    """

    module = "label_dial"
    curves = Fixed()
    own = Fixed()
    task = Words("task", lambda dial: [curve["task"] for curve in dial.curves])
    moment = Choice("moment", MOMENTS, AS_IT_COMES)
    helpers = Helpers()
    labels = Number("labels", 30, 10, 1000)

    def __init__(
        self,
        task: str = "box",
        labels: float = 30,
        helpers: Iterable[str] = (),
        runs: pd.DataFrame | None = None,
    ) -> None:
        curves = curves_of(label_runs()[0] if runs is None else runs)
        super().__init__(curves=curves, own=[], task=task, labels=labels, helpers=helpers)

    @classmethod
    def from_files(cls) -> dict[str, Any]:
        """Give the curves that come with the course."""
        return {"curves": curves_of(label_runs()[0])}

    def place(self, task: str, labels: int, helpers: Sequence[str], value: float) -> None:
        """Put a run of one's own into the picture, and turn the dial to it.

        Args:
            task, labels, helpers: as it was trained.
            value: the task's metric, 0 to 1.

        Raises:
            TraitError: for another task, number, helper or value; the dial stays as it was.
        """
        offered = QUESTIONS[LabelDial.task.validate(self, task)].helpers
        given = LabelDial.helpers.validate(self, helpers)
        names = [check_choice(f"helpers of {task!r}", name, offered) for name in given]
        count = LabelDial.labels.validate(self, labels)
        score = SCORE.validate(self, value)
        with self.hold_trait_notifications():
            self.task, self.labels, self.helpers = task, count, names
        self.own = [*self.own, {"task": task, "labels": count, "helpers": names, "value": score}]


def curves_of(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """Give a curve for each task, choice of helpers and moment, as the page reads it.

    Returns:
        ``labels``, and ``values`` with a row for each of them and a number a seed in it.

    Raises:
        ValueError: where there is no run, or a task lacks one of its companies, or a seed of it.
    """
    there = set(runs["task"])
    tasks = [task for task in QUESTIONS if task in there]
    if not tasks:
        raise ValueError(f"runs must be of {', '.join(map(repr, QUESTIONS))}, got none of them")
    curves = []
    for moment in MOMENTS:
        found = at_moment(runs, moment).set_index(["task", "helpers"]).sort_index()
        for task in tasks:
            made = found.loc[task]
            for helpers in companies(task):
                if (name := company_name(helpers)) not in made.index:
                    raise ValueError(f"runs of {task!r} must have each company, and lack {name!r}")
                own = made.loc[[name]]
                if len(own) < made["labels"].nunique() * made["seed"].nunique():
                    raise ValueError(
                        f"runs of {task!r} must have every seed at each number of labels"
                    )
                table = own.pivot(index="labels", columns="seed", values="value")
                curves.append(
                    {
                        "task": task,
                        "offered": list(QUESTIONS[task].helpers),
                        "helpers": list(helpers),
                        "moment": moment,
                        "steps": int(runs.loc[runs["task"] == task, "step"].max()),
                        "labels": [int(count) for count in table.index],
                        "values": [[round(v, 4) for v in row] for row in table.to_numpy().tolist()],
                    }
                )
    return curves
