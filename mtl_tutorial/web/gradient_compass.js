// The gradient compass. Moved: the tips of two gradients, a third on demand. What answers: the
// direction of each method, what it does to each loss, and what PCGrad takes away. Measured pairs of
// gradients stand as needles at the rim, and can be replayed.
import { BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, GREY, INK, clamp, dot, draw, explorable, fixed, inked, mix, norm, set } from "./kit.js";
import { METHODS, changes, direction } from "./methods.js";

const REACH = 2.6, NAMES = ["g1", "g2", "g3"], SIGNS = ["g₁", "g₂", "g₃"], COLOURS = [BLUE, VERMILION, GREEN], EPS = 1e-9;
const OF_METHOD = { sum: INK, PCGrad: SKY, MGDA: PURPLE, UPGrad: ORANGE, CAGrad: GREY, "IMTL-G": "#A05A2C", "gradient-norm weights": "#8C8C00" };

/** The gradients of a state, shape (T, 2). */
export const gradientsOf = (state) => NAMES.slice(0, state.third ? 3 : 2).map((name) => state[name]);

/** Two gradients of the plane from lengths and cosine, the longer one 2 long. */
export function pairOf([first, second, cosine]) {
  const scale = 2 / Math.max(first, second, 1e-30), sine = Math.sqrt(Math.max(0, 1 - cosine * cosine));
  return [[first * scale, 0], [second * scale * cosine, second * scale * sine]].map((g) => g.map((v) => Number(v.toFixed(4))));
}

/** The angle between two vectors in degrees; 0 where one is zero. */
export function angle(a, b) {
  const lengths = norm(a) * norm(b);
  return lengths > 0 ? (Math.acos(clamp(dot(a, b) / lengths, -1, 1)) * 180) / Math.PI : 0;
}

/** The numbers of the tasks that a direction hurts. */
export const hurt = (gradients, d) => changes(gradients, d).flatMap((c, i) => (c > EPS ? [i + 1] : []));

/** The sentence below the picture. */
export function describe(state) {
  const gradients = gradientsOf(state), parts = gradients.flatMap((a, i) => gradients.slice(i + 1).map((b, k) =>
    `${SIGNS[i]} and ${SIGNS[i + k + 1]} ${dot(a, b) < -EPS ? "conflict" : "do not conflict"} (${fixed(angle(a, b), 0)}°)`));
  const found = state.methods.map((name) => {
    const tasks = hurt(gradients, direction(name, gradients));
    return `${name} hurts ${tasks.length ? `task ${tasks.join(" and ")}` : "nobody"}`;
  });
  return `${parts.join(", ")}. ${found.join(", ")}.`;
}

/** Corners of the cone of directions d with g_i · d ≥ 0 for all tasks; none where it is empty. */
export function cone(gradients, far = 20) {
  let corners = Array.from({ length: 72 }, (_, k) => [far * Math.cos((k * Math.PI) / 36), far * Math.sin((k * Math.PI) / 36)]);
  for (const g of gradients) {
    const kept = [];
    corners.forEach((p, k) => {
      const q = corners[(k + 1) % corners.length], a = dot(g, p), b = dot(g, q);
      if (a >= 0) kept.push(p);
      if (a * b < 0) kept.push(mix(b / (b - a), p, -a / (b - a), q));
    });
    corners = kept;
  }
  return corners;
}

function build(view) {
  let replayed = view.model.get("needle"), offered = view.model.get("offered"); // by a page that has not yet told of all
  view.history();
  view.toggle("Third task", "third");
  if (!offered) view.toggle("Show projections", "parts");
  const needles = view.model.get("needles") ?? [];
  if (needles.length) {
    view.slider("measured pair", "needle", 0, needles.length, { step: 1, format: (k) => (k ? `${k} of ${needles.length}` : "none") });
    view.follow(() => {
      const k = Math.round(view.model.get("needle")), pair = needles[k - 1];
      if (!pair || k === replayed) return;
      const [g1, g2] = pairOf(pair);
      replayed = k;
      view.change({ g1, g2, third: false });
    }, ["needle"]);
  }
  const plane = view.panel({ title: "Drag the tips", label: "Plane of the gradients", x: [-REACH, REACH], y: [-1.6, REACH], pad: [8, 8, 26, 8], equal: true, height: 370 });
  const bars = view.panel({ title: "Left of 0, this loss falls", x: [-4, 4], y: [0, 1], pad: [142, 14, 34, 44], height: 370 });
  for (const [, , cosine] of needles) {
    const way = [cosine, Math.sqrt(1 - cosine * cosine)];
    plane.curve(cosine < 0 ? VERMILION : GREY, { "stroke-width": 1.5, opacity: 0.6 })([mix(2.3, way), mix(2.5, way)]);
  }
  const wedge = plane.patch(GREEN, 0.14), word = plane.text({ fill: inked(GREEN), "font-weight": 700 });
  const taken = [0, 1].map((i) => plane.arrow("", COLOURS[i], 1.6, { dash: "3 4" }));
  const left = [0, 1].map((i) => plane.arrow(`v${"₁₂"[i]}`, COLOURS[i], 2));
  const corner = [0, 1].map(() => plane.curve(INK, { "stroke-width": 1 }));
  const methods = offered ?? Object.keys(METHODS);
  const arrows = Object.fromEntries(methods.map((name) => [name, plane.arrow(name, OF_METHOD[name], 2)]));
  const tips = NAMES.map((name, i) => ({
    arrow: plane.arrow(SIGNS[i], COLOURS[i], 3.5),
    grip: plane.handle(`tip of gradient ${i + 1}`, COLOURS[i], ([x, y]) =>
      view.change({ [name]: [clamp(x, -REACH, REACH), clamp(y, -1.6, REACH)].map((v) => Number(v.toFixed(4))) })),
  }));
  view.checks(view.below, "methods", methods);
  bars.axes("how fast each loss changes at first", "", { yTicks: [] });
  bars.curve(INK, { "stroke-width": 1 })([[0, 0], [0, 1]]);
  const rows = methods.map((name) => ({
    name: draw("text", { "text-anchor": "end" }, bars.above, name),
    bars: COLOURS.map((colour) => draw("rect", { fill: colour }, bars.inside)),
    values: COLOURS.map(() => draw("text", { "font-size": 12 }, bars.above)),
  }));
  return (state) => {
    const gradients = gradientsOf(state), tasks = gradients.length, corners = cone(gradients);
    wedge(corners);
    word([0.98 * plane.x[0], plane.y[0] + 0.12], corners.length ? "shaded: helps all" : "no direction helps all");
    methods.forEach((name) => arrows[name](state.methods.includes(name) ? direction(name, gradients) : null));
    tips.forEach(({ arrow, grip }, i) => {
      arrow(i < tasks ? state[NAMES[i]] : null);
      grip(state[NAMES[i]], i < tasks);
    });
    [0, 1].forEach((i) => {
      const own = gradients[i], other = gradients[1 - i], along = dot(own, other);
      const shown = state.parts && !state.third && along < -EPS;
      const cut = shown ? mix(along / dot(other, other), other) : null; // the part that is taken away
      taken[i](cut && mix(-1, cut), cut ? own : undefined);
      const rest = cut && mix(1, own, -1, cut);
      left[i](rest);
      const u = cut && mix(0.16 / norm(other), other), w = rest && norm(rest) > 0.2 ? mix(0.16 / norm(rest), rest) : null;
      corner[i](u && w ? [u, mix(1, u, 1, w), w] : []);
    });
    const height = bars.area.height / Math.max(1, state.methods.length);
    rows.forEach((row, k) => {
      const place = state.methods.indexOf(methods[k]);
      set(row.name, { display: place < 0 ? "none" : undefined, x: bars.area.left - 8, y: bars.area.top + height * (place + 0.5) + 4 });
      const moved = place < 0 ? [] : changes(gradients, direction(methods[k], gradients));
      row.bars.forEach((bar, i) => {
        const value = row.values[i];
        for (const node of [bar, value]) set(node, { display: i < moved.length ? undefined : "none" });
        if (i >= moved.length) return;
        const thick = Math.min(22, (0.8 * height) / tasks), [x0] = bars.at([0, 0]), [x1] = bars.at([clamp(moved[i], -4, 4), 0]);
        set(bar, { x: Math.min(x0, x1), width: Math.abs(x1 - x0), height: thick - 1,
          y: bars.area.top + height * (place + 0.5) + thick * (i - tasks / 2) });
        const right = moved[i] < 0 ? x0 + 4 : x0 - 4;
        value.textContent = fixed(moved[i]);
        set(value, { x: right, y: bars.area.top + height * (place + 0.5) + thick * (i - tasks / 2 + 0.5) + 3, "text-anchor": moved[i] < 0 ? "start" : "end" });
      });
    });
    return describe(state);
  };
}

export default explorable({ names: ["g1", "g2", "g3", "third", "parts", "methods", "needle", "needles"], build });
