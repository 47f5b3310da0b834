"""The playground: its mathematics is the package's, its page answers a hand."""

from __future__ import annotations

import functools
import itertools
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from explorable_page import chromium
from playwright.sync_api import Browser

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import (
    MGDA,
    DynamicWeightAverage,
    FixedWeights,
    GradNorm,
    PCGrad,
    UncertaintyWeights,
)
from mtl_tutorial.commands import UsageError
from mtl_tutorial.commands import playground as command
from mtl_tutorial.commands.playground import embedded, write_playground
from mtl_tutorial.data import load_digits, located_digits, two_digits
from mtl_tutorial.measuring import evaluate
from mtl_tutorial.tasks import Batch, task_losses

browser = pytest.fixture(scope="module")(chromium)
MOST_BYTES, MOST_LINES = 150_000, 900
METHODS = {
    "fixed": lambda tasks, epoch: FixedWeights({"digit": 1, "box": 20, "mask": 0.5}),
    "uncertainty": lambda tasks, epoch: UncertaintyWeights(tasks),
    "dwa": lambda tasks, epoch: DynamicWeightAverage(epoch),
    "gradnorm": lambda tasks, epoch: GradNorm(),
    "pcgrad": lambda tasks, epoch: PCGrad(torch.Generator().manual_seed(5)),
    "mgda": lambda tasks, epoch: MGDA(),
}
OPTIMIZERS = {
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01),
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.02),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.02, momentum=0.9),
}
UNITS, STEPS, EPOCH, WIDTH, BATCH = (1.0, 30.0, 2.0), 10, 3, 4, 64


class Quiet(SimpleHTTPRequestHandler):
    """Says nothing of what it serves."""

    def log_message(self, *_) -> None:
        pass


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("playground")
    write_playground(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def ask(browser: Browser, address: str):
    """Give a function that evaluates code with the exports of engine, scenes, net and data."""
    page = browser.new_page()
    page.route(f"{address}/bare", lambda route: route.fulfill(
        body="<!DOCTYPE html><title>cases</title>", content_type="text/html"))  # fmt: skip
    page.goto(f"{address}/bare")
    page.evaluate("""async () => {
        for (const name of ["engine", "scenes", "net", "digits"])
            window[name] = await import(`./${name}.js`);
    }""")
    yield page.evaluate
    page.close()


@pytest.fixture(scope="module")
def batches() -> list[Batch]:
    """Two batches, in numbers of 64 bits."""
    scenes, generator = located_digits("train"), torch.Generator().manual_seed(2)
    return [
        Batch((b.inputs * 500).round().double() / 500,
              {name: t.double() if t.is_floating_point() else t for name, t in b.targets.items()})
        for b in (scenes.draw(BATCH, generator) for _ in range(2))
    ]  # fmt: skip


def plain(batch: Batch) -> dict:
    """A batch as the page has it."""
    targets = {name: target.flatten().tolist() for name, target in batch.targets.items()}
    return {"images": batch.inputs.flatten().tolist(), "targets": targets}


def given_digits(scenes, index) -> dict:
    """Digits of the package as the page has them."""
    images, labels = (tensor[list(index)].flatten().tolist()
                      for tensor in (scenes.digits.images, scenes.digits.labels))  # fmt: skip
    return {"images": images, "labels": labels, "count": len(labels)}


def numbers(model: torch.nn.Module) -> list[float]:
    return torch.cat([tensor.flatten() for tensor in model.state_dict().values()]).tolist()


def fresh(tasks, seed: int = 0) -> HardSharing:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return HardSharing(ConvEncoder(WIDTH), tasks).double()


def test_it_is_small() -> None:
    lines = sum(path.read_text().count("\n") for path in command.PAGE.glob("*.js"))
    assert lines <= MOST_LINES
    assert len(json.dumps(embedded())) <= MOST_BYTES


def test_without_a_checkout_it_says_so(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(command, "PAGE", tmp_path / "nowhere")
    with pytest.raises(UsageError, match="the playground is not here: .*nowhere is missing"):
        write_playground(tmp_path / "out")


@pytest.mark.parametrize("split", ["train", "test"])
def test_its_digits_are_the_embedded_ones(ask, split) -> None:
    found = ask(
        """(split) => { const { images, labels } = scenes.unpack(digits.default[split]);
        return [Array.from(images), Array.from(labels)]; }""",
        split,
    )
    right = load_digits(split)
    assert found[1] == right.labels.tolist()
    apart = np.abs(np.array(found[0]) - right.images.flatten().int().numpy())
    assert apart.max() <= 1 and apart.mean() < 0.003  # halves are rounded by the last bit


def test_its_located_digits_are_the_packages(ask) -> None:
    source, count = located_digits("train"), 40
    generator = torch.Generator().manual_seed(3)
    right = source.draw(count, generator)
    generator.manual_seed(3)  # the same numbers again, in the order in which they are drawn
    index = torch.randint(len(source), (count,), generator=generator).tolist()
    chance = torch.rand((count, 3), generator=generator).flatten().tolist()
    noise = torch.randn((count, 784), generator=generator).flatten().tolist()
    found = ask(
        """([given, index, chance, noise]) => {
        const made = new scenes.LocatedDigits(given); let k = 0;
        const { images, targets } = made.compose(index, chance, () => noise[k++]);
        return { images: [...images], ...engine.byName(targets, (t) => [...t]) };
        }""",
        [given_digits(source, index), list(range(count)), chance, noise],
    )
    assert np.allclose(found["images"], right.inputs.flatten(), atol=1e-5)
    assert found["digit"] == right.targets["digit"].tolist()
    assert np.mean(np.array(found["mask"]) != right.targets["mask"].flatten().numpy()) < 1e-4
    assert np.allclose(found["box"], right.targets["box"].flatten())


def test_its_two_digits_are_the_packages(ask) -> None:
    source = two_digits("test")
    generator = torch.Generator().manual_seed(0)
    partner = torch.randint(len(source), (len(source),), generator=generator).tolist()
    index = [3, 0, 200, 7]
    found = ask(
        """([given, index, partner]) => {
        const made = new scenes.TwoDigits(given, null, partner);
        const { images, targets } = made.compose(index);
        return { images: [...images], ...engine.byName(targets, (t) => [...t]) };
        }""",
        [given_digits(source, range(len(source))), index, partner],
    )
    right = source.compose(torch.tensor(index), torch.Generator())
    assert np.allclose(found["images"], right.inputs.flatten(), atol=1e-5)
    for name in ("left", "right"):
        assert found[name] == right.targets[name].tolist()


def test_losses_gradients_and_metrics_are_the_packages(ask, batches) -> None:
    tasks = located_digits("train").tasks
    model, batch = fresh(tasks), batches[0]
    found = ask(
        """([width, flat, batch]) => {
        const names = ["digit", "box", "mask"], own = new net.Net(width, names, 64).load(flat);
        const out = own.forward(Float64Array.from(batch.images));
        return names.map((task) => {
            const loss = own.loss(task, batch.targets[task]), g = new Float64Array(own.count);
            own.backward({ [task]: 1 }, g);
            const found = engine.metric(task, out[task], batch.targets[task]);
            return [loss, found, Array.from(own.save(g))];
        }); }""",
        [WIDTH, numbers(model), plain(batch)],
    )
    losses = task_losses(model(batch.inputs), batch.targets, tasks)
    scores = evaluate(model, tasks, batch)
    for task, (loss, metric, gradient) in zip(tasks, found, strict=True):
        model.zero_grad()
        losses[task.name].backward(retain_graph=True)
        right = torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten()
                           for p in model.parameters()])  # fmt: skip
        assert loss == pytest.approx(losses[task.name].item(), rel=1e-12)
        assert metric == pytest.approx(scores[task.name].metric, abs=1e-6)
        assert np.allclose(gradient, right, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(("method", "optimizer"), [*itertools.product(METHODS, OPTIMIZERS)])
def test_ten_steps_are_the_packages(ask, batches, method, optimizer, count) -> None:
    tasks = located_digits("train").tasks[:count]
    names = [task.name for task in tasks]
    model = fresh(tasks)
    start = numbers(model)
    made = METHODS[method](tasks, EPOCH)
    if method == "fixed":
        made = FixedWeights({name: made.weights[name] for name in names})
    descent = OPTIMIZERS[optimizer](model.parameters())
    random = torch.Generator().manual_seed(5)
    orders, right = [], []
    for step in range(STEPS):
        if count > 2:
            drawn = [torch.randperm(count, generator=random).tolist() for _ in names]
            orders.append([[j for j in order if j != i] for i, order in enumerate(drawn)])
        batch = batches[step % 2]
        losses = task_losses(model(batch.inputs), batch.targets, tasks)
        losses = {n: u * loss for (n, loss), u in zip(losses.items(), UNITS, strict=False)}
        descent.zero_grad()
        weights = made.backward(losses, model)
        descent.step()
        right.append([[float(x) for x in row.values()] for row in (losses, weights)])
    found = ask(
        """([setting, epoch, flat, batches, steps, orders]) => {
        const training = new engine.Training(setting, epoch), rows = [];
        training.net.load(flat);
        for (const batch of batches) batch.images = Float64Array.from(batch.images);
        for (let k = 0; k < steps; k++) {
            const { losses, weights } = training.step(batches[k % 2], k % 3 === 1, orders[k]);
            rows.push([losses, weights]);
        }
        return [rows, Array.from(training.net.save())]; }""",
        [
            {"tasks": names, "width": WIDTH, "method": method, "optimizer": optimizer, "seed": 1,
             "rate": descent.param_groups[0]["lr"], "weights": [1, 20, 0.5][:count],
             "units": UNITS[:count]},
            EPOCH, start, [plain(batch) for batch in batches], STEPS, orders,
        ],
    )  # fmt: skip
    assert np.allclose(found[0], right, rtol=2e-6, atol=1e-9)
    assert np.allclose(found[1], numbers(model), rtol=1e-5, atol=1e-7)
    assert np.abs(np.array(found[1]) - start).max() > 1e-3  # it has moved
