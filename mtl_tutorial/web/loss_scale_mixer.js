// The loss-scale mixer. Moved: the border between two tasks' shares with equal weights, which is the
// unit of a loss. What answers: each task's share of the shared gradient, by method.
import { INK, clamp, draw, explorable, coloursOf, set, short } from "./kit.js";

const UNITS = [1e-3, 1e3];
export const METHODS = ["equal weights", "dynamic weight average", "uncertainty, at its optimum"];

/** λ_i = T softmax(r / 2) of r = now / before. */
export function dwa(now, before) {
  const powers = now.map((loss, i) => Math.exp(loss / before[i] / 2)), total = powers.reduce((a, b) => a + b);
  return powers.map((p) => (now.length * p) / total);
}

/** Shares of the shared gradient by method: ‖λ_i k_i g_i‖ over their sum, with loss i counted as k_i L_i. */
export function shares({ losses, before, norms, units }) {
  const now = losses.map((loss, i) => units[i] * loss), then = before.map((loss, i) => units[i] * loss);
  const weights = [now.map(() => 1), dwa(now, then), now.map((loss) => 1 / (2 * loss))];
  return Object.fromEntries(METHODS.map((method, k) => {
    const pulls = weights[k].map((w, i) => w * units[i] * norms[i]), total = pulls.reduce((a, b) => a + b);
    return [method, pulls.map((pull) => (total > 0 ? pull / total : 1 / pulls.length))];
  }));
}

const percent = (share) => `${(100 * share).toFixed(0)}%`;

/** The sentence below the picture. */
export function describe(state) {
  const found = shares(state), plain = shares({ ...state, units: state.units.map(() => 1) });
  const moved = Object.fromEntries(METHODS.map((method) => [method, Math.max(...found[method].map((s, i) => Math.abs(s - plain[method][i])))]));
  const units = state.tasks.map((task, i) => `${task} × ${short(state.units[i])}`).join(", ");
  const first = METHODS.map((method) => `${method}: ${percent(found[method][0])}`).join(", ");
  const sentence = `Units: ${units}. Share of ${state.tasks[0]}: ${first}.`;
  if (Math.max(...Object.values(moved)) < 0.02) return `${sentence} Now turn a unit.`;
  const largest = METHODS.reduce((best, method) => (moved[method] > moved[best] ? method : best));
  return `${sentence} The unit alone moved ${percent(moved[largest])} of the vote with ${largest}, and ${percent(moved[METHODS[2]])} with ${METHODS[2]}.`;
}

function build(view) {
  view.history();
  const tasks = view.model.get("tasks"), colours = coloursOf(tasks);
  tasks.forEach((task, i) => view.slider(`unit of the loss of ${task}`, "units", ...UNITS, { place: i, log: true, step: 0.05, format: (k) => `× ${short(k)}` }));
  const panel = view.panel({ title: "Drag a border: another unit, another vote", x: [0, 1], y: [0, 3], width: 900, height: 250, pad: [190, 20, 30, 46] });
  panel.axes("share of the shared gradient", "", { yTicks: [], format: percent });
  const rows = METHODS.map((method, k) => {
    const y = panel.area.top + (panel.area.height / 3) * (k + 0.15), height = (panel.area.height / 3) * 0.7;
    draw("text", { x: panel.area.left - 10, y: y + height / 2 + 4, "text-anchor": "end" }, panel.above, method);
    return tasks.map((task, i) => ({
      bar: draw("rect", { y, height, fill: colours[i] }, panel.inside),
      word: draw("text", { y: y + height / 2 + 4, fill: "#fff", "font-weight": 700, "text-anchor": "middle", "pointer-events": "none" }, panel.above),
    }));
  });
  const borders = tasks.slice(1).map((task, i) => panel.handle(`border between ${tasks[i]} and ${task}, equal weights`, INK, ([x]) => {
    const state = view.state(), own = shares(state)[METHODS[0]], left = own.slice(0, i).reduce((a, b) => a + b, 0), both = own[i] + own[i + 1];
    const share = clamp((x - left) / both, 0.001, 0.999), units = [...state.units];
    units[i] = clamp((share * units[i + 1] * state.norms[i + 1]) / ((1 - share) * state.norms[i]), ...UNITS); // k_i n_i : k_j n_j
    view.change({ units: units.map((k) => Number(k.toPrecision(4))) });
  }, { step: 0.02, along: "x" }));
  return (state) => {
    const found = shares(state);
    METHODS.forEach((method, k) => {
      let left = 0;
      found[method].forEach((share, i) => {
        const [x0] = panel.at([left, 0]), [x1] = panel.at([left + share, 0]), { bar, word } = rows[k][i];
        set(bar, { x: x0, width: Math.max(0, x1 - x0) });
        word.textContent = x1 - x0 > 70 ? `${tasks[i]} ${percent(share)}` : "";
        set(word, { x: (x0 + x1) / 2 });
        left += share;
        if (k === 0 && borders[i]) borders[i]([left, 2.5]);
      });
    });
    return describe(state);
  };
}

export default explorable({ names: ["tasks", "losses", "before", "norms", "units"], build });
