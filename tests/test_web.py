"""The mathematics that runs in the page is the package's, case by case; the modules are small."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter

import numpy as np
import pytest
import torch
from explorable_page import chromium
from label_cases import made_up
from playwright.sync_api import Browser
from scipy import stats
from torchjd.aggregation import IMTLG, CAGrad, UPGrad

from mtl_tutorial.architectures.transformer import AskedNetwork, SensesTransformer
from mtl_tutorial.balancing import dwa_weights, mgda, pcgrad
from mtl_tutorial.data.grammar import ANSWERS, KINDS, QUESTIONS, SIDE, WORDS, tokenize
from mtl_tutorial.data.landscape import STARTS, landscape_gradients
from mtl_tutorial.data.related_pair import taught, teachers_at
from mtl_tutorial.data.scenes import is_ink, located_digits, tight_boxes
from mtl_tutorial.experiments.asked import SIZES, from_page, page_weights
from mtl_tutorial.experiments.asked import ask as ask_the_package
from mtl_tutorial.experiments.bowl import compute_bowl
from mtl_tutorial.experiments.inference import holm, interval
from mtl_tutorial.experiments.pareto import explore_front
from mtl_tutorial.experiments.race import METHODS, arrival_steps, run_race
from mtl_tutorial.experiments.relatedness import bias_share, error_joint, turning_angle
from mtl_tutorial.experiments.units import Snapshot, compute_shares
from mtl_tutorial.tasks import mean_iou
from mtl_tutorial.web import DECLARED, FOLDER, bundle, imported, source
from mtl_tutorial.widgets.gate_viewer import CORRELATIONS, GATES, GateViewer, trained_mixture
from mtl_tutorial.widgets.label_dial import curves_of

MODULES = sorted(path.stem for path in FOLDER.glob("*.js"))
HOST = "http://course.test"
MOST_BYTES, MOST_LINES = 190_000, 2_430


browser = pytest.fixture(scope="module")(chromium)


@pytest.fixture(scope="module")
def ask(browser: Browser):
    """Give a function that evaluates an expression with a module's exports as ``m``."""
    page = browser.new_page()

    def serve(route) -> None:
        name = route.request.url.removeprefix(f"{HOST}/")
        if name.endswith(".js"):
            route.fulfill(body=(FOLDER / name).read_bytes(), content_type="text/javascript")
        else:
            route.fulfill(body="<!DOCTYPE html><title>cases</title>", content_type="text/html")

    page.route(f"{HOST}/**", serve)
    page.goto(f"{HOST}/")

    def evaluate(module: str, expression: str, cases=None):
        load = f"const m = await import('{HOST}/{module}.js');"
        return page.evaluate(f"async (cases) => {{ {load} return {expression}; }}", cases)

    yield evaluate
    page.close()


def jacobians(tasks: int, dimensions: int = 2, count: int = 40) -> list[list[list[float]]]:
    """Gradients of all kinds: random ones, some of them tiny, huge, parallel or zero."""
    generator = torch.Generator().manual_seed(tasks)
    found = torch.randn(count, tasks, dimensions, generator=generator, dtype=torch.float64)
    found[5:10, 0] *= 100
    found[10:15] *= 1e-6
    found[15:18, 1] = -2 * found[15:18, 0]
    found[18:20, 1] = 0
    return found.tolist()


def test_modules_are_small() -> None:
    texts = {name: source(name) for name in MODULES}
    assert sum(len(text.encode()) for text in texts.values()) <= MOST_BYTES
    network = texts.pop("net")  # a network that trains, and no picture
    assert sum(text.count("\n") for text in texts.values()) <= MOST_LINES
    assert network.count("\n") < 200


@pytest.mark.parametrize("name", MODULES)
def test_a_module_and_what_it_imports_are_one_text_that_imports_nothing(name) -> None:
    text = bundle(name)
    assert not re.search(r"^(import|export (?!default))", text, re.MULTILINE)
    assert text.count("export default") <= 1
    declared = Counter(d for module in imported(name) for d in DECLARED.findall(source(module)))
    assert [d for d, count in declared.items() if count > 1] == []


def test_the_text_says_what_is_moved_and_what_answers() -> None:
    for name in MODULES:
        assert source(name).startswith("// "), name
        if "export default explorable({" in source(name):
            head = source(name).split("import")[0]
            assert "Moved:" in head and "What answers:" in head, name


def test_no_module_asks_another_host() -> None:
    for name in MODULES:
        hosts = set(re.findall(r"https?://[^/\"'`]+", source(name))) - {"http://www.w3.org"}
        assert not hosts, name


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="module must be one of .*kit.*, got 'compass'"):
        bundle("compass")


DIRECTIONS = {
    "sum": lambda j: j.sum(0),
    "PCGrad": pcgrad,
    "MGDA": mgda,
    "UPGrad": lambda j: pcgrad(j) / 2,
    "CAGrad": CAGrad(c=0.5),
    "IMTL-G": IMTLG(),
    "gradient-norm weights": lambda j: (j.norm(dim=1) / j.norm(dim=1).sum()) @ j,
}


@pytest.mark.parametrize("name", DIRECTIONS)
def test_directions_of_two_tasks_are_the_packages(ask, name) -> None:
    cases = jacobians(2)
    found = ask("methods", f"cases.map((j) => m.direction({json.dumps(name)}, j))", cases)
    for jacobian, given in zip(cases, found, strict=True):
        j = torch.tensor(jacobian, dtype=torch.float64)
        if name in ("CAGrad", "IMTL-G") and ((j.norm(dim=1) == 0).any() or j.abs().max() < 1e-4):
            continue  # no unit vector; and the library's solvers stop early at small ones
        right = DIRECTIONS[name](j)
        size = float(j.norm()) or 1.0
        close = 2e-3 if name in ("CAGrad", "IMTL-G") else 1e-9
        if name == "IMTL-G" and torch.linalg.det(j).abs() < 1e-6:
            continue  # parallel gradients: any weights will do
        assert np.allclose(given, right, atol=close * size), jacobian


def test_upgrad_of_three_tasks_is_torchjds_where_that_needs_no_regularisation(ask) -> None:
    cases = [j for j in jacobians(3, 3) if np.linalg.cond(j) < 8 and np.abs(j).max() > 0.1]
    assert len(cases) > 8
    found = ask("methods", "cases.map((j) => m.direction('UPGrad', j))", cases)
    for jacobian, given in zip(cases, found, strict=True):
        j = torch.tensor(jacobian, dtype=torch.float64)
        assert np.allclose(given, UPGrad()(j), atol=5e-3 * float(j.norm()))


def test_the_shortest_vector_of_three_tasks_is_exact(ask) -> None:
    cases = jacobians(3, 5)
    for jacobian, given in zip(
        cases, ask("methods", "cases.map((j) => m.direction('MGDA', j))", cases), strict=True
    ):
        j = torch.tensor(jacobian, dtype=torch.float64)
        assert np.allclose(given, mgda(j), atol=1e-6 * float(j.norm()))


@pytest.mark.parametrize("ratio", [1e3, 1e6, 1e9])
def test_the_shortest_vector_is_exact_where_gradients_are_far_apart_in_length(ask, ratio) -> None:
    cases = torch.randn(40, 3, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    cases[:, 0] *= ratio
    cases[20:, 1] /= ratio
    found = ask("methods", "cases.map((j) => m.mgda(m.gramian(j)))", cases.tolist())
    for j, weights in zip(cases, found, strict=True):
        d = torch.tensor(weights, dtype=torch.float64) @ j
        assert np.allclose(d, mgda(j), rtol=1e-6, atol=1e-9 * float(d.norm()))
        assert (j @ d >= -1e-9 * j.norm(dim=1) * d.norm()).all()  # nobody is hurt


def test_pcgrad_of_three_tasks_takes_the_order_that_it_is_given(ask) -> None:
    cases = jacobians(3, 4, 12)
    found = ask(
        "methods", "cases.map((j) => m.pcgrad(m.gramian(j), [[2, 1], [0, 2], [1, 0]]))", cases
    )
    for jacobian, weights in zip(cases, found, strict=True):
        g = np.array(jacobian)
        total = np.zeros(4)
        for i, order in enumerate([[2, 1], [0, 2], [1, 0]]):
            v = g[i].copy()
            for j in order:
                if v @ g[j] < 0 and g[j] @ g[j] > 0:
                    v -= (v @ g[j]) / (g[j] @ g[j]) * g[j]
            total += v
        assert np.allclose(np.array(weights) @ g, total, atol=1e-9 * np.abs(g).max())


def test_the_landscape_and_its_gradients_are_the_packages(ask) -> None:
    points = [[x, y] for x in np.linspace(-10.7, 10.9, 9) for y in np.linspace(-12.3, 10.7, 9)]
    found = ask("landscape_race", "cases.map((p) => m.landscape(p))", points)
    losses, gradients = landscape_gradients(torch.tensor(points, dtype=torch.float64))
    assert np.allclose([f["losses"] for f in found], losses, atol=1e-9)
    assert np.allclose([f["gradients"] for f in found], gradients, atol=1e-9)


@pytest.mark.parametrize("optimizer", ["Adam", "gradient descent"])
@pytest.mark.parametrize("weight", [0.5, 0.3])
def test_a_race_is_the_packages_step_by_step(ask, optimizer, weight) -> None:
    """Up to the kinks of the landscape, which tear apart what differs in the last bit."""
    setting = {"optimizer": optimizer, "rate": 0.05, "weight": weight, "steps": 60}
    race = run_race(optimizer=optimizer, learning_rate=0.05, weight=weight, steps=60)
    for m, name in enumerate(METHODS):
        ways = ask(
            "landscape_race",
            f"cases.starts.map((start) => m.run('{name}', start, cases.setting))",
            {"starts": [list(start) for start in STARTS], "setting": setting},
        )
        for s, way in enumerate(ways):
            assert np.allclose(way["points"], race.paths[:, m, s], atol=1e-6), (name, s)
            assert np.allclose(way["losses"], race.losses[:, m, s], atol=1e-5)


def test_racers_arrive_when_they_do_in_the_package(ask) -> None:
    right = arrival_steps(learning_rate=0.1, steps=500)
    setting = {"optimizer": "Adam", "rate": 0.1, "weight": 0.5, "steps": 500}
    for m, name in enumerate(METHODS):
        found = ask(
            "landscape_race",
            f"cases.starts.map((s) => m.run('{name}', s, cases.setting).since)"
            ".map((since) => Number.isFinite(since) ? since : -1)",
            {"starts": [list(start) for start in STARTS], "setting": setting},
        )
        expected = [int(step) if step < torch.inf else -1 for step in right[m]]
        assert found == expected, name


def test_fronts_and_what_weights_find_on_them_are_the_packages(ask) -> None:
    cases = list(itertools.product((0.6, 1.3, 1.6, 2.4), (0.05, 0.4, 0.5, 0.8)))
    found = ask("pareto_explorer", "cases.map(([d, w]) => m.explore(d, w))", cases)
    for (distance, weight), given in zip(cases, found, strict=True):
        right = explore_front(distance, weight)
        assert np.allclose(given["points"], right.front, atol=1e-12)
        assert given["found"] == right.found
        assert given["share"] == pytest.approx(right.share, abs=2e-3)


def test_the_way_down_the_bowl_is_the_packages(ask) -> None:
    tasks = located_digits("train").tasks[:2]
    kinds = [task.kind for task in tasks]
    cases = [[0.8, 0.01], [10.0, 0.001], [0.05, 5.0]]
    setting = "{ losses, kinds: cases.kinds, start: [0, 0], rate: 0.1 }"
    expression = f"cases.losses.map((losses) => m.path({setting}))"
    found = ask("uncertainty_bowl", expression, {"losses": cases, "kinds": kinds})
    for losses, given in zip(cases, found, strict=True):
        bowl = compute_bowl(tasks, losses)
        assert np.allclose(given, bowl.path, atol=1e-4)
        ends = ask("uncertainty_bowl", "m.lowest(cases)", {"losses": losses, "kinds": kinds})
        assert np.allclose(ends, bowl.lowest)


def test_shares_are_the_packages(ask) -> None:
    tasks = located_digits("train").tasks
    for units in ([1, 1, 1], [10, 0.1, 3], [1e-3, 1e3, 1]):
        names = [task.name for task in tasks]
        numbers = {"losses": [1.5, 0.01, 0.3], "before": [2.0, 0.03, 0.4], "norms": [0.8, 0.2, 0.5]}
        snapshot = Snapshot(
            tuple(tasks), **{k: dict(zip(names, v, strict=True)) for k, v in numbers.items()}
        )
        found = ask("loss_scale_mixer", "m.shares(cases)", {**numbers, "units": units})
        right = compute_shares(snapshot, dict(zip(names, units, strict=True)))
        for method, shares in right.items():
            assert found[method] == pytest.approx(list(shares.values()), abs=1e-6)
    weights = ask("loss_scale_mixer", "m.dwa([1, 3], [2, 4])")
    assert weights == pytest.approx(dwa_weights([1.0, 3.0], [2.0, 4.0]).tolist(), abs=1e-6)


def test_errors_of_joint_training_are_the_packages(ask) -> None:
    cases = list(itertools.product((0, 40, 90, 180), (15, 60), (20, 120), (0.1, 1, 2)))
    found = ask("relatedness_lab", "cases.map((c) => m.errorJoint(...c))", cases)
    assert np.allclose(found, [error_joint(*case) for case in cases])
    pairs = [case[1:] for case in cases]
    turns = ask("relatedness_lab", "cases.map((c) => m.turningAngle(...c))", pairs)
    right = [turning_angle(*pair) for pair in pairs]
    assert [t is None for t in turns] == [t is None for t in right]
    assert np.allclose([t for t in turns if t], [t for t in right if t])
    assert ask("relatedness_lab", "m.biasShare(20, 60)") == pytest.approx(bias_share(20, 60))


def test_drawn_data_have_the_error_that_is_expected(ask) -> None:
    expression = "Array.from({ length: 400 }, (_, k) => m.drawn(k + 1, 40, [20, 60], 1))"
    errors = np.array(ask("relatedness_lab", expression))
    assert errors[:, 0].mean() == pytest.approx(error_joint(40, 20, 60, 1), rel=0.1)
    assert errors[:, 1].mean() == pytest.approx(error_joint(40, 60, 20, 1), rel=0.1)


def test_tests_and_intervals_are_scipys(ask) -> None:
    rng = np.random.default_rng(0)
    cases = [rng.normal(0.3, 1, n).tolist() for n in (2, 3, 5, 20, 60) for _ in range(4)]
    found = ask("statistics", "cases.map((d) => m.paired(d))", cases)
    for values, given in zip(cases, found, strict=True):
        mean, low, high = interval(values)
        assert given["mean"] == pytest.approx(mean)
        assert given["half"] == pytest.approx((high - low) / 2, rel=1e-6)
        assert given["p"] == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=1e-6)
    p = rng.uniform(size=11) ** 2
    assert ask("statistics", "m.holm(cases)", p.tolist()) == pytest.approx(holm(p).tolist())
    more = ask("statistics", "m.holm(cases, 20)", p.tolist())
    assert more == pytest.approx(holm([*p, *[1.0] * 9])[:11].tolist())


def test_random_numbers_are_normal_and_a_seed_fixes_them(ask) -> None:
    expression = "Array.from({ length: 4000 }, m.normal(m.randomness(cases)))"
    first, again, other = (ask("statistics", expression, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert stats.kstest(first, "norm").pvalue > 0.01
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.05


def test_tables_of_equal_methods_have_finds_as_often_as_in_the_package(ask) -> None:
    setting = {"methods": 11, "seeds": 5, "gain": 0}
    counts = ask("luck_machine", "m.count(0, 1500, cases)", setting)
    assert counts["plain"] / 1500 == pytest.approx(0.34, abs=0.04)
    assert counts["corrected"] / 1500 < 0.065


def test_answers_of_the_gate_viewer_are_the_formulas(ask) -> None:
    points = [[a, b] for a in (-2.2, -0.4, 1.0) for b in (-1.5, 0.0, 2.2)]
    for p in CORRELATIONS:
        found = ask("gate_viewer", f"cases.map((x) => m.taught({p}, x))", points)
        x, u = torch.tensor(points, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
        assert np.allclose(found, taught(x, teachers_at(p, u)))


@pytest.mark.parametrize("gate", GATES)
def test_gates_experts_and_mixtures_in_the_page_are_the_packages(ask, gate) -> None:
    networks = GateViewer.from_files()["networks"][gate]
    points = [[a, b] for a in (-2.2, -0.4, 0.0, 1.0) for b in (-1.5, 0.0, 2.2)]
    x = torch.tensor(points)
    for p, network in zip(CORRELATIONS, networks, strict=True):
        model, cases = trained_mixture(p, gate), {"net": network, "points": points}
        found = ask("gate_viewer", "cases.points.map((x) => m.forward(cases.net, x))", cases)
        with torch.no_grad():
            gates, mixed = model.gates(x), model(x)
            for i in range(4):
                alone = model(x, dict.fromkeys(gates, torch.eye(4)[i]))
                for k, name in enumerate(gates):
                    assert np.allclose(
                        [f["said"][k][i] for f in found], alone[name][:, 0], atol=1e-4
                    )
        for k, name in enumerate(gates):
            assert np.allclose([f["gates"][k] for f in found], gates[name], atol=1e-5)
            assert np.allclose([f["mixed"][k] for f in found], mixed[name][:, 0], atol=1e-4)


def test_gates_overlap_by_what_both_give_to_an_expert(ask) -> None:
    at = torch.arange(120) * 2 * torch.pi / 120
    x = 1.5 * torch.stack([at.cos(), at.sin()], 1)
    networks = GateViewer.from_files()["networks"]["a gate a task"]
    for p, network in zip(CORRELATIONS, networks, strict=True):
        with torch.no_grad():
            first, second = trained_mixture(p, "a gate a task").gates(x).values()
        right = torch.minimum(first, second).sum(1).mean().item()
        assert ask("gate_viewer", "m.overlap(cases)", network) == pytest.approx(right, abs=1e-4)


def test_what_the_label_dial_reads_between_runs_is_numpys(ask) -> None:
    curves = [curve for curve in curves_of(made_up()) if curve["task"] == "box"]
    counts = [10, 17, 30, 55, 299, 300, 1000]
    for curve in curves:
        given = {"curve": curve, "counts": counts}
        found = ask("label_dial", "cases.counts.map((n) => m.scoresAt(cases.curve, n))", given)
        columns = np.array(curve["values"]).T
        right = [np.interp(np.log(counts), np.log(curve["labels"]), c) for c in columns]
        assert np.allclose(found, np.transpose(right))


def test_what_a_score_takes_alone_is_where_the_mean_first_reaches_it(ask) -> None:
    curve = {"labels": [10, 100, 1000], "values": [[0.2, 0.4], [0.4, 0.6], [0.4, 0.4]]}
    scores = [0.1, 0.3, 0.4, 0.5, 0.6]
    expression = "cases.scores.map((score) => String(m.labelsFor(cases.curve, score)))"
    found = ask("label_dial", expression, {"curve": curve, "scores": scores})
    assert [float(number) for number in found] == pytest.approx([0, 10, 10**1.5, 100, np.inf])
    words = ask("label_dial", "cases.map((c) => m.worth(c[0], c[1]))", [[curve, s] for s in scores])
    assert words[0] == "fewer than 10 labels" and words[-1] == "more than 1000 labels"
    assert words[1:4] == ["10 labels", "32 labels", "100 labels"]


@pytest.mark.parametrize("form", [(32, 64, 2), (16, 24, 3), (8, 8, 1)])
def test_the_asked_network_answers_as_in_the_package(ask, form) -> None:
    """With scenes and questions of the grammar, and with rows of words that mean nothing."""
    width, hidden, blocks = form
    torch.manual_seed(width)
    encoder = SensesTransformer(SIZES, width=width, hidden=hidden, blocks=blocks)
    network = page_weights(AskedNetwork(encoder, KINDS))
    model = from_page(network).double()
    texts = [*(question.text for question in QUESTIONS[::3]), "seven plus spare", "the"]
    generator = torch.Generator().manual_seed(0)
    scenes = torch.rand(len(texts), 2, 256, generator=generator, dtype=torch.float64)
    scenes[:, 1] = 2 * scenes[:, 1] - 1
    cases = [
        [image.tolist(), sound.tolist(), tokenize(text)]
        for (image, sound), text in zip(scenes, texts, strict=True)
    ]
    expression = "cases.cases.map((c) => m.ask(m.unpack(cases.network), ...c))"
    found = ask("ask_the_network", expression, {"network": network, "cases": cases})
    for (image, sound), text, given in zip(scenes, texts, found, strict=True):
        right = ask_the_package(model, image.view(SIDE, SIDE), sound.view(32, 8), text)
        assert np.allclose(given["logits"], right["logits"], atol=1e-9)
        assert np.allclose(given["box"], right["box"], atol=1e-9)
        for block, look in zip(given["looks"], right["looks"], strict=True):
            assert np.allclose(block, look, atol=1e-9)


def test_right_answers_to_every_question_are_the_packages(ask) -> None:
    seen, heard = torch.cartesian_prod(torch.arange(10), torch.arange(10)).T
    for question in QUESTIONS:
        cases = [[question.text, int(s), int(h)] for s, h in zip(seen, heard, strict=True)]
        found = ask("ask_the_network", "cases.map((c) => m.truth(...c))", cases)
        numbers = question.answer(seen, heard)
        assert found == ["" if n < 0 else ANSWERS[n] for n in numbers.tolist()], question.text


def test_words_are_numbered_as_in_the_package_and_a_strange_one_is_named(ask) -> None:
    known = {"words": WORDS, "sizes": SIZES._asdict()}
    texts = [*(question.text for question in QUESTIONS), "  Where is SEEN?? "]
    cases = {"known": known, "texts": texts}
    expression = "cases.texts.map((text) => m.read(text, cases.known))"
    right = [tokenize(" ".join(text.lower().replace("?", "").split())) for text in texts]
    assert ask("ask_the_network", expression, cases) == right
    cases["texts"] = ["is seen larger than eleven", "", "is " * 8, "is ·"]
    strange, empty, long, blank = ask("ask_the_network", expression, cases)
    assert strange.startswith("The network does not know the word “eleven”. It knows: which, is,")
    assert empty == "A question has 1 to 7 words; this one has 0."
    assert long.endswith("this one has 8.") and "the word “·”" in blank


def test_digits_stand_where_they_are_put_and_their_boxes_are_the_packages(ask) -> None:
    generator = torch.Generator().manual_seed(0)
    digits = torch.rand(12, 8, 8, generator=generator) ** 6
    places = [[x, y] for x in (0, 3, 4, 8) for y in (0, 5, 8)]
    cases = [[digit.flatten().tolist(), place] for digit, place in zip(digits, places, strict=True)]
    found = ask(
        "ask_the_network",
        "cases.map((c) => m.scene(...c, 16)).map(({ image, box }) => ({ image: [...image], box }))",
        cases,
    )
    for digit, (x, y), given in zip(digits, places, found, strict=True):
        image = torch.zeros(SIDE, SIDE)
        image[y : y + 8, x : x + 8] = digit
        assert np.allclose(given["image"], image.flatten())
        assert np.allclose(given["box"], tight_boxes(is_ink(image[None]))[0] / SIDE)


def test_the_overlap_of_boxes_is_the_packages(ask) -> None:
    boxes = torch.rand(60, 2, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    boxes[:40, :, 2:] += boxes[:40, :, :2]  # the others may have their ends the wrong way round
    found = ask("ask_the_network", "cases.map((c) => m.overlap(...c))", boxes.tolist())
    right = [float(mean_iou(a[None], b[None])) for a, b in boxes]
    empty = [(b[:, 2:] <= b[:, :2]).any(1).all().item() for b in boxes]
    kept = [i for i, both_empty in enumerate(empty) if not both_empty]
    assert len(kept) > 45
    assert np.allclose([found[i] for i in kept], [right[i] for i in kept], atol=1e-6)


def test_a_drawing_is_as_large_as_the_digits_of_training_wherever_it_is_drawn(ask) -> None:
    seven = np.array([[1, 1], [4, 1], [2, 6]])
    cases = [[(scale * seven + move).tolist()] for scale, move in ((1, 0), (1.2, 0.5), (0.5, 4))]
    found = np.array(ask("ask_the_network", "cases.map((strokes) => m.ink(strokes))", cases))
    assert np.allclose(found, found[0]) and 0 <= found.min() and found.max() == 1
    ink = found[0].reshape(8, 8) > 0.3
    assert ink.any(1).all() and 4 <= ink.any(0).sum() <= 6  # as high as the sheet, and not wider
    dot = np.array(ask("ask_the_network", "m.ink(cases)", [[[7, 7]]])).reshape(8, 8)
    assert (dot[3:5, 3:5] > 0.4).all() and dot.sum() < 6
