// Training, as mtl_tutorial does it: the methods with what they remember, the optimizers, and one
// step after the other. No page and no worker: a test drives it with batches of its own.
import { gradnorm } from "./gradnorm_stepper.js";
import { dwa } from "./loss_scale_mixer.js";
import { adamStep, gramian, mgda, pcgrad, unmoved } from "./methods.js";
import { Adam, HEADS, KINDS, Net } from "./net.js";
import { randomness } from "./statistics.js";
import { SCALE } from "./uncertainty_bowl.js";
import { PIXELS, scenesOf } from "./scenes.js";

export const BATCH = 64, UNSEEN = 256, SHOWN = 7; // scenes: of a batch, held out, and those shown of them
const RATE = 0.025, ALPHA = 1.5; // of the weights, and GradNorm's, as in the package

export const byName = (things, act) => Object.fromEntries(Object.entries(things).map(([name, thing]) => [name, act(thing, name)]));
const shuffled = (list, random) => {
  for (let i = list.length - 1; i > 0; i--) { const j = Math.floor(random() * (i + 1)); [list[i], list[j]] = [list[j], list[i]]; }
  return list;
};

/**
 * Each makes `weigh`, which gives the weights of a step and remembers what the next one needs.
 * `gradients` says that it looks at them; `surgery` that it weighs those of the encoder alone, and
 * every head gets its own.
 */
export const METHODS = {
  fixed: () => ({ weigh: ({ given }) => given }),
  uncertainty(tasks) {
    const c = tasks.map((task) => SCALE[KINDS[task] === "square" ? "regression" : "classification"]);
    let s = tasks.map(() => 0), moments = unmoved(tasks.length);
    return { weigh({ losses }) {
      const weights = s.map((x, i) => c[i] * Math.exp(-x)), { move, after } = adamStep(weights.map((w, i) => 0.5 - w * losses[i]), moments, RATE);
      moments = after;
      s = s.map((x, i) => x - move[i]);
      return weights;
    } };
  },
  dwa(tasks, { epoch }) {
    let weights = tasks.map(() => 1), sum = tasks.map(() => 0), count = 0, last = null;
    return { weigh({ losses }) {
      const used = weights;
      sum = sum.map((x, i) => x + losses[i]);
      if (++count === epoch) {
        const mean = sum.map((x) => x / count);
        if (last) weights = dwa(mean, last);
        last = mean; sum = tasks.map(() => 0); count = 0;
      }
      return used;
    } };
  },
  gradnorm(tasks) {
    let weights = tasks.map(() => 1), first = null, moments = unmoved(tasks.length);
    return { gradients: true, weigh({ losses, lengths }) {
      const used = weights, left = losses.map((x, i) => x / (first ??= losses)[i]), total = left.reduce((a, b) => a + b);
      const rates = left.map((x) => (total ? (x * left.length) / total : 1));
      const after = gradnorm({ weights, gradient_norms: lengths, rates, moments, learning_rate: RATE }, ALPHA);
      weights = after.new_weights; moments = after.new_moments;
      return used;
    } };
  },
  pcgrad: (tasks, { random }) => ({ gradients: true, surgery: true,
    weigh: ({ K, orders }) => pcgrad(K, orders ?? tasks.map((_, i) => shuffled(tasks.map((__, j) => j).filter((j) => j !== i), random))) }),
  mgda: () => ({ gradients: true, surgery: true, weigh: ({ K }) => mgda(K) }),
};

class Descent {
  constructor(count, rate, keep) { Object.assign(this, { rate, keep, m: new Float64Array(count) }); }
  step(flat, g) {
    for (let i = 0; i < g.length; i++) flat[i] -= this.rate * (this.m[i] = this.keep * this.m[i] + g[i]);
  }
}
export const OPTIMIZERS = {
  adam: (count, rate) => new Adam(count, rate),
  sgd: (count, rate) => new Descent(count, rate, 0),
  momentum: (count, rate) => new Descent(count, rate, 0.9),
};

/** Numbers to start from: uniform up to 1 / √(inputs of the layer), as torch has them. */
function initialise(net, random) {
  const inputs = { 1: 9, 2: 9 * net.width, 3: 98 * net.width };
  for (const [name, part] of Object.entries(net.p)) {
    const bound = 1 / Math.sqrt(inputs[name[1]] ?? 4 * net.width);
    for (let i = 0; i < part.length; i++) part[i] = bound * (2 * random() - 1);
  }
}

/** A network in training. */
export class Training {
  /** @param setting tasks, width, method, optimizer, rate, weights, units, seed @param epoch steps of an epoch, for DWA */
  constructor(setting, epoch) {
    const { tasks, width, seed } = setting;
    this.net = new Net(width, tasks, BATCH);
    initialise(this.net, randomness(seed));
    Object.assign(this, { tasks, epoch, random: randomness(seed + 1e6), total: new Float64Array(this.net.count), own: tasks.map(() => new Float64Array(this.net.count)) });
    this.take(setting);
  }

  /** Go on with another method, optimizer, rate, weights or units; what is the same keeps its memory. */
  take({ method, optimizer, rate, weights, units }) {
    const alone = this.tasks.length < 2 && method !== "fixed"; // nothing to weigh
    if (method !== this.name) this.method = METHODS[alone ? "fixed" : method](this.tasks, this);
    this.optimizer = optimizer === this.kind ? Object.assign(this.optimizer, { rate }) : OPTIMIZERS[optimizer](this.net.count, rate);
    Object.assign(this, { name: method, kind: optimizer, given: alone ? [1] : weights, units });
  }

  /** One step. @param look whether to look at gradients where the method does not @param orders of PCGrad; drawn where left out */
  step({ images, targets }, look = false, orders) {
    const { net, tasks, units, method, total, own } = this;
    net.forward(images);
    const losses = tasks.map((task, i) => units[i] * net.loss(task, targets[task])), seen = { losses, given: this.given, orders };
    if (!losses.every(Number.isFinite)) return { losses, weights: losses.map(() => NaN) };
    if (look || method.gradients) {
      tasks.forEach((task, i) => net.backward({ [task]: units[i] }, own[i].fill(0)));
      seen.K = gramian(own.map((g) => g.subarray(0, net.shared)));
      seen.lengths = own.map((g) => Math.sqrt(g.subarray(...net.at.w3).reduce((sum, x) => sum + x * x, 0)));
    }
    const weights = method.weigh(seen);
    total.fill(0);
    if (seen.K) tasks.forEach((_, i) => {
      for (let k = 0; k < net.count; k++) total[k] += (method.surgery && k >= net.shared ? 1 : weights[i]) * own[i][k];
    });
    else net.backward(Object.fromEntries(tasks.map((task, i) => [task, weights[i] * units[i]])), total);
    this.optimizer.step(net.flat, total);
    return { losses, weights, K: seen.K };
  }

  /** Answers to scenes, one after the other, by task. */
  answers(images) {
    const count = images.length / PIXELS, all = Object.fromEntries(this.tasks.map((task) => [task, new Float64Array(count * HEADS[task])]));
    for (let b = 0; b < count; b += BATCH) {
      const rows = Math.min(BATCH, count - b), out = this.net.forward(images.subarray(b * PIXELS), rows);
      for (const task of this.tasks) all[task].set(out[task].subarray(0, rows * HEADS[task]), b * HEADS[task]);
    }
    return all;
  }
}

/** The class of row b of answers: the first of the largest. */
export function classOf(answers, b, n = 10) {
  let best = 0;
  for (let i = 1; i < n; i++) if (answers[b * n + i] > answers[b * n + best]) best = i;
  return best;
}

/** IoU of two boxes. */
function iou(p, q, at) {
  const side = (box, i) => Math.max(0, box[at + i + 2] - box[at + i]), area = (box) => side(box, 0) * side(box, 1);
  const over = [0, 1].reduce((all, i) => all * Math.max(0, Math.min(p[at + i + 2], q[at + i + 2]) - Math.max(p[at + i], q[at + i])), 1);
  const both = Math.min(over, area(p), area(q)), either = area(p) + area(q) - both;
  return either ? both / either : 1;
}

/** The package's metric of a task: accuracy, mean IoU of boxes, mean IoU of pixels. */
export function metric(task, answers, target) {
  const n = HEADS[task], count = answers.length / n;
  let sum = 0;
  for (let b = 0; b < count; b++) {
    if (KINDS[task] === "class") sum += classOf(answers, b, n) === target[b];
    else if (KINDS[task] === "square") sum += iou(answers, target, b * n);
    else {
      let both = 0, either = 0;
      for (let k = b * n; k < (b + 1) * n; k++) { both += answers[k] > 0 && target[k]; either += answers[k] > 0 || target[k] ? 1 : 0; }
      sum += either ? both / either : 1;
    }
  }
  return sum / count;
}

/** A network in training, beside it a network alone for each task, and scenes that none of them trains on. */
export class Lab {
  constructor(setting, data) {
    const { seed, tasks, alone } = setting, scenes = scenesOf(setting.scenes, data, randomness(7));
    Object.assign(this, { setting, step: 0, train: scenes.train, random: randomness(seed + 2e6), unseen: scenes.test.draw(UNSEEN, randomness(11)) });
    const epoch = Math.ceil(scenes.train.digits.count / BATCH);
    this.main = new Training(setting, epoch);
    this.singles = alone && tasks.length > 1 ? tasks.map((task) => new Training({ ...setting, tasks: [task], method: "fixed", weights: [1], units: [1] }, epoch)) : [];
  }

  take(setting) {
    this.setting = setting;
    this.main.take(setting);
    this.singles.forEach((one) => one.take({ ...setting, method: "fixed", weights: [1], units: [1] }));
  }

  /** One step of all networks on one batch. */
  go(look) {
    const batch = this.train.draw(BATCH, this.random), record = this.main.step(batch, look);
    this.singles.forEach((one) => one.step(batch));
    return { step: ++this.step, ...record };
  }

  /** Metrics on unseen scenes, of the network and of those alone; and its answers. */
  look() {
    const { images, targets } = this.unseen, score = (training) => {
      const answers = training.answers(images);
      return [training.tasks.map((task) => metric(task, answers[task], targets[task])), answers];
    };
    const [metrics, answers] = score(this.main);
    return { step: this.step, metrics, alone: this.singles.map((one) => score(one)[0][0]), answers: byName(answers, (rows, task) => rows.slice(0, SHOWN * HEADS[task])) };
  }
}
