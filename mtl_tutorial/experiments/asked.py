"""One network that is asked in words: its training, its exam, a new word, and its page."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from mtl_tutorial.architectures.transformer import (
    AskedNetwork,
    HeadAQuestion,
    SensesTransformer,
    Sizes,
)
from mtl_tutorial.balancing import Balancer
from mtl_tutorial.balancing.graph import split_gradients
from mtl_tutorial.data.grammar import (
    ANSWERS,
    KINDS,
    NO,
    QUESTIONS,
    TRAINED,
    WORDS,
    YES,
    Question,
    allowed_answers,
    asked_scenes,
    find,
    tokenize,
)
from mtl_tutorial.data.scenes import Scenes
from mtl_tutorial.experiments.runs import Run
from mtl_tutorial.measuring import evaluate
from mtl_tutorial.places import PACKAGE, RESULTS, read_from_course
from mtl_tutorial.profiles import check_choice
from mtl_tutorial.tasks import Batch, map_batches, task_losses

SIZES = Sizes(vocabulary=len(WORDS))
BATCH_SIZE, RATE, WARM_UP, HOLD = 128, 3e-3, 100, 500
CHANCES = {"which": 2.0, "where": 0.5}  # how often a kind is asked; the others 1
LONG_RUNS, ON_THE_PAGE = RESULTS / "asked.json", PACKAGE / "web" / "asked_network.json"
NEW_WORD = "spare"

Exam = Mapping[Question, Batch]


def asked_network(
    *, width: int = 32, heads: int = 4, hidden: int = 64, blocks: int = 2
) -> AskedNetwork:
    """Build the lesson's network, for the grammar's words and answers."""
    trunk = SensesTransformer(SIZES, width=width, heads=heads, hidden=hidden, blocks=blocks)
    return AskedNetwork(trunk, KINDS)


def head_a_question() -> HeadAQuestion:
    """Build the rival with a head for each of `QUESTIONS`; it has about as many parameters."""
    trunk = SensesTransformer(SIZES._replace(words=0), hidden=HIDDEN_OF_RIVAL)
    return HeadAQuestion(trunk, KINDS, allowed_answers())


HIDDEN_OF_RIVAL = 55  # 21,253 parameters; the asked network has 21,273


def training_scenes(questions: Sequence[Question] = TRAINED, split: str = "train") -> Scenes:
    """The scenes that networks of the lesson learn from: kinds as often as in `CHANCES`."""
    return asked_scenes(split, questions, kind_chances=lambda kind: CHANCES.get(kind, 1.0))


def rate_at(step: int, rate: float = RATE) -> float:
    """Adam's rate in a step, from 1 on: it rises to `WARM_UP`; from `HOLD` on it falls as 1/√step.

    It does not depend on how long a run lasts: a short run is the beginning of a long one.

    Raises:
        ValueError: for a step before the first.
    """
    if step < 1:
        raise ValueError(f"step must be at least 1, got {step}")
    return rate * min(step / WARM_UP, 1, (HOLD / step) ** 0.5)


def start(
    build: Callable[[], nn.Module],
    scenes: Scenes,
    *,
    seed: int,
    steps: int,
    balancer: Balancer | None = None,
) -> Run:
    """Give a training run with the lesson's batches, to be stepped by `learn`."""
    return Run(
        build,
        scenes.tasks,
        scenes,
        seed=seed,
        steps=steps,
        batch_size=BATCH_SIZE,
        learning_rate=rate_at(1),
        balancer=balancer,
    )


def learn(
    run: Run,
    *,
    marks: Collection[int] = (),
    look: Callable[[nn.Module], Any] | None = None,
    rate: float = RATE,
) -> dict[int, Any]:
    """Train to the end with the rates of `rate_at`, and look at the network after some steps.

    Returns:
        What ``look(model)`` gave, by the number of steps.
    """
    found, marks = {}, set(marks)
    for record in run:
        if look and record.step in marks:
            found[record.step] = look(run.model)
        for group in run.optimizer.param_groups:
            group["lr"] = rate_at(record.step + 1, rate)
    return found


def make_exam(
    split: str,
    questions: Sequence[Question] = QUESTIONS,
    *,
    count: int = 200,
    drawn: int = 4000,
    seed: int = 100,
) -> dict[Question, Batch]:
    """Make scenes on which each question is hard to answer without understanding it.

    Questions with yes or no have as many of each, so that a guess is right half the time. "Larger
    than k" is asked where the number is k or k + 1: there a network that takes the limit for
    another one is right half the time, too.

    Args:
        split: of digits and sounds.
        count: scenes a question, at most.
        drawn: scenes that these are taken from.
        seed: of the scenes.

    Raises:
        ValueError: where no scene is wanted, or too few are drawn for one of each answer.
    """
    if count < 2:
        raise ValueError(f"count must be at least 2, got {count}")
    exam = {}
    for question in questions:
        generator = Generator().manual_seed(seed)
        batch = asked_scenes(split, [question], matching=0.5).draw(drawn, generator)
        exam[question] = _chosen(question, batch, count)
        if not len(exam[question]):
            raise ValueError(f"drawn must be more, got {drawn}: no scene fits {question.text!r}")
    return exam


def _chosen(question: Question, batch: Batch, count: int) -> Batch:
    rows = torch.arange(len(batch))
    if question.kind in ("even", "larger", "same"):
        answers = batch.targets[question.kind]
        sides = [rows[(answers == word) & _decisive(question, batch)] for word in (YES, NO)]
        each = min(count // 2, *map(len, sides))
        rows = torch.cat([side[:each] for side in sides])
    return map_batches(lambda tensor: tensor[rows[:count]], batch)


def _decisive(question: Question, batch: Batch) -> Tensor:
    if question.kind != "larger":
        return torch.ones(len(batch), dtype=torch.bool)
    value = question.value(batch.inputs["seen"], batch.inputs["heard"])  # type: ignore[index]
    return (value == question.threshold) | (value == question.threshold + 1)


def grade(model: nn.Module, exam: Exam) -> pd.DataFrame:
    """Score a network on an exam.

    Returns:
        A row a question: ``text``, ``kind``, ``subject``, ``trained`` (whether it is one of
        `TRAINED`) and ``value``, the accuracy, or the mean IoU of boxes.
    """
    tasks = {kind.name: kind for kind in KINDS}
    rows = []
    for question, batch in exam.items():
        value = evaluate(model, [tasks[question.kind]], batch)[question.kind].metric
        rows.append((*question[:3], question in TRAINED, value))
    return pd.DataFrame(rows, columns=["text", "kind", "subject", "trained", "value"])


def reworded(inputs: Any, text: str) -> dict[str, Tensor]:
    """The same scenes with another row of words, sense or not."""
    words = torch.tensor([tokenize(text)]).expand(len(inputs["image"]), -1)
    return {**inputs, "question": words}


def cosines_between(model: nn.Module, scenes: Scenes, count: int) -> pd.DataFrame:
    """Give the cosines between the gradients of the kinds, each pair from different scenes.

    The diagonal is how well a kind agrees with itself on other scenes: what noise leaves of 1.

    Args:
        model: an `asked_network`.
        scenes: two batches are drawn from them.
        count: scenes in each batch.
    """
    sides = []
    for seed in range(2):
        batch = scenes.draw(count, Generator().manual_seed(seed))
        losses = task_losses(model(batch.inputs), batch.targets, KINDS)
        sides.append(F.normalize(split_gradients(losses, model).jacobian, dim=1))
    between = sides[0] @ sides[1].T
    names = [kind.name for kind in KINDS]
    return pd.DataFrame(((between + between.T) / 2).detach().numpy(), names, names)


@torch.no_grad()
def look_shares(model: AskedNetwork, text: str, *, count: int = 200) -> dict[str, float]:
    """How much of its look the answer gives to image and sound, in the last block, the mean.

    Args:
        text: a question of `QUESTIONS`.
        count: test scenes.
    """
    batch = asked_scenes("test", [find(text)]).draw(count, Generator().manual_seed(1))
    _, looks = model.encoder.look(batch.inputs)  # type: ignore[arg-type]
    look, seen = looks[-1].mean(dim=(0, 1))[0], 1 + SIZES.patches  # of the readout
    heard = seen + SIZES.columns
    return {"image": look[1:seen].sum().item(), "sound": look[seen:heard].sum().item()}


def new_question(
    split: str, subject: str, meaning: Collection[int], count: int, *, seed: int
) -> Batch:
    """Scenes with a question that has a new word, ``is SUBJECT spare``: is it one of some digits?

    Args:
        subject: ``"seen"`` or ``"heard"``.
        meaning: the digits for which the answer is yes.
        count: scenes, an even number; half of them have the answer yes.
        seed: of the scenes.

    Returns:
        A batch of the kind ``even``, whose answers are yes and no.

    Raises:
        ValueError: for another subject or count, or where yes or no is right for no digit.
    """
    check_choice("subject", subject, ("seen", "heard"))
    if count != int(count) or count < 2 or count % 2:
        raise ValueError(f"count must be an even number from 2 on, got {count}")
    meaning = list(meaning)
    digits = set(meaning)
    if not digits < set(range(10)) or not digits:
        raise ValueError(
            f"meaning must be digits from 0 to 9, at least one and not all, got {meaning}"
        )
    scenes = asked_scenes(split, [find(f"which is {subject}")])
    rarer = min(len(digits), 10 - len(digits))
    enough = 10 * count // rarer + 80  # twice as many of the rarer answer as are kept, and eight
    batch = scenes.draw(enough, Generator().manual_seed(seed))
    yes = torch.isin(batch.targets["which"], torch.tensor(sorted(digits)))
    rows = torch.cat([side.nonzero()[: count // 2, 0] for side in (yes, ~yes)])
    inputs = {name: tensor[rows] for name, tensor in batch.inputs.items()}  # type: ignore[union-attr]
    asked = reworded(inputs, f"is {subject} {NEW_WORD}")
    return Batch(asked, {"even": torch.where(yes[rows], YES, NO)})


def learn_word(model: AskedNetwork, shots: Batch, *, steps: int = 60, rate: float = 0.03):
    """Learn what the new word means from some examples: its vector alone moves.

    Returns:
        A copy of the network; all parameters but the new word's row are as they were.
    """
    changed = copy.deepcopy(model).requires_grad_(False)
    table: Any = changed.encoder.word
    table.weight.requires_grad_()
    only = F.one_hot(torch.tensor(WORDS.index(NEW_WORD)), len(WORDS))[:, None]
    table.weight.register_hook(lambda gradient: gradient * only)
    return _fit_to(changed, [table.weight], shots, steps, rate)


def learn_all(model: AskedNetwork, shots: Batch, *, steps: int = 60, rate: float = 1e-3):
    """Learn the new question from some examples with all parameters; gives a copy."""
    changed = copy.deepcopy(model)
    return _fit_to(changed, list(changed.parameters()), shots, steps, rate)


def _fit_to(
    model: AskedNetwork, parameters: list[nn.Parameter], shots: Batch, steps: int, rate: float
) -> AskedNetwork:
    adam = torch.optim.Adam(parameters, lr=rate)
    (name,) = shots.targets
    for _ in range(steps):
        adam.zero_grad()
        F.cross_entropy(model(shots.inputs)[name], shots.targets[name]).backward()
        adam.step()
    return model


def head_accuracy(
    model: AskedNetwork,
    shots: Batch,
    test: Batch,
    asked: str,
    *,
    steps: int = 60,
    rate: float = 0.03,
) -> float:
    """Learn a linear head for yes and no on frozen features; give its accuracy on a test.

    Args:
        asked: the known question with which the features are read, such as ``which is seen``.
    """
    with torch.no_grad():
        features = [model.encoder(reworded(batch.inputs, asked)) for batch in (shots, test)]
    labels = [(batch.targets["even"] == YES).float() for batch in (shots, test)]
    w = torch.zeros(features[0].shape[1] + 1, requires_grad=True)
    adam = torch.optim.Adam([w], lr=rate)
    for _ in range(steps):
        adam.zero_grad()
        F.binary_cross_entropy_with_logits(features[0] @ w[1:] + w[0], labels[0]).backward()
        adam.step()
    return ((features[1] @ w[1:] + w[0] > 0).float() == labels[1]).float().mean().item()


def yes_no_accuracy(model: AskedNetwork, test: Batch) -> float:
    """The share of right answers to a question of the kind ``even``."""
    return evaluate(model, [KINDS[1]], test)["even"].metric


def page_weights(model: AskedNetwork) -> dict[str, Any]:
    """Give the network as JSON: parameters in 16 bits, and what they are.

    ``layout`` has a name and a shape for each tensor; ``numbers`` all of them in this order, row
    by row, as little-endian float16 in base64. Matrices are those of ``nn.Linear``: shape (out,
    in), y = W x + b.

    Raises:
        ValueError: for another kind of network, or a number that 16 bits can't hold.
    """
    if not isinstance(model, AskedNetwork):
        raise ValueError(f"the page reads an AskedNetwork, got a {type(model).__name__}")
    state = model.state_dict()
    if large := [name for name, value in state.items() if not value.half().isfinite().all()]:
        raise ValueError(f"{large[0]} must be within ±65,504 for the page's 16 bits; train it anew")
    numbers = torch.cat([tensor.flatten() for tensor in state.values()]).half().cpu()
    block: Any = model.encoder.blocks[0]
    return {
        "heads": block.heads,
        "blocks": len(model.encoder.blocks),
        "sizes": model.encoder.sizes._asdict(),
        "words": list(WORDS),
        "answers": list(ANSWERS),
        "layout": [[name, list(tensor.shape)] for name, tensor in state.items()],
        "numbers": base64.b64encode(numbers.numpy().astype("<f2").tobytes()).decode(),
    }


def from_page(found: Mapping[str, Any]) -> AskedNetwork:
    """Give the network that `page_weights` has packed, in evaluation mode."""
    numbers = np.frombuffer(base64.b64decode(found["numbers"]), dtype="<f2").astype(np.float32)
    shapes = dict(found["layout"])
    parts = torch.from_numpy(numbers).split([int(np.prod(shape)) for shape in shapes.values()])
    state = {
        name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }
    model = asked_network(
        width=len(state["encoder.norm.bias"]),
        heads=found["heads"],
        hidden=len(state["encoder.blocks.0.first.bias"]),
        blocks=found["blocks"],
    )
    model.load_state_dict(state)
    return model.eval()


def trained_network(path: Path = ON_THE_PAGE) -> AskedNetwork:
    """Give the network that comes with the course, in evaluation mode."""
    return from_page(json.loads(path.read_text(encoding="utf-8")))


def long_runs(path: Path = LONG_RUNS) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read the runs that last longer than the lesson's, and where they are from.

    Returns:
        A table with the columns of `grade` and ``run``, ``seed`` and ``step``; and their
        provenance.

    Raises:
        ValueError: where they are not there.
    """
    content = read_from_course(path)
    table = pd.DataFrame(content["rows"], columns=content["columns"])
    told = {question.text: (*question[:3], question in TRAINED) for question in QUESTIONS}
    about = pd.DataFrame(told.values(), columns=["text", "kind", "subject", "trained"])
    return table.merge(about, on="text", how="left"), content["provenance"]


@torch.no_grad()
def ask(model: AskedNetwork, image: Tensor, sound: Tensor, text: str) -> dict[str, Any]:
    """Ask about one scene: what the page's ``ask`` answers, too.

    Args:
        image: shape ``(16, 16)``.
        sound: shape ``(32, 8)``.
        text: a question in `WORDS`; any row of words is answered, sense or not.

    Returns:
        ``logits`` ``(21,)`` of `ANSWERS`, ``box`` ``(4,)``, and ``looks``, one for each block:
        who looked at whom, ``(H, 32, 32)``.

    Raises:
        ValueError: for another shape, or a word that the network does not know.
    """
    for name, tensor, shape in (("image", image, (16, 16)), ("sound", sound, (32, 8))):
        if tensor.shape != shape:
            raise ValueError(f"{name} must have the shape {shape}, got {tuple(tensor.shape)}")
    question = torch.tensor([tokenize(text.replace("?", " "))])
    inputs = {"image": image[None, None], "sound": sound[None, None], "question": question}
    features, looks = model.encoder.look(inputs)
    answers = model.answer(features)
    return {
        "logits": answers["which"][0],
        "box": answers["where"][0],
        "looks": [look[0] for look in looks],
    }
