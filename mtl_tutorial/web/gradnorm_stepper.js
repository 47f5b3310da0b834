// The GradNorm stepper. Moved: α, and training, a step or ten at a time, in the kernel. What answers:
// each task's gradient norm beside its target, and why each loss weight moved.
import { HALO, INK, draw, explorable, fixed, inked, kernelOf, coloursOf, looksOf, set, short } from "./kit.js";
import { adamStep } from "./methods.js";

/** One update of the weights with an exponent, as mtl_tutorial.balancing.gradnorm_step makes it. */
export function gradnorm({ weights, gradient_norms: n, rates, moments, learning_rate: rate }, alpha) {
  const norms = weights.map((w, i) => w * n[i]), middle = norms.reduce((a, b) => a + b) / norms.length;
  const targets = rates.map((r) => middle * r ** alpha), gradients = n.map((x, i) => x * Math.sign(norms[i] - targets[i]));
  const { move, after } = adamStep(gradients, moments, rate), moved = weights.map((w, i) => Math.max(0, w - move[i]));
  const before = weights.reduce((a, b) => a + b), total = moved.reduce((a, b) => a + b);
  return { norms, targets, new_moments: after, new_weights: moved.map((w) => (total ? (before * w) / total : before / weights.length)) };
}

/** Which task lags, and why each weight moves. */
export function describe(state) {
  const { norms, targets, new_weights: after } = gradnorm(state.made, state.alpha);
  const parts = state.tasks.map((task, i) => {
    const r = state.made.rates[i], before = state.made.weights[i];
    const pace = r > 1.005 ? "lags" : r < 0.995 ? "leads" : "keeps up", verb = after[i] > before ? "rises" : after[i] < before ? "falls" : "stays";
    const side = norms[i] < targets[i] ? "below" : norms[i] > targets[i] ? "above" : "on";
    const why = ["below rises", "above falls", "on stays"].includes(`${side} ${verb}`) ? "so" : "and yet, by the steps before it and the sum,";
    return `${task} ${pace} (r = ${fixed(r)}); its G of ${short(norms[i])} is ${side} the target of ${short(targets[i])}, ${why} its weight ${verb} from ${fixed(before, 3)} to ${fixed(after[i], 3)}`;
  });
  return `Step ${state.step}, α = ${fixed(state.alpha, 1)}. ${parts.join(". ")}.`;
}

function build(view) {
  const { model } = view, tasks = model.get("tasks"), looks = looksOf(tasks), colours = coloursOf(tasks);
  const { note } = kernelOf(view, [...[1, 10, 100].map((steps) => [steps > 1 ? `${steps} steps` : "Step", { do: "steps", steps }]), ["Reset", "reset"]], ["made"]);
  view.history();
  view.slider("α", "alpha", 0, 3, { step: 0.1, format: (a) => fixed(a, 1) });
  const bars = view.panel({ title: "Norm G of each weighted gradient; drag a target", x: [-0.5, tasks.length - 0.3], y: [0, 1], height: 330, width: 430 });
  const lines = view.panel({ title: "The loss weights", x: [0, 20], y: [0, tasks.length], height: 330, width: 450, pad: [46, 84, 30, 40] });
  const nodes = tasks.map((task, i) => ({
    bar: draw("rect", { fill: colours[i] }, bars.inside), mark: bars.curve(INK, { "stroke-width": 3.5 }),
    value: draw("text", { "font-size": 12, "text-anchor": "end", ...HALO }, bars.words), name: draw("text", { "text-anchor": "middle", fill: inked(colours[i]), "font-weight": 700 }, bars.above, task),
    line: lines.curve(colours[i], looks[i]),
    grip: bars.handle(`target of ${task}: moves α`, colours[i], ([, y]) => {
      const { norms } = gradnorm(model.get("made"), 0), middle = norms.reduce((a, b) => a + b) / norms.length, r = model.get("made").rates[i];
      if (Math.abs(Math.log(r)) > 1e-3 && y > 0) view.change({ alpha: Number(Math.min(3, Math.max(0, Math.log(y / middle) / Math.log(r))).toFixed(2)) });
    }, { along: "y", step: 0.05 }),
  }));
  const names = lines.ends();
  let top = 0;
  return (state) => {
    const { norms, targets } = gradnorm(state.made, state.alpha), most = Math.max(...norms, ...targets);
    if (most > top || most < top / 3) top = 1.25 * most;
    bars.y = [0, top];
    bars.axes("", "", { xTicks: [], format: short });
    const longest = Math.max(20, Math.ceil((state.history[0].length - 1) / 20) * 20);
    lines.x = [0, longest];
    lines.axes("training step", "");
    names(tasks.map((task, i) => `${task} ${fixed(state.history[i].at(-1))}`), state.history.map((row) => row.at(-1)), colours);
    nodes.forEach((node, i) => {
      const [left] = bars.at([i - 0.22, 0]), [right, base] = bars.at([i + 0.22, 0]), [, y] = bars.at([0, norms[i]]);
      set(node.bar, { x: left, width: right - left, y, height: base - y });
      node.mark([[i - 0.28, targets[i]], [i + 0.28, targets[i]]]);
      const [tx, ty] = bars.at([i + 0.3, targets[i]]);
      set(node.value, { x: tx + 46, y: ty - 19 });
      node.value.textContent = `target ${short(targets[i])}`;
      set(node.name, { x: (left + right) / 2, y: base + 18 });
      node.grip([i + 0.3, targets[i]]);
      node.line(state.history[i].map((w, k) => [k, w]));
    });
    return describe(state) + note;
  };
}

export default explorable({ names: ["tasks", "step", "alpha", "made", "history"], hand: ["alpha"], build });
