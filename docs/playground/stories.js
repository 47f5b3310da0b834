// Five stories: each asks a question, sets a state, and tells what was measured once the visitor has
// run it. Its numbers are those of measured.js: seeds 1 to 5, by `benchmarks/playground.py --stories`.
import { fixed } from "./kit.js";
import { ALL } from "./setting.js";
import measured from "./measured.js";

const of = (values) => ALL.map((task) => values[task] ?? 1);

/** What a run had at a step, one number a seed. */
export const found = (name, step, value) => (measured[name] ?? []).map((rows) => value(rows.find((row) => row.step === step)));
const span = (values, words) => [...new Set([Math.min(...values), Math.max(...values)].map(words))].join(" to ");
const metric = (name, step, i, of = "metrics") => span(found(name, step, (row) => row[of][i]), (v) => fixed(v));
const percent = (v) => `${(100 * v).toFixed(0)}%`, share = (name, step, i) => span(found(name, step, (row) => row.shares[i]), percent);
const apart = (name, step) => span(found(name, step, (row) => row.apart), percent);
/** By how much one run is ahead of another with the same seed. */
const lead = (values, others) => span(values.map((v, k) => v - others[k]), (v) => `${v >= 0.005 ? "+" : ""}${fixed(v)}`);
const leadOf = (name, other, step, i, of = "metrics") => lead(found(name, step, (row) => row.metrics[i]), found(other, step, (row) => row[of][i]));

export const STORIES = {
  drowns: {
    title: "Box drowns digit", after: 300,
    setting: { units: of({ box: 784 }) },
    question: "The box is now measured in pixels, not in sides of the image: its squared error is 28 × 28 = 784 times as large. Both weights are 1. What will the digit have learned after 300 steps? Guess, then press Play.",
    choices: ["nothing", "half as much", "the same"],
    answer: `Nothing: digit accuracy is ${metric("pixels", 300, 0)}, and 0.10 is luck; with the box in sides it is ${metric("plain", 300, 0)} (seeds 1 to 5). In pixels the box has ${share("pixels", 300, 1)} of the step instead of ${share("plain", 300, 1)}, and IoU ${metric("pixels", 300, 1)} instead of ${metric("plain", 300, 1)}. Scenes and tasks are the same: weights of 1 and 1 say nothing while units are arbitrary.`,
  },
  unit: {
    title: "Change the unit", after: 300,
    setting: { units: of({ digit: 100, box: 100 }) },
    question: "Now both losses are 100 times as large, and so is every gradient. The optimizer is Adam. Compared with units of 1, will the digit learn faster, slower or the same? Press Play; then set both units to 1, press Again and Play, and compare the paths.",
    choices: ["faster", "slower", "the same"],
    answer: `The same, but for luck: digit accuracy after 300 steps is ${metric("hundred", 300, 0)} in units of 100 and ${metric("plain", 300, 0)} in units of 1; seed by seed the difference is ${leadOf("hundred", "plain", 300, 0)} (seeds 1 to 5). Adam divides by the size of the gradient, so only the ratio of the two units counts. Plain SGD does not divide: for it, units of 100 are a rate 100 times as high.`,
  },
  surgery: {
    title: "Surgery", after: 300,
    setting: { tasks: ["digit", "box", "mask"], method: "pcgrad", alone: false },
    question: "Three tasks and PCGrad: where two gradients pull apart, it cuts away what one takes from the other. How often do digit and box pull apart? And who will be better off than with fixed weights of 1? Press Play; then choose fixed weights, press Again and Play.",
    choices: ["the digit", "the box", "the mask", "all three"],
    answer: `Digit and box pull apart in ${apart("surgery", 300)} of the looks from step 201 to 300. After 300 steps, PCGrad minus fixed weights, seed by seed: box ${leadOf("surgery", "sum", 300, 1)}, digit ${leadOf("surgery", "sum", 300, 0)}, mask ${leadOf("surgery", "sum", 300, 2)} (seeds 1 to 5). The box gains, whose pull is small: it has ${share("surgery", 300, 1)} of the step instead of ${share("sum", 300, 1)}. The digit, which has most of it, does not.`,
  },
  half: {
    title: "Turn it half-way", after: 600,
    setting: { units: of({ box: 784 }) },
    question: "The box, in pixels, drowns the digit for 300 steps; then the run pauses. Now turn the weight of box down to 0.001, about as if it were in sides again, and play on to step 600. Will the digit learn in these 300 steps what it learns in the first 300 of a plain run?",
    choices: ["as much", "half of it", "nothing"],
    answer: `No: at step 600 digit accuracy is ${metric("pixels", 600, 0)}; a plain run has ${metric("plain", 300, 0)} after its first 300 steps (seeds 1 to 5). The encoder is not spoilt: Adam divides by the gradients that it remembers, over about 1,000 steps, and these are the huge ones of the box, so it hardly moves. Empty that memory (at step 300 turn the weight, choose SGD, then Adam again), and the digit comes to ${metric("emptied", 600, 0)}.`,
  },
  alone: {
    title: "Two heads alone", after: 600,
    setting: { stop: 600 },
    question: "One network with two heads; beside it, dotted, a network alone for each task, with all of its parameters for itself. All see the same batches. Which is better after 600 steps: at the digit, at the box? Whom does sharing cost something?",
    choices: ["both", "the digit", "the box", "neither"],
    answer: `Together minus alone, seed by seed: digit ${leadOf("plain", "plain", 600, 0, "alone")}, box ${leadOf("plain", "plain", 600, 1, "alone")} (seeds 1 to 5). The digit shares at no clear cost; the box pays, for at weights of 1 it has ${share("plain", 600, 1)} of the step. A weight of 30 brings the box to ${metric("balanced", 600, 1)} (alone ${metric("plain", 600, 1, "alone")}), but the digit down to ${metric("balanced", 600, 0)} (alone ${metric("plain", 600, 0, "alone")}). At this width and in 600 steps, two networks are better, with twice the parameters. Does another weight or width change that?`,
  },
};
