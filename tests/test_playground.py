"""The playground: its mathematics is the package's, its page answers a hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from explorable_page import chromium, violations
from playwright.sync_api import Browser, Page

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
from mtl_tutorial.commands.serving import served
from mtl_tutorial.data import load_digits, located_digits, two_digits
from mtl_tutorial.measuring import evaluate
from mtl_tutorial.tasks import Batch, task_losses

browser = pytest.fixture(scope="module")(chromium)
MOST_BYTES, MOST_LINES = 150_000, 930
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
PAUSED = "() => document.querySelector('.pg-play').textContent == 'Play'"
UNITS, STEPS, EPOCH, WIDTH, BATCH = (1.0, 30.0, 2.0), 10, 3, 4, 64


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("playground")
    write_playground(folder)
    with served(folder) as found:
        yield found


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

    def asked(code: str, given: Any = None) -> Any:
        """As JSON, which is many times faster than Playwright's own way for long lists."""
        call = f"async (given) => JSON.stringify(await ({code})(JSON.parse(given)))"
        return json.loads(page.evaluate(call, json.dumps(given)))

    yield asked
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
@pytest.mark.parametrize(
    ("method", "optimizer"),
    [*((m, "adam") for m in METHODS), ("fixed", "sgd"), ("mgda", "momentum")],
)
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


@pytest.mark.parametrize("method", METHODS)
def test_with_one_task_a_weight_that_was_turned_is_the_fixed_weights_alone(
    ask, batches, method
) -> None:
    tasks = located_digits("train").tasks[:1]
    model = fresh(tasks)
    found = ask(
        """([method, batch]) => {
        const training = new engine.Training({ tasks: ["digit"], width: 4, method, optimizer: "sgd",
            seed: 1, rate: 0.01, weights: [20], units: [1] }, 3);
        return training.step({ ...batch, images: Float64Array.from(batch.images) }).weights; }""",
        [method, plain(batches[0])],
    )
    if method in ("fixed", "uncertainty"):  # the latter is for two or more
        made = FixedWeights({"digit": 20 if method == "fixed" else 1})
    else:
        made = METHODS[method](tasks, 3)
    losses = task_losses(model(batches[0].inputs), batches[0].targets, tasks)
    assert found == pytest.approx([float(w) for w in made.backward(losses, model).values()])


class Visit:
    """A visitor's page."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda said: self.complaints.append(said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, setting: str = "") -> Visit:
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}/index.html{setting}")
        return self.until(
            "() => document.querySelector('.mtl-say')?.textContent.includes('untrained')"
        )

    def until(self, condition: str) -> Visit:
        self.page.wait_for_function(condition, timeout=120_000)
        return self

    def until_step(self, step: int) -> Visit:
        number = "Number(document.querySelector('.mtl-say').textContent.match(/step (\\d+)/i)?.[1])"
        return self.until(f"() => {number} >= {step}")

    def click(self, name: str, *, exact: bool = True) -> Visit:
        self.page.get_by_role("button", name=name, exact=exact).first.click()
        return self

    @property
    def sentence(self) -> str:
        return self.page.locator(".mtl-say").inner_text()

    @property
    def setting(self) -> str:
        return self.page.evaluate("location.hash")


@pytest.fixture()
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    visitor = Visit(page, address)
    yield visitor
    page.close()
    assert not visitor.complaints
    assert all(url.startswith((address, "about:", "data:", "blob:")) for url in visitor.asked)


def test_it_trains_pauses_steps_and_starts_again(visit) -> None:
    visit.open("#width=2&stop=10").click("Play").until_step(10)
    assert visit.sentence.startswith("Step 10: on unseen scenes, digit accuracy ")
    visit.until(PAUSED).click("Step").until_step(11).click("Again: start", exact=False)
    visit.until("() => document.querySelector('.mtl-say').textContent.includes('untrained')")
    assert visit.setting == "#width=2&stop=10"


def test_what_is_turned_while_it_trains_is_told_and_stands_in_the_address(visit) -> None:
    visit.open("#width=2&alone=0&stop=0").click("Play").until_step(10)
    slider = visit.page.get_by_label("unit of box")
    slider.focus()
    slider.press("End")
    visit.until(
        "() => /^Step \\d+.* Since the unit of box became 1000 \\(step \\d+\\): digit accuracy /"
        ".test(document.querySelector('.mtl-say').textContent)"
    )
    assert visit.setting == "#width=2&units=digit:1,box:1000&alone=0&stop=0"
    visit.page.get_by_label("method").select_option("pcgrad")
    visit.until(
        "() => document.querySelector('.mtl-say').textContent.includes('the method became PCGrad')"
    )
    assert not visit.page.get_by_label("weight of box").is_visible()  # PCGrad weighs by itself
    visit.click("Pause")


@pytest.mark.parametrize(
    "setting",
    [
        "#scenes=two_digits&width=4",
        "#tasks=digit,box,mask&width=3&method=mgda&optimizer=momentum&rate=0.02&seed=7",
        "#tasks=mask&width=2&alone=0",
        "#weights=digit:0.5,box:20&units=digit:2,box:0.1&stop=50&width=2",
    ],
)
def test_a_setting_that_is_sent_arrives(visit, setting) -> None:
    visit.open(setting).click("Step").until_step(1)
    given = dict(part.split("=") for part in setting[1:].split("&"))
    assert dict(part.split("=") for part in visit.setting[1:].split("&")) == given
    assert not visit.page.locator("#trouble").is_visible()


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("#width=99", "In this address width must be a whole number from 2 to 16, and it is “99”; "
         "the page goes on with 8."),
        ("#method=magic", "method must be one of fixed, uncertainty, dwa, gradnorm, pcgrad, mgda"),
        ("#tasks=digit,bax", "tasks must be one or more of digit, box, mask, with commas"),
        ("#units=box:0", "units must be task:number from 0.001 to 1000, such as digit:1,box:20"),
        ("#rate=", "rate must be a number from 0.0001 to 1, and it is “”"),
        ("#story=nothing", "story must be one of drowns, unit, surgery, half, alone"),
        ("#constructor=1", "This address has “constructor”, which is no part of a setting"),
        ("#scenes=toString", "scenes must be one of located_digits, two_digits"),
        ("#weights=digit:1:9", "weights must be task:number"),
        ("#weights=digit:2,digit:3", "weights must be task:number"),
        ("#weights=left:5", "such as digit:1,box:20, and it is “left:5”"),
        ("#rate=0x1", "rate must be a number from 0.0001 to 1"),
        ("#story=surgery&scenes=two_digits", "the story “surgery” is about one digit"),
    ],
)  # fmt: skip
def test_a_bad_address_gets_one_sentence_and_the_page_goes_on(visit, setting, told) -> None:
    visit.open(setting)
    trouble = visit.page.locator("#trouble").inner_text()
    assert told in trouble and trouble.count(". ") == 0
    visit.click("Step").until_step(1)


def test_a_run_that_leaves_all_bounds_says_so(visit) -> None:
    visit.open("#optimizer=sgd&rate=1&units=digit:1000,box:1000&width=2&alone=0").click("Play")
    visit.until("() => document.querySelector('.mtl-say').textContent.includes('left all bounds')")
    assert "lower the rate, or a unit, and start again" in visit.sentence


def test_a_story_asks_and_answers_after_it_was_run(visit) -> None:
    visit.open("#width=2&alone=0").click("Box drowns digit", exact=False)
    visit.until("() => document.querySelector('.pg-story').textContent.includes('784 times')")
    assert visit.setting == "#story=drowns"
    button = visit.page.locator(".pg-story button").first
    assert button.is_disabled() and "after step 300" in button.inner_text()
    visit.page.get_by_label("width").fill("2")
    visit.page.get_by_role("button", name="Networks alone").click()
    visit.click("Play").until_step(300)
    assert button.inner_text() == "Show the answer"
    button.click()
    assert "Nothing: digit accuracy is" in visit.page.locator(".pg-story").inner_text()


def test_a_guess_stands_beside_the_answer_which_can_be_hidden_again(visit) -> None:
    visit.open("#story=unit&width=2&alone=0&stop=0").click("slower").click("the same")
    card = visit.page.locator(".pg-story")
    assert card.locator("[aria-pressed=true]").all_inner_texts() == ["the same"]
    visit.click("Play").until_step(300).until(PAUSED)
    assert visit.sentence.startswith("Step 300")  # whatever is set, it pauses where the story asks
    visit.click("Show the answer")
    assert "You guessed “the same”. The same, but for luck" in card.inner_text()
    visit.click("Hide the answer")
    assert "You guessed" not in card.inner_text()


def test_a_story_in_two_parts_pauses_after_each_and_begins_again_with_both(visit) -> None:
    visit.open("#story=half&width=2&alone=0&stop=50").click("Play").until_step(50).until(PAUSED)
    visit.click("Play").until_step(300).until(PAUSED)
    stop = visit.page.get_by_label("pause at step")
    assert visit.sentence.startswith("Step 300") and stop.input_value() == "600"
    assert visit.setting == "#width=2&alone=0&stop=50&story=half"  # as it was set
    visit.page.get_by_label("weight of box").fill("-3")
    visit.click("Play").until_step(301).until(PAUSED)
    assert visit.sentence.startswith("Step 600")
    assert visit.page.get_by_role("button", name="Show the answer").is_enabled()
    visit.click("Again: start", exact=False)
    visit.until("() => document.querySelector('.mtl-say').textContent.includes('untrained')")
    assert stop.input_value() == "50"


def test_the_network_in_training_answers_to_a_drawing(visit) -> None:
    visit.open("#width=2&tasks=digit,box,mask").click("A seven")
    visit.until("() => /digit: \\d \\(\\d+%\\), then/.test(document.body.textContent)")
    box = visit.page.locator(".pg-pad").bounding_box()
    label = visit.page.locator(".pg-pad").get_attribute("aria-label")
    assert label.startswith("Your drawing; the network says ")
    visit.click("Clear")
    visit.until("() => !/digit: \\d \\(/.test(document.body.textContent)")
    visit.page.mouse.move(box["x"] + 40, box["y"] + 15)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + 40, box["y"] + 70, steps=5)
    visit.page.mouse.up()
    visit.until("() => /digit: \\d \\(\\d+%\\), then/.test(document.body.textContent)")


def test_without_a_worker_it_says_what_to_do(visit) -> None:
    visit.page.add_init_script("delete window.Worker")
    visit.page.goto(f"{visit.address}/index.html")
    visit.until("() => document.querySelector('#trouble').textContent.includes('http.server')")


def test_as_a_file_it_says_what_to_do(browser, tmp_path) -> None:
    write_playground(tmp_path)
    page = browser.new_page()
    page.goto((tmp_path / "index.html").as_uri())
    page.get_by_text("python -m http.server").wait_for()
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_everybody_can_use_it(browser, address, width, scheme) -> None:
    """By the rules of axe-core; and nothing is cut."""
    page = browser.new_page(viewport={"width": width, "height": 720}, color_scheme=scheme)
    visitor = Visit(page, address).open("#story=surgery&width=2").click("Step").until_step(1)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width == 1280:
        low = page.locator(".pg-charts").bounding_box()
        assert low["y"] + low["height"] < 720
    assert not visitor.complaints
    page.close()


def test_a_path_is_drawn_beside_the_networks_alone_and_the_run_before(visit) -> None:
    visit.open("#width=2&stop=30").click("Play").until_step(30).click("Again: start", exact=False)
    visit.until("() => document.querySelector('.mtl-say').textContent.includes('untrained')")
    plane = visit.page.locator("svg[aria-label^='The trade-off']")
    assert "alone" in plane.text_content()
    ghosts = [d for d in plane.locator("path[opacity='0.55']").evaluate_all(
        "nodes => nodes.map((node) => node.getAttribute('d'))") if d]  # fmt: skip
    assert len(ghosts) == 1 and ghosts[0].count("L") >= 2


def test_shares_cosines_and_the_plane_are_the_gradients(ask) -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        g, weights = generator.normal(size=(3, 6)), generator.uniform(0.1, 2, 3)
        k = g @ g.T
        found = ask(
            """async ([K, weights]) => {
            const m = await import("./reading.js");
            return [m.sharesOf({ K, weights }), m.cosineOf(K, [0, 2]),
                m.planeOf({ K, weights }, [0, 2], false)]; }""",
            [k.tolist(), weights.tolist()],
        )
        pulls = weights * np.linalg.norm(g, axis=1)
        assert np.allclose(found[0], pulls / pulls.sum())
        assert found[1] == pytest.approx(k[0, 2] / np.sqrt(k[0, 0] * k[2, 2]))
        basis = np.linalg.qr(g[[0, 2]].T)[0].T
        basis *= np.sign(np.diag(basis @ g[[0, 2]].T))[:, None]
        scale = 2 / np.linalg.norm(g[[0, 2]], axis=1).max()
        assert np.allclose(found[2]["gradients"], scale * g[[0, 2]] @ basis.T, atol=1e-3)
        assert np.allclose(found[2]["step"], scale * basis @ (weights @ g))


def test_the_stories_numbers_bear_out_what_they_say(ask) -> None:
    """Measured over five seeds by the benchmark; every sentence holds for each of them."""
    at = ask("""async () => {
        const { found } = await import("./stories.js"), at = {};
        for (const [name, step] of [["plain", 300], ["plain", 600], ["pixels", 300],
            ["pixels", 600], ["emptied", 600], ["balanced", 600], ["hundred", 300],
            ["surgery", 300], ["sum", 300]])
            at[`${name} ${step}`] = found(name, step, (row) => row);
        return at; }""")
    digit, box = ({run: np.array([row["metrics"][i] for row in rows]) for run, rows in at.items()}
                  for i in (0, 1))  # fmt: skip
    box_share = {run: np.array([row["shares"][1] for row in rows]) for run, rows in at.items()}
    assert {len(rows) for rows in at.values()} == {5}
    # the box drowns the digit, and gets better for it
    assert digit["pixels 300"].max() < 0.2 and digit["plain 300"].min() > 0.4
    assert (box["pixels 300"] > box["plain 300"]).all()
    # a unit of both losses makes no difference with Adam
    apart = digit["hundred 300"] - digit["plain 300"]
    assert np.abs(apart).max() < 0.1 and apart.min() < 0 < apart.max()
    # the box gains by surgery, the digit does not
    assert (box["surgery 300"] >= box["sum 300"]).all()
    assert (digit["surgery 300"] <= digit["sum 300"]).all()
    assert (box_share["surgery 300"] > box_share["sum 300"]).all()
    # Adam's memory, and no spoilt encoder, keeps the digit down
    assert digit["pixels 600"].max() < 0.2 and (digit["emptied 600"] > 0.45).all()
    # the digit shares at no clear cost, the box pays, and a weight does not mend that
    alone = np.array([row["alone"] for row in at["plain 600"]])
    ahead = digit["plain 600"] - alone[:, 0]
    assert ahead.min() < 0 < ahead.max() and ahead.mean() > 0
    assert (box["plain 600"] < alone[:, 1] - 0.2).all()
    assert (box["balanced 600"] < alone[:, 1]).all() and (digit["balanced 600"] < alone[:, 0]).all()
