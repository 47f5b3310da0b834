// What each method makes of task gradients: weights from their Gramian K, as in
// mtl_tutorial.balancing; the direction is the weighted sum of the gradients, the step its opposite.
import { dot, mix } from "./kit.js";

/** K with K_ij = g_i · g_j. */
export const gramian = (gradients) => gradients.map((a) => gradients.map((b) => dot(a, b)));

/** What Adam subtracts from a row of numbers, and what it remembers after; mtl_tutorial.balancing's adam_step. */
export function adamStep(gradient, moments, rate) {
  const first = gradient.map((g, i) => 0.9 * moments.first[i] + 0.1 * g), steps = moments.steps.map((t) => t + 1);
  const second = gradient.map((g, i) => 0.999 * moments.second[i] + 0.001 * g * g);
  return { after: { first, second, steps }, move: steps.map((t, i) => (rate * (first[i] / (1 - 0.9 ** t))) / (Math.sqrt(second[i] / (1 - 0.999 ** t)) + 1e-8)) };
}
export const unmoved = (count) => Object.fromEntries(["first", "second", "steps"].map((name) => [name, Array(count).fill(0)]));

const times = (K, w) => K.map((row) => dot(row, w)), quadratic = (K, w) => dot(times(K, w), w);

/** Solve A x = b by elimination with pivots; null where A is singular. */
export function solve(A, b) {
  const n = b.length, M = A.map((row, i) => [...row, b[i]]);
  for (let c = 0; c < n; c++) {
    let best = c;
    for (let r = c + 1; r < n; r++) if (Math.abs(M[r][c]) > Math.abs(M[best][c])) best = r;
    if (Math.abs(M[best][c]) < 1e-14) return null;
    [M[c], M[best]] = [M[best], M[c]];
    M.forEach((row, r) => { if (r !== c) M[r] = mix(1, row, -row[c] / M[c][c], M[c]); });
  }
  return M.map((row, i) => row[n] / row[i]);
}

/** All subsets of 0 … n − 1 that are not empty. */
const subsets = (n) =>
  Array.from({ length: 2 ** n - 1 }, (_, code) => [...Array(n).keys()].filter((i) => ((code + 1) >> i) & 1));

/** Divide K by its largest entry, so that squares of small gradients do not vanish. */
function scaled(K) {
  const largest = Math.max(...K.map((row, i) => row[i]));
  return largest > 0 ? K.map((row) => row.map((k) => k / largest)) : null;
}

/** The one with the smallest wᵀSw. */
const shortest = (S, candidates) => candidates.reduce((best, w) => (quadratic(S, w) < (1 - 1e-12) * quadratic(S, best) ? w : best));

/** The sum of the losses: 1 for each task. */
export const sum = (K) => K.map(() => 1);

/** Project away conflicts, in the order that is given for each task (Yu et al. 2020, Algorithm 1). */
export function pcgrad(K, orders = K.map((_, i) => K.map((__, j) => j).filter((j) => j !== i))) {
  const total = K.map(() => 0);
  K.forEach((_, i) => {
    const w = K.map((__, j) => Number(i === j));
    for (const j of orders[i]) {
      const along = times(K, w)[j]; // v · g_j, with v the running vector and g_j the original
      if (along < 0 && K[j][j] > 0) w[j] -= along / K[j][j];
    }
    w.forEach((x, j) => { total[j] += x; });
  });
  return total;
}

/** The shortest vector of the convex hull (Désidéri 2012): of all active sets, the one that keeps its conditions. */
export function mgda(K) {
  const n = K.map((row, i) => Math.sqrt(row[i])), least = Math.min(...n), share = (w) => mix(1 / w.reduce((a, b) => a + b), w);
  if (!least) return share(n.map((length) => Number(!length)));
  const C = K.map((row, i) => row.map((k, j) => k / n[i] / n[j] + (i === j) * 1e-13)), q = n.map((length) => least / length);
  const found = subsets(n.length).flatMap((set) => { // C x = q on the set, C x ≥ q beside it, x ≥ 0
    const on = solve(set.map((i) => set.map((j) => C[i][j])), set.map((i) => q[i])), x = on && n.map((_, i) => on[set.indexOf(i)] ?? 0);
    return x ? [[Math.max(...times(C, x).map((c, i) => Math.max(-x[i], q[i] - c))) / x.reduce((a, b) => a + Math.abs(b), 0), x]] : [];
  });
  return share(found.reduce((a, b) => (b[0] < a[0] - 1e-15 ? b : a))[1].map((x, i) => Math.max(0, x) * q[i]));
}

/** The mean of the gradients, each brought into the cone that hurts nobody (Quinton & Rey 2024). */
export function upgrad(K) {
  const n = K.length, S = scaled(K);
  if (!S) return K.map(() => 0);
  const inCone = K.map((_, i) => {
    // min vᵀSv over v ≥ e_i: v = e_i + u with u ≥ 0
    const own = K.map((__, j) => Number(i === j));
    return shortest(S, [own, ...subsets(n).flatMap((set) => {
      const u = solve(set.map((r) => set.map((c) => S[r][c])), set.map((r) => -S[r][i]));
      return !u || u.some((x) => x < -1e-12) ? [] : [own.map((e, j) => e + Math.max(0, u[set.indexOf(j)] ?? 0))];
    })]);
  });
  return K.map((_, j) => inCone.reduce((total, v) => total + v[j] / n, 0));
}

/** Equal projections on all unit gradients (Liu et al. 2021, IMTL-G); weights sum to 1. */
export function imtlG(K) {
  const n = K.length, lengths = K.map((row, i) => Math.sqrt(row[i]));
  if (lengths.some((l) => l === 0)) return K.map(() => 0);
  // d · u_0 = d · u_k for all k, and Σ w = 1
  const A = K.slice(1).map((_, k) => K.map((row) => row[0] / lengths[0] - row[k + 1] / lengths[k + 1]));
  return solve([...A, K.map(() => 1)], [...K.slice(1).map(() => 0), 1]) ?? K.map(() => 0);
}

/** The mean, turned towards the worst-off task within c of its length (Liu et al. 2021, CAGrad). */
export function cagrad(K, c = 0.5) {
  const n = K.length, S = scaled(K);
  if (!S) return K.map(() => 0);
  const mean = K.map(() => 1 / n), pulls = times(S, mean), length = Math.sqrt(Math.max(0, quadratic(S, mean)));
  const cost = (w) => dot(w, pulls) + c * length * Math.sqrt(Math.max(0, quadratic(S, w)));
  const w = onSimplex(cost, n), own = Math.sqrt(Math.max(0, quadratic(S, w)));
  if (own < 1e-12) return mean;
  return mean.map((m, i) => m + (c * length * w[i]) / own);
}

/** Minimise a convex function over the weights that sum to 1, one share after the other. */
function onSimplex(cost, n, head = [], left = 1) {
  if (head.length === n - 1) return [...head, left];
  const inner = (share) => onSimplex(cost, n, [...head, share], left - share);
  const golden = (Math.sqrt(5) - 1) / 2;
  let low = 0, high = left, a = high - golden * left, b = golden * left, fa = cost(inner(a)), fb = cost(inner(b));
  for (let k = 0; k < 60; k++) {
    if (fa < fb) { high = b; b = a; fb = fa; a = high - golden * (high - low); fa = cost(inner(a)); }
    else { low = a; a = b; fa = fb; b = low + golden * (high - low); fb = cost(inner(b)); }
  }
  const ends = [0, (low + high) / 2, left].map(inner);
  return ends.reduce((best, w) => (cost(w) < cost(best) ? w : best));
}

/** Norms as weights: the larger gradient gets more (the course's source document). */
export function gradientNorms(K) {
  const lengths = K.map((row, i) => Math.sqrt(row[i])), total = lengths.reduce((a, b) => a + b);
  return lengths.map((l) => (total > 0 ? l / total : 1 / K.length));
}

/** Weights of two tasks in closed form, for those who take many steps. */
export const PAIRS = {
  PCGrad: (k11, k12, k22) => (k12 < 0 ? [1 - k12 / Math.max(k11, 1e-30), 1 - k12 / Math.max(k22, 1e-30)] : [1, 1]),
  MGDA: (k11, k12, k22) => {
    const a = Math.min(1, Math.max(0, (k22 - k12) / Math.max(k11 + k22 - 2 * k12, 1e-30)));
    return [a, 1 - a];
  },
};

/** By the name that lessons use. */
export const METHODS = {
  sum, PCGrad: pcgrad, MGDA: mgda, UPGrad: upgrad, CAGrad: cagrad, "IMTL-G": imtlG,
  "gradient-norm weights": gradientNorms,
};

/** The direction d = Σ w_i g_i of a method; the step goes against it. */
export const direction = (name, gradients) => mix(...METHODS[name](gramian(gradients)).flatMap((w, i) => [w, gradients[i]]));

/** −g_i · d: what each loss does, to first order, a unit of learning rate. */
export const changes = (gradients, d) => gradients.map((g) => -dot(g, d));
