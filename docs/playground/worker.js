// Trains beside the page, so that the page stays smooth: steps for some milliseconds, then listens.
import data from "./digits.js";
import { Lab } from "./engine.js";

const TURN = 25, LOOK = 5, SCORE = [10, 20]; // milliseconds a turn; steps between two looks at gradients, and at unseen scenes, early and later
const next = new MessageChannel(); // a timer would rest for 4 milliseconds between two turns
let lab = null, playing = false, rows = [], last = 0;

function step(look) {
  const { step: number, losses, weights, K } = lab.go(look || lab.step % LOOK === 0);
  rows.push({ step: number, losses, weights, K });
  if (!weights.every(Number.isFinite)) { playing = false; return tell({ diverged: true }); }
  const halt = [lab.setting.stop, ...lab.setting.pauses].includes(number);
  if (number % SCORE[Number(number > 100)] === 0 || halt) tell({ seen: lab.look() });
  if (halt) playing = false;
}

function tell(more = {}) {
  postMessage({ run: lab.run, rows, playing, ...more });
  rows = [];
}

function turn() {
  if (!playing) return;
  const end = performance.now() + TURN;
  while (playing && performance.now() < end) step(false);
  if (!playing || performance.now() - last > 60) { last = performance.now(); tell(); }
  next.port2.postMessage(0);
}
next.port1.onmessage = turn;

onmessage = ({ data: { act, setting, image, run } }) => {
  if (act === "start") {
    playing = false; rows = [];
    lab = Object.assign(new Lab(setting, data), { run });
    const { images, targets } = lab.unseen;
    tell({ seen: lab.look(), scenes: { images, targets } });
  } else if (act === "take") lab.take(setting);
  else if (act === "play") { if (!playing) { playing = true; turn(); } }
  else if (act === "pause") { playing = false; tell(); }
  else if (act === "step") { playing = false; step(true); tell({ seen: lab.look() }); }
  if (image) postMessage({ run: lab.run, rows: [], playing, drawn: lab.main.answers(image) });
};
