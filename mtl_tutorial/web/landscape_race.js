// The landscape race. Moved: the starts. What answers: the ways of three methods over the landscape
// of two tasks and in the plane of their losses, when they arrive, and at the pointer every step.
import { BLUE, VERMILION, GREEN, PURPLE, SKY, HALO, INK, clamp, draw, explorable, fixed, inked, mix, norm } from "./kit.js";
import { PAIRS } from "./methods.js";

const LOWER = 5e-6, PARETO_X = [-7, 7], PARETO_Y = -8.3552, NEAR = 0.3, KEPT = 240, EQUAL = [1, 1];
export const RACERS = ["sum", "PCGrad", "MGDA"];
const LINES = { sum: [INK, undefined], PCGrad: [SKY, "7 4"], MGDA: [PURPLE, "7 3 2 3"] };

/** Both losses at a point, and their gradients: the landscape of Liu et al. 2021, section 5.1.
 *  @param out gets L₁, L₂, ∂L₁/∂x, ∂L₁/∂y, ∂L₂/∂x, ∂L₂/∂y */
function land(x, y, out) {
  const t = Math.tanh(y / 2), slope = (1 - t * t) / 2, up = t > 0 ? t : 0, down = t < 0 ? -t : 0;
  const bend = Math.tanh(-y), bent = 1 - bend * bend, valley = 0.1 * (y + 8) * (y + 8), fall = 0.02 * (y + 8);
  for (let task = 0; task < 2; task++) {
    const a = task ? (-x + 3) / 2 + bend + 2 : (-x - 7) / 2 - bend, sign = task ? -1 : 1, flat = Math.abs(a) < LOWER;
    const f = Math.log(flat ? LOWER : Math.abs(a)) + 6, fx = flat ? 0 : -0.5 / a, fy = flat ? 0 : (sign * bent) / a;
    const centre = task ? -7 : 7, q = ((x - centre) * (x - centre) + valley) / 10 - 20;
    out[task] = f * up + q * down;
    out[2 + 2 * task] = fx * up + ((x - centre) / 5) * down;
    out[3 + 2 * task] = fy * up + fall * down + (y >= 0 ? f * slope : 0) - (y <= 0 ? q * slope : 0);
  }
}

/** The same as an object. */
export function landscape([x, y]) {
  const out = new Float64Array(6);
  land(x, y, out);
  return { losses: [out[0], out[1]], gradients: [[out[2], out[3]], [out[4], out[5]]] };
}

/** Whether a point lies near the best trade-offs. */
export const arrived = ([x, y]) => Math.abs(y - PARETO_Y) < NEAR && x > PARETO_X[0] - NEAR && x < PARETO_X[1] + NEAR;

/** Put the direction of a method, for gradients in out[2 …] and weights 2λ and 2 − 2λ, into out[0] and out[1]. */
function turn(name, out, weight) {
  const p = 2 * weight, q = 2 - p, a = p * out[2], b = p * out[3], c = q * out[4], d = q * out[5];
  const w = name === "sum" ? EQUAL : PAIRS[name](a * a + b * b, a * c + b * d, c * c + d * d);
  out[0] = w[0] * a + w[1] * c;
  out[1] = w[0] * b + w[1] * d;
  return [out[0], out[1]];
}

/** The way of a method: kept points and losses, the steps between two of them, and its arrival. */
export function run(name, start, { optimizer, rate, weight, steps }) {
  const every = Math.max(1, Math.ceil(steps / KEPT)), points = [start], losses = [landscape(start).losses], out = new Float64Array(6);
  let [x, y] = start, m = 0, n = 0, u = 0, v = 0, a = 1, b = 1, since = arrived(start) ? 0 : Infinity;
  for (let step = 1; step <= steps; step++) {
    land(x, y, out);
    turn(name, out, weight);
    if (optimizer === "Adam") {
      a *= 0.9; b *= 0.999;
      m = 0.9 * m + 0.1 * out[0]; n = 0.9 * n + 0.1 * out[1];
      u = 0.999 * u + 0.001 * out[0] * out[0]; v = 0.999 * v + 0.001 * out[1] * out[1];
      x -= (rate * (m / (1 - a))) / (Math.sqrt(u / (1 - b)) + 1e-8);
      y -= (rate * (n / (1 - a))) / (Math.sqrt(v / (1 - b)) + 1e-8);
    } else { x -= rate * out[0]; y -= rate * out[1]; }
    since = Math.abs(y - PARETO_Y) < NEAR && arrived([x, y]) ? Math.min(step, since) : Infinity;
    if (step % every === 0 || step === steps) { points.push([x, y]); losses.push(landscape([x, y]).losses); }
  }
  return { points, losses, every, since };
}

/** The sentence below the picture. */
export function describe(state, ways) {
  const words = RACERS.map((name) => {
    const times = ways[name].map((way) => way.since).filter(Number.isFinite);
    const when = times.length ? ` (after ${Math.max(...times).toLocaleString("en")} steps)` : "";
    return `${name} ${times.length} of ${state.starts.length}${when}`;
  });
  return `After ${state.steps.toLocaleString("en")} steps of ${state.optimizer}, rate ${Number(state.rate.toPrecision(3))}, weight of task 1 ` +
    `${fixed(state.weight)}, at a best trade-off: ${words.join(", ")}.`;
}

function build(view) {
  view.history();
  view.choose("optimizer", "optimizer", ["Adam", "gradient descent"]);
  view.slider("rate", "rate", 0.001, 0.5, { step: 0.05, log: true, format: (r) => String(Number(r.toPrecision(3))) });
  view.slider("steps", "steps", 100, 100000, { step: 0.05, log: true, format: (n) => Math.round(n).toLocaleString("en") });
  view.slider("weight of task 1", "weight", 0.05, 0.95, { step: 0.05 });
  view.slider("shown", "shown", 0, 1, { format: (s) => `${Math.round(100 * s)} %` });
  const plane = view.panel({ title: "Drag a start; click for another", x: [-11, 11], y: [-13, 11], height: 400 });
  const outcome = view.panel({ title: "The same ways, in losses", x: [-22, 13], y: [-22, 13], height: 400 });
  plane.axes("x₁", "x₂");
  outcome.axes("loss of task 1", "loss of task 2");
  plane.contours((x, y) => { const { losses } = landscape([x, y]); return losses[0] + losses[1]; }, Array.from({ length: 13 }, (_, i) => -32 + 4 * i));
  plane.curve(GREEN, { "stroke-width": 6, opacity: 0.6 })([[PARETO_X[0], PARETO_Y], [PARETO_X[1], PARETO_Y]]);
  plane.text({ fill: inked(GREEN), "text-anchor": "middle", dy: 24, ...HALO }, "best trade-offs")([0, PARETO_Y]);
  outcome.curve(GREEN, { "stroke-width": 6, opacity: 0.6 })(Array.from({ length: 41 }, (_, i) => landscape([-7 + 0.35 * i, PARETO_Y]).losses));
  RACERS.forEach((name, i) => {
    draw("line", { x1: 120 + 100 * i, x2: 146 + 100 * i, y1: 46, y2: 46, stroke: LINES[name][0], "stroke-width": 2.5, ...(LINES[name][1] && { "stroke-dasharray": LINES[name][1] }) }, outcome.above);
    draw("text", { x: 152 + 100 * i, y: 50 }, outcome.above, name);
  });
  const most = 8, nodes = [];
  for (let s = 0; s < most; s++) {
    const of = Object.fromEntries(RACERS.map((name) => {
      const [colour, dash] = LINES[name], style = dash ? { "stroke-dasharray": dash } : {};
      return [name, { way: plane.curve(colour, style), end: plane.dot(colour), lossWay: outcome.curve(colour, style), lossEnd: outcome.dot(colour) }];
    }));
    const number = plane.text({ "font-weight": 700, "text-anchor": "middle", "dominant-baseline": "central", "pointer-events": "none" }, String(s + 1));
    const grip = plane.handle(`start ${s + 1}`, INK, ([x, y]) => {
      const starts = view.model.get("starts").map((p) => [...p]);
      starts[s] = [clamp(x, -11, 11), clamp(y, -13, 11)].map((v) => Number(v.toFixed(3)));
      view.change({ starts });
    }, { step: 0.25 });
    nodes.push({ of, number, grip });
  }
  const hover = { g: [plane.arrow("g₁", BLUE, 2), plane.arrow("g₂", VERMILION, 2)], d: RACERS.map((name) => plane.arrow(name, LINES[name][0], 2)) };
  const hide = () => [...hover.g, ...hover.d].forEach((arrow) => arrow(null));
  hide();
  plane.svg.addEventListener("pointermove", (event) => {
    const at = plane.under(event);
    if (event.buttons || Math.abs(at[0]) > 11 || at[1] < -13 || at[1] > 11 || event.target.closest(".mtl-grip")) return hide();
    const { gradients } = landscape(at), length = (g) => mix(2 / (norm(g) || 1), g);
    hover.g.forEach((arrow, i) => arrow(length(gradients[i]), at));
    hover.d.forEach((arrow, i) => arrow(mix(-1.6, length(turn(RACERS[i], [0, 0, ...gradients.flat()], view.model.get("weight")))), at));
  });
  plane.svg.addEventListener("pointerleave", hide);
  plane.svg.addEventListener("click", (event) => {
    const starts = view.model.get("starts"), at = plane.under(event);
    if (event.target.closest(".mtl-grip") || starts.length >= most || Math.abs(at[0]) > 11 || at[1] < -13 || at[1] > 11) return;
    view.remember();
    view.change({ starts: [...starts, at.map((v) => Number(v.toFixed(3)))] });
  });
  view.button("Remove the last start", () => {
    const starts = view.model.get("starts");
    if (starts.length > 1) { view.remember(); view.change({ starts: starts.slice(0, -1) }); }
  });
  let made = new Map();
  return (state) => {
    state.steps = Math.round(state.steps);
    const { shown, starts, ...setting } = state, earlier = made;
    made = new Map(); // ways by start and setting: a start that stays is not run again
    const ways = Object.fromEntries(RACERS.map((name) => [name, starts.map((start) => {
      const key = JSON.stringify([name, start, setting]);
      return made.set(key, earlier.get(key) ?? run(name, start, state)).get(key);
    })]));
    nodes.forEach(({ of, number, grip }, s) => {
      const there = s < starts.length, at = there ? starts[s] : [0, 0];
      grip(at, there);
      number(at, there ? String(s + 1) : "");
      for (const name of RACERS) {
        const node = of[name], drawn = there && ways[name][s];
        if (node.drawn === drawn && node.shown === shown) continue;
        Object.assign(node, { drawn, shown });
        const { points, losses } = drawn || { points: [], losses: [] }, upTo = Math.max(1, Math.round(shown * (points.length - 1)) + 1);
        node.way(points.slice(0, upTo));
        node.lossWay(losses.slice(0, upTo));
        for (const [dot, along] of [[node.end, points], [node.lossEnd, losses]]) dot(along[upTo - 1] ?? [0, 0], { display: drawn ? "inline" : "none" });
      }
    });
    return describe(state, ways);
  };
}

export default explorable({ names: ["starts", "optimizer", "rate", "weight", "steps", "shown"], build });
