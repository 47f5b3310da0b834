// Paired t-tests, their intervals and Holm's correction, as scipy.stats and
// mtl_tutorial.experiments.inference compute them; and random numbers that a seed fixes.

/** The logarithm of the gamma function (Lanczos). */
function logGamma(x) {
  const c = [76.18009172947146, -86.50532032941677, 24.01409824083091, -1.231739572450155, 0.1208650973866179e-2, -0.5395239384953e-5];
  const t = x + 5.5;
  return -t + (x + 0.5) * Math.log(t) + Math.log((2.5066282746310005 * c.reduce((s, a, i) => s + a / (x + 1 + i), 1.000000000190015)) / x);
}

/** The regularised incomplete beta function, by its continued fraction. */
function beta(x, a, b) {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - beta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x)) / a;
  const tiny = 1e-300;
  let c = 1, d = 1 / (1 - ((a + b) * x) / (a + 1) || tiny), f = d;
  for (let m = 1; m < 400; m++) {
    for (const k of [(m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)), (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))]) {
      d = 1 / (1 + k * d || tiny);
      c = 1 + k / c || tiny;
      f *= c * d;
    }
    if (Math.abs(c * d - 1) < 1e-15) break;
  }
  return front * f;
}

/** P(|T| > t) of Student's distribution, two-sided. */
export const pOfT = (t, degrees) => beta(degrees / (degrees + t * t), degrees / 2, 0.5);

const critical = {};
/** The t with P(|T| > t) = level, by bisection; it is looked for once. */
export const tOfP = (level, degrees) => (critical[`${level} ${degrees}`] ??= bisect(level, degrees));
function bisect(level, degrees) {
  let low = 0, high = 1e4;
  for (let k = 0; k < 80; k++) {
    const middle = (low + high) / 2;
    if (pOfT(middle, degrees) > level) low = middle; else high = middle;
  }
  return (low + high) / 2;
}

export const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

/** Of differences: their mean, half of its 95 % interval, and p of the paired t-test. */
export function paired(differences) {
  const n = differences.length, middle = mean(differences);
  const s = Math.sqrt(differences.reduce((sum, d) => sum + (d - middle) ** 2, 0) / (n - 1));
  const error = s / Math.sqrt(n);
  return { mean: middle, half: tOfP(0.05, n - 1) * error, p: s > 1e-9 ? pOfT(Math.abs(middle) / error, n - 1) : NaN };
}

/** p̃_(k) = max_{j ≤ k} min(1, (m − j + 1) p_(j)); where there was no test (NaN) nothing is corrected. */
export function holm(p, m = p.filter((value) => !Number.isNaN(value)).length) {
  const order = p.map((_, i) => i).filter((i) => !Number.isNaN(p[i])).sort((i, j) => p[i] - p[j]), corrected = [...p];
  let largest = 0;
  order.forEach((i, rank) => { corrected[i] = largest = Math.max(largest, Math.min(1, (m - rank) * p[i])); });
  return corrected;
}

/** A source of numbers from 0 to 1 that a whole number fixes (mulberry32). */
export function randomness(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Numbers of the standard normal distribution (Box and Muller). */
export function normal(uniform) {
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
