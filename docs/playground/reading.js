// What a training says, in numbers, in a plane and in a sentence; pure functions.
import { pairOf } from "./gradient_compass.js";
import { clamp, fixed, mix, norm, short } from "./kit.js";
import { KINDS } from "./net.js";
import { ALL, WORDS } from "./setting.js";

const POINTS = 240, LEAST = 0.05; // of a curve; length that an arrow has at least
const METRIC = { class: "accuracy", square: "IoU", pixels: "IoU" };
export const metricOf = (task) => `${task} ${METRIC[KINDS[task]]}`;
const percent = (share) => `${(100 * share).toFixed(0)}%`;

/** ‖w_i g_i‖ over their sum. */
export function sharesOf({ weights, K }) {
  const pulls = weights.map((w, i) => w * Math.sqrt(K[i][i])), total = pulls.reduce((a, b) => a + b);
  return pulls.map((pull) => (total > 0 ? pull / total : 1 / pulls.length));
}

export function cosineOf(K, [i, j]) {
  const lengths = Math.sqrt(K[i][i] * K[j][j]);
  return lengths > 0 ? clamp(K[i][j] / lengths, -1, 1) : 0;
}

/** In the plane of gradients i and j: both, and the step, in a length of 2 for the longer; weighted first where asked. */
export function planeOf({ K, weights }, [i, j], scaled) {
  const factor = scaled ? [weights[i], weights[j]] : [1, 1];
  const lengths = [Math.sqrt(K[i][i]) * factor[0], Math.sqrt(K[j][j]) * factor[1]], cosine = cosineOf(K, [i, j]), sine = Math.sqrt(1 - cosine * cosine);
  const along = (k) => weights.reduce((sum, w, t) => sum + w * K[k][t], 0), scale = 2 / Math.max(...lengths, 1e-30);
  const x = along(i) / Math.max(Math.sqrt(K[i][i]), 1e-30), y = (along(j) / Math.max(Math.sqrt(K[j][j]), 1e-30) - cosine * x) / Math.max(sine, 1e-9);
  const seen = (g) => mix(Math.max(1, LEAST / Math.max(norm(g), 1e-9)), g); // so that the shorter one is not lost
  return { lengths, cosine, gradients: pairOf([...lengths, cosine]).map(seen), step: [x * scale, y * scale] };
}

/** Means of stretches of rows, so that a long run is drawn as fast as a short one. */
export function thinned(rows, value) {
  const every = Math.ceil(rows.length / POINTS), points = [];
  for (let k = 0; k < rows.length; k += every) {
    const part = rows.slice(k, k + every).map(value).filter(Number.isFinite);
    if (part.length) points.push([rows[Math.min(k + every, rows.length) - 1].step, part.reduce((a, b) => a + b) / part.length]);
  }
  return points;
}

/** What was changed between two settings, in words: the first task of weights or units, or the choice. */
export function changeOf(name, before, after) {
  const i = ["weights", "units"].includes(name) ? before[name].findIndex((value, k) => value !== after[name][k]) : -1;
  if (i < 0) return `the ${name} became ${WORDS[after[name]] ?? short(after[name])}`;
  return `the ${name.slice(0, -1)} of ${ALL[i]} became ${short(after[name][i])}`;
}

/** What the run has reached, what the last change did, and who pulls at the encoder. */
export function describe({ run, diverged, turned, setting, pair, speed }) {
  const { tasks } = setting, now = run.seen.at(-1), { looked } = run;
  if (diverged) return `The losses left all bounds at step ${run.rows.at(-1).step}: lower the rate, or a unit, and start again.`;
  if (!now) return "The scenes are made …";
  if (!now.step) return `An untrained network with ${tasks.length === 1 ? "one task" : `${tasks.length} tasks`}. Press Play: it learns here, in this page. Then turn a weight, a unit or the method, and watch who loses.`;
  const since = turned && turned.step < now.step ? turned : null, before = since?.metrics;
  const parts = tasks.map((task, i) => {
    const alone = now.alone.length && tasks.length > 1 ? ` (alone ${fixed(now.alone[i])})` : "";
    if (!before) return `${metricOf(task)} ${fixed(now.metrics[i])}${alone}`;
    const verb = now.metrics[i] > before[i] + 0.01 ? "rose" : now.metrics[i] < before[i] - 0.01 ? "fell" : "stayed";
    return `${metricOf(task)} ${verb} ${verb === "stayed" ? "at" : `from ${fixed(before[i])} to`} ${fixed(now.metrics[i])}${alone}`;
  });
  const start = `Step ${now.step}${speed ? ` (${speed.toFixed(0)} a second)` : ""}${since ? `. Since ${since.what} (step ${since.step}): ` : ": on unseen scenes, "}`;
  if (tasks.length < 2 || !looked.length) return `${start}${parts.join(", ")}.`;
  const shares = sharesOf(looked.at(-1)), most = shares.indexOf(Math.max(...shares)), apart = looked.filter(({ K }) => cosineOf(K, pair) < 0).length / looked.length;
  return `${start}${parts.join(", ")}. ${tasks[most][0].toUpperCase()}${tasks[most].slice(1)} has ${percent(shares[most])} of the step; ${tasks[pair[0]]} and ${tasks[pair[1]]} pulled apart in ${percent(apart)} of the looks.`;
}

/** What the network takes a drawing for: the two likeliest classes of each task that has classes. */
export function guesses(answers) {
  return Object.keys(answers).filter((task) => KINDS[task] === "class").map((task) => {
    const powers = Array.from(answers[task], (v) => Math.exp(v - Math.max(...answers[task]))), total = powers.reduce((a, b) => a + b);
    const [first, second] = powers.map((_, i) => i).sort((a, b) => powers[b] - powers[a]);
    return `${task}: ${first} (${percent(powers[first] / total)}), then ${second} (${percent(powers[second] / total)})`;
  }).join("; ");
}
