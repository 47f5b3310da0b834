// The uncertainty bowl. Moved: its lowest point, which is where two losses put it, and the start.
// What answers: the way that learning takes down the bowl, and the loss weights on it.
import { PURPLE, INK, clamp, explorable, coloursOf, fixed, looksOf, power, short } from "./kit.js";
import { adamStep, unmoved } from "./methods.js";

const LOW = -8, HIGH = 4, STEPS = 80, LOSSES = [1e-3, 10];
export const SCALE = { regression: 0.5, classification: 1 }; // c in c e^{−s} L + s / 2

/** Where the objective is lowest: s* = log 2 c L. */
export const lowest = (state) => state.losses.map((loss, i) => Math.log(2 * SCALE[state.kinds[i]] * loss));

/** s after every step of Adam from the start; the gradient is ½ − c e^{−s} L. */
export function path({ losses, kinds, start, rate }, steps = STEPS) {
  const points = [[...start]];
  for (let t = 1, moments = unmoved(2); t <= steps; t++) {
    const s = points.at(-1), { move, after } = adamStep(s.map((x, i) => 0.5 - SCALE[kinds[i]] * Math.exp(-x) * losses[i]), moments, rate);
    points.push(s.map((x, i) => x - move[i]));
    moments = after;
  }
  return points;
}

/** The sentence below the picture. */
export function describe(state) {
  const ends = lowest(state), parts = state.tasks.map((task, i) =>
    `The loss of ${task} is ${short(state.losses[i])}: lowest at log-variance ${fixed(ends[i])}, where its weight is 1 / (2 · ${short(state.losses[i])}) = ${short(1 / (2 * state.losses[i]))}`);
  const last = path(state).at(-1), left = Math.hypot(last[0] - ends[0], last[1] - ends[1]);
  return `${parts.join(". ")}. After ${STEPS} steps the path is ${fixed(left)} away.`;
}

function build(view) {
  view.history();
  view.slider("learning rate", "rate", 0.01, 1, { step: 0.05, log: true, format: short });
  const tasks = view.model.get("tasks"), [first, second] = tasks, looks = looksOf(tasks), colours = coloursOf(tasks);
  const plane = view.panel({ title: "Drag the star or the start", x: [LOW, HIGH], y: [LOW, HIGH], height: 380, width: 420 });
  const weights = view.panel({ title: "The loss weights on the way", x: [0, STEPS], y: [-2, 3], height: 380, width: 440, pad: [54, 70, 34, 44] });
  plane.axes(`log-variance of ${first}`, `log-variance of ${second}`);
  weights.axes("step", "", { yTicks: [-2, -1, 0, 1, 2, 3], yFormat: power });
  const way = plane.curve(PURPLE, { "stroke-width": 3 }), end = plane.dot(PURPLE, 5);
  const star = plane.text({ "font-size": 24, "text-anchor": "middle", "dominant-baseline": "central", "pointer-events": "none" }, "★");
  const begin = plane.text({ "text-anchor": "middle", dy: -18, "pointer-events": "none" }, "start");
  const move = (name, values) => view.change({ [name]: values.map((v) => Number(v.toPrecision(4))) });
  const bottom = plane.handle("lowest point of the bowl", INK, (point) => {
    const kinds = view.model.get("kinds");
    move("losses", point.map((s, i) => clamp(Math.exp(s) / (2 * SCALE[kinds[i]]), ...LOSSES)));
  }, { step: 0.2 });
  const from = plane.handle("start", PURPLE, (point) => move("start", point.map((s) => clamp(s, LOW, HIGH))), { step: 0.2 });
  const lines = looks.map((look) => weights.curve(look.stroke, look)), names = weights.ends();
  let drawn = "";
  return (state) => {
    const ends = lowest(state), points = path(state), key = JSON.stringify([state.losses, state.kinds]);
    if (key !== drawn) {
      const c = state.kinds.map((kind) => SCALE[kind]), floor = ends.reduce((sum, s) => sum + 0.5 + s / 2, 0);
      plane.contours((x, y) => c[0] * Math.exp(-x) * state.losses[0] + x / 2 + c[1] * Math.exp(-y) * state.losses[1] + y / 2 - floor,
        [0.1, 0.5, 1, 2, 4, 8, 16, 32], { cells: 48 });
      drawn = key;
    }
    way(points); end(points.at(-1)); star(ends); bottom(ends); from(state.start); begin(state.start);
    const logs = lines.map((_, i) => points.map((s, step) => [step, clamp(Math.log10(SCALE[state.kinds[i]] * Math.exp(-s[i])), -2.2, 3.2)]));
    lines.forEach((line, i) => line(logs[i]));
    names(tasks, logs.map((row) => row.at(-1)[1]), colours);
    return describe(state);
  };
}

export default explorable({ names: ["tasks", "kinds", "losses", "start", "rate"], build });
