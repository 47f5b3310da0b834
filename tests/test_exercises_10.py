"""Each plausible wrong answer in lesson 10 gets the hint that fits it."""

from __future__ import annotations

import pytest
import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.exercises.lesson_10 import q1, q2, q3, q4, q5
from mtl_tutorial.experiments import non_dominated

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4, "q5": q5}
LOSSES = torch.tensor([[1.0, 5], [2, 3], [3, 3], [4, 1], [2, 4]])
NETWORKS = torch.tensor([[0.90, 5], [0.80, 3], [0.85, 6], [0.70, 2], [0.75, 4]])


def at_most(q, p):
    return all(a <= b for a, b in zip(q, p, strict=True))


def below_in_some(q, p):
    return any(a < b for a, b in zip(q, p, strict=True))


def of_the_first_alone(q, p):
    return q[0] < p[0]


def of_two_losses(q, p):
    return at_most(q[:2], p[:2]) and below_in_some(q[:2], p[:2])


def of_first_and_last(q, p):
    return of_two_losses((q[0], q[-1]), (p[0], p[-1]))


def unpacks_two(q, p):
    (a, b), (c, d) = q, p
    return a <= c and b <= d and (a < c or b < d)


def entry_by_entry(q, p):
    return [a <= b for a, b in zip(q, p, strict=True)]


def chosen(keep) -> str:
    return "".join(letter for letter, kept in zip("ABCDE", keep.tolist(), strict=True) if kept)


WRONG = [
    ("q1", ["A", "B", "D", "E"], "that of task 2 is smaller"),
    ("q1", chosen(non_dominated(-LOSSES)), "large for good"),
    ("q1", "b", "good compromise"),
    ("q1", "AB", "Take each point"),
    ("q1", "AF", "yours has 'F'"),
    ("q1", 3, "Letters are needed"),
    ("q2", of_the_first_alone, "every loss of q"),
    ("q2", of_two_losses, "however many"),
    ("q2", of_first_and_last, "however many"),
    ("q2", unpacks_two, "however many"),
    ("q2", entry_by_entry, "use all and any"),
    ("q2", lambda q, p: "yes", "use all and any"),
    ("q2", lambda q, p: 1.5, "True or False is needed"),
    ("q3", chosen(non_dominated(NETWORKS)), "small accuracy for good"),
    ("q3", chosen(non_dominated(-NETWORKS)), "long time for good"),
    ("q3", chosen(non_dominated(NETWORKS * torch.tensor([1.0, -1]))), "Both are turned round"),
    ("q3", "A", "Turn one of the two round"),
    ("q4", 0.9, "derivative"),
    ("q5", "f", "is needed"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


@pytest.mark.parametrize("answer", ["ABD", "d, b, a", ["A", "B", "D"], {"a", "b", "d"}])
def test_letters_may_come_in_any_order_and_form(answer, capsys) -> None:
    assert "Correct." in told(q1, answer, capsys)


def test_a_dominance_of_tensors_is_right_too(capsys) -> None:
    def dominates(q, p):
        q, p = torch.tensor(q), torch.tensor(p)
        return (q <= p).all() & (q < p).any()

    assert "Correct." in told(q2, dominates, capsys)


def test_the_packages_front_is_right(capsys) -> None:
    assert "Correct." in told(q1, chosen(non_dominated(LOSSES)), capsys)
    turned = NETWORKS * torch.tensor([-1.0, 1])
    assert "Correct." in told(q3, chosen(non_dominated(turned)), capsys)


def test_the_weight_of_exercise_4_leads_to_its_point(capsys) -> None:
    first = torch.linspace(0.5, 4, 3501, dtype=torch.float64)
    least = first[(0.2 * first + 0.8 / first).argmin()]
    assert least.item() == pytest.approx(2)


def test_the_numbers_in_the_hints_of_exercise_5_are_right() -> None:
    points = torch.tensor([[0.0, 10], [4, 7], [7, 4], [10, 0]])
    weighted = points * torch.tensor([0.6, 0.4])
    assert weighted.sum(1).tolist() == pytest.approx([4, 5.2, 5.8, 6])
    assert weighted.amax(1).tolist() == pytest.approx([4, 2.8, 4.2, 6])
    turned = points * torch.tensor([0.4, 0.6])
    assert (turned.sum(1).argmin(), turned.amax(1).argmin()) == (3, 2)  # S and R, choice d
