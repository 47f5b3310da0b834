// The loss-weight tuner. Moved: the weights of the losses, while a network trains in the kernel.
// What answers: losses, the run as a path beside single networks, shares of the gradient, their cosine.
import { GREY, INK, clamp, explorable, fixed, kernelOf, coloursOf, looksOf, power, set, short } from "./kit.js";

const GHOSTS = 4;

/** A measurement by name: a row of the kernel is step, then weights, losses, metrics, shares, and the cosine. */
export function read(row, tasks) {
  const T = tasks.length, part = (k) => row.slice(1 + k * T, 1 + (k + 1) * T);
  return { step: row[0], weights: part(0), losses: part(1), metrics: part(2), shares: part(3), cosine: row[1 + 4 * T] };
}

/** The measurement before the present weights; the first where none changed. */
export function sinceChange(moments) {
  for (let k = moments.length - 1; k > 0; k--) {
    if (String(moments[k - 1].weights) !== String(moments[k].weights)) return moments[k - 1];
  }
  return moments[0];
}

/** What a run did since its weights last changed, and what pulls at the encoder now. */
export function describe({ tasks, metric_names: names, runs_shown: runs, said }) {
  const moments = runs.at(-1).rows.map((row) => read(row, tasks)), now = moments.at(-1), then = sinceChange(moments);
  const state = `Step ${now.step}, weights ${tasks.map((task, i) => `${task} ${short(now.weights[i])}`).join(", ")}`;
  if (said) return said;
  if (now.step === then.step) return `${state}: press Start, then turn a weight while the curves grow.`;
  const later = moments.slice(moments.indexOf(then));
  const moves = tasks.map((task, i) => {
    const before = then.metrics[i], after = now.metrics[i], best = later.reduce((a, b) => (b.metrics[i] > a.metrics[i] ? b : a));
    const verb = after > before + 0.005 ? "rose" : after < before - 0.005 ? "fell" : "stayed";
    const was = best.metrics[i] > after + 0.05 && best !== then ? ` (it was ${fixed(best.metrics[i])} at step ${best.step})` : "";
    return `${task} ${names[i]} ${verb} ${verb === "stayed" ? `at ${fixed(after)}` : `from ${fixed(before)} to ${fixed(after)}`}${was}`;
  });
  const most = now.shares.indexOf(Math.max(...now.shares));
  const pull = Math.abs(now.cosine) < 0.1 ? "at right angles" : now.cosine < 0 ? "apart" : "together";
  return `${state}. Since ${then.step ? `step ${then.step}` : "the start"}, ${moves.join(" and ")}. ${tasks[most]} has ` +
    `${(100 * now.shares[most]).toFixed(0)}% of the shared gradient; the pulls are ${pull} (cosine ${fixed(now.cosine)}).`;
}

function build(view) {
  const { model } = view, tasks = model.get("tasks"), looks = looksOf(tasks), colours = coloursOf(tasks);
  const { buttons: [start], rests, note } = kernelOf(view, [["Start", () => (model.get("running") ? "pause" : "start")], ["Step", "step"],
    ["Reset", "reset", "Reset: keep this run as a ghost, and start anew"]], ["running", "runs_shown", "said"]);
  view.follow(() => { start.textContent = model.get("running") ? "Pause" : "Start"; }, ["running"]);
  [view.slider("stop at step", "stop_at", 0, model.get("steps"), { step: 25, format: (s) => (s ? String(s) : "–") }),
    ...tasks.map((task, i) => view.slider(`weight of ${task}`, "weights", 0.01, 1000, { place: i, log: true, step: 0.05, format: short }))].forEach((slider) => { slider.disabled = rests; });
  if (!rests) view.history();

  const size = { width: 450, height: 235, pad: [52, 66, 30, 38] };
  const loss = view.panel({ title: "Training loss", x: [0, 200], y: [-3, 1], ...size });
  const plane = view.panel({ title: "The run as a path", x: [0, 1], y: [0, 1], ...size, pad: [52, 66, 30, 40] });
  const share = view.panel({ title: "Shares of the shared gradient", x: [0, 200], y: [0, 1], ...size });
  const cosine = view.panel({ title: "Cosine of the gradients", x: [0, 200], y: [-1, 1], ...size });
  const styled = (panel, more = {}) => looks.map((look) => panel.curve(look.stroke, { ...look, ...more }));
  const ghosts = Array.from({ length: GHOSTS }, () => ({ loss: styled(loss, { opacity: 0.25 }), path: plane.curve(GREY, { opacity: 0.6 }), end: plane.text({ "font-size": 12, dx: 6 }) }));
  const lines = { loss: styled(loss), share: styled(share), cosine: cosine.curve(INK) };
  const words = { loss: loss.ends(), share: share.ends() };
  const path = plane.curve(INK, { "stroke-width": 2.5 }), end = plane.dot(INK, 6), number = plane.text({ "font-weight": 700, dx: 9, dy: -6 });
  const alone = [0, 1].map((i) => plane.curve(colours[i] ?? GREY, { "stroke-dasharray": "2 4" }));
  const zero = cosine.curve(GREY, { "stroke-width": 1 });
  const changes = [loss, share, cosine].map((panel) => panel.curve(INK, { "stroke-width": 0.8, "stroke-dasharray": "2 3" }));
  const table = document.createElement("table");
  table.style.cssText = "font-size:13px;text-align:right;border-spacing:0 1px";
  const runs = set(document.createElement("div"), { tabindex: 0, role: "region", "aria-label": "The runs", style: "overflow-x:auto" });
  runs.append(table);
  view.below.append(runs);
  let live = [];
  view.listen("msg:custom", (message) => {
    if (!message.losses) return;
    live.push(...message.losses);
    view.ask();
  });
  return (state) => {
    const all = state.runs_shown.map((run) => ({ ...run, moments: run.rows.map((row) => read(row, tasks)) }));
    const run = all.at(-1), shown = all.slice(-1 - GHOSTS), now = run.moments.at(-1);
    live = live.filter(([n, step]) => n === run.number && step > now.step);
    const latest = Math.max(now.step, live.at(-1)?.[1] ?? 0);
    const right = Math.max(200, Math.ceil(Math.max(latest, ...shown.map((r) => r.moments.at(-1).step)) / 200) * 200);
    const logs = (moments, i) => moments.flatMap((m) => (m.losses[i] > 0 ? [[m.step, Math.log10(m.losses[i])]] : []));
    const values = shown.flatMap((r) => tasks.flatMap((_, i) => logs(r.moments, i).map(([, v]) => v)));
    const low = Math.floor(Math.min(...values, -1) - 0.2), high = Math.max(Math.ceil(Math.max(...values, 0)), low + 1);
    for (const panel of [loss, share, cosine]) panel.x = [0, right];
    loss.y = [low, high];
    loss.axes("training step", "", { yTicks: Array.from({ length: high - low + 1 }, (_, k) => low + k), yFormat: power });
    share.axes("training step", "", { yTicks: [0, 0.5, 1], yFormat: (v) => `${100 * v} %` });
    cosine.axes("training step", "", { yTicks: [-1, 0, 1] });
    plane.axes(`${tasks[0]} ${state.metric_names[0]}`, tasks.length > 1 ? `${tasks[1]} ${state.metric_names[1]}` : "");
    zero([[0, 0], [right, 0]]);
    const second = Math.min(1, tasks.length - 1), inPlane = (m) => [m.metrics[0], m.metrics[second]];
    ghosts.forEach((ghost, k) => {
      const old = shown.length > 1 ? shown.slice(0, -1)[k] : undefined;
      ghost.loss.forEach((curve, i) => curve(old ? logs(old.moments, i) : []));
      ghost.path(old ? old.moments.map(inPlane) : []);
      ghost.end(old ? inPlane(old.moments.at(-1)) : [0, 0], old ? String(old.number) : "");
    });
    const ends = tasks.map((_, i) => {
      const points = [...logs(run.moments, i), ...live.map(([, step, ...row]) => [step, Math.log10(Math.max(row[i], 1e-9))])];
      lines.loss[i](points);
      lines.share[i](run.moments.map((m) => [m.step, m.shares[i]]));
      return points.at(-1)?.[1] ?? low;
    });
    words.loss(tasks, ends.map((v) => clamp(v, low, high)), colours);
    words.share(tasks, now.shares, colours);
    lines.cosine(run.moments.map((m) => [m.step, m.cosine]));
    path(run.moments.map(inPlane));
    end(inPlane(now));
    number(inPlane(now), String(run.number));
    alone.forEach((line, i) => line(state.singles.length > i ? (i ? [[0, state.singles[i]], [1, state.singles[i]]] : [[state.singles[0], 0], [state.singles[0], 1]]) : []));
    const turned = run.moments.flatMap((m, k) => (k && String(run.moments[k - 1].weights) !== String(m.weights) ? [run.moments[k - 1].step] : []));
    [loss, share, cosine].forEach((panel, k) => changes[k](turned.flatMap((step) => [[step, panel.y[0]], [step, panel.y[1]], null])));
    tabulate(table, all.filter((r) => r.moments.at(-1).step), tasks, state.metric_names);
    return describe(state) + note;
  };
}

/** The runs, each at its end and at the last step that all of them have. */
function tabulate(table, runs, tasks, names) {
  table.replaceChildren();
  if (!runs.length) return;
  const common = Math.min(...runs.map((run) => run.moments.at(-1).step));
  const at = (run) => run.moments.filter((m) => m.step <= common).at(-1);
  const row = (cells, kind) => { const line = table.insertRow(); for (const cell of cells) { const node = document.createElement(kind); Object.assign(node, { textContent: cell }).style.padding = "1px 7px"; line.append(node); } };
  row(["run", "steps", ...tasks.map((task) => `weight ${task}`), ...tasks.flatMap((task, i) => [`${task} ${names[i]}`, `at step ${common}`])], "th");
  for (const run of runs) {
    const last = run.moments.at(-1), weights = tasks.map((_, i) => run.moments.map((m) => short(m.weights[i])).filter((w, k, list) => w !== list[k - 1]));
    row([String(run.number), String(last.step), ...weights.map((list) => (list.length > 3 ? [list[0], "…", list.at(-1)] : list).join(" → ")),
      ...tasks.flatMap((_, i) => [fixed(last.metrics[i], 3), fixed(at(run).metrics[i], 3)])], "td");
  }
}

export default explorable({ names: ["tasks", "metric_names", "runs_shown", "weights", "running", "stop_at", "steps", "singles", "said"], hand: ["weights", "stop_at"], build });
