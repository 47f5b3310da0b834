// The flight recorder. Moved: the epoch, along any of the pictures, and which runs stand side by
// side. What answers: where in the network two tasks pull apart, the loss weights, the metrics.
import { GREY, INK, clamp, draw, explorable, coloursOf, fixed, looksOf, power } from "./kit.js";

const WHOLE = "all of them", LIMIT = 0.5; // cosines from here on have the full colour, in every run

/** The colour of a cosine: red where two tasks pull apart, blue where they agree. */
export function colour(cosine) {
  const share = clamp(Math.abs(cosine) / LIMIT, 0, 1), to = cosine < 0 ? [178, 24, 43] : [33, 102, 172];
  return `rgb(${to.map((c) => Math.round(247 + (c - 247) * share)).join(" ")})`;
}

/** The share of epochs in which two tasks are in conflict, by layer. */
export const conflicts = (flight, pair) =>
  flight.layers.map((_, k) => {
    const row = flight.cosines[pair][k].filter((v) => v !== null);
    return row.length ? row.filter((v) => v < 0).length / row.length : 0;
  });

/** The runs that a state chooses from, and those it has chosen. */
export function chosen(state) {
  const runs = state.flights.some((flight) => flight.runs === state.runs) ? state.runs : state.flights[0].runs;
  const of = state.flights.filter((flight) => flight.runs === runs);
  const methods = [...new Set(of.map((flight) => flight.method))];
  const pick = (method) => {
    const own = of.filter((flight) => flight.method === method);
    return own.find((flight) => String(flight.seed) === String(state.seed)) ?? own[0];
  };
  const first = pick(methods.includes(state.method) ? state.method : methods[0]);
  const second = methods.includes(state.beside) ? pick(state.beside) : null;
  const pairs = Object.keys(first.cosines), pair = pairs.includes(state.pair) ? state.pair : pairs[0];
  return { methods, seeds: [...new Set(of.map((flight) => flight.seed))], pairs, pair, flights: second ? [first, second] : [first] };
}

/** The sentence of one run. */
export function describe(flight, pair, epoch) {
  const at = Math.min(epoch, flight.epochs) - 1, values = flight.cosines[pair].map((row) => row[at]);
  const apart = flight.layers.flatMap((layer, k) => (values[k] < 0 && layer !== WHOLE ? [[values[k], layer]] : [])).sort((a, b) => a[0] - b[0]);
  const push = apart.length ? `${pair} pull apart${apart.length > 1 ? " most" : ""} in ${apart[0][1]} (cosine ${fixed(apart[0][0])})`
    : `${pair} pull apart in no layer (cosine ${fixed(values[flight.layers.indexOf(WHOLE)] ?? 0)} over ${WHOLE})`;
  const row = (curves) => flight.tasks.map((task, i) => `${task} ${curves[i][at] === null ? "none" : fixed(curves[i][at])}`).join(", ");
  return `Epoch ${at + 1} of ${flight.method}, seed ${flight.seed}: ${push}. Weights: ${row(flight.weights)}. Validation metrics: ${row(flight.metrics)}.`;
}

function build(view) {
  view.history();
  view.panels.style.cssText = "display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 324px), 1fr))"; // all of one size
  const lists = Object.fromEntries(["runs", "method", "beside", "seed", "pair"].map((name) => {
    const control = view.choose(name === "pair" ? "tasks" : name, name, []);
    return [name, (now, value) => {
      if (control.dataset.now !== now.join("\n")) control.replaceChildren(...now.map((option) => new Option(option, option)));
      control.dataset.now = now.join("\n");
      control.value = value;
    }];
  }));
  const slider = view.slider("epoch", "epoch", 1, 100, { step: 1, format: String }), hand = { at: null }; // a line held between two epochs
  const heats = [0, 1].map(() => heat(view, hand)), charts = ["Loss weights", "Validation metrics"].map((title) => chart(view, title, hand));
  return (state) => {
    const { methods, seeds, pairs, pair, flights } = chosen(state), epoch = clamp(Math.round(state.epoch), 1, Math.max(...flights.map((f) => f.epochs)));
    lists.runs([...new Set(state.flights.map((flight) => flight.runs))], flights[0].runs);
    lists.method(methods, flights[0].method);
    lists.beside(["nothing", ...methods.filter((name) => name !== flights[0].method)], flights[1]?.method ?? "nothing");
    lists.seed(seeds.map(String), String(flights[0].seed));
    lists.pair(pairs, pair);
    slider.max = Math.max(...flights.map((f) => f.epochs));
    heats.forEach((show, i) => show(flights[i], pair, epoch));
    charts[0](flights, epoch, "weights");
    charts[1](flights, epoch, "metrics");
    return flights.map((flight) => describe(flight, pair, epoch)).join(" ");
  };
}

/** A row a layer, a column an epoch; beside each row the share of epochs in conflict. */
function heat(view, hand) {
  const panel = view.panel({ title: " ", x: [0.5, 1.5], y: [0, 1], width: 450, height: 286, pad: [88, 62, 32, 76] });
  const cells = draw("g", {}, panel.inside), rows = draw("g", {}, panel.above), line = panel.curve(INK, { "stroke-width": 2 });
  const grip = epochGrip(view, panel, hand, "epoch (red: they pull apart, blue: together)");
  let key = "";
  return (flight, pair, epoch) => {
    panel.show(Boolean(flight));
    if (!flight) return;
    const wanted = `${flight.runs}|${flight.method}|${flight.seed}|${pair}`, height = panel.area.height / flight.layers.length;
    if (wanted !== key) {
      key = wanted;
      panel.x = [0.5, flight.epochs + 0.5];
      panel.axes("", "", { yTicks: [] });
      panel.title.textContent = `${flight.method}: do ${pair} pull apart?`;
      cells.replaceChildren();
      rows.replaceChildren();
      const shares = conflicts(flight, pair), width = panel.area.width / flight.epochs;
      flight.layers.forEach((layer, k) => {
        const y = panel.area.top + height * k;
        flight.cosines[pair][k].forEach((value, e) => {
          if (value !== null) draw("rect", { x: panel.area.left + width * e, y: y + 1, width: width + 0.4, height: height - 2, fill: colour(value) }, cells);
        });
        draw("text", { x: panel.area.left - 6, y: y + height / 2 + 4, "text-anchor": "end", "font-size": 12 }, rows, layer);
        draw("text", { x: panel.area.left + panel.area.width + 6, y: y + height / 2 + 4, "font-size": 12 }, rows, `${Math.round(100 * shares[k])} % red`);
      });
    }
    const at = Math.min(hand.at ?? epoch, flight.epochs);
    line([[at, 0], [at, 1]]);
    grip(at);
  };
}

/** Lines of the tasks over the epochs; of a second run pale. */
function chart(view, title, hand) {
  const weights = title === "Loss weights";
  const panel = view.panel({ title, x: [1, 2], y: weights ? [-2, 3] : [0, 1], width: 450, height: 266, pad: [46, 70, 30, 76] });
  const line = panel.curve(GREY, { "stroke-width": 1 }), grip = epochGrip(view, panel, hand, "epoch"), most = 4;
  const curves = [0, 1].map((second) => Array.from({ length: most }, () => panel.curve(INK, second ? { opacity: 0.4 } : {})));
  const names = panel.ends();
  let key = "";
  return (flights, epoch, name) => {
    const epochs = Math.max(...flights.map((flight) => flight.epochs), 2);
    const logs = flights.map((flight) => flight[name].map((row) => row.map((v) => (v === null ? null : weights ? Math.log10(Math.max(v, 1e-4)) : v))));
    const all = logs.flat(2).filter((v) => v !== null), wanted = JSON.stringify([epochs, flights.map((f) => [f.runs, f.method, f.seed])]);
    if (wanted !== key) {
      key = wanted;
      panel.x = [1, epochs];
      if (weights) panel.y = [Math.min(-1, Math.floor(Math.min(...all))), Math.max(1, Math.ceil(Math.max(...all)))];
      else panel.y = [Math.min(0.9, Math.floor(10 * Math.min(...all)) / 10), 1];
      const powers = Array.from({ length: panel.y[1] - panel.y[0] + 1 }, (_, i) => panel.y[0] + i);
      panel.axes("", "", weights ? { yTicks: powers, yFormat: power } : {});
      curves.flat().forEach((curve) => curve([]));
      const looks = looksOf(flights[0].tasks);
      flights.forEach((flight, f) => flight.tasks.forEach((_, i) => curves[f][i](logs[f][i].map((v, e) => (v === null ? null : [e + 1, v])), looks[i])));
      names(flights[0].tasks, logs[0].map((row) => row.findLast((v) => v !== null) ?? panel.y[0]), coloursOf(flights[0].tasks));
      panel.title.textContent = flights.length > 1 ? `${title} (pale: ${flights[1].method})` : title;
    }
    const at = Math.min(hand.at ?? epoch, epochs);
    line([[at, panel.y[0]], [at, panel.y[1]]]);
    grip(at);
  };
}

/** The line is where the hand is, also between two epochs; let go, it goes to the nearest. Its grip is below the numbers. */
function epochGrip(view, panel, hand, words) {
  const { left, top, width, height } = panel.area, below = (y) => y[0] - (38 / height) * (y[1] - y[0]);
  draw("text", { x: left + width / 2, y: top + height + 72, "text-anchor": "middle" }, panel.above, words);
  const move = panel.handle("epoch", INK, ([x], held) => {
    const at = clamp(x, 1, Math.floor(panel.x[1]));
    hand.at = held ? at : null;
    view.change({ epoch: Math.round(at) });
    view.ask();
  }, { step: 1, words: ([x]) => `epoch ${Math.round(x)}`, drop: () => { hand.at = null; view.ask(); } });
  return (at) => move([at, below(panel.y)]);
}

const CHOSEN = ["runs", "method", "beside", "seed", "pair", "epoch"];

export default explorable({ names: ["flights", ...CHOSEN], hand: CHOSEN, build });
