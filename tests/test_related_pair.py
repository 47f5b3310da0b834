"""The toy problem of the MMoE paper: two regressions at a cosine."""

from __future__ import annotations

import math

import pytest
import torch

from mtl_tutorial.data.related_pair import INPUTS, NOISE, WAVES, related_pair, taught


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def label_correlation(cosine: float) -> float:
    pair = related_pair(cosine, generator())
    answers = taught(torch.randn(20_000, INPUTS, generator=generator(1)), pair.teachers)
    return torch.corrcoef(answers.T)[0, 1].item()


@pytest.mark.parametrize("cosine", [-1.0, -0.3, 0.0, 0.5, 1.0])
def test_teachers_have_length_1_and_the_cosine_that_is_asked_for(cosine) -> None:
    first, second = related_pair(cosine, generator()).teachers
    assert first.norm().item() == pytest.approx(1, abs=1e-5)
    assert second.norm().item() == pytest.approx(1, abs=1e-5)
    assert (first @ second).item() == pytest.approx(cosine, abs=1e-5)


def test_labels_are_the_formula_plus_noise_of_the_size_that_is_said() -> None:
    pair = related_pair(0.5, generator())
    batch = pair.draw(4000, generator(1))
    for k, task in enumerate(pair.tasks):
        z = (batch.inputs * pair.teachers[k]).sum(1)
        clean = z + sum(torch.sin(alpha * z + beta) for alpha, beta in WAVES)
        rest = batch.targets[task.name][:, 0] - clean
        assert rest.mean().item() == pytest.approx(0, abs=4 * NOISE / math.sqrt(4000))
        assert rest.std().item() == pytest.approx(NOISE, rel=0.05)


def test_labels_correlate_more_where_teachers_are_nearer() -> None:
    found = [label_correlation(cosine) for cosine in (0.0, 0.5, 0.9, 0.97, 1.0)]
    assert found == sorted(found)
    assert abs(found[0]) < 0.03 and found[-1] == pytest.approx(1)


def test_many_pairs_are_answered_at_once() -> None:
    teachers = torch.stack([related_pair(p, generator(s)).teachers for s, p in enumerate((0, 1))])
    x = torch.randn(2, 7, INPUTS, generator=generator())
    both = taught(x, teachers)
    assert both.shape == (2, 7, 2)
    assert torch.allclose(both[1], taught(x[1], teachers[1]), atol=1e-5)


@pytest.mark.parametrize(
    ("correlation", "inputs", "words"),
    [(1.2, 50, "from -1 to 1, got 1.2"), (0.5, 1, "inputs must be at least 2, got 1")],
)
def test_what_can_not_be_drawn_is_refused(correlation, inputs, words) -> None:
    with pytest.raises(ValueError, match=words):
        related_pair(correlation, generator(), inputs=inputs)
