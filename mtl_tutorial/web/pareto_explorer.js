// The Pareto explorer. Moved: the front, bent by its middle, and the line of the weighted sum, turned
// by its end. What answers: the points that a weight finds, and those that no weight finds.
import { GREEN, ORANGE, INK, clamp, explorable, fixed } from "./kit.js";

const POINTS = 1201, TIE = 1e-9;
export const RULES = ["weighted sum", "min-max"], DISTANCES = [0.6, 2.4], WEIGHTS = [0.05, 0.95];

/** Losses along the front of two wells so far apart: L = 1 − exp(−(s ∓ distance / 2)²). */
export const front = (distance) => Array.from({ length: POINTS }, (_, k) =>
  [0.5, -0.5].map((side) => 1 - Math.exp(-((distance * (k / (POINTS - 1) - 0.5 - side)) ** 2))));

/** What each rule makes small along a front, where it is least, and what no weight of the sum finds. */
export function explore(distance, weight) {
  const points = front(distance);
  const values = {
    "weighted sum": points.map(([a, b]) => weight * a + (1 - weight) * b),
    "min-max": points.map(([a, b]) => Math.max(weight * a, (1 - weight) * b)),
  };
  const found = Object.fromEntries(RULES.map((rule) => {
    const least = Math.min(...values[rule]) + TIE, all = values[rule].flatMap((v, k) => (v <= least ? [k] : []));
    return [rule, [...new Set([all[0], all.at(-1)])]];
  }));
  const sums = points.map(([a, b]) => a + b), lowest = sums.indexOf(Math.min(...sums)), middle = (POINTS - 1) / 2;
  const unreached = points.map((_, k) => Math.abs(k - middle) < Math.abs(lowest - middle) - 1e-9);
  const pieces = points.slice(1).map(([a, b], k) => Math.hypot(a - points[k][0], b - points[k][1]));
  const length = (kept) => kept.reduce((total, piece) => total + piece, 0), missed = pieces.filter((_, k) => unreached[k] && unreached[k + 1]);
  return { points, values, found, unreached, share: length(missed) / length(pieces) };
}

/** The sentence below the picture. */
export function describe(state, explored) {
  const { share, points, found } = explored;
  const missed = !share ? "no part of the front" : share < 0.985 ? `${fixed(100 * share, 0)}% of the front` : "all of the front but its ends";
  const place = (rule) => found[rule].map((k) => `(${fixed(points[k][0])}, ${fixed(points[k][1])})`).join(" or ");
  return `Least values ${fixed(state.distance)} apart: ${missed} is out of the weighted sum's reach. With weight ${fixed(state.weight)} ` +
    `for task 1 it ends at the losses ${place(RULES[0])}; min-max ends at ${place(RULES[1])}.`;
}

function build(view) {
  view.history();
  view.choose("made small", "rule", RULES);
  const plane = view.panel({ title: "Bend the front, turn the line", x: [-0.03, 1.1], y: [-0.03, 1.1], height: 380 });
  const along = view.panel({ title: "Its value along the front", x: [-0.03, 1.03], y: [0, 1], height: 380 });
  plane.axes("loss of task 1", "loss of task 2");
  along.axes("place: 0 is best for task 2, 1 for task 1", "");
  const worse = plane.patch(GREEN, 0.08), level = plane.curve(INK, { "stroke-dasharray": "6 4", "stroke-width": 1.5 });
  const lines = [plane, along].map((panel) => [panel.curve(GREEN, { "stroke-width": 5, opacity: 0.8 }), panel.curve(ORANGE, { "stroke-width": 4, "stroke-dasharray": "2 4" })]);
  const dots = [0, 1].map(() => ({ own: plane.dot(INK, 6), other: plane.dot("var(--mtl-paper)", 6, { stroke: INK, "stroke-width": 2 }), along: along.dot(INK, 6) }));
  const bend = plane.handle("middle of the front", GREEN, ([x, y]) => {
    const value = clamp((x + y) / 2, 0.05, 0.8); // of both losses in the middle: 1 − exp(−(distance / 2)²)
    view.change({ distance: Number(clamp(2 * Math.sqrt(-Math.log(1 - value)), ...DISTANCES).toFixed(3)) });
  }, { step: 0.02 });
  const turn = plane.handle("end of the line of the weighted sum", INK, ([x, y]) => {
    const [a, b] = anchor, side = b > a ? 1 : -1, down = Math.max(0.02, side * (b - y)), right = Math.max(0.02, side * (x - a));
    view.change({ weight: Number(clamp(down / (down + right), ...WEIGHTS).toFixed(3)) });
  }, { step: 0.04 });
  let anchor = [0, 0];
  return (state) => {
    const explored = explore(state.distance, state.weight), { points, values, found, unreached } = explored;
    const w = [state.weight, 1 - state.weight], other = RULES.find((rule) => rule !== state.rule);
    const steps = points.map((_, k) => k).filter((k) => k % 6 === 0), only = (keep, at) => steps.map((k) => (unreached[k] === keep ? at(k) : null));
    worse([...steps.map((k) => points[k]), [0, 2], [2, 2], [2, 0]]);
    const share = (k) => [k / (POINTS - 1), values[state.rule][k]];
    [(k) => points[k], share].forEach((at, i) => { lines[i][0](only(false, at)); lines[i][1](only(true, at)); });
    dots.forEach((dot, i) => {
      const [own, rest] = [found[state.rule][i], found[other][i]], shown = (k) => ({ display: k === undefined ? "none" : "inline" });
      dot.own(points[own ?? 0], shown(own));
      dot.other(points[rest ?? 0], shown(rest));
      dot.along(share(own ?? 0), shown(own));
    });
    anchor = points[found[state.rule][0]];
    const corner = w.map((x) => Math.max(w[0] * anchor[0], w[1] * anchor[1]) / x);
    level(state.rule === RULES[0] ? [[anchor[0] - 2 * w[1], anchor[1] + 2 * w[0]], [anchor[0] + 2 * w[1], anchor[1] - 2 * w[0]]]
      : [[corner[0], -1], corner, [-1, corner[1]]]);
    bend(points[(POINTS - 1) / 2]);
    const reach = (anchor[1] > anchor[0] ? 0.3 : -0.3) / Math.hypot(...w); // towards the middle of the picture
    turn([anchor[0] + reach * w[1], anchor[1] - reach * w[0]], state.rule === RULES[0]);
    return describe(state, explored);
  };
}

export default explorable({ names: ["distance", "weight", "rule"], build });
