"""Each plausible wrong answer in lesson 10 gets the hint that fits it."""

from __future__ import annotations

import pytest
import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.balancing.mgda import mgda_weights
from mtl_tutorial.exercises.lesson_10 import STEPS, q1, q2, q3, q4, q5
from mtl_tutorial.experiments import non_dominated
from mtl_tutorial.experiments.pareto import explore_front

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4, "q5": q5}
NETWORKS = torch.tensor([[0.90, 5], [0.80, 3], [0.85, 6], [0.70, 2], [0.75, 4]])


def chosen(keep) -> str:
    return "".join(letter for letter, kept in zip("ABCDE", keep.tolist(), strict=True) if kept)


def counts_points(points, reference):
    return float(len(points))


def gives_the_rectangles(points, reference):
    return [(reference[0] - a) * (reference[1] - b) for a, b in points]


def moves_nothing(gramian, a):
    return a


def gives_gamma(gramian, a):
    return torch.tensor(0.3)


def forgets_the_present_weights(gramian, a):
    return torch.nn.functional.one_hot(gramian.sum(0).argmin(), len(a)).double() / 2


WRONG = [
    ("q1", chosen(non_dominated(NETWORKS)), "Is a small accuracy good?"),
    ("q1", chosen(non_dominated(-NETWORKS)), "Is a long time good?"),
    ("q1", chosen(non_dominated(NETWORKS * torch.tensor([1.0, -1]))), "Which of the two is good?"),
    ("q1", "A", "Take each network"),
    ("q1", "AF", "yours has 'F'"),
    ("q1", 3, "Letters are needed"),
    ("q5", counts_points, "Draw the three points"),
    ("q5", gives_the_rectangles, "One number is needed"),
    ("q2", "f", "is needed"),
    ("q3", 0.7, "Bend the front"),
    ("q3", "1.45", "without quotation marks"),
    ("q4", moves_nothing, "the weights hardly move"),
    ("q4", gives_gamma, "2 numbers"),
    ("q4", forgets_the_present_weights, "by hand"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


@pytest.mark.parametrize("answer", ["ABD", "d, b, a", ["A", "B", "D"], {"a", "b", "d"}])
def test_letters_may_come_in_any_order_and_form(answer, capsys) -> None:
    assert "Correct." in told(q1, answer, capsys)


def test_the_packages_front_is_right(capsys) -> None:
    turned = NETWORKS * torch.tensor([-1.0, 1])
    assert "Correct." in told(q1, chosen(non_dominated(turned)), capsys)


def by_counting(points, reference, fine=400):
    """The area as the share of a fine grid that some point dominates."""
    lowest = [min(0.0, *(point[i] for point in points)) for i in (0, 1)]
    sides = [r - low for r, low in zip(reference, lowest, strict=True)]
    cells = torch.arange(fine).double().add(0.5) / fine
    a, b = (low + side * cells for low, side in zip(lowest, sides, strict=True))
    below = torch.zeros(fine, fine, dtype=torch.bool)
    for first, second in points:
        below |= (a >= first)[:, None] & (b >= second)
    return below.double().mean() * sides[0] * sides[1]


def test_the_area_is_that_of_what_is_dominated(capsys) -> None:
    assert "Correct." in told(q5, by_counting, capsys)


def test_the_numbers_of_exercise_3_are_those_of_its_hints() -> None:
    points = torch.tensor([[0.0, 10], [4, 7], [7, 4], [10, 0]])
    weighted = points * torch.tensor([0.6, 0.4])
    assert (weighted.sum(1).argmin(), weighted.amax(1).argmin()) == (0, 1)  # P and Q
    turned = points * torch.tensor([0.4, 0.6])
    assert (turned.sum(1).argmin(), turned.amax(1).argmin()) == (3, 2)  # S and R, choice d


def test_the_explorer_says_half_at_the_right_distance_alone() -> None:
    stops = [round(0.6 + 0.05 * i, 2) for i in range(37)]
    half = [d for d in stops if round(explore_front(d, 0.4).share, 2) == 0.5]
    assert half == [1.45]


def test_frank_wolfe_steps_lead_to_mgda() -> None:
    step = q4.verdict
    namespace: dict = {}
    exec(q4.solution_code, namespace)
    assert step(namespace["answer"]) is None
    for gramian, a in STEPS:
        for _ in range(2000):
            a = namespace["answer"](gramian, a)
        assert torch.allclose(a, mgda_weights(gramian), atol=1e-3)


def test_a_step_of_lists_and_of_another_form_is_right(capsys) -> None:
    def along_the_line(gramian, a):
        corner = torch.nn.functional.one_hot((gramian @ a).argmin(), len(a)).double()
        apart = a - corner
        gamma = (a @ gramian @ apart / (apart @ gramian @ apart)).clamp(0, 1)
        return (a - gamma * apart).tolist()

    assert "Correct." in told(q4, along_the_line, capsys)
