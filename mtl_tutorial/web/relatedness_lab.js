// The relatedness lab. Moved: the angle between two teachers, the noise, the samples of each task.
// What answers: the error of each task learned jointly, in units of that alone, and its luck.
import { BLUE, VERMILION, GREEN, GREY, INK, clamp, explorable, inked, power, short } from "./kit.js";
import { solve } from "./methods.js";
import { normal, randomness } from "./statistics.js";

const D = 10, ANGLES = Array.from({ length: 61 }, (_, i) => 3 * i), SETS = 40, LOW = Math.log10(0.02), HIGH = Math.log10(50);

/** E‖ŵ − w‖² = σ² d / (n − d − 1), of least squares on one task. */
export const errorAlone = (n, noise, d = D) => (noise * noise * d) / (n - d - 1);

/** c in E‖ŵ − w₁‖² = c ‖w₂ − w₁‖² + σ² d / (n − d − 1), of the pooled least squares. */
export function biasShare(own, other, d = D) {
  const n = own + other, a = other / 2, b = n / 2;
  const two = ((a * (a + 1)) / (b * (b + 1))) * ((d * d + 2 * d) / 3);
  const oneOne = ((a * (a - 0.5)) / (b * (b - 0.5))) * ((2 * (d * d - d)) / 3);
  return ((n - 1) * (two - oneOne / 2) - (two + oneOne)) / (d * (n - d - 1));
}

/** The expected error of a task whose data are pooled with another's, at an angle in degrees. */
export const errorJoint = (angle, own, other, noise, d = D) =>
  biasShare(own, other, d) * (2 - 2 * Math.cos((angle * Math.PI) / 180)) + errorAlone(own + other, noise, d);

/** The angle at which both ways of learning are equally good; null where joint training always helps. */
export function turningAngle(own, other, noise, d = D) {
  const saved = errorAlone(own, noise, d) - errorAlone(own + other, noise, d), cosine = 1 - saved / (2 * biasShare(own, other, d));
  return cosine > -1 ? (Math.acos(cosine) * 180) / Math.PI : null;
}

/** ‖ŵ − w_i‖² of both tasks on one drawn data set. */
export function drawn(seed, angle, samples, noise) {
  const next = normal(randomness(seed)), radians = (angle * Math.PI) / 180, teachers = [[1, 0], [Math.cos(radians), Math.sin(radians)]];
  const A = Array.from({ length: D }, () => new Array(D + 1).fill(0));
  samples.forEach((n, task) => {
    for (let s = 0; s < n; s++) {
      const x = Array.from({ length: D }, next), y = x[0] * teachers[task][0] + x[1] * teachers[task][1] + noise * next();
      for (let i = 0; i < D; i++) { for (let j = 0; j < D; j++) A[i][j] += x[i] * x[j]; A[i][D] += x[i] * y; }
    }
  });
  const w = solve(A.map((row) => row.slice(0, D)), A.map((row) => row[D]));
  return teachers.map((teacher) => w.reduce((sum, v, i) => sum + (v - (teacher[i] ?? 0)) ** 2, 0));
}

/** The sentence below the picture. */
export function describe(state) {
  const parts = [0, 1].map((i) => {
    const own = state.samples[i], other = state.samples[1 - i], alone = errorAlone(own, state.noise);
    const joint = errorJoint(state.angle, own, other, state.noise), turn = turningAngle(own, other, state.noise);
    const limit = turn === null ? "it helps at every angle" : `from ${turn.toFixed(0)}° on it hurts`;
    return `${joint < alone ? "helps" : "hurts"} task ${i + 1}: error ${short(joint)} instead of ${short(alone)}; ${limit}`;
  });
  return `At ${state.angle.toFixed(0)}° joint training ${parts[0]}. It ${parts[1]}.`;
}

function build(view) {
  view.history();
  view.slider("noise", "noise", 0.1, 2, { step: 0.05 });
  [0, 1].forEach((i) => view.slider(`samples of task ${i + 1}`, "samples", 15, 120, { place: i, step: 1, format: String }));
  view.button("Draw other data", () => view.change({ seed: view.model.get("seed") + SETS }));
  const teachers = view.panel({ title: "Drag w₂", x: [-1.5, 1.5], y: [-0.25, 1.35], equal: true, width: 330, height: 240, pad: [6, 6, 26, 6] });
  const chart = view.panel({ title: "Error, jointly ÷ alone; a dot is a data set", x: [0, 180], y: [LOW, HIGH], width: 560, height: 330, pad: [46, 50, 34, 44] });
  chart.axes("angle between the teachers, degrees", "", { xTicks: [0, 30, 60, 90, 120, 150, 180], yTicks: [-1, 0, 1], yFormat: power });
  chart.patch(GREEN, 0.1)([[0, LOW], [180, LOW], [180, 0], [0, 0]]);
  chart.curve(INK, { "stroke-width": 1 })([[0, 0], [180, 0]]);
  chart.text({ "text-anchor": "middle", dy: 18 }, "joint training hurts")([90, HIGH]);
  chart.text({ "text-anchor": "middle", dy: -8, fill: inked(GREEN) }, "joint training helps")([90, LOW]);
  const colours = [BLUE, VERMILION], arrows = colours.map((colour, i) => teachers.arrow(`w${"₁₂"[i]}`, colour, 3.5));
  const lines = colours.map((colour, i) => chart.curve(colour, i ? { "stroke-dasharray": "7 4", "stroke-width": 2.5 } : { "stroke-width": 2.5 }));
  const names = chart.ends(), here = chart.curve(GREY, { "stroke-width": 1 });
  const dots = colours.map((colour) => Array.from({ length: SETS }, () => chart.dot(colour, 3, { "fill-opacity": 0.35 })));
  const points = colours.map((colour) => chart.dot(colour, 6));
  const tip = teachers.handle("teacher of task 2", VERMILION, ([x, y]) => {
    const angle = (Math.atan2(Math.max(y, 0), x) * 180) / Math.PI;
    view.change({ angle: Number(clamp(angle, 0, 180).toFixed(1)) });
  }, { words: ([x, y]) => `${((Math.atan2(y, x) * 180) / Math.PI).toFixed(0)} degrees` });
  return (state) => {
    const radians = (state.angle * Math.PI) / 180, second = [Math.cos(radians), Math.sin(radians)];
    arrows[0]([1, 0]); arrows[1](second); tip(second);
    here([[state.angle, LOW], [state.angle, HIGH]]);
    const sets = Array.from({ length: SETS }, (_, k) => drawn(state.seed + k, state.angle, state.samples, state.noise));
    const ends = [];
    [0, 1].forEach((i) => {
      const own = state.samples[i], other = state.samples[1 - i], alone = errorAlone(own, state.noise);
      const at = (angle, error) => [angle, clamp(Math.log10(error / alone), LOW, HIGH)];
      lines[i](ANGLES.map((angle) => at(angle, errorJoint(angle, own, other, state.noise))));
      ends[i] = at(180, errorJoint(180, own, other, state.noise))[1];
      points[i](at(state.angle, errorJoint(state.angle, own, other, state.noise)));
      dots[i].forEach((dot, k) => dot(at(state.angle + (i ? 1.2 : -1.2), sets[k][i])));
    });
    names(["task 1", "task 2"], ends, colours);
    return describe(state);
  };
}

export default explorable({ names: ["angle", "noise", "samples", "seed"], build });
