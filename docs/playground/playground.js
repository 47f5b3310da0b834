// The playground. Moved: everything that a training has, while it trains. What answers: losses, metrics
// on unseen scenes, each task's share of the step, the gradients in their plane, and the answers.
import { Model, explorable, short } from "./kit.js";
import { GHOSTS, chartsOf } from "./charts.js";
import { METHODS, OPTIMIZERS, SHOWN } from "./engine.js";
import { make, picture, rowOf, sheet } from "./pictures.js";
import { changeOf, describe } from "./reading.js";
import { PIXELS, TASKS, fromPixels, toPixels } from "./scenes.js";
import { ALL, FACTOR, RATE, START, WIDTH, WORDS, ofTasks, read, write } from "./setting.js";
import { STORIES } from "./stories.js";

const NAMES = Object.keys(START), ANEW = ["scenes", "tasks", "width", "alone", "seed"], LIVE = ["method", "optimizer", "rate", "weights", "units"];
const BOUND = 1e4, SPOKEN = 2000; // of losses that are drawn; milliseconds between two sentences while it trains

function build(view) {
  const { model } = view, setting = () => view.state(NAMES), storyNow = () => STORIES[model.get("story")];
  const words = (list) => { for (const option of list.options) option.text = WORDS[option.value] ?? option.value; return list; };
  view.root.classList.add("pg");
  const blank = (number, tasks) => ({ number, tasks, rows: [], looked: [], seen: [], low: 0.1, high: 1 });
  let run = blank(0, []), ghosts = [], playing = false, diverged = false, stale = true, turned = null, speed = 0, scenes = null, spoken = 0, sentence = "", last = "";

  // ---- the worker
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  worker.onerror = () => trouble(unserved);
  let since = { step: 0, time: 0 };
  worker.onmessage = ({ data }) => {
    if (data.run !== run.number) return;
    if (data.drawn) return pad.take(data.drawn);
    for (const row of data.rows) {
      run.rows.push(row);
      if (row.K) run.looked.push(row);
      for (const value of row.losses) if (value > 0 && value <= BOUND) { run.low = Math.min(run.low, value); run.high = Math.max(run.high, value); }
    }
    if (data.seen && data.seen.step !== run.seen.at(-1)?.step) run.seen.push({ ...data.seen, answers: null });
    if (data.scenes) scenes = data.scenes;
    if (data.seen && scenes) shown.forEach((one, b) => one.show(toPixels(model.get("scenes"), scenes.images.slice(b * PIXELS, (b + 1) * PIXELS)), rowOf(data.seen.answers, b), rowOf(scenes.targets, b, true)));
    const now = performance.now(), step = run.rows.at(-1)?.step ?? 0;
    if (!playing || !data.playing) since = { step, time: now };
    else if (now - since.time > 1000) { speed = (1000 * (step - since.step)) / (now - since.time); since = { step, time: now }; }
    ({ playing } = data);
    diverged ||= Boolean(data.diverged);
    if (data.seen) pad.again();
    const next = pauses().find((pause) => pause > step);
    if (step && !playing && step === model.get("stop") && next) { moved = [moved?.[0] ?? step, next]; model.set("stop", next); }
    stale = true;
    view.ask();
  };
  const tell = (act, more = {}) => worker.postMessage({ act, ...more });
  let moved = null; // where the first pause was set, and where the next one is: a story goes on to the step that it speaks of
  const pauses = () => (storyNow() ? [storyNow().setting.stop ?? START.stop, storyNow().after] : []);
  const asSet = (now) => (now.stop === moved?.[1] ? { ...now, stop: moved[0] } : now);
  const forWorker = () => ({ ...ofTasks(setting()), pauses: pauses() });

  // ---- what is chosen
  const start = () => {
    const tasks = model.get("tasks");
    ghosts = fresh || String(run.tasks) !== String(tasks) ? [] : run.seen.length > 2 ? [...ghosts, run].slice(-GHOSTS) : ghosts;
    run = blank(run.number + 1, tasks);
    playing = diverged = false; stale = true; turned = null; speed = 0; sentence = "";
    model.set("stop", asSet(setting()).stop);
    moved = null;
    tell("start", { setting: forWorker(), run: run.number });
  };
  let sent = null, due = false, fresh = true; // fresh: a run begins with what is set, and those before are forgotten
  const send = () => {
    due = false;
    const now = setting(), changed = (names) => names.find((name) => JSON.stringify(now[name]) !== JSON.stringify(sent?.[name]));
    const anew = changed(ANEW), live = changed([...LIVE, "stop"]);
    if (anew || fresh) start();
    else if (live) {
      const step = run.rows.at(-1)?.step ?? 0, what = changeOf(live, sent, now);
      const goesOn = turned && step - turned.step < 60 && turned.what.split(" became")[0] === what.split(" became")[0]; // of one drag
      if (live === "stop") stale = true;
      else if (goesOn) turned.what = what;
      else if (step && run.seen.length) turned = { step, what, metrics: run.seen.at(-1).metrics };
      tell("take", { setting: forWorker() });
    }
    sent = structuredClone(setting());
    fresh = false;
    const address = write(asSet(sent), STORIES);
    if (location.hash !== address) history.replaceState(null, "", address === "#" ? location.pathname + location.search : address);
    last = location.hash;
  };
  const soon = () => { if (!due) queueMicrotask(send); due = true; };
  for (const name of NAMES) view.listen(`change:${name}`, soon);
  const put = (values) => {
    fresh = true;
    moved = null;
    for (const [name, value] of Object.entries(structuredClone(values))) model.set(name, value);
    soon();
  };
  const load = () => {
    if (location.hash === last && sent) return;
    const found = read(location.hash, STORIES);
    trouble(found.trouble);
    put(found.setting);
  };
  addEventListener("hashchange", load);

  // ---- stories
  const stories = make("div", { className: "mtl-row pg-stories" }, null, make("span", {}, null, "Stories:"));
  const card = make("div", { className: "pg-story", hidden: true }), question = make("p", {}, card), tail = make("div", {}, card), choices = make("div", { role: "group", ariaLabel: "Your guess" }, card);
  const reveal = view.button("", () => { answer.hidden = !answer.hidden; view.ask(); }, { row: tail }), answer = make("p", { hidden: true }, card);
  const tellAnswer = (guess) => { answer.textContent = `${guess ? `You guessed “${guess}”. ` : ""}${storyNow().answer}`; };
  view.button("Leave the story", () => model.set("story", ""), { row: tail });
  Object.entries(STORIES).forEach(([name, { title }], k) => {
    const button = view.button(`${k + 1} ${title}`, () => put({ ...START, ...STORIES[name].setting, story: name }), { row: stories });
    view.follow(() => button.setAttribute("aria-pressed", String(model.get("story") === name)), ["story"]);
  });
  view.follow(() => {
    const story = storyNow();
    card.hidden = !story;
    answer.hidden = true;
    if (!story) return;
    question.textContent = story.question;
    tellAnswer();
    choices.replaceChildren("Your guess:");
    story.choices.forEach((words) => view.button(words, (mine) => {
      tellAnswer(words);
      choices.querySelectorAll("button").forEach((button) => button.setAttribute("aria-pressed", String(button === mine)));
    }, { row: choices }).setAttribute("aria-pressed", "false"));
  }, ["story"]);

  // ---- controls
  const grid = make("div", { className: "pg-grid" }), aside = make("section", { className: "pg-set" }, grid), charts = make("section", { className: "pg-charts" }, grid);
  aside.setAttribute("aria-label", "Settings"); charts.setAttribute("aria-label", "Charts");
  const go = make("div", { className: "mtl-row pg-go" }, aside);
  const play = view.button("Play", () => { if (diverged) return; tell(playing ? "pause" : "play"); playing = !playing; view.ask(); }, { row: go });
  play.classList.add("pg-play");
  view.button("Step", () => tell("step"), { row: go });
  view.button("Again", () => start(), { row: go, label: "Again: start from step 0; this run stays as a faint path" });
  view.button("Seed", () => model.set("seed", (model.get("seed") % 999) + 1), { row: go, label: "Seed: start with the next one" });
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
  const copy = async () => navigator.clipboard.writeText(location.href); // there is none on an address without https
  view.button("Copy address", (button) => copy().then(() => "Copied", () => "It is in the address bar").then((words) => { button.textContent = words; }), { row: extra });

  const paintCharts = chartsOf(view, charts);

  // ---- unseen scenes, and the pen
  const bottom = make("div", { className: "pg-bottom" }), held = make("section", {}, bottom, make("h2", {}, null, "Unseen scenes (dotted: the true box)"));
  held.prepend(view.say);
  const row = make("div", { className: "pg-scenes" }, held), shown = Array.from({ length: SHOWN }, () => picture(row));
  const own = make("section", {}, bottom, make("h2", {}, null, "Draw a digit: the network in training answers")), pen = make("div", { className: "pg-pen" }, own);
  const pad = sheet(view, pen, (image) => run.seen.length && (tell("", { image: fromPixels(model.get("scenes"), image) }), true));

  view.root.replaceChildren(view.root.querySelector("style"), stories, card, grid, bottom);
  load();
  return () => {
    const now = setting(), pair = pairOfTasks();
    play.textContent = playing ? "Pause" : "Play";
    const step = run.rows.at(-1)?.step ?? 0, story = storyNow();
    if (story) {
      reveal.disabled = answer.hidden && step < story.after;
      reveal.textContent = reveal.disabled ? `Answer after step ${story.after}` : `${answer.hidden ? "Show" : "Hide"} the answer`;
    }
    if (stale) {
      stale = false;
      paintCharts({ run, ghosts, turned, setting: now, pair });
    }
    const words = describe({ run, diverged, turned, setting: now, pair, speed: playing ? speed : 0 });
    if (!playing || !sentence || performance.now() - spoken > SPOKEN) { sentence = words; spoken = performance.now(); }
    return sentence;
  };
}

if (window.Worker) explorable({ names: NAMES, build }).render({ model: new Model(structuredClone(START)), el: document.getElementById("here") });
else trouble(unserved);
