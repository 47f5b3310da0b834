"""A task with few labels sees those alone; the runs that come with the course are read as made."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import torch
from label_cases import made_up

from mtl_tutorial.experiments import few_labels
from mtl_tutorial.experiments.few_labels import (
    AS_IT_COMES,
    FROZEN,
    LABEL_RUNS,
    QUESTIONS,
    TABLES,
    TUNED,
    at_moment,
    companies,
    company_name,
    first_of,
    frozen_encoder,
    in_company,
    label_runs,
    labels_for,
    learn,
    network_for,
    scenes_for,
)
from mtl_tutorial.tasks import has_label


def test_a_task_is_asked_about_its_few_scenes_and_helpers_about_others() -> None:
    scenes = scenes_for("box", "train")
    few = first_of(scenes, 5)
    generator = torch.Generator().manual_seed(0)
    batch = next(in_company(few, scenes, "box", ["digit"], generator, batch_size=8))
    assert len(batch) == 16 and set(batch.targets) == {"box", "digit"}
    assert has_label(batch.targets["box"]).tolist() == [True] * 8 + [False] * 8
    assert has_label(batch.targets["digit"]).tolist() == [False] * 8 + [True] * 8
    own = scenes.compose(torch.arange(5), generator)
    for image in batch.inputs[:8]:
        assert any(torch.equal(image, other) for other in own.inputs)
    alone = next(in_company(few, scenes, "box", [], generator, batch_size=8))
    assert len(alone) == 8 and set(alone.targets) == {"box"}


def test_more_labelled_scenes_include_all_of_fewer() -> None:
    scenes = scenes_for("digit", "train")
    generator = torch.Generator()
    few, more = (first_of(scenes, n).compose(torch.arange(n), generator) for n in (3, 9))
    assert torch.equal(few.inputs, more.inputs[:3])


def test_as_many_scenes_as_there_are_can_be_taken() -> None:
    kept = first_of(scenes_for("digit", "train"), 5)
    for count in (-1, 0, 6):
        with pytest.raises(ValueError, match=f"count must be from 1 to 5, got {count}"):
            first_of(kept, count)


def test_a_run_is_the_same_twice_and_its_end_is_told() -> None:
    first, again = (learn("digit", 20, ["box"], seed=1, steps=5, every=2) for _ in range(2))
    assert first.equals(again) and first["step"].tolist() == [2, 4, 5]
    assert first[["validation", "test"]].stack().between(0, 1).all()


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"labels": 10_000}, "labels of 'box' must be at most 300, got 10000"),
        ({"labels": -5}, "labels must be at least 1, got -5"),
        ({"labels": 2.5}, "labels must be a whole number, got 2.5"),
        ({"helpers": ["box"]}, "helper must be one of 'digit', 'mask', got 'box'"),
        ({"weight": -1}, "weight must be finite and 0 or more, got -1"),
        ({"labels": "30"}, "labels must be a whole number, got '30'"),
        ({"labels": float("nan")}, "labels must be a whole number, got nan"),
        ({"learning_rate": 0}, "learning_rate must be finite and > 0, got 0"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"every": 0}, "every must be at least 1, got 0"),
    ],
)
def test_runs_that_can_not_be_are_refused(setting, told) -> None:
    with pytest.raises(ValueError, match=told):
        learn("box", **{"labels": 20, "seed": 0, **setting})


def test_the_weight_of_a_helper_counts() -> None:
    equal, small = (learn("box", 20, ["digit"], seed=1, steps=5, weight=w) for w in (1, 1e-3))
    assert not equal.equals(small)


def test_a_frozen_encoder_stays_what_the_helper_made_of_it() -> None:
    prepare = frozen_encoder("mask", seed=0, steps=2)
    tasks = [task for task in scenes_for("box", "train").tasks if task.name == "box"]
    network, other = network_for(tasks), network_for(tasks)
    prepare(network), prepare(other)
    assert not any(p.requires_grad for p in network.encoder.parameters())
    assert torch.equal(network.encoder.layers[0].weight, other.encoder.layers[0].weight)
    assert all(p.requires_grad for p in network.heads.parameters())
    with pytest.raises(ValueError, match="helper must be one of 'digit', 'box', 'mask', got 'sum'"):
        frozen_encoder("sum", seed=0)


def test_companies_are_named_in_words() -> None:
    assert [company_name(c) for c in companies("box")] == [
        "alone",
        "with digit",
        "with mask",
        "with digit and mask",
    ]
    assert company_name("mask") == company_name(("mask",)) == "with mask"
    with pytest.raises(ValueError, match="task must be one of 'digit', 'box', 'match'"):
        companies("sum")
    with pytest.raises(ValueError, match="task must be one of .*'speaker', got 'price'"):
        scenes_for("price", "train")


def test_at_equal_weights_the_end_counts_and_else_what_validation_chose() -> None:
    runs = made_up()
    keys = ["task", "labels", "helpers", "seed"]
    end, best = (at_moment(runs, m).set_index(keys)["value"] for m in (AS_IT_COMES, TUNED))
    assert len(end) == len(best) == 7 * 4 * 3
    assert end["box", 30, "with mask", 0] == pytest.approx(0.36)
    assert best["box", 30, "with mask", 0] == pytest.approx(0.47)
    with pytest.raises(ValueError, match="moment must be one of"):
        at_moment(runs, "now")


def test_what_a_score_takes_lies_between_the_runs() -> None:
    labels, means = [10, 100, 1000], [0.3, 0.5, 0.4]
    found = [labels_for(labels, means, score) for score in (0.1, 0.3, 0.4, 0.5, 0.6)]
    assert found == pytest.approx([0, 10, 10**1.5, 100, float("inf")])
    for labels, means in (([], []), ([10, 100], [0.5])):
        with pytest.raises(ValueError, match="labels and means must be as many, and one or more"):
            labels_for(labels, means, 0.5)
    for labels, score in (([100, 10], 0.5), ([10, 100], float("nan"))):
        with pytest.raises(ValueError, match="labels must grow, and nothing be NaN"):
            labels_for(labels, [0.3, 0.8], score)
    series = pd.Series([0.3, 0.5], index=[10, 100])
    assert labels_for(series.index, series, 0.5) == pytest.approx(100)


def test_runs_that_are_not_there_are_asked_for(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"few_labels.json is not in .*pip install -e"):
        label_runs(tmp_path / LABEL_RUNS.name)


def test_the_runs_that_come_with_the_course_are_whole_and_say_where_they_are_from() -> None:
    runs, long, provenance = label_runs()
    for task, question in QUESTIONS.items():
        own = runs[runs["task"] == task]
        for helpers in companies(task):
            found = own[own["helpers"] == company_name(helpers)]
            assert set(found["labels"]) == set(question.labels)
            assert set(found["weight"]) == set(question.weights if helpers else (1.0,))
        assert own["step"].max() == question.steps
    counts = runs.groupby(["task", "labels", "helpers", "weight"])["seed"].nunique()
    assert set(counts) == {3}
    assert FROZEN in set(runs["helpers"])
    assert long.groupby(["helpers", "rate"])["seed"].nunique().tolist() == [3, 3, 3]
    assert provenance["command"] == "python benchmarks/few_labels.py"
    assert len(provenance["commit"]) == 12 and "date" in provenance


def test_a_file_holds_both_tables(tmp_path) -> None:
    table = {"columns": ["a"], "rows": [[1]]}
    content = {"provenance": {"commit": "x"}, **dict.fromkeys(TABLES, table)}
    path = tmp_path / "runs.json"
    path.write_text(json.dumps(content))
    first, second, provenance = label_runs(path)
    assert first.equals(second) and provenance == {"commit": "x"}
    assert few_labels.LABEL_RUNS.name == "few_labels.json"
