// Five stories: each asks a question, sets a state, and tells what was measured once the visitor has
// run it. The numbers are those of measured.js, which `python benchmarks/playground.py --stories` writes.
import { ALL } from "./setting.js";
import measured from "./measured.js";

const of = (values) => ALL.map((task) => values[task] ?? 1);
const range = (values, digits = 2) => {
  const [low, high] = [Math.min(...values), Math.max(...values)].map((v) => v.toFixed(digits));
  return low === high ? low : `${low} to ${high}`;
};

export const STORIES = {
  drowns: {
    title: "Box drowns digit", after: 300,
    setting: { tasks: ["digit", "box"], units: of({ box: 784 }), stop: 300 },
    question: "The box is measured in pixels now, and no longer in sides of the image: its squared error is 28 × 28 = 784 times as large. Both weights are 1. What becomes of the digit in 300 steps? Guess, then press Play.",
    answer: `todo`,
  },
};
