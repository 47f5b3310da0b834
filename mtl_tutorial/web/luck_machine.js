// The luck machine. Moved: how many methods and seeds a table has, and what one of them truly gains;
// in the real table, which seeds and opponents count. What answers: who seems to win.
import { BLUE, VERMILION, GREY, HALO, INK, draw, explorable, fixed, inked, set } from "./kit.js";
import { holm, mean, normal, paired, randomness } from "./statistics.js";

export const TABLES = ["equal methods", "the real table"];
const LEVEL = 0.05, AT_ONCE = 200;

/** A table of methods minus their reference, seed by seed, in units of one method's spread. */
export function drawTable(number, { methods, seeds, gain }) {
  const next = normal(randomness(number)), reference = Array.from({ length: seeds }, next);
  return Array.from({ length: methods }, (_, i) => reference.map((r) => next() + (i ? 0 : gain) - r));
}

/** One method of a drawn table minus the reference, run again with as many new seeds: the mean. */
export function runAgain(number, { seeds, gain }, row) {
  const next = normal(randomness(number ^ 0x9e3779b9));
  return mean(Array.from({ length: seeds }, () => next() - next() + (row ? 0 : gain)));
}

/** What tests say of a table's rows: mean, half of the interval, p, and p by Holm. */
export function judge(rows) {
  const found = rows.map(paired), corrected = holm(found.map(({ p }) => p));
  return found.map((row, i) => ({ ...row, corrected: corrected[i] }));
}

/** Of some tables: how many have a find, without and with the correction, how often row 1 is one; and
 *  the sums of what the best row leads by, in its table and when it is run again. */
export function count(from, to, setting) {
  const counts = { plain: 0, corrected: 0, first: 0, lead: 0, again: 0 };
  for (let number = from; number < to; number++) {
    const rows = judge(drawTable(number, setting));
    counts.plain += rows.some(({ p }) => p < LEVEL);
    counts.corrected += rows.some((row) => row.corrected < LEVEL);
    counts.first += rows[0].corrected < LEVEL;
    const best = rows.reduce((b, row, i) => (row.mean > rows[b].mean ? i : b), 0);
    counts.lead += rows[best].mean;
    counts.again += runAgain(number, setting, best);
  }
  return counts;
}

/** The rows of the real table without the seeds and the opponents that are left out. */
export function chosen({ names, differences, left_out: out, opponents }) {
  return names.flatMap((name, i) => opponents.includes(name) ? [] : [{ name, values: differences[i].filter((_, s) => !out.includes(s)) }]);
}

/** The sentence below the picture. */
export function describe(state, rows, counts) {
  const key = state.correct ? "corrected" : "p", found = rows.filter((row) => row[key] < LEVEL);
  const by = state.correct ? "with Holm's correction" : "each at p < 0.05";
  if (state.table === TABLES[1]) {
    return `${rows.filter((row) => !Number.isNaN(row.p)).length} tests over ${state.seeds_left} seeds, ${by}: ${found.length ? `told apart: ${found.map((row) => row.name).join(", ")}` : "nothing is told apart"}.`;
  }
  const tables = `Of ${counts.drawn} table${counts.drawn > 1 ? "s" : ""}, ${counts.plain} ${counts.plain === 1 ? "has" : "have"} a find at p < 0.05 and ${counts.corrected} with Holm's correction.`;
  const truth = state.gain ? `Method 1 truly gains ${fixed(state.gain)} spreads, and is found in ${counts.first}.` : "All methods are equal.";
  if (state.again) {
    const by = (sum) => fixed(sum / counts.drawn);
    return `${truth} The best of a table leads by ${by(counts.lead)} spreads, and by ${by(counts.again)} when it is run again with new seeds${counts.drawn > 1 ? `: means of ${counts.drawn} tables` : ""}. Here: ${fixed(rows.best)}, then ${fixed(rows.second)}.`;
  }
  return `${truth} This table, ${by}: ${found.length ? `${found.length} of ${rows.length} "differ"` : "no find"}. ${tables}`;
}

function build(view) {
  view.history();
  view.choose("table", "table", TABLES);
  view.toggle("Holm's correction", "correct");
  const more = (count) => { view.remember(); view.change({ number: Math.min(10000, view.model.get("number") + count) }); };
  const ofLuck = [
    view.toggle("Run the best again", "again"),
    view.button("Another table", () => more(1)),
    view.button(`${AT_ONCE} more`, () => more(AT_ONCE)),
    view.slider("methods", "methods", 1, 20, { step: 1, format: String }),
    view.slider("seeds", "seeds", 3, 30, { step: 1, format: String }),
    view.slider("true gain of method 1", "gain", 0, 3, { step: 0.1 }),
  ];
  const most = 20, panel = view.panel({ title: "Minus the reference, a dot a seed", x: [-4, 4], y: [0, 1], width: 620, height: 440, pad: [190, 84, 30, 44] });
  const zero = panel.curve(INK, { "stroke-width": 1 });
  const narrow = (view.root.clientWidth || innerWidth) < 600, wide = narrow ? 620 : 280; // one below the other, they are of one size
  const share = view.panel({ title: "Tables with a find", x: [0, 1], y: [0, 1], width: wide, height: narrow ? 240 : 440, pad: [46, 12, 30, 44] });
  share.axes("tables drawn", "", { xTicks: [], format: (v) => `${Math.round(100 * v)} %` });
  const lines = [share.curve(VERMILION, { "stroke-dasharray": "7 4" }), share.curve(BLUE), share.curve(GREY, { "stroke-dasharray": "2 4" })];
  const words = [["without", VERMILION], ["with Holm's", BLUE]].map(([text, colour]) => {
    const node = draw("text", { fill: inked(colour), "text-anchor": "end", x: share.area.left + share.area.width - 4, ...HALO }, share.above, text);
    return (height) => set(node, { y: height });
  });
  const nodes = Array.from({ length: most }, () => ({
    dots: draw("g", { "fill-opacity": 0.35 }, panel.inside), bar: draw("line", { "stroke-width": 3 }, panel.inside),
    point: draw("circle", { r: 6, "stroke-width": 2 }, panel.inside), label: draw("text", { "text-anchor": "end" }, panel.above), p: draw("text", { x: panel.area.left + panel.area.width + 8 }, panel.above),
  }));
  const ghost = panel.dot("none", 8, { stroke: INK, "stroke-width": 2.5 });
  nodes.forEach(({ dots }, i) => dots.addEventListener("click", (event) => {
    if (view.model.get("table") !== TABLES[1] || !event.target.dataset.seed) return;
    const out = new Set(view.model.get("left_out")), seed = Number(event.target.dataset.seed);
    if (out.has(seed)) out.delete(seed); else out.add(seed);
    view.remember();
    view.change({ left_out: [...out].sort((a, b) => a - b) });
  }));
  const real = view.row(), seeds = view.model.get("seed_names") ?? [];
  view.below.append(real);
  real.append("Leave out methods:");
  view.checks(real, "opponents", view.model.get("names") ?? []);
  real.append("Leave out seeds, here or by a click on a dot:");
  view.checks(real, "left_out", seeds.map((_, place) => place), seeds);
  let history = { key: "", drawn: 0, path: [], ...count(0, 0, {}) };
  return (state) => {
    const isReal = state.table === TABLES[1];
    let rows;
    if (isReal) {
      const kept = chosen(state);
      state.seeds_left = kept[0]?.values.length ?? 0;
      rows = state.seeds_left > 1 ? judge(kept.map((row) => row.values)).map((row, i) => ({ ...row, ...kept[i] })) : [];
    } else {
      const setting = { methods: state.methods, seeds: state.seeds, gain: state.gain }, key = JSON.stringify(setting);
      if (history.key !== key || state.number < history.drawn) history = { key, drawn: 0, path: [], ...count(0, 0, {}) };
      const many = Math.max(1, Math.ceil(state.number / 200));
      while (history.drawn < state.number) {
        const next = Math.min(history.drawn + many, state.number), found = count(history.drawn + 1, next + 1, setting);
        history.drawn = next;
        for (const name of Object.keys(found)) history[name] += found[name];
        history.path.push([history.drawn, history.plain / history.drawn, history.corrected / history.drawn]);
      }
      const values = drawTable(state.number, setting);
      rows = judge(values).map((row, i) => ({ ...row, values: values[i], name: `method ${i + 1}` }));
    }
    const order = rows.map((_, i) => i).sort((i, j) => rows[j].mean - rows[i].mean), rerun = !isReal && state.again;
    if (rerun) Object.assign(rows, { best: rows[order[0]].mean, second: runAgain(state.number, state, order[0]) });
    const widest = Math.max(...rows.flatMap((row) => row.values.map(Math.abs)), 1e-9) * 1.05;
    panel.x = [-widest, widest];
    panel.axes(isReal ? "points of accuracy, minus equal weights" : "spreads of one method", "", { yTicks: [] });
    const height = panel.area.height / Math.max(rows.length, 1);
    zero([[0, 0], [0, 1]]);
    nodes.forEach(({ dots, bar, point, label, p }, place) => {
      const row = rows[order[place]], display = row ? "inline" : "none";
      for (const node of [dots, bar, point, label, p]) set(node, { display });
      if (!row) return;
      const y = panel.area.top + height * (place + 0.5), wins = row[state.correct ? "corrected" : "p"] < LEVEL;
      const colour = wins ? VERMILION : BLUE, x = (v) => panel.at([v, 0])[0];
      const shown = isReal ? state.differences[state.names.indexOf(row.name)] : row.values;
      while (dots.childNodes.length < shown.length) draw("circle", { r: 4 }, dots);
      [...dots.childNodes].forEach((dot, s) => {
        const out = isReal && state.left_out.includes(s);
        set(dot, { display: s < shown.length ? undefined : "none", cx: s < shown.length ? x(shown[s]) : 0, cy: y - 5, fill: out ? "none" : colour,
          stroke: out ? GREY : "none", "data-seed": s, style: isReal ? "cursor:pointer" : "" });
      });
      set(bar, { x1: x(row.mean - row.half), x2: x(row.mean + row.half), y1: y + 5, y2: y + 5, stroke: colour });
      set(point, { cx: x(row.mean), cy: y + 5, fill: wins ? colour : "var(--mtl-paper)", stroke: colour });
      const value = state.correct ? row.corrected : row.p;
      p.textContent = Number.isNaN(value) ? "the same" : value < 0.001 ? "p < .001" : `p = ${fixed(value, 3).replace(/^0/, "")}`;
      set(p, { y: y + 4, fill: wins ? inked(VERMILION) : INK, "font-weight": wins ? 700 : 400 });
      label.textContent = row.name;
      set(label, { x: panel.area.left - 8, y: y + 4, "font-weight": wins ? 700 : 400 });
    });
    ghost([rerun ? rows.second : 0, 0], { display: rerun ? undefined : "none", cy: panel.area.top + height / 2 + 5 });
    share.show(!isReal);
    ofLuck.forEach((control) => { control.closest("button, label").style.display = isReal ? "none" : ""; });
    set(real, { style: isReal ? "" : "display:none" });
    const end = Math.max(history.drawn, 1), at = (k) => history.path.map((row) => [row[0] / end, row[k]]);
    lines[0](at(1)); lines[1](at(2)); lines[2]([[0, LEVEL], [1, LEVEL]]);
    const last = history.path.at(-1) ?? [0, 0, 0];
    const [above, below] = [1, 2].map((k) => share.at([1, last[k]])[1] - 8);
    words[0](Math.min(above, below - 19)); words[1](below);
    return describe(state, rows, history);
  };
}

const MOVED = ["table", "number", "methods", "seeds", "gain", "correct", "again", "left_out", "opponents"];

export default explorable({ names: [...MOVED, "names", "differences"], hand: MOVED, build });
