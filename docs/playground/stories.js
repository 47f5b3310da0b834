// Five stories: each asks a question, sets a state, and tells what was measured once the visitor has
// run it. Its numbers are those of measured.js: seeds 1 to 5, by `benchmarks/playground.py --stories`.
import { ALL } from "./setting.js";
import measured from "./measured.js";

const of = (values) => ALL.map((task) => values[task] ?? 1);

/** What a run had at a step, one number a seed. */
export const found = (name, step, value) => (measured[name] ?? []).map((rows) => value(rows.find((row) => row.step === step)));
const range = (values, factor = 1, unit = "") => {
  const [low, high] = [Math.min(...values), Math.max(...values)].map((v) => (factor === 1 ? v.toFixed(2) : (factor * v).toFixed(0)));
  return (low === high ? low : `${low} to ${high}`) + unit;
};
const metric = (name, step, i) => range(found(name, step, (row) => row.metrics[i]));
const alone = (name, step, i) => range(found(name, step, (row) => row.alone[i]));
const share = (name, step, i) => range(found(name, step, (row) => row.shares[i]), 100, "%");
const apart = (name, steps) => range(steps.flatMap((step) => found(name, step, (row) => row.apart)), 100, "%");
const SEEDS = "(seeds 1 to 5)";

export const STORIES = {
  drowns: {
    title: "Box drowns digit", after: 300,
    setting: { units: of({ box: 784 }) },
    question: "The box is now measured in pixels, not in sides of the image: its squared error is 28 × 28 = 784 times as large. Both weights are 1. What will the digit have learned after 300 steps? Guess, then press Play.",
    answer: `Nothing: digit accuracy is ${metric("pixels", 300, 0)}, and 0.10 is luck; with the box in sides it is ${metric("plain", 300, 0)} ${SEEDS}. In pixels the box has ${share("pixels", 300, 1)} of the step, and gets better for it: IoU ${metric("pixels", 300, 1)} instead of ${metric("plain", 300, 1)}. The scenes and the question are the same: equal weights mean nothing as long as the units are arbitrary.`,
  },
  unit: {
    title: "Change the unit", after: 300,
    setting: { units: of({ digit: 100, box: 100 }) },
    question: "Both losses are now 100 times as large, and with them every gradient. The optimizer is Adam. Compared with units of 1, will the digit learn faster, slower, or the same? Press Play; then set both units to 1, press Again and Play, and compare the paths.",
    answer: `The same: digit accuracy after 300 steps is ${metric("hundred", 300, 0)} in units of 100 and ${metric("plain", 300, 0)} in units of 1 ${SEEDS}. Adam divides by the size of the gradient, so only the ratio of two units counts. Plain SGD does not divide: at a rate of 0.005 it comes to ${metric("sgd", 300, 0)} in units of 1, and to ${metric("sgd_hundred", 300, 0)} in units of 100, which for it are a rate of 0.5. Choose SGD and try.`,
  },
  surgery: {
    title: "Surgery", after: 300,
    setting: { tasks: ["digit", "box", "mask"], method: "pcgrad", alone: false },
    question: "Three tasks, and PCGrad: where two gradients pull apart, it cuts away what each takes from the other. In how many of the looks do digit and box pull apart? And will the digit be better than with fixed weights of 1? Press Play; then choose fixed weights, press Again and Play.",
    answer: `Digit and box pull apart in ${apart("surgery", [300])} of the looks from step 201 to 300 with PCGrad. After 300 steps: digit ${metric("surgery", 300, 0)} with PCGrad and ${metric("sum", 300, 0)} without, box ${metric("surgery", 300, 1)} and ${metric("sum", 300, 1)}, mask ${metric("surgery", 300, 2)} and ${metric("sum", 300, 2)} ${SEEDS}.`,
  },
  half: {
    title: "Turn it half-way", after: 600,
    setting: { units: of({ box: 784 }) },
    question: "The box, in pixels, drowns the digit for 300 steps; then the run pauses. Now turn the weight of box down to 0.001, as if it were in sides again, and play on to step 600. Will the digit learn in these 300 steps what it learns in the first 300 of a plain run?",
    answer: `Hardly: at step 600 digit accuracy is ${metric("pixels", 600, 0)}; a plain run has ${metric("plain", 300, 0)} after its first 300 steps ${SEEDS}. But not because the encoder is spoilt. Adam divides by the gradients that it remembers, over about 1,000 steps, and remembers the huge ones of the box: the encoder hardly moves. Empty that memory (at step 300 turn the weight, choose SGD, then Adam again), and the digit comes to ${metric("emptied", 600, 0)}.`,
  },
  alone: {
    title: "Two heads alone", after: 600,
    setting: { stop: 600 },
    question: "One network with two heads, and beside it a network alone for each task (dotted), which has all of its parameters for itself. All see the same batches. Which is better after 600 steps: at the digit, at the box?",
    answer: `Alone, for both: after 600 steps the digit has ${alone("plain", 600, 0)} alone and ${metric("plain", 600, 0)} together, the box ${alone("plain", 600, 1)} and ${metric("plain", 600, 1)} ${SEEDS}.`,
  },
};
