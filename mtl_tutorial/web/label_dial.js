// The label dial. Moved: the number of labels that a task has, its helpers, and when training stops.
// What answers: the task's score with these helpers and alone, seed by seed, and what a helper is worth in labels.
import { BLUE, VERMILION, GREY, HALO, INK, clamp, explorable, fixed, mix, power } from "./kit.js";

const HELPERS = ["digit", "box", "mask", "speaker"], METRIC = { box: "mean IoU" }, SEEDS = 6, COUNTS = 6, OWN = 12;
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

/** The scores of each seed at some number of labels, between those that were run; linear in the logarithm. */
export function scoresAt({ labels, values }, count) {
  const x = Math.log(clamp(count, labels[0], labels.at(-1))), logs = labels.map(Math.log);
  const right = Math.max(1, logs.findIndex((log) => log >= x - 1e-12)), left = Math.min(right - 1, logs.length - 1);
  if (logs.length === 1) return values[0];
  const share = (x - logs[left]) / (logs[right] - logs[left]);
  return mix(1 - share, values[left], share, values[right]);
}

/** The fewest labels at which the mean over seeds reaches a score: 0 where the fewest that were run do, Infinity where none do. */
export function labelsFor({ labels, values }, score) {
  const means = values.map(mean);
  if (means[0] > score - 1e-9) return means[0] < score + 1e-9 ? labels[0] : 0;
  const right = means.findIndex((value) => value >= score);
  if (right < 0) return Infinity;
  const share = (score - means[right - 1]) / (means[right] - means[right - 1]);
  return Math.exp((1 - share) * Math.log(labels[right - 1]) + share * Math.log(labels[right]));
}

/** The two curves of a state: the task alone, and with its helpers; the second is the first where there are none. */
export function chosen({ curves, task, moment, helpers }) {
  const own = curves.filter((curve) => curve.task === task && curve.moment === moment);
  const wanted = own[0].offered.filter((name) => helpers.includes(name));
  const find = (names) => own.find((curve) => curve.helpers.length === names.length && names.every((name) => curve.helpers.includes(name)));
  return [find([]), find(wanted) ?? find([])];
}

const within = (values) => `${fixed(mean(values))} (${fixed(Math.min(...values))} to ${fixed(Math.max(...values))})`;

/** How many labels a score would take alone, in words. */
export function worth(alone, score) {
  const found = labelsFor(alone, score);
  if (found === 0) return `fewer than ${alone.labels[0]} labels`;
  return found === Infinity ? `more than ${alone.labels.at(-1)} labels` : `${Math.round(found)} labels`;
}

/** The sentence below the picture. */
export function describe(state) {
  const [alone, company] = chosen(state), at = clamp(state.labels, alone.labels[0], alone.labels.at(-1));
  const before = scoresAt(alone, at), metric = METRIC[state.task] ?? "accuracy";
  const start = `The ${state.task} from ${Math.round(at)} labels, ${alone.steps} steps. Alone: ${metric} ${within(before)}.`;
  if (company === alone) return `${start} Tick a helper: it has labels without end.`;
  const after = scoresAt(company, at), gain = mean(after) - mean(before), ahead = after.filter((value, s) => value > before[s]).length;
  const much = Math.abs(gain) < 0.005 ? "the same" : `${fixed(Math.abs(gain))} ${gain > 0 ? "more" : "less"}`;
  return `${start} With ${company.helpers.join(" and ")}: ${within(after)}, ${much}, and more in ${ahead} of ${after.length} seeds. Alone, that takes ${worth(alone, mean(after))}.`;
}

function build(view) {
  view.history();
  const curves = view.model.get("curves"), of = (name) => [...new Set(curves.map((curve) => curve[name]))];
  view.choose("task", "task", of("task"));
  view.choose("training", "moment", of("moment"));
  const ticks = view.row(), words = document.createElement("span");
  words.textContent = "helpers:";
  ticks.append(words);
  view.checks(ticks, "helpers", HELPERS);
  view.panels.before(ticks);
  const boxes = [...ticks.querySelectorAll("label")];
  const panel = view.panel({ title: " ", x: [1, 2], y: [0, 1], width: 560, height: 380, pad: [50, 96, 30, 44] });
  const less = view.panel({ title: "With minus alone, a dot a seed", x: [1, 2], y: [-1, 1], width: 330, height: 380, pad: [50, 12, 30, 44] });
  const line = panel.curve(GREY, { "stroke-width": 1 }), level = panel.curve(VERMILION, { "stroke-width": 1.5, "stroke-dasharray": "2 4" });
  const lines = [panel.curve(BLUE, { "stroke-dasharray": "7 4", "stroke-width": 2.5 }), panel.curve(VERMILION, { "stroke-width": 2.5 })];
  const zero = less.curve(INK, { "stroke-width": 1 }), here = less.curve(GREY, { "stroke-width": 1 }), gains = less.curve(VERMILION, { "stroke-width": 2.5 });
  const many = (on, colour, count, look) => Array.from({ length: count }, () => on.dot(colour, 4, { "fill-opacity": 0.4, ...look }));
  const dots = [BLUE, VERMILION].map((colour) => many(panel, colour, SEEDS * COUNTS)), apart = many(less, VERMILION, SEEDS * COUNTS);
  const own = many(panel, "none", OWN, { r: 7, stroke: INK, "stroke-width": 2.5 }), yours = panel.text({ dy: -12, "text-anchor": "middle", ...HALO }, "");
  const names = panel.ends(), twin = panel.dot("none", 6, { stroke: BLUE, "stroke-width": 2.5 });
  const move = panel.handle("number of labels", VERMILION, ([x]) => {
    const { labels } = chosen(view.state())[0];
    view.change({ labels: clamp(Math.round(10 ** x), labels[0], labels.at(-1)) });
  }, { words: ([x]) => `${Math.round(10 ** x)} labels` });
  return (state) => {
    const pair = chosen(state), [alone, company] = pair, helped = company !== alone;
    const ends = [alone.labels[0], alone.labels.at(-1)].map(Math.log10), all = curves.filter((curve) => curve.task === state.task).flatMap((curve) => curve.values.flat());
    panel.x = less.x = [ends[0] - 0.08, ends[1] + 0.08];
    panel.y = [Math.floor(10 * Math.min(...all)) / 10, Math.ceil(10 * Math.max(...all)) / 10];
    panel.axes("labels of the task", METRIC[state.task] ?? "accuracy", { xTicks: alone.labels.map(Math.log10), format: power, yFormat: (v) => fixed(v, 1) });
    const at = clamp(state.labels, alone.labels[0], alone.labels.at(-1)), x = Math.log10(at), scores = pair.map((curve) => mean(scoresAt(curve, at)));
    boxes.forEach((box, i) => { box.style.display = alone.offered.includes(HELPERS[i]) ? "" : "none"; });
    const name = helped ? `with ${company.helpers.join(" and ")}` : "alone";
    const gain = scores[1] - scores[0], much = Math.abs(gain) < 0.005 ? "the same" : `${fixed(Math.abs(gain))} ${gain > 0 ? "more" : "less"}`;
    panel.title.textContent = helped ? `The ${state.task} from ${Math.round(at)} labels: ${much} ${name}` : `The ${state.task}, alone`;
    pair.forEach((curve, k) => {
      const shown = k === 0 || helped;
      lines[k](shown ? curve.labels.map((n, i) => [Math.log10(n), mean(curve.values[i])]) : []);
      const points = shown ? curve.values.flatMap((row, i) => row.map((value) => [Math.log10(curve.labels[i]), value])) : [];
      dots[k].forEach((dot, i) => dot(points[i] ?? [0, 0], { display: points[i] ? undefined : "none" }));
    });
    names(helped ? ["alone", ...name.split(" and ")] : ["alone"], [mean(alone.values.at(-1)), ...(helped ? name.split(" and ").map((_, i) => mean(company.values.at(-1)) - 1e-6 * i) : [])], [BLUE, VERMILION, VERMILION]);
    const differences = alone.values.map((row, i) => row.map((value, s) => company.values[i][s] - value)), widest = Math.max(0.1, ...differences.flat().map(Math.abs)) * 1.1;
    less.y = [-widest, widest];
    less.axes("labels of the task", "", { xTicks: alone.labels.map(Math.log10), format: power, yFormat: (v) => fixed(v) });
    zero([[less.x[0], 0], [less.x[1], 0]]);
    here([[x, -widest], [x, widest]]);
    gains(helped ? differences.map((row, i) => [Math.log10(alone.labels[i]), mean(row)]) : []);
    const points = helped ? differences.flatMap((row, i) => row.map((value) => [Math.log10(alone.labels[i]), value])) : [];
    apart.forEach((dot, i) => dot(points[i] ?? [0, 0], { display: points[i] ? undefined : "none" }));
    line([[x, panel.y[0]], [x, panel.y[1]]]);
    const same = labelsFor(alone, scores[1]), there = helped && same > 0 && same < Infinity ? Math.log10(same) : null;
    level(there === null ? [] : [[x, scores[1]], [there, scores[1]]]);
    twin([there ?? x, scores[1]], { display: there === null ? "none" : undefined });
    const mine = state.own.filter((point) => point.task === state.task && chosen({ ...state, helpers: point.helpers })[1] === company).slice(-OWN);
    own.forEach((dot, i) => dot(mine[i] ? [Math.log10(mine[i].labels), mine[i].value] : [0, 0], { display: mine[i] ? undefined : "none" }));
    yours(mine.length ? [Math.log10(mine.at(-1).labels), mine.at(-1).value] : [x, scores[1]], mine.length ? "yours" : "");
    move([x, scores[1]]);
    return describe(state);
  };
}

const MOVED = ["task", "moment", "helpers", "labels"];

export default explorable({ names: [...MOVED, "curves", "own"], hand: MOVED, build });
