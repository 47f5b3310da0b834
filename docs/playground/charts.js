// The charts: losses, metrics, shares and the cosine on the way, the path in the trade-off, and the
// gradients in their plane.
import { GREY, INK, PURPLE, clamp, coloursOf, draw, fixed, looksOf, mix, norm, power, short, ticks } from "./kit.js";
import { cosineOf, metricOf, planeOf, sharesOf, thinned } from "./reading.js";
import { ALL } from "./setting.js";

export const GHOSTS = 3;
const DASHED = "2 4", SURGERY = ["pcgrad", "mgda"];

/** Make the charts in a parent; gives what draws a run, those before it, and where something was turned. */
export function chartsOf(view, parent) {
  const size = { width: 330, height: 204, pad: [44, 58, 26, 26] };
  const panel = (title, more) => {
    const made = view.panel({ title, x: [0, 100], y: [0, 1], ...size, ...more });
    made.svg.removeAttribute("style");
    parent.append(made.svg);
    return made;
  };
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
  const before = [score, plane].map(({ svg }, k) => draw("text", { x: size.width - 4, y: k ? 200 : 18, "text-anchor": "end", "font-size": 12 }, svg));
  let axes = "";

  return ({ run, ghosts, turned, setting, pair }) => {
    const { tasks } = setting, [i, j] = pair, colours = coloursOf(tasks), looks = looksOf(tasks);
    const right = Math.max(100, setting.stop && setting.stop <= 2000 ? setting.stop : 0, Math.ceil((run.rows.at(-1)?.step ?? 0) / 100) * 100);
    const low = Math.floor(Math.log10(run.low)), high = Math.max(low + 1, Math.ceil(Math.log10(run.high)));
    const wanted = JSON.stringify([right, low, high, tasks, pair]);
    if (wanted !== axes) {
      axes = wanted;
      for (const at of [loss, score, share, cosine]) at.x = [0, right];
      loss.y = [low, high];
      const xTicks = [0, right / 2, right];
      loss.axes("", "", { xTicks, yTicks: ticks(low, high).filter(Number.isInteger), yFormat: power });
      score.axes("", "", { xTicks, yTicks: [0, 0.5, 1] });
      share.axes("", "", { xTicks, yTicks: [0, 0.5, 1], yFormat: (v) => `${100 * v}%` });
      cosine.axes("", "", { xTicks, yTicks: [-1, 0, 1], yFormat: (v) => fixed(v, 0) });
      plane.axes(metricOf(tasks[i]), metricOf(tasks[j]), { xTicks: [0, 0.5, 1], yTicks: [0, 0.5, 1] });
      zero([[0, 0], [right, 0]]);
    }
    const { looked, seen } = run, newest = looked.at(-1), two = tasks.length > 1;
    three.forEach((t) => {
      const there = t < tasks.length, look = looks[t];
      drawn.loss[t](there ? thinned(run.rows, (r) => Math.log10(r.losses[t])) : [], look);
      drawn.score[t](there ? seen.map((s) => [s.step, s.metrics[t]]) : [], look);
      drawn.alone[t](there && two ? seen.flatMap((s) => (s.alone.length ? [[s.step, s.alone[t]]] : [])) : [], { stroke: look?.stroke, "stroke-dasharray": DASHED });
      drawn.share[t](there && two ? thinned(looked, (r) => sharesOf(r)[t]) : [], look);
    });
    const lastLoss = tasks.map((_, t) => { const rows = thinned(run.rows.slice(-20), (r) => Math.log10(r.losses[t])); return rows.length ? clamp(rows.at(-1)[1], low, high) : low; });
    names.loss(run.rows.length ? tasks : [], lastLoss, colours);
    names.score(seen.length ? tasks : [], seen.at(-1)?.metrics ?? [], colours);
    names.share(newest && two ? tasks : [], newest ? sharesOf(newest) : [], colours);
    drawn.cosine(two ? thinned(looked, (r) => cosineOf(r.K, pair)) : []);
    const inPlane = (s) => [s.metrics[i], s.metrics[j]];
    path(two ? seen.map(inPlane) : []);
    end(seen.length ? inPlane(seen.at(-1)) : [0, 0], { display: two && seen.length ? undefined : "none" });
    const beside = two && seen.at(-1)?.alone.length ? seen.at(-1).alone : null, corner = beside && [beside[i], beside[j]];
    single(corner ?? [0, 0], { display: corner ? undefined : "none" });
    note(corner ?? [0, 0], corner ? "alone" : "");
    before.forEach((words, k) => { words.textContent = ghosts.length && (two || !k) ? `faint: run${ghosts.length > 1 ? "s" : ""} before` : ""; });
    old.forEach((ghost, k) => {
      const earlier = ghosts[k];
      ghost.path(earlier && two ? earlier.seen.map(inPlane) : []);
      ghost.score.forEach((curve, t) => curve(earlier && t < tasks.length ? earlier.seen.map((s) => [s.step, s.metrics[t]]) : [], { stroke: looks[t]?.stroke }));
    });
    marks.forEach((mark, k) => mark(turned ? [[turned.step, [loss, score, share, cosine][k].y[0]], [turned.step, [loss, score, share, cosine][k].y[1]]] : []));
    const at = two && newest ? planeOf(newest, pair, !SURGERY.includes(setting.method)) : null;
    ALL.forEach((task) => arrows[task](at && pair.some((k) => tasks[k] === task) ? at.gradients[pair.findIndex((k) => tasks[k] === task)] : null));
    const hidden = at?.gradients.some((g) => norm(mix(1, g, -1, at.step)) < 0.4); // its name would lie on another
    sums.forEach((arrow, k) => arrow(at && hidden === Boolean(k) ? at.step : null));
    lengths.textContent = at ? `length: ${pair.map((k, n) => `${tasks[k]} ${short(at.lengths[n])}`).join(", ")}; broad: the step` : "";
  };
}
