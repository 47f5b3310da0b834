"""Exercises of lesson 01: parts of a task, overlap as metric and as loss, blind answers."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.data import located_digits
from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    Verdict,
    as_number,
    function,
    gradients,
    number,
    one_value,
    same_tensor,
    solution_of,
)
from mtl_tutorial.experiments import train
from mtl_tutorial.profiles import load_profile
from mtl_tutorial.tasks import Task, accuracy, mean_iou, pixel_iou


def _task_verdict(answer: Any) -> str | None:
    if isinstance(answer, type):
        raise AnswerError("That is the class `Task` itself. Call it: `Task(name, loss, ...)`.")
    if not isinstance(answer, Task):
        raise AnswerError(f"A `Task` is needed; yours is of type {type(answer).__name__}.")
    if answer.name != "parity":
        return f"The name is how targets are found: it has to be 'parity', not {answer.name!r}."
    if answer.out_features == 10:
        return "A head of width 10 answers which digit it is. What is asked here?"
    if answer.out_features == 1:
        return _one_logit_loss_hint(answer) or _one_logit_metric_hint(answer)
    if answer.out_features != 2:
        return f"Even or odd: how many classes are that? Your head has {answer.out_features}."
    return _parity_loss_hint(answer) or _parity_metric_hint(answer)


def _form_hint(loss: object) -> str | None:
    """Say what a value lacks to be trained on, if anything."""
    if not isinstance(loss, Tensor) or loss.ndim != 0:
        return "The loss has to be one number for the whole batch, as a tensor."
    if not loss.requires_grad:
        return "Your loss has no gradient, so training can't follow it. That one is a metric."
    return None


def _parity_loss_hint(task: Task) -> str | None:
    logits = torch.tensor([[2.0, -1.0], [0.5, 0.0], [-1.0, 3.0]], requires_grad=True)
    parity = torch.tensor([0, 1, 1])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the hint below says it better
            loss = task.loss(logits * 1, parity.clone())  # a copy, that may be changed in place
    except (RuntimeError, TypeError, ValueError) as error:
        return (
            f"The loss stopped on logits of shape (3, 2) and three class numbers: {error}. "
            f"Which loss did `digit` use?"
        )
    if hint := _form_hint(loss):
        return hint
    if abs(loss.item() - F.cross_entropy(logits, parity).item()) > 1e-4:
        return "The loss has a gradient, but it is not the cross-entropy that classes use."
    return None


def _parity_metric_hint(task: Task) -> str | None:
    logits = torch.tensor([[2.0, -1.0], [0.5, 0.0], [-1.0, 3.0]])
    parity = torch.tensor([0, 1, 1])
    score = one_value(task.metric(logits.clone(), parity.clone()))
    if abs(score - F.cross_entropy(logits, parity).item()) <= 1e-4:
        return "Your metric is the loss: smaller is better, in nats. People ask how many are right."
    if abs(score - accuracy(logits, parity).item()) > 1e-4:
        return f"Two of three answers are right, but the metric gives {score:.3g}. Which share?"
    return None


ODD = torch.tensor([1, 0, 1])
ONE_LOGIT = torch.tensor([[3.0], [-3.0], [3.0]])  # all right where odd is positive


def _one_logit_loss_hint(task: Task) -> str | None:
    """Look whether a loss of one output pulls it up for odd, and down for even."""
    near = torch.full((3, 1), 0.5, requires_grad=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the hints below say it better
            right, wrong, loss = (
                task.loss(x * 1, ODD.clone()) for x in (ONE_LOGIT, -ONE_LOGIT, near)
            )
    except IndexError:
        return (
            "Cross-entropy over classes compares their outputs with each other, and yours has one. "
            "What does each output of `digit` stand for?"
        )
    except (RuntimeError, TypeError, ValueError) as error:
        return (
            f"The loss stopped on logits of shape (3, 1) and three class numbers: {error}. "
            f"Which shape, and which type, has each of them?"
        )
    if hint := _form_hint(loss):
        return hint
    (pull,) = torch.autograd.grad(loss, near)
    signs = pull[:, 0].sign()
    if not right < wrong or not torch.equal(signs, 1.0 - 2 * ODD):
        return (
            "With one output per scene, the loss has to fall where that of an odd digit rises and "
            "that of an even one falls. Yours does not. Have output and class number one shape?"
        )
    return None


def _one_logit_metric_hint(task: Task) -> str | None:
    one_wrong = ONE_LOGIT * torch.tensor([[1.0], [1.0], [-1.0]])
    for logits, right in ((ONE_LOGIT, 3), (-ONE_LOGIT, 0), (one_wrong, 2)):
        score = one_value(task.metric(logits.clone(), ODD.clone()))
        if abs(score - right / 3) > 1e-4:
            return (
                f"With one output, positive for odd, {right} of three answers are right, but the "
                f"metric gives {score:.3g}. What does it make of one output?"
            )
    return None


STARTS = 6  # seeds of exercise 2
TOUCHES = 0.01  # mean IoU from which a network has found a box


@functools.cache
def _reached_on_iou() -> tuple[float, ...]:
    """The mean IoU of each seed's network after 50 steps on the loss 1 − IoU."""
    profile = load_profile()
    scenes = located_digits("train", digits=profile.digits, device=str(profile.device))
    held_out = located_digits("validation", digits=profile.digits, device=str(profile.device))
    validation = held_out.draw(512, torch.Generator().manual_seed(100))
    task = Task("box", lambda prediction, target: 1 - mean_iou(prediction, target), mean_iou, 4)
    reached = []
    for seed in range(STARTS):
        _, history = train(
            lambda: HardSharing(ConvEncoder(), [task]),
            [task],
            scenes,
            validation,
            seed=seed,
            steps=50,
        )
        reached.append(history.scores[-1][1]["box"].metric)
    return tuple(reached)


def _stuck_verdict(answer: Any) -> str | None:
    given = as_number(answer)
    if given != round(given) or not 0 <= given <= STARTS:
        return f"How many of {STARTS} networks: a whole number is needed, and yours is {given:g}."
    stuck = sum(score < TOUCHES for score in _reached_on_iou())
    if given == stuck:
        return None
    if given == STARTS - stuck:
        return "So many have learned. Asked is how many have not."
    if given in (0, STARTS):
        all_or_none = "all of them stand still" if given else "all of them learn"
        return f"You say that {all_or_none}. Have you looked at every seed from 0 to 5?"
    return (
        f"With 50 steps each, the same scenes and seeds 0 to 5, another number came out here than "
        f"{given:g}. Print each network's mean IoU on `validation`: which ones are 0?"
    )


SIDE, NO_INK = 28, -30.0  # of a mask; a logit whose pixel is sure to have none


def _two_pixels() -> tuple[Tensor, Tensor]:
    """One scene with two pixels in doubt, the first of them ink."""
    logits, true = torch.full((1, SIDE * SIDE), NO_INK), torch.zeros(1, SIDE, SIDE)
    logits[0, :2], true[0, 0, 0] = 0.0, 1.0
    return logits, true


def _scenes_of(*shares: float) -> tuple[Tensor, Tensor]:
    """A scene for each share of ink."""
    draws = torch.Generator().manual_seed(len(shares))
    logits = 3 * torch.randn(len(shares), SIDE * SIDE, generator=draws)
    noise = torch.rand(len(shares), SIDE, SIDE, generator=draws)
    return logits, (noise < torch.tensor(shares)[:, None, None]).float()


# Logits and true masks that a function for the soft IoU is tried on.
LOGITS_AND_MASKS = [_scenes_of(0.05, 0.9, 0.3), _two_pixels(), _scenes_of(0.2)]


def _soft_iou(prediction, target):
    ink, true = prediction.sigmoid(), target.flatten(1)
    overlap = (ink * true).sum(1)
    union = ink.sum(1) + true.sum(1) - overlap
    return (overlap / union).mean()


def _soft(squash, quotient):
    """A variant: what makes ink of logits, and what is divided; by scene unless it sums all."""

    def variant(prediction: Tensor, target: Tensor) -> Tensor:
        ink, true = squash(prediction), target.flatten(1)
        return quotient((ink * true).sum(1), ink.sum(1), true.sum(1)).mean()

    return variant


def _quotient(both: Tensor, ink: Tensor, true: Tensor) -> Tensor:
    return both / (ink + true - both)


def _by_pixel(prediction: Tensor, target: Tensor) -> Tensor:
    ink, true = prediction.sigmoid(), target.flatten(1)
    return _quotient((ink * true).sum(0), ink.sum(0), true.sum(0)).mean()


SOFT_MISTAKES = (
    (
        pixel_iou,
        "That is the metric itself: yes or no for each pixel, and nothing to follow. What stands "
        "in the formula in place of yes and no?",
    ),
    (
        _soft(lambda logits: logits, _quotient),
        "You count with the logits themselves. Which numbers from 0 to 1 stand for ink?",
    ),
    (
        _soft(lambda logits: logits.softmax(1), _quotient),
        "A softmax makes the pixels of a scene share one unit of ink. Is each pixel not asked by "
        "itself?",
    ),
    (
        _soft(torch.sigmoid, lambda both, ink, true: both.sum() / (ink + true - both).sum()),
        "You add up all scenes before you divide, so a large digit counts more than a small one. "
        "The metric is a mean over scenes.",
    ),
    (
        _by_pixel,
        "You sum over the scenes, and get a quotient for each pixel. Which axis holds the pixels "
        "of one scene?",
    ),
    (
        _soft(torch.sigmoid, lambda both, ink, true: 2 * both / (ink + true)),
        "That is Dice, twice the overlap by the sum of both. What does IoU divide by?",
    ),
    (
        _soft(torch.sigmoid, lambda both, ink, true: both / (ink + true)),
        "How often do you count the overlap in what you divide by?",
    ),
    (
        lambda prediction, target: 1 - _soft_iou(prediction, target),
        "That is the loss, 1 − IoU. Asked is the IoU itself, larger is better.",
    ),
)


def _one_number(value: Any, case: tuple) -> float:
    scenes = len(case[0])
    if isinstance(value, Tensor) and value.shape == (scenes,) != (1,):
        raise AnswerError(f"You give {scenes} numbers, one a scene; a loss needs their mean.")
    if isinstance(value, Tensor) and value.shape == (SIDE * SIDE,):
        raise AnswerError(
            f"You give {SIDE * SIDE} numbers, one a pixel. Which axis holds the pixels of a scene?"
        )
    return one_value(value)


def _soft_of_two_pixels(given: list) -> str:
    return (
        f"Do one scene by hand: two pixels have a logit of 0, so each is ink with a probability of "
        f"1/2, and one of them is ink. The others have a logit of {NO_INK:g} and are no ink. Yours "
        f"gives {given[1]:.3g}. What are overlap and union?"
    )


def _gradient_hint(soft_iou: Any) -> str | None:
    logits, true = LOGITS_AND_MASKS[0]
    logits = logits.clone().requires_grad_()
    given, right = (
        gradients(soft(logits * 1, true.clone()), [logits]) for soft in (soft_iou, _soft_iou)
    )
    if given is None or right is None:
        return "The number is right, but cut off from the logits: training can't follow it."
    if not same_tensor(*given, *right):
        return "The number is right, its gradient is not: a part is cut off from the logits. Which?"
    return None


@functools.cache
def _masks() -> tuple[Tensor, Tensor, float, float]:
    """Masks to score a fixed one on; the best by share of ink, its score, and all ink's."""
    profile = load_profile()
    seen, unseen = (
        located_digits(split, digits=profile.digits)
        .draw(2048, torch.Generator().manual_seed(number))
        .targets["mask"]
        for number, split in ((106, "train"), (107, "validation"))
    )
    share = seen.mean(0)
    cuts = torch.linspace(0.05, 0.6, 56).tolist()
    best = share > max(cuts, key=lambda cut: _fixed_score(share > cut, seen))
    return unseen, best, _fixed_score(best, unseen), _fixed_score(share > -1, unseen)


def _fixed_score(mask: Tensor, true: Tensor) -> float:
    return pixel_iou((mask.float() - 0.5).expand_as(true), true).item()


NEAR = 0.007  # by how much a fixed mask may miss the best


def _blind_mask_verdict(answer: Any) -> str | None:
    mask = torch.as_tensor(answer) if isinstance(answer, np.ndarray) else answer
    if not isinstance(mask, Tensor):
        kind = type(answer).__name__
        raise AnswerError(f"A tensor of shape (28, 28) is needed; yours is of type {kind}.")
    if mask.shape != (28, 28):
        raise AnswerError(
            f"One answer for each of 28 × 28 pixels is needed; yours has the shape "
            f"{tuple(mask.shape)}."
        )
    mask = mask.detach().cpu()
    if not torch.isin(mask.float(), torch.tensor([0.0, 1.0])).all():
        raise AnswerError(
            "Each pixel needs yes or no. Yours has numbers between: from which one on is it ink?"
        )
    mask = mask.bool()
    unseen, best, reach, all_ink = _masks()
    score = _fixed_score(mask, unseen)
    if score >= round(reach - NEAR, 3) - 0.0005:  # as it is written below
        return None
    if not mask.any():
        return "No pixel is ink in yours, and it scores 0. Is any pixel ink in so many scenes?"
    if mask.all():
        return f"All ink scores {score:.2f}. Which pixels are hardly ever ink?"
    found = (
        f"Yours scores {score:.3f} on scenes that it has not seen, all ink {all_ink:.3f}, and "
        f"{reach - NEAR:.3f} is needed."
    )
    if mask.sum() < 0.8 * best.sum():
        return f"{found} It marks {int(mask.sum())} pixels. What would some more cost, and gain?"
    if mask.sum() > 1.25 * best.sum():
        return f"{found} It marks {int(mask.sum())} pixels. Which of them are seldom ink?"
    return f"{found} It marks about as many pixels as pay. Are they those that are ink most often?"


q1 = Exercise(
    name="Exercise 1",
    verdict=_task_verdict,
    praise="Four things make a task, and two of them you could take over from `digit`.",
    hints=(
        "The name is new. Which of the other three parts of `digit` depend on the number of "
        "classes, and which would serve for any number?",
        "Two classes need a head of width 2. Loss and metric are those of every classification.",
    ),
    solution_code="""
from torch.nn import functional as F

from mtl_tutorial.tasks import Task, accuracy

answer = Task("parity", F.cross_entropy, accuracy, 2)
""",
)

q2 = Exercise(
    name="Exercise 2",
    verdict=Verdict(_stuck_verdict),
    praise="Their gradient is exactly zero, so no step ever moves them. Why theirs?",
    hints=(
        "`train_alone` gives a network. What does the network give for `validation.inputs`?",
        "`mean_iou` compares predicted boxes with true ones. Which of the targets are these?",
        "Print the six scores. With which of them can no further step change anything?",
    ),
    solution_code="""
import torch

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments import train
from mtl_tutorial.profiles import load_profile
from mtl_tutorial.tasks import Task, mean_iou

on_iou = Task("box", lambda predicted, true: 1 - mean_iou(predicted, true), mean_iou, 4)
digits = load_profile().digits
scenes, held_out = (located_digits(split, digits=digits) for split in ("train", "validation"))
validation = held_out.draw(512, torch.Generator().manual_seed(100))
scores = []
for seed in range(6):
    build = lambda: HardSharing(ConvEncoder(), [on_iou])
    _, history = train(build, [on_iou], scenes, validation, seed=seed, steps=50)
    scores.append(history.scores[-1][1]["box"].metric)

answer = sum(score == 0 for score in scores)
""",
)

q3 = Exercise(
    name="Exercise 3",
    verdict=function(
        _soft_iou,
        LOGITS_AND_MASKS,
        returns="the mean soft IoU",
        read=_one_number,
        mistakes=SOFT_MISTAKES,
        otherwise=_soft_of_two_pixels,
        then=_gradient_hint,
    ),
    praise="It is the pixel IoU where every pixel is sure, and has a gradient everywhere else.",
    hints=(
        "`prediction.sigmoid()` is p. It has shape (B, 784), and the target (B, 28, 28): "
        "`target.flatten(1)` gives both one shape.",
        "Sum over the pixels of each scene with `.sum(1)`. The mean over the scenes comes last.",
        "Overlap: the sum of p · t. Union: the sums of p and of t, without the overlap.",
    ),
    solution_code=solution_of(_soft_iou),
)

q4 = Exercise(
    name="Exercise 4",
    verdict=Verdict(_blind_mask_verdict),
    praise="The best that the checker found marks pixels that are ink in far fewer than half of "
    "the scenes. For the cross-entropy the line is at one half, so the best fixed answer by the "
    "loss is a bad one by the metric.",
    hints=(
        "`seen.targets['mask'].mean(0)` says in which share of the scenes a pixel is ink.",
        "Which pixels do you mark first, and when do you stop? One more pixel gains in the scenes "
        "where it is ink, and costs in the others.",
        "Does a pixel pay only where it is ink in half of the scenes? Score some masks with the "
        "code above.",
    ),
    solution_code="""
import torch

from mtl_tutorial.data import located_digits
from mtl_tutorial.profiles import load_profile

scenes = located_digits("train", digits=load_profile().digits)
seen = scenes.draw(2048, torch.Generator().manual_seed(101))
answer = seen.targets["mask"].mean(0) > 0.25
""",
)

q5 = Exercise(
    name="Exercise 5",
    verdict=number(
        9,
        tolerance=0.02,
        mistakes={
            5: "5 solves (s − 1) / s = 0.8. Is s all that both boxes cover together?",
            0.8: "0.8 is the IoU that you want. Which side gives it?",
            4: "With side 4 they share 3 columns of 5, and the IoU is 0.6. Larger or smaller?",
            10: "With side 10 they share 9 columns of 11, and the IoU is 0.82. Close.",
            8: "With side 8 they share 7 columns of 9, and the IoU is 0.78. Close.",
            17.485: "17.49 belongs to a move to the right and down. Here it is to the right alone.",
            9 / 28: "That is the right side, in sides of the image. It is asked for in pixels.",
            1 / 9: "That is the share of the side that one pixel is; the side is asked for.",
        },
        otherwise="Draw it with a side of 4 first. How many columns do both boxes have in common, "
        "and how many do they cover together?",
    ),
    praise="(9 − 1) / (9 + 1) = 0.8. Any smaller box falls below 0.8 for the same one pixel.",
    hints=(
        "Rows do not matter: the move is to the right alone. Count columns.",
        "With side 4 the boxes share 3 columns of 5. How many of how many with side 5, and 6?",
        "Write both numbers with s for the side. For which s is one 0.8 of the other?",
    ),
    solution_code="answer = 9  # (9 - 1) / (9 + 1) == 0.8",
)
