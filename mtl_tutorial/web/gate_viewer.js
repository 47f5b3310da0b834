// The gate viewer. Moved: the second teacher (the correlation of two regressions; the nearest one with a
// trained network is shown), and the input x.
// What answers: each task's gate over the experts, what every expert says, the mixture, the truth.
import { BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, GREY, INK, HALO, clamp, dot, draw, explorable, fixed, inked, set } from "./kit.js";

const WAVES = [[3, 0], [4, 1], [5, 2]], REACH = 2.2, LONG = 1.5, MOST = 6, TASKS = ["first", "second"];
const COLOURS = [GREEN, ORANGE, PURPLE, SKY], LOOKS = [BLUE, VERMILION], WEDGES = 120;

/** y_k = w_k·x + Σ_j sin(α_j w_k·x + β_j), for w_1 = (1, 0) and w_2 at a cosine to it. */
export const taught = (p, x) => [x[0], p * x[0] + Math.sqrt(1 - p * p) * x[1]].map((z) => WAVES.reduce((y, [a, b]) => y + Math.sin(a * z + b), z));

/** softmax of scores. */
export function softmax(scores) {
  const top = Math.max(...scores), powers = scores.map((s) => Math.exp(s - top)), sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

/** The gate of task k at x: softmax(W_k x). */
export const gateAt = (net, k, x) => softmax(net.gates[k].map((row) => dot(row, x)));

/** Gates, the answer h_k(f_i(x)) of each expert for each task, and the mixtures Σ_i g_k(x)_i h_k(f_i(x)). */
export function forward(net, x) {
  const features = net.weights.map((W, i) => W.map((row, j) => Math.max(0, dot(row, x) + net.biases[i][j])));
  const gates = TASKS.map((_, k) => gateAt(net, k, x));
  const said = TASKS.map((_, k) => features.map((f) => dot(net.heads[k], f) + net.offsets[k]));
  return { gates, said, mixed: TASKS.map((_, k) => dot(gates[k], said[k])) };
}

/** How much two gates agree, Σ_i min(g_1(x)_i, g_2(x)_i), the mean over inputs of length 1.5. */
export function overlap(net) {
  let sum = 0;
  for (let n = 0; n < WEDGES; n++) {
    const at = (2 * Math.PI * n) / WEDGES, x = [1.5 * Math.cos(at), 1.5 * Math.sin(at)], second = gateAt(net, 1, x);
    sum += gateAt(net, 0, x).reduce((s, g, i) => s + Math.min(g, second[i]), 0);
  }
  return sum / WEDGES;
}

/** The place of the trained correlation that is nearest. */
export const nearest = (all, p) => all.reduce((best, q, i) => (Math.abs(q - p) < Math.abs(all[best] - p) ? i : best), 0);

/** The sentence below the picture. */
export function describe(p, x, net) {
  const now = forward(net, x), truth = taught(p, x);
  const parts = TASKS.map((task, k) => {
    const best = now.gates[k].indexOf(Math.max(...now.gates[k]));
    const even = Math.max(...now.gates[k]) - Math.min(...now.gates[k]) < 1e-9;
    if (even) return `The ${task} task's gate gives all experts the same, ${fixed(now.gates[k][0])}: the mixture says ${fixed(now.mixed[k])}, the truth is ${fixed(truth[k])}.`;
    return `The ${task} task's gate gives expert ${best + 1} most, ${fixed(now.gates[k][best])}: the mixture says ${fixed(now.mixed[k])}, the truth is ${fixed(truth[k])}.`;
  });
  return `Teachers at cosine ${fixed(p)}. ${parts.join(" ")} All around, the two gates overlap by ${fixed(overlap(net))}.`;
}

function build(view) {
  view.history();
  view.choose("gate", "gate", Object.keys(view.model.get("networks")));
  view.choose("plane coloured by the gate of the task", "task", TASKS);
  const plane = view.panel({ title: "Drag w₂ or x; colour: the expert with most weight", x: [-REACH, REACH], y: [-REACH, REACH], equal: true, width: 400, height: 400, pad: [8, 8, 28, 8] });
  const wedges = Array.from({ length: WEDGES }, () => draw("path", {}, plane.inside));
  const arrows = LOOKS.map((colour, k) => plane.arrow(`w${"₁₂"[k]}`, colour, 3.5));
  const here = plane.dot(INK, 5), name = plane.text({ "font-weight": 700, dx: 14, dy: -8, ...HALO }, "x");
  const tip = plane.handle("second teacher", VERMILION, ([a, b]) => {
    view.change({ correlation: Number(Math.cos(clamp(Math.atan2(b, a), 0, Math.PI / 2)).toFixed(3)) });
  }, { words: ([a, b]) => `cosine ${fixed(a / Math.hypot(a, b))}` });
  const input = plane.handle("input x", GREY, (point) => view.change({ x: point.map((v) => Number(clamp(v, -REACH, REACH).toFixed(2))) }));
  const bars = view.panel({ title: "What the gates say", x: [0, 1], y: [10.6, 0], width: 240, height: 400, pad: [74, 40, 28, 40] });
  bars.axes("weight g(x)", "", { xTicks: [0, 0.5, 1], yTicks: [] });
  const lines = view.panel({ title: "What the experts say", x: [-MOST, MOST], y: [10.6, 0], width: 260, height: 400, pad: [14, 14, 28, 40] });
  lines.axes("answer (at the ends: beyond)", "", { xTicks: [-6, -3, 0, 3, 6], yTicks: [] });
  const rows = TASKS.map((task, k) => {
    const top = 0.9 + 5.1 * k;
    bars.text({ "text-anchor": "end", dx: -8, "font-weight": 700, fill: inked(LOOKS[k]) }, `${task}`)([0, top - 0.25]);
    return { top, truth: lines.curve(INK, { "stroke-width": 3 }), mixed: lines.curve(LOOKS[k], { "stroke-width": 3, "stroke-dasharray": k ? "7 4" : undefined }),
      words: [lines.text({ "font-size": 12, "text-anchor": "middle", ...HALO }), lines.text({ "font-size": 12, "text-anchor": "middle", fill: inked(LOOKS[k]), ...HALO })],
      experts: COLOURS.map((colour, i) => {
        const y = top + 0.1 + 0.9 * i;
        bars.text({ "text-anchor": "end", dx: -8, dy: 4, "font-size": 12 }, `expert ${i + 1}`)([0, y + 0.4]);
        return { y, bar: bars.patch(colour, 0.9), share: bars.text({ dx: 5, dy: 4, "font-size": 12 }), dot: lines.dot(colour, 5, { stroke: INK }) };
      }) };
  });
  return (state) => {
    const place = nearest(state.correlations, state.correlation), p = state.correlations[place], net = state.networks[state.gate][place];
    const now = forward(net, state.x), truth = taught(p, state.x), second = [p, Math.sqrt(1 - p * p)].map((v) => LONG * v);
    wedges.forEach((wedge, n) => {
      const [a, b] = [n - 0.5, n + 0.5].map((i) => (2 * Math.PI * i) / WEDGES), middle = (2 * Math.PI * n) / WEDGES;
      const gate = gateAt(net, TASKS.indexOf(state.task), [1.5 * Math.cos(middle), 1.5 * Math.sin(middle)]), most = Math.max(...gate);
      const far = [a, b].map((at) => plane.at([4 * Math.cos(at), 4 * Math.sin(at)]).map((v) => v.toFixed(1)).join(" "));
      set(wedge, { d: `M${plane.at([0, 0]).join(" ")}L${far.join("L")}Z`, fill: COLOURS[gate.indexOf(most)], "fill-opacity": (0.6 * most).toFixed(2) });
    });
    arrows[0]([LONG, 0]); arrows[1](second); tip([state.correlation, Math.sqrt(1 - state.correlation ** 2)].map((v) => LONG * v));
    here(state.x); input(state.x); name(state.x);
    rows.forEach(({ top, truth: tick, mixed, words, experts }, k) => {
      const inside = (v) => clamp(v, -MOST, MOST), down = top + 3.8;
      tick([[truth[k], top], [truth[k], down]]); words[0]([clamp(truth[k], -4.6, 4.6), top - 0.15], `truth ${fixed(truth[k])}`);
      mixed([[inside(now.mixed[k]), top], [inside(now.mixed[k]), down]]); words[1]([clamp(now.mixed[k], -4.4, 4.4), down + 0.45], `mixture ${fixed(now.mixed[k])}`);
      experts.forEach(({ y, bar, share, dot: mark }, i) => {
        const g = now.gates[k][i];
        bar([[0, y], [g, y], [g, y + 0.8], [0, y + 0.8]]); share([g, y + 0.4], fixed(g));
        mark([inside(now.said[k][i]), y + 0.4], { r: 3 + 6 * Math.sqrt(g), "fill-opacity": (0.25 + 0.75 * g).toFixed(2) });
      });
    });
    return describe(p, state.x, net);
  };
}

export default explorable({ names: ["correlation", "x", "gate", "task", "networks", "correlations"], hand: ["correlation", "x", "gate", "task"], build });
