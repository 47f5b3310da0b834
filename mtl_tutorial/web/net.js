// A network with hard parameter sharing in the page: HardSharing(ConvEncoder(width)) of the package,
// with its losses, a backward pass for each task, and Adam. Numbers of 64 bits, JavaScript's fastest.

export const SIDE = 28;
const HALF = 14, QUARTER = 7, TAPS = 9;
export const HEADS = { digit: 10, box: 4, mask: SIDE * SIDE, left: 10, right: 10 };
export const KINDS = { digit: "class", box: "square", mask: "pixels", left: "class", right: "class" };

/** C = A Bᵀ + bias, with A (M, K) and B (N, K) by rows; negative ones become 0 where `relu`. */
function affine(A, B, bias, C, M, N, K, relu) {
  for (let m = 0; m < M; m++) {
    const a = m * K, c = m * N;
    let n = 0;
    for (; n + 3 < N; n += 4) {
      let p = bias[n], q = bias[n + 1], r = bias[n + 2], s = bias[n + 3];
      const b0 = n * K, b1 = b0 + K, b2 = b1 + K, b3 = b2 + K;
      for (let k = 0; k < K; k++) {
        const x = A[a + k];
        p += x * B[b0 + k]; q += x * B[b1 + k]; r += x * B[b2 + k]; s += x * B[b3 + k];
      }
      C[c + n] = relu && p < 0 ? 0 : p; C[c + n + 1] = relu && q < 0 ? 0 : q;
      C[c + n + 2] = relu && r < 0 ? 0 : r; C[c + n + 3] = relu && s < 0 ? 0 : s;
    }
    for (; n < N; n++) {
      let p = bias[n];
      for (let k = 0, b = n * K; k < K; k++) p += A[a + k] * B[b + k];
      C[c + n] = relu && p < 0 ? 0 : p;
    }
  }
}

const BLOCK = 64; // rows at a time, which stay near the processor
const some = new Int32Array(1024), slopes = new Float64Array(1024);

/** row += Σ_i slopes_i · (what stands in `from` at some_i), four at a time; what is left over counts as 0. */
function addRows(row, at, from, K, count) {
  for (let i = count; i & 3; i++) some[i] = slopes[i] = 0;
  for (let i = 0; i < count; i += 4) {
    const p = slopes[i], q = slopes[i + 1], r = slopes[i + 2], s = slopes[i + 3];
    const f0 = some[i], f1 = some[i + 1], f2 = some[i + 2], f3 = some[i + 3];
    for (let k = 0; k < K; k++) row[at + k] += p * from[f0 + k] + q * from[f1 + k] + r * from[f2 + k] + s * from[f3 + k];
  }
}

/** Of dC: add to the gradients of B and the bias, and where asked to that of A. Zeros, most of dC
 *  after ReLU, are passed over without a branch, which a processor could not foresee. */
function back(dC, A, B, gB, gBias, gA, M, N, K) {
  for (let m = 0; gA && m < M; m++) {
    let count = 0;
    for (let n = 0; n < N; n++) { const g = slopes[count] = dC[m * N + n]; some[count] = n * K; count += Number(g !== 0); }
    addRows(gA, m * K, B, K, count);
  }
  for (let first = 0; first < M; first += BLOCK) for (let n = 0; n < N; n++) {
    let count = 0;
    for (let m = first; m < first + BLOCK && m < M; m++) { const g = slopes[count] = dC[m * N + n]; some[count] = m * K; gBias[n] += g; count += Number(g !== 0); }
    addRows(gB, n * K, A, K, count);
  }
}

/** For each output pixel of a 3×3 convolution of stride 2, the places of its inputs; −1 outside. */
function patches(side) {
  const half = side >> 1, places = new Int32Array(half * half * TAPS);
  for (let r = 0; r < half; r++) for (let c = 0; c < half; c++) for (let u = 0; u < 3; u++) for (let v = 0; v < 3; v++) {
    const y = 2 * r + u - 1, x = 2 * c + v - 1;
    places[(r * half + c) * TAPS + 3 * u + v] = y < 0 || y >= side || x < 0 || x >= side ? -1 : y * side + x;
  }
  return places;
}
const FIRST = patches(SIDE), SECOND = patches(HALF);

/** Bring the inputs of every output pixel together: channels of a pixel are neighbours. */
function gather(x, places, channels, pixels, out, batch) {
  for (let b = 0, P = places.length; b < batch; b++) for (let p = 0; p < P; p++) {
    const to = (b * P + p) * channels, from = (b * pixels + places[p]) * channels;
    if (places[p] < 0) out.fill(0, to, to + channels);
    else for (let c = 0; c < channels; c++) out[to + c] = x[from + c];
  }
}

/** The reverse: add what came back for every input. */
function scatter(g, places, channels, pixels, out, batch) {
  for (let b = 0, P = places.length; b < batch; b++) for (let p = 0; p < P; p++) {
    if (places[p] < 0) continue;
    const from = (b * P + p) * channels, to = (b * pixels + places[p]) * channels;
    for (let c = 0; c < channels; c++) out[to + c] += g[from + c];
  }
}

/** Names, shapes and places of the parameters, in the order of the package's `state_dict`. */
export function layout(width, tasks) {
  const w = width, shapes = [["c1", w * TAPS], ["b1", w], ["c2", 2 * w * w * TAPS], ["b2", 2 * w], ["w3", 4 * w * 2 * w * QUARTER ** 2], ["b3", 4 * w]];
  const shared = shapes.reduce((n, [, size]) => n + size, 0);
  for (const task of tasks) shapes.push([`w ${task}`, HEADS[task] * 4 * w], [`b ${task}`, HEADS[task]]);
  const at = {};
  let count = 0;
  for (const [name, size] of shapes) { at[name] = [count, count + size]; count += size; }
  return { at, count, shared };
}

export class Net {
  constructor(width, tasks, batch = 64) {
    Object.assign(this, { width, tasks, batch, ...layout(width, tasks) });
    this.flat = new Float64Array(this.count);
    const w = width, of = (n) => new Float64Array(batch * n);
    Object.assign(this, { p1: of(196 * TAPS), h1: of(196 * w), p2: of(49 * TAPS * w), h2: of(49 * 2 * w), h3: of(4 * w),
      d1: of(196 * w), dp2: of(49 * TAPS * w), d2: of(49 * 2 * w), d3: of(4 * w) });
    this.out = Object.fromEntries(tasks.map((task) => [task, of(HEADS[task])]));
    this.slope = Object.fromEntries(tasks.map((task) => [task, of(HEADS[task])]));
    this.p = this.views(this.flat);
  }

  views(flat) {
    return Object.fromEntries(Object.entries(this.at).map(([name, [from, to]]) => [name, flat.subarray(from, to)]));
  }

  /** Take parameters in the package's order: channels before pixels, where here they come after. */
  load(numbers) {
    const w = this.width, given = this.views(Float64Array.from(numbers)), own = this.p;
    this.flat.set(numbers);
    for (let o = 0; o < 2 * w; o++) for (let i = 0; i < w; i++) for (let t = 0; t < TAPS; t++) own.c2[(o * TAPS + t) * w + i] = given.c2[(o * w + i) * TAPS + t];
    for (let o = 0; o < 4 * w; o++) for (let c = 0; c < 2 * w; c++) for (let p = 0; p < 49; p++) own.w3[(o * 49 + p) * 2 * w + c] = given.w3[(o * 2 * w + c) * 49 + p];
    return this;
  }

  /** The reverse, of parameters or of a gradient. */
  save(flat = this.flat) {
    const w = this.width, own = this.views(flat), numbers = Float64Array.from(flat), given = this.views(numbers);
    for (let o = 0; o < 2 * w; o++) for (let i = 0; i < w; i++) for (let t = 0; t < TAPS; t++) given.c2[(o * w + i) * TAPS + t] = own.c2[(o * TAPS + t) * w + i];
    for (let o = 0; o < 4 * w; o++) for (let c = 0; c < 2 * w; c++) for (let p = 0; p < 49; p++) given.w3[(o * 2 * w + c) * 49 + p] = own.w3[(o * 49 + p) * 2 * w + c];
    return numbers;
  }

  /** Predictions for images (B, 784), by task, in `out`. */
  forward(images, batch = this.batch) {
    const w = this.width, p = this.p;
    gather(images, FIRST, 1, SIDE * SIDE, this.p1, batch);
    affine(this.p1, p.c1, p.b1, this.h1, batch * 196, w, TAPS, true);
    gather(this.h1, SECOND, w, 196, this.p2, batch);
    affine(this.p2, p.c2, p.b2, this.h2, batch * 49, 2 * w, TAPS * w, true);
    affine(this.h2, p.w3, p.b3, this.h3, batch, 4 * w, 98 * w, true);
    for (const task of this.tasks) affine(this.h3, p[`w ${task}`], p[`b ${task}`], this.out[task], batch, HEADS[task], 4 * w, false);
    return this.out;
  }

  /** The loss of a task on the last forward pass; its slope stays for `backward`. */
  loss(task, target, batch = this.batch) {
    const n = HEADS[task], y = this.out[task], d = this.slope[task];
    let total = 0;
    if (KINDS[task] === "class") {
      for (let b = 0; b < batch; b++) {
        let top = -Infinity, sum = 0;
        for (let i = 0; i < n; i++) top = Math.max(top, y[b * n + i]);
        for (let i = 0; i < n; i++) sum += d[b * n + i] = Math.exp(y[b * n + i] - top);
        total += Math.log(sum) + top - y[b * n + target[b]];
        for (let i = 0; i < n; i++) d[b * n + i] = (d[b * n + i] / sum - (i === target[b])) / batch;
      }
      return total / batch;
    }
    const count = batch * n;
    for (let i = 0; i < count; i++) {
      if (KINDS[task] === "square") { const e = y[i] - target[i]; total += e * e; d[i] = (2 * e) / count; }
      else { const e = Math.exp(-Math.abs(y[i])); total += Math.max(y[i], 0) - y[i] * target[i] + Math.log(1 + e); d[i] = ((y[i] >= 0 ? 1 / (1 + e) : e / (1 + e)) - target[i]) / count; }
    }
    return total / count;
  }

  /** Add the gradient of Σ_t weights_t L_t to `flat`, in the layout of this network. */
  backward(weights, flat, batch = this.batch) {
    const w = this.width, p = this.p, g = this.views(flat);
    this.d3.fill(0); this.d2.fill(0); this.dp2.fill(0); this.d1.fill(0);
    for (const [task, weight] of Object.entries(weights)) {
      const slope = weight === 1 ? this.slope[task] : this.slope[task].map((x) => weight * x);
      back(slope, this.h3, p[`w ${task}`], g[`w ${task}`], g[`b ${task}`], this.d3, batch, HEADS[task], 4 * w);
    }
    const cut = (d, h, count) => { for (let i = 0; i < count; i++) if (h[i] === 0) d[i] = 0; };
    cut(this.d3, this.h3, batch * 4 * w);
    back(this.d3, this.h2, p.w3, g.w3, g.b3, this.d2, batch, 4 * w, 98 * w);
    cut(this.d2, this.h2, batch * 98 * w);
    back(this.d2, this.p2, p.c2, g.c2, g.b2, this.dp2, batch * 49, 2 * w, TAPS * w);
    scatter(this.dp2, SECOND, w, 196, this.d1, batch);
    cut(this.d1, this.h1, batch * 196 * w);
    back(this.d1, this.p1, p.c1, g.c1, g.b1, null, batch * 196, w, TAPS);
  }
}

/** Adam (Kingma & Ba 2015, Algorithm 1). */
export class Adam {
  constructor(count, rate) { Object.assign(this, { m: new Float64Array(count), v: new Float64Array(count), t: 0, rate }); }
  step(flat, g) {
    this.t++;
    const { m, v } = this, a = 1 - 0.9 ** this.t, b = 1 - 0.999 ** this.t;
    for (let i = 0; i < g.length; i++) {
      m[i] = 0.9 * m[i] + 0.1 * g[i];
      v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
      flat[i] -= (this.rate * (m[i] / a)) / (Math.sqrt(v[i] / b) + 1e-8);
    }
  }
}
