// The playground. Moved: everything that a training has, while it trains. What answers: losses, metrics
// on unseen scenes, each task's share of the step, the gradients in their plane, and the answers.
import { GREY, INK, PURPLE, Model, clamp, coloursOf, draw, explorable, fixed, looksOf, mix, norm, power, short } from "./kit.js";
import { ink } from "./draw_a_digit.js";
import { FACTOR, RATE, START, WIDTH, WORDS, ALL, ofTasks, read, write } from "./setting.js";
import { METHODS, OPTIMIZERS, SHOWN, byName, classOf } from "./engine.js";
import { HEADS, KINDS, SIDE } from "./net.js";
import { PIXELS, TASKS, fromPixels, toPixels } from "./scenes.js";
import { cosineOf, describe, guesses, metricOf, planeOf, sharesOf, thinned } from "./reading.js";
import { STORIES } from "./stories.js";

const NAMES = Object.keys(START), ANEW = ["scenes", "tasks", "width", "alone", "seed"], LIVE = ["method", "optimizer", "rate", "weights", "units"];
const GHOSTS = 3, DASHED = "2 4", SPOKEN = 2000; // milliseconds between two sentences while it trains
const SEVEN = [[[8, 6], [20, 6], [12, 22]]], PEN = 2.4, SURGERY = ["pcgrad", "mgda"];
const make = (name, attributes, parent, ...children) => {
  const node = Object.assign(document.createElement(name), attributes);
  node.append(...children);
  parent?.append(node);
  return node;
};

/** A scene with what is true (dotted) and what the network answers, and the words below it. */
function picture(parent, attributes) {
  const figure = make("figure", {}, parent), canvas = make("canvas", { width: 84, height: 84, ...attributes }, figure), words = make("figcaption", {}, figure);
  const small = new OffscreenCanvas(SIDE, SIDE), pen = small.getContext("2d"), screen = canvas.getContext("2d"), scale = canvas.width / SIDE;
  return { canvas, show(pixels, answer, truth) {
    const image = pen.createImageData(SIDE, SIDE);
    pixels.forEach((v, k) => {
      const marked = answer?.mask && answer.mask[k] > 0, grey = 255 * clamp(v, 0, 1);
      image.data.set([grey * (marked ? 0.45 : 1), marked ? 0.45 * grey + 0.55 * 158 : grey, marked ? 0.45 * grey + 0.55 * 115 : grey, 255], 4 * k);
    });
    pen.putImageData(image, 0, 0);
    Object.assign(screen, { imageSmoothingEnabled: false });
    screen.drawImage(small, 0, 0, canvas.width, canvas.height);
    const frame = (box, dash, colour) => {
      if (!box) return;
      const [x0, y0, x1, y1] = Array.from(box, (v) => v * SIDE * scale);
      Object.assign(screen, { strokeStyle: colour, lineWidth: 2 }).setLineDash(dash);
      screen.strokeRect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
    };
    frame(truth?.box, [2, 3], "#fff");
    frame(answer?.box, [], "#D55E00");
    const said = answer ? Object.keys(answer).filter((task) => KINDS[task] === "class").map((task) => classOf(answer[task], 0)) : [];
    const right = truth ? Object.keys(answer).filter((task) => KINDS[task] === "class").map((task) => truth[task][0]) : said;
    words.textContent = !said.length ? "" : String(said) === String(right) ? `${said.join(" ")}${truth ? " ✓" : ""}` : `${said.join(" ")} ✗ it is ${right.join(" ")}`;
    canvas.setAttribute("aria-label", `${truth ? `Scene with ${right.join(" and ") || "a digit"}` : "Your drawing"}${said.length ? `; the network says ${said.join(" and ")}` : ""}`);
  } };
}

/** The part of answers, or of truths, that belongs to scene b. */
const rowOf = (all, b, truths) => byName(all, (values, task) => {
  const n = truths && KINDS[task] === "class" ? 1 : HEADS[task];
  return values.slice(b * n, (b + 1) * n);
});

function build(view) {
  const { model } = view, setting = () => view.state(NAMES);
  const words = (list) => { for (const option of list.options) option.text = WORDS[option.value] ?? option.value; return list; };
  view.root.classList.add("pg");
  let run = { number: 0, rows: [], seen: [] }, ghosts = [], playing = false, diverged = false, stale = true, turned = null, speed = 0, scenes = null, spoken = 0, sentence = "", waiting = false, last = "";

  // ---- the worker
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  worker.onerror = () => trouble(unserved);
  let since = { step: 0, time: 0 };
  worker.onmessage = ({ data }) => {
    if (data.run !== run.number) return;
    if (data.drawn) { waiting = false; showPad(data.drawn); return; }
    for (const row of data.rows) {
      run.rows.push(row);
      for (const value of row.losses) if (value > 0) { run.low = Math.min(run.low, value); run.high = Math.max(run.high, value); }
    }
    if (data.seen && data.seen.step !== run.seen.at(-1)?.step) run.seen.push({ ...data.seen, answers: null });
    if (data.scenes) scenes = data.scenes;
    if (data.seen && scenes) shown.forEach((one, b) => one.show(toPixels(model.get("scenes"), scenes.images.slice(b * PIXELS, (b + 1) * PIXELS)), rowOf(data.seen.answers, b), rowOf(scenes.targets, b, true)));
    const now = performance.now(), step = run.rows.at(-1)?.step ?? 0;
    if (!playing || !data.playing) since = { step, time: now };
    else if (now - since.time > 1000) { speed = (1000 * (step - since.step)) / (now - since.time); since = { step, time: now }; }
    ({ playing } = data);
    diverged = Boolean(data.diverged);
    if (strokes.length && data.seen) askPad();
    stale = true;
    view.ask();
  };
  const tell = (act, more = {}) => worker.postMessage({ act, ...more });

  // ---- what is chosen
  const start = () => {
    if (run.seen.length > 2 && run.tasks.join() === model.get("tasks").join()) ghosts = [...ghosts, run].slice(-GHOSTS);
    else if (run.tasks && run.tasks.join() !== model.get("tasks").join()) ghosts = [];
    run = { number: run.number + 1, rows: [], seen: [], tasks: model.get("tasks"), low: 0.1, high: 1 };
    playing = diverged = waiting = false; stale = true; turned = null; speed = 0; sentence = "";
    tell("start", { setting: ofTasks(setting()), run: run.number });
  };
  let sent = null, due = false;
  const send = () => {
    due = false;
    const now = setting(), changed = (names) => names.find((name) => JSON.stringify(now[name]) !== JSON.stringify(sent?.[name]));
    const anew = changed(ANEW), live = changed([...LIVE, "stop"]);
    if (anew) start();
    else if (live) {
      const step = run.rows.at(-1)?.step ?? 0;
      const what = live === "weights" || live === "units" ? now.tasks.filter((task) => now[live][ALL.indexOf(task)] !== sent[live][ALL.indexOf(task)]).map((task) => `${live === "units" ? "the unit" : "the weight"} of ${task} became ${short(now[live][ALL.indexOf(task)])}`)[0] : `${live} became ${WORDS[now[live]] ?? short(now[live])}`;
      const goesOn = turned && step - turned.step < 60 && turned.what.split(" became")[0] === what?.split(" became")[0]; // of one drag
      if (live === "stop") stale = true;
      else if (goesOn) turned.what = what;
      else if (step && run.seen.length) turned = { step, what, metrics: run.seen.at(-1).metrics };
      tell("take", { setting: ofTasks(now) });
    }
    sent = structuredClone(now);
    const address = write(now, STORIES);
    if (location.hash !== address) history.replaceState(null, "", address === "#" ? location.pathname + location.search : address);
    last = location.hash;
  };
  for (const name of NAMES) view.listen(`change:${name}`, () => { if (!due) { due = true; queueMicrotask(send); } });
  const load = () => {
    if (location.hash === last && sent) return;
    const found = read(location.hash, STORIES);
    trouble(found.trouble);
    for (const [name, value] of Object.entries(found.setting)) model.set(name, value);
  };
  addEventListener("hashchange", load);

  // ---- stories
  const stories = make("div", { className: "mtl-row pg-stories" }, null, make("span", {}, null, "Stories:"));
  const card = make("div", { className: "pg-story", hidden: true }), question = make("p", {}, card), tail = make("div", {}, card);
  const reveal = view.button("", () => { answer.hidden = false; }, { row: tail }), answer = make("p", { hidden: true }, card);
  view.button("Leave the story", () => model.set("story", ""), { row: tail });
  Object.entries(STORIES).forEach(([name, { title }], k) => {
    const button = view.button(`${k + 1} ${title}`, () => { for (const [part, value] of Object.entries({ ...structuredClone(START), ...structuredClone(STORIES[name].setting), story: name })) model.set(part, value); if (sent?.story === name) start(); }, { row: stories });
    view.follow(() => button.setAttribute("aria-pressed", String(model.get("story") === name)), ["story"]);
  });
  view.follow(() => {
    const story = STORIES[model.get("story")];
    card.hidden = !story;
    answer.hidden = true;
    if (story) { question.textContent = story.question; answer.textContent = story.answer; }
  }, ["story"]);

  // ---- controls
  const grid = make("div", { className: "pg-grid" }), aside = make("section", { className: "pg-set" }, grid), charts = make("section", { className: "pg-charts" }, grid);
  aside.setAttribute("aria-label", "Settings"); charts.setAttribute("aria-label", "Charts");
  const go = make("div", { className: "mtl-row pg-go" }, aside);
  const play = view.button("Play", () => { if (diverged) return; tell(playing ? "pause" : "play"); playing = !playing; view.ask(); }, { row: go });
  play.classList.add("pg-play");
  view.button("Step", () => tell("step"), { row: go });
  view.button("Again", () => start(), { row: go, label: "Start again from step 0; this run stays as a faint path" });
  view.button("Seed", () => model.set("seed", (model.get("seed") % 999) + 1), { row: go, label: "Start again with the next seed" });
  aside.append(view.controls);
  words(view.choose("scenes", "scenes", Object.keys(TASKS)));
  const taskRows = Object.entries(TASKS).map(([kind, tasks]) => {
    const row = make("div", { className: "mtl-row pg-tasks", role: "group" }, view.controls);
    row.setAttribute("aria-label", "Tasks");
    view.checks(row, "tasks", tasks);
    return [kind, row];
  });
  view.follow(() => {
    const kind = model.get("scenes"), own = TASKS[kind];
    taskRows.forEach(([name, row]) => { row.hidden = name !== kind; });
    const kept = own.filter((task) => model.get("tasks").includes(task));
    if (String(kept) !== String(model.get("tasks")) || !kept.length) model.set("tasks", kept.length ? kept : kind === START.scenes ? START.tasks : own);
  }, ["scenes", "tasks"]);
  words(view.choose("method", "method", Object.keys(METHODS)));
  words(view.choose("optimizer", "optimizer", Object.keys(OPTIMIZERS)));
  view.slider("rate", "rate", ...RATE, { log: true, step: 0.05, format: short });
  view.slider("width", "width", ...WIDTH, { step: 1, format: String });
  view.slider("pause at step", "stop", 0, 2000, { step: 50, format: (s) => (s ? String(s) : "–") });
  const turns = ALL.map((task, i) => ["weight", "unit"].map((kind) =>
    [task, kind, view.slider(`${kind} of ${task}`, `${kind}s`, ...FACTOR, { place: i, log: true, step: 0.05, format: short })]));
  view.follow(() => turns.flat().forEach(([task, kind, input]) => {
    input.parentElement.hidden = !model.get("tasks").includes(task) || (kind === "weight" && model.get("method") !== "fixed");
  }), ["tasks", "method"]);
  const pairs = make("select", { onchange: () => { stale = true; view.ask(); } }), pairLabel = make("label", {}, view.controls, "pair of tasks", pairs);
  view.follow(() => {
    const tasks = model.get("tasks");
    pairs.replaceChildren(...tasks.flatMap((a, i) => tasks.slice(i + 1).map((b, k) => new Option(`${a} and ${b}`, `${i} ${i + 1 + k}`))));
    pairLabel.hidden = tasks.length < 3;
  }, ["tasks"]);
  const pairOfTasks = () => (pairs.value || "0 0").split(" ").map(Number);
  const extra = make("div", { className: "mtl-row" }, aside);
  view.toggle("Networks alone", "alone");
  extra.append(view.controls.lastElementChild);
  view.button("Copy address", async (button) => {
    try { await navigator.clipboard.writeText(location.href); button.textContent = "Copied"; } catch { button.textContent = "It is in the address bar"; }
    setTimeout(() => { button.textContent = "Copy address"; }, 2000);
  }, { row: extra });

  // ---- charts
  const size = { width: 330, height: 204, pad: [44, 58, 26, 26] };
  const panel = (title, more) => { const made = view.panel({ title, x: [0, 100], y: [0, 1], ...size, ...more }); made.svg.removeAttribute("style"); charts.append(made.svg); return made; };
  const loss = panel("Loss in its unit, training batches"), score = panel("Metrics, unseen scenes"), plane = panel("The trade-off, unseen scenes", { pad: [44, 40, 26, 38], x: [0, 1] });
  const share = panel("Each task’s share of the step"), cosine = panel("Cosine of the two gradients", { y: [-1, 1] });
  const compass = panel("The gradients in their plane", { x: [-2.4, 2.4], y: [-1.2, 2.2], pad: [6, 6, 24, 20], equal: true });
  const three = [0, 1, 2], lines = (at, more) => three.map(() => at.curve(GREY, more));
  const drawn = { loss: lines(loss), score: lines(score), alone: lines(score, { opacity: 0.75, "stroke-width": 1.5 }), share: lines(share), cosine: cosine.curve(INK) };
  const old = Array.from({ length: GHOSTS }, () => ({ path: plane.curve(GREY, { opacity: 0.55, "stroke-width": 1.5 }), score: lines(score, { opacity: 0.22 }) }));
  const names = { loss: loss.ends(), score: score.ends(), share: share.ends() };
  const path = plane.curve(INK, { "stroke-width": 2.5 }), end = plane.dot(INK, 5), single = plane.dot(PURPLE, 5), note = plane.text({ "font-size": 12, dx: -7, dy: -7, "text-anchor": "end" });
  const zero = cosine.curve(GREY, { "stroke-width": 1 }), marks = [loss, score, share, cosine].map((at) => at.curve(INK, { "stroke-width": 0.9, "stroke-dasharray": "2 3" }));
  const sums = ["step", ""].map((name) => compass.arrow(name, INK, 7)), arrows = Object.fromEntries(ALL.map((task, k) => [task, compass.arrow(task, coloursOf(ALL)[k], 3)]));
  const lengths = draw("text", { x: 8, y: 198, "font-size": 12 }, compass.svg);
  let axes = "";

  // ---- unseen scenes, and the pen
  const bottom = make("div", { className: "pg-bottom" }), held = make("section", {}, bottom, make("h2", {}, null, "Unseen scenes (dotted: the true box)"));
  const row = make("div", { className: "pg-scenes" }, held), shown = Array.from({ length: SHOWN }, () => picture(row, { role: "img" }));
  const own = make("section", {}, bottom, make("h2", {}, null, "Draw a digit: the network in training answers")), pen = make("div", { className: "pg-pen" }, own);
  const pad = picture(pen, { className: "pg-pad", role: "img" }), tools = make("div", {}, pen), opinion = make("p", {}, pen);
  let strokes = [];
  const drawing = () => ink(strokes, PEN);
  const points = () => strokes.flat().length;
  let asked = 0, said = null;
  const showPad = (answers) => {
    said = strokes.length ? answers : null;
    pad.show(drawing(), said);
    opinion.textContent = said ? guesses(said) : "";
    if (points() !== asked) askPad(); // the pen went on
  };
  const askPad = () => {
    pad.show(drawing(), said);
    if (waiting || !run.seen.length || !strokes.length) return;
    waiting = true;
    asked = points();
    tell("", { image: fromPixels(model.get("scenes"), drawing()) });
  };
  const point = ({ clientX, clientY }) => { const box = pad.canvas.getBoundingClientRect(); return [((clientX - box.left) / box.width) * SIDE, ((clientY - box.top) / box.height) * SIDE]; };
  pad.canvas.addEventListener("pointerdown", (event) => { pad.canvas.setPointerCapture(event.pointerId); event.preventDefault(); strokes.push([point(event)]); askPad(); });
  pad.canvas.addEventListener("pointermove", (event) => { if (pad.canvas.hasPointerCapture(event.pointerId)) { strokes.at(-1).push(point(event)); askPad(); } });
  view.button("A seven", () => { strokes = structuredClone(SEVEN); askPad(); }, { row: tools });
  view.button("Clear", () => { strokes = []; showPad(null); }, { row: tools });
  showPad(null);

  view.root.replaceChildren(view.root.querySelector("style"), stories, card, grid, view.say, bottom);
  load();
  send();
  return () => {
    const now = setting(), { tasks } = now, colours = coloursOf(tasks), looks = looksOf(tasks), pair = pairOfTasks(), [i, j] = pair;
    play.textContent = playing ? "Pause" : "Play";
    const step = run.rows.at(-1)?.step ?? 0, story = STORIES[now.story];
    if (story) {
      reveal.disabled = step < story.after;
      reveal.textContent = reveal.disabled ? `The answer comes after step ${story.after}` : "Show the answer";
    }
    if (stale) {
      stale = false;
      const right = Math.max(100, now.stop && now.stop <= 2000 ? now.stop : 0, Math.ceil(step / 100) * 100);
      const low = Math.floor(Math.log10(run.low)), high = Math.max(low + 1, Math.ceil(Math.log10(run.high)));
      const wanted = JSON.stringify([right, low, high, tasks, pair]);
      if (wanted !== axes) {
        axes = wanted;
        for (const at of [loss, score, share, cosine]) at.x = [0, right];
        loss.y = [low, high];
        const xTicks = [0, right / 2, right];
        loss.axes("", "", { xTicks, yTicks: Array.from({ length: high - low + 1 }, (_, k) => low + k), yFormat: power });
        score.axes("", "", { xTicks, yTicks: [0, 0.5, 1] });
        share.axes("", "", { xTicks, yTicks: [0, 0.5, 1], yFormat: (v) => `${100 * v}%` });
        cosine.axes("", "", { xTicks, yTicks: [-1, 0, 1], yFormat: (v) => fixed(v, 0) });
        plane.axes(metricOf(tasks[i]), metricOf(tasks[j]), { xTicks: [0, 0.5, 1], yTicks: [0, 0.5, 1] });
        zero([[0, 0], [right, 0]]);
      }
      const looked = run.rows.filter((r) => r.K), seen = run.seen, newest = looked.at(-1), first = seen[0];
      three.forEach((t) => {
        const there = t < tasks.length, look = looks[t];
        drawn.loss[t](there ? thinned(run.rows, (r) => Math.log10(r.losses[t])) : [], look);
        drawn.score[t](there ? seen.map((s) => [s.step, s.metrics[t]]) : [], look);
        drawn.alone[t](there && tasks.length > 1 ? seen.flatMap((s) => (s.alone.length ? [[s.step, s.alone[t]]] : [])) : [], { stroke: look?.stroke, "stroke-dasharray": DASHED });
        drawn.share[t](there && tasks.length > 1 ? thinned(looked, (r) => sharesOf(r)[t]) : [], look);
      });
      const lastLoss = tasks.map((_, t) => { const rows = thinned(run.rows.slice(-20), (r) => Math.log10(r.losses[t])); return rows.length ? clamp(rows.at(-1)[1], low, high) : low; });
      names.loss(run.rows.length ? tasks : [], lastLoss, colours);
      names.score(seen.length ? tasks : [], seen.at(-1)?.metrics ?? [], colours);
      names.share(newest && tasks.length > 1 ? tasks : [], newest ? sharesOf(newest) : [], colours);
      drawn.cosine(tasks.length > 1 ? thinned(looked, (r) => cosineOf(r.K, pair)) : []);
      const inPlane = (s) => [s.metrics[i], s.metrics[j]], two = tasks.length > 1;
      path(two ? seen.map(inPlane) : []);
      end(seen.length ? inPlane(seen.at(-1)) : [0, 0], { display: two && seen.length ? undefined : "none" });
      const beside = two && seen.at(-1)?.alone.length ? seen.at(-1).alone : null, corner = beside && [beside[i], beside[j]];
      single(corner ?? [0, 0], { display: corner ? undefined : "none" });
      note(corner ?? [0, 0], corner ? "alone" : "");
      old.forEach((ghost, k) => {
        const before = ghosts[k];
        ghost.path(before && two ? before.seen.map(inPlane) : []);
        ghost.score.forEach((curve, t) => curve(before && t < tasks.length ? before.seen.map((s) => [s.step, s.metrics[t]]) : [], { stroke: looks[t]?.stroke }));
      });
      marks.forEach((mark, k) => mark(turned ? [[turned.step, [loss, score, share, cosine][k].y[0]], [turned.step, [loss, score, share, cosine][k].y[1]]] : []));
      const at = two && newest ? planeOf(newest, pair, !SURGERY.includes(now.method)) : null;
      ALL.forEach((task) => arrows[task](at && pair.some((k) => tasks[k] === task) ? at.gradients[pair.findIndex((k) => tasks[k] === task)] : null));
      const hidden = at?.gradients.some((g) => norm(mix(1, g, -1, at.step)) < 0.4); // its name would lie on another
      sums.forEach((arrow, k) => arrow(at && hidden === Boolean(k) ? at.step : null));
      lengths.textContent = at ? `length: ${pair.map((k, n) => `${tasks[k]} ${short(at.lengths[n])}`).join(", ")}; broad: the step` : "";
    }
    const words = describe({ run, diverged, turned, setting: now, pair, speed: playing ? speed : 0 });
    if (!playing || !sentence || performance.now() - spoken > SPOKEN) { sentence = words; spoken = performance.now(); }
    return sentence;
  };
}

const model = new Model({ ...structuredClone(START) });
explorable({ names: [...NAMES], build }).render({ model, el: document.getElementById("here") });
